//! The TCP states of both ends, inferred from the packets (RFC 9293 §3.3.2).

use std::collections::HashMap;
use std::fmt;

use crate::event::{Flag, Flags};

/// The state of one end of a connection (RFC 9293 §3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are the RFC's")]
pub enum State {
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

impl State {
    /// Its name in the RFC, such as `SYN-SENT`.
    pub fn name(self) -> &'static str {
        match self {
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
            State::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct End {
    /// `None` if the log begins too late to tell.
    state: Option<State>,
    /// The sequence number after this end's FIN.
    after_fin: Option<u32>,
    /// Whether it has answered the peer's SYN more than once.
    answered_again: bool,
}

/// What a segment changed, and whether a timer was involved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) sender: Option<State>,
    pub(super) receiver: Option<State>,
    pub(super) again: bool,
    /// It only acknowledges, and the kernel held it back until a timer went off.
    pub(super) delayed: bool,
    /// It asks whether the peer is still there, or has room.
    pub(super) probe: bool,
}

/// What matters about a TCP segment for states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) time_ns: u64,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) flags: Flags,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) length: u64,
    /// When it was sent, if that was recorded separately.
    pub(super) left_ns: u64,
    /// Whether it had been sent before, if the wire knows.
    pub(super) again: Option<bool>,
    /// Whether it never reaches its receiver, or is dropped there as damaged.
    pub(super) lost: bool,
    /// Whether it was sent earlier and only arrives now.
    pub(super) late: bool,
    /// Whether its receiver has no connection before data comes (TCP_DEFER_ACCEPT).
    pub(super) deferred: bool,
}

impl Segment<'_> {
    fn has(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }
}

/// The ends of all connections, by their own and their peer's address.
#[derive(Debug, Default)]
pub(super) struct States {
    ends: HashMap<(String, String), End>,
    /// How far each end has sent, and when, so that retransmissions are recognized.
    sent: HashMap<(String, String), Sent>,
    /// What of each end's stream has arrived, on a wire.
    arrived: HashMap<(String, String), Arrived>,
}

/// What of a stream has arrived.
#[derive(Debug)]
struct Arrived {
    /// Everything before this sequence number has.
    next: u32,
    /// What has arrived behind a gap: where each piece begins and ends.
    behind: Vec<(u32, u32)>,
    /// The sequence number after the FIN, if it has arrived and has not been reached.
    fin: Option<u32>,
}

/// The most pieces behind a gap that are kept: a log may claim any number.
const MOST_PIECES: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Sent {
    /// The sequence number after it.
    end: u32,
    time_ns: u64,
    is_acknowledged: bool,
}

/// Linux delays an acknowledgment for at least 40 ms (`TCP_DELACK_MIN`).
const DELAYED_NS: u64 = 38_000_000;

impl States {
    /// Follows a segment. `answered` says that the next segment of the connection is the
    /// receiver's SYN; without it, a SYN has changed nothing there.
    pub(super) fn follow(&mut self, segment: Segment<'_>, answered: bool) -> Changes {
        let sender_key = (segment.from.to_owned(), segment.to.to_owned());
        let receiver_key = (segment.to.to_owned(), segment.from.to_owned());
        let again = self.is_again(&sender_key, &segment);
        let again = segment.again.unwrap_or(again);
        let reaches_fin = self.arrives(&sender_key, &segment);
        let delayed = self.is_delayed(&receiver_key, &segment);
        let probe = self.is_probe(&sender_key, &segment);
        let mut sender = self.ends.get(&sender_key).copied().unwrap_or_default();
        let mut receiver = self.ends.get(&receiver_key).copied().unwrap_or_default();
        let before = (sender.state, receiver.state);
        let unreached = receiver;
        if segment.has(Flag::Rst) {
            (sender, receiver) = (End::closed(sender), End::closed(receiver));
        } else if segment.has(Flag::Syn) {
            if !segment.has(Flag::Ack) {
                if !segment.late {
                    sender = End {
                        state: Some(State::SynSent),
                        after_fin: None,
                        ..End::default()
                    };
                }
                if answered && receiver.state != Some(State::SynReceived) {
                    receiver = End {
                        state: Some(State::SynReceived),
                        after_fin: None,
                        ..End::default()
                    };
                }
            } else {
                sender.answered_again |= again;
                if receiver.state == Some(State::SynSent) {
                    receiver.state = Some(State::Established);
                }
            }
        } else {
            // The kernel forgets such an acknowledgment, until it has asked again for it.
            let is_bare = segment.length == 0 && !segment.has(Flag::Fin);
            if !(segment.deferred && is_bare && !receiver.answered_again) {
                receiver.acknowledged(segment.ack);
            }
            if segment.has(Flag::Fin) {
                sender.after_fin =
                    Some(segment.seq.wrapping_add(segment.length as u32).wrapping_add(1));
                sender.state = sender.state.map(|state| match state {
                    State::Established | State::SynReceived => State::FinWait1,
                    State::CloseWait => State::LastAck,
                    other => other,
                });
            }
            if reaches_fin {
                receiver.state = receiver.state.map(|state| match state {
                    State::Established | State::SynReceived => State::CloseWait,
                    State::FinWait1 => State::Closing,
                    State::FinWait2 => State::TimeWait,
                    other => other,
                });
            }
        }
        if segment.lost {
            receiver = unreached;
        }
        let new = |before, now: Option<State>| now.filter(|_| before != now);
        let changes = Changes {
            sender: new(before.0, sender.state),
            receiver: new(before.1, receiver.state),
            again,
            delayed,
            probe,
        };
        self.ends.insert(sender_key, sender);
        self.ends.insert(receiver_key, receiver);
        changes
    }

