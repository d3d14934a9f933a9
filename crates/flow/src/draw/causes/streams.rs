//! How far each end of a connection has sent, and what its peer has room for (RFC 9293
//! §3.8.6).

use std::collections::HashMap;

use super::{Addresses, Cause, Causes, Topic};
use crate::bytes::{grouped, printable};
use crate::event::{Call, Flag, Packet, Protocol};

/// One direction of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    /// The sequence number after what was sent.
    next: u32,
    /// The one that the peer expects.
    acked: u32,
    /// By how many bits the sender's own windows are shifted, from its SYN.
    scale: Option<u8>,
    /// The longest segment that the sender of these segments takes, from its SYN.
    takes: Option<u16>,
    /// The peer's window, in bytes, and the largest one.
    window: u64,
    largest: u64,
}

/// All connections, by the addresses of the sender and the receiver.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<Addresses, Stream>);

impl Streams {
    /// Follows a segment. One that does not arrive was sent all the same.
    pub(super) fn follow(&mut self, packet: &Packet, pair: &Addresses, arrives: bool) {
        let Protocol::Tcp { flags, seq, ack, window, scale, mss, .. } = &packet.protocol
        else {
            return;
        };
        let is_syn = flags.has(Flag::Syn);
        let length = packet.data.length as u32;
        let length = length.wrapping_add(u32::from(is_syn || flags.has(Flag::Fin)));
        let end = seq.wrapping_add(length);
        if is_syn {
            let begun = Stream {
                next: end,
                acked: *seq,
                scale: *scale,
                takes: *mss,
                window: 0,
                largest: 0,
            };
            self.0.insert(pair.clone(), begun);
        }
        let Some(own) = self.0.get_mut(pair) else { return };
        if is_later(end, own.next) {
            own.next = end;
        }
        let own = *own;
        let back = (pair.1.clone(), pair.0.clone());
        let acknowledges = arrives && flags.has(Flag::Ack);
        let Some(other) = self.0.get_mut(&back).filter(|_| acknowledges) else {
            return;
        };
        if is_later(*ack, other.acked) {
            other.acked = *ack;
        }
        let bits = match (own.scale, other.scale) {
            (Some(bits), Some(_)) if !is_syn => bits.min(14),
            _ => 0,
        };
        other.window = u64::from(*window) << bits;
        other.largest = other.largest.max(other.window);
    }

    /// How many bytes the peer has room for beyond those that are on their way.
    pub(super) fn room(&self, pair: &Addresses) -> Option<u64> {
        let stream = self.0.get(pair)?;
        Some(stream.window.saturating_sub(stream.in_flight().into()))
    }

    /// How many bytes were sent and are not acknowledged.
    pub(super) fn in_flight(&self, pair: &Addresses) -> Option<u32> {
        self.0.get(pair).map(|it| it.in_flight())
    }

    /// Whether so many bytes may fill a segment: then Nagle's algorithm does not hold them
    /// back.
    pub(super) fn may_be_full(&self, pair: &Addresses, length: u32) -> bool {
        let back = (pair.1.clone(), pair.0.clone());
        let (Some(own), Some(peer)) = (self.0.get(pair), self.0.get(&back)) else {
            return false;
        };
        let longest = own.takes.into_iter().chain(peer.takes).min();
        let Some(longest) = longest.map(u64::from) else { return false };
        // Linux makes segments no longer than half of the largest window. Options take up to
        // 40 bytes of each.
        u64::from(length) + 40 >= longest.min((own.largest / 2).max(536))
    }
}

impl Stream {
    fn in_flight(&self) -> u32 {
        if is_later(self.next, self.acked) {
            self.next.wrapping_sub(self.acked)
        } else {
            0
        }
    }
}

impl Causes {
    /// Why the kernel has given up a connection.
    pub(super) fn timed_out(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?)?;
        let text = if let Some(limit) =
            known.user_timeout.as_ref().filter(|it| *it != "0")
        {
            let limit = printable(limit);
            format!("TCP_USER_TIMEOUT is over: no progress for {limit} ms")
        } else {
            match self.streams.in_flight(&known.pair()?)? {
                0 if known.keeps_alive => "no answer to its keepalive probes".to_owned(),
                0 => return None,
                1 => "1 byte was sent again and again, and never acknowledged".to_owned(),
                many => format!(
                    "{} bytes were sent again and again, and never acknowledged",
                    grouped(many.into())
                ),
            }
        };
        Some(Cause::caller(Topic::TimedOut, text))
    }
}

/// Sequence numbers wrap: the sign of the difference says which is later.
fn is_later(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() > 0
}