    /// Whether all that the segment carries had been sent before.
    fn is_again(&mut self, key: &(String, String), segment: &Segment<'_>) -> bool {
        let flags = u32::from(segment.has(Flag::Syn)) + u32::from(segment.has(Flag::Fin));
        let length = (segment.length as u32).wrapping_add(flags);
        if segment.has(Flag::Rst) {
            self.sent.remove(key);
            return false;
        }
        if length == 0 {
            return false;
        }
        let end = segment.seq.wrapping_add(length);
        let again = match self.sent.get(key) {
            // A SYN with another number begins a new connection between the same
            // addresses.
            Some(sent) if segment.has(Flag::Syn) => sent.end == end,
            // Sequence numbers wrap: the sign of the difference says which is later.
            Some(sent) => end.wrapping_sub(sent.end) as i32 <= 0,
            None => false,
        };
        // On a wire, the one that arrived last is the one that is acknowledged.
        let came = segment.again.is_some() && !segment.lost;
        if !again || came && self.sent.get(key).is_some_and(|sent| sent.end == end) {
            let sent = Sent { end, time_ns: segment.time_ns, is_acknowledged: false };
            self.sent.insert(key.clone(), sent);
        }
        again
    }

    /// Returns whether the receiver has now got everything up to the FIN. On a wire a FIN may
    /// arrive while something before it is missing; then the kernel keeps it, and goes on as
    /// if it had not come.
    fn arrives(&mut self, key: &(String, String), segment: &Segment<'_>) -> bool {
        let is_fin = segment.has(Flag::Fin);
        if segment.again.is_none() {
            return is_fin;
        }
        let length = segment.length as u32;
        let (begin, end) = (segment.seq, segment.seq.wrapping_add(length));
        let end = end.wrapping_add(u32::from(is_fin));
        if segment.has(Flag::Syn) {
            let next = end.wrapping_add(1);
            let arrived = Arrived { next, behind: Vec::new(), fin: None };
            self.arrived.insert(key.clone(), arrived);
            return false;
        }
        let Some(arrived) = self.arrived.get_mut(key) else { return is_fin };
        if segment.lost || begin == end {
            return false;
        }
        if is_fin {
            arrived.fin = Some(end);
        }
        arrived.add(begin, end);
        // What is behind a gap can be acknowledged only when that is filled.
        if let Some(sent) = self.sent.get_mut(key)
            && sent.end == arrived.next
        {
            sent.time_ns = segment.time_ns;
        }
        let is_reached =
            |fin: &mut u32| arrived.next.wrapping_sub(*fin).cast_signed() >= 0;
        arrived.fin.take_if(is_reached).is_some()
    }

    /// Whether the segment only acknowledges, and comes long after what it acknowledges,
    /// which is everything that the peer has sent so far.
    fn is_delayed(&mut self, peer: &(String, String), segment: &Segment<'_>) -> bool {
        let Some(sent) = self.sent.get_mut(peer) else { return false };
        if sent.end != segment.ack || sent.is_acknowledged {
            return false;
        }
        sent.is_acknowledged = true;
        segment.flags.is_ack_alone()
            && segment.length == 0
            && segment.left_ns.saturating_sub(sent.time_ns) >= DELAYED_NS
    }

    /// Whether the segment is empty and begins one byte before the next one to send: the
    /// peer has that byte, and must answer with where it is (RFC 9293 §3.8.4, §3.8.6.1).
    fn is_probe(&self, key: &(String, String), segment: &Segment<'_>) -> bool {
        segment.flags.is_ack_alone()
            && segment.length == 0
            && self.sent.get(key).is_some_and(|sent| {
                sent.is_acknowledged && sent.end.wrapping_sub(segment.seq) == 1
            })
    }
}

impl Arrived {
    /// Adds a piece of the stream. Sequence numbers wrap: the sign of the difference says
    /// which is later.
    fn add(&mut self, begin: u32, end: u32) {
        let is_later = |one: u32, other: u32| one.wrapping_sub(other).cast_signed() > 0;
        self.behind.push((begin, end));
        while let Some((_, end)) = self.behind.iter().find(|(begin, end)| {
            !is_later(*begin, self.next) && is_later(*end, self.next)
        }) {
            self.next = *end;
        }
        let next = self.next;
        self.behind.retain(|(_, end)| is_later(*end, next));
        if self.behind.len() > MOST_PIECES {
            self.behind.remove(0);
        }
    }
}

impl End {
    fn closed(self) -> End {
        End {
            state: self.state.map(|_| State::Closed),
            after_fin: None,
            ..End::default()
        }
    }

    /// The peer acknowledges everything up to `ack`.
    fn acknowledged(&mut self, ack: u32) {
        if self.state == Some(State::SynReceived) {
            self.state = Some(State::Established);
        }
        if self.after_fin == Some(ack) {
            self.state = self.state.map(|state| match state {
                State::FinWait1 => State::FinWait2,
                State::Closing => State::TimeWait,
                State::LastAck => State::Closed,
                other => other,
            });
        }
    }
}
