//! Why something happened, in the kernel's own words: what it held at that moment
//! ([`Held`]), what a program had asked of it, what the packets say. Where a log says nothing
//! of a cause, none is drawn.

use std::collections::{HashMap, HashSet, VecDeque};

use super::owners::{port, unmapped};
use crate::bytes::{grouped, printable};
use crate::event::{Call, Event, Flag, Held, Observed, Packet, Protocol, Return};

/// A cause, at the end of a connection or at a side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// At the sender of the packet that it explains.
    Sender(String),
    /// At its receiver.
    Receiver(String),
    /// At the side that made the call.
    Caller(String),
}

/// Both addresses of an end, its own first.
type Pair = (String, String);

/// What is known of a socket.
#[derive(Debug, Default)]
struct Known {
    side: usize,
    local: Option<String>,
    peer: Option<String>,
    datagrams: bool,
    no_delay: bool,
    resets: bool,
}

/// A call that sends and has not returned.
#[derive(Debug)]
struct Sending {
    pair: Pair,
    /// It sent a packet with data meanwhile.
    sent: bool,
}

/// Follows a log for causes.
#[derive(Debug, Default)]
pub(super) struct Causes {
    kernel: Vec<Held>,
    sockets: HashMap<u64, Known>,
    /// Where somebody listens.
    listeners: HashMap<u64, String>,
    /// Ends that are closed, and why a reset would follow.
    closed: HashMap<Pair, Option<String>>,
    /// SYNs on their way.
    asked: HashSet<Pair>,
    /// Datagrams that arrived and were not received: of whom, and how long.
    arrived: HashMap<String, VecDeque<(String, u64)>>,
    sending: HashMap<u64, Sending>,
    /// The window that an end has offered last.
    windows: HashMap<Pair, u16>,
    /// Connections that a side never closed although the peer had.
    leaks: HashMap<usize, HashSet<Pair>>,
}

/// Datagrams of one receiver that are remembered: a log may claim any number.
const ARRIVED: usize = 1024;
/// Calls on their way that are remembered.
const SENDING: usize = 256;

impl Causes {
    /// Follows an event. `calls` has the calls by their number; `answered` says of a SYN that
    /// the receiver answers it with its own.
    pub(super) fn follow(
        &mut self,
        event: &Event,
        calls: &HashMap<u64, &Call>,
        answered: bool,
    ) -> Option<Cause> {
        match event {
            Event::Socket(socket) => {
                let known = self.sockets.entry(socket.inode).or_default();
                known.side = socket.side;
                known.local = socket.local.as_deref().map(unmapped);
                known.peer = socket.peer.as_deref().map(unmapped);
                known.datagrams = socket.kind.starts_with("SOCK_DGRAM");
                if let Some(pair) = known.pair() {
                    self.closed.remove(&pair);
                }
                None
            }
            Event::Call(call) => {
                self.observe(&call.observed);
                self.call(call);
                None
            }
            Event::Return(returned) => {
                self.observe(&returned.observed);
                let call = calls.get(&returned.id)?;
                self.returned(call, returned)
            }
            Event::Process(process) => {
                self.observe(&process.observed);
                if matches!(
                    process.what,
                    crate::event::Change::Exited(_) | crate::event::Change::Killed(_)
                ) {
                    self.ended(process.side);
                }
                None
            }
            Event::Packet(packet) => self.packet(packet, answered),
            Event::Side(_) | Event::Note(_) => None,
        }
    }

    /// What stands below the drawing: what was left open, and what was half-open.
    pub(super) fn notes(&self, name: impl Fn(usize) -> String) -> Vec<String> {
        let mut leaks: Vec<(&usize, &HashSet<Pair>)> = self.leaks.iter().collect();
        leaks.sort_by_key(|(side, _)| **side);
        let mut notes: Vec<String> = leaks
            .into_iter()
            .map(|(side, pairs)| {
                let what = match pairs.len() {
                    1 => "a connection".to_owned(),
                    many => format!("{many} connections"),
                };
                format!(
                    "{} never closed {what} after the peer had (CLOSE-WAIT)",
                    name(*side)
                )
            })
            .collect();
        let of = |local: &str, peer: &str| {
            self.kernel
                .iter()
                .find(|it| it.local == local && it.peer.as_deref() == Some(peer))
        };
        for held in &self.kernel {
            let Some(peer) = &held.peer else { continue };
            let other = of(peer, &held.local);
            let unheard = other.is_some_and(|it| {
                it.socket.is_none() && it.state.as_deref() == Some("FIN-WAIT-1")
            });
            if held.state.as_deref() == Some("ESTABLISHED") && unheard {
                notes.push(format!(
                    "{} still is ESTABLISHED, and its peer {} is closed: its FIN never \
                     came (half-open)",
                    printable(&held.local),
                    printable(peer)
                ));
            }
        }
        notes
    }

    fn observe(&mut self, observed: &Observed) {
        if let Some(kernel) = &observed.kernel {
            self.kernel.clone_from(kernel);
        }
    }

    fn held(&self, inode: u64) -> Option<&Held> {
        self.kernel.iter().find(|it| it.socket == Some(inode))
    }

    fn call(&mut self, call: &Call) {
        let Some(inode) = call.socket else { return };
        match call.name.as_str() {
            "close" => self.closing(inode),
            "setsockopt" => {
                let has = |value: &str| call.args.iter().any(|it| it.value == value);
                let known = self.sockets.entry(inode).or_default();
                known.no_delay |= (has("TCP_NODELAY") || has("TCP_CORK")) && has("1");
                known.resets |= has("SO_LINGER") && has("{l_onoff=1, l_linger=0}");
            }
            _ if call.data.is_some() => {
                let pair = self.sockets.get(&inode).and_then(Known::pair);
                if let Some(pair) = pair
                    && self.sending.len() < SENDING
                {
                    self.sending.insert(call.id, Sending { pair, sent: false });
                }
            }
            _ => {}
        }
    }

    /// A socket is about to be closed: why its kernel would send a reset.
    fn closing(&mut self, inode: u64) {
        let unread = self.held(inode).map_or(0, unread);
        let Some(known) = self.sockets.get(&inode) else { return };
        let reason = if unread > 0 {
            let bytes = if unread == 1 { "byte was" } else { "bytes were" };
            let unread = grouped(u64::from(unread));
            Some(format!("{unread} {bytes} not received: so RST, no FIN"))
        } else {
            known.resets.then(|| "SO_LINGER is 0: so RST, no FIN".to_owned())
        };
        if let Some(pair) = known.pair() {
            self.closed.insert(pair, reason);
        }
        // With a listener all connections go that nobody has accepted.
        if let Some(local) = self.listeners.remove(&inode) {
            let waits = |it: &&Held| it.socket.is_none() && it.local == local;
            let waiting: Vec<Pair> = self
                .kernel
                .iter()
                .filter(waits)
                .filter(|it| it.state.as_deref() != Some("TIME-WAIT"))
                .filter_map(|it| Some((it.local.clone(), it.peer.clone()?)))
                // A program had it once, and has closed it.
                .filter(|pair| !self.sockets.values().any(|it| it.is(pair)))
                .collect();
            for pair in waiting {
                self.closed.insert(pair, Some("never accepted: so RST".to_owned()));
            }
        }
    }

    /// A process ended: the kernel closes what it had open.
    fn ended(&mut self, side: usize) {
        let of_side: Vec<u64> = self
            .kernel
            .iter()
            .filter_map(|it| it.socket)
            .filter(|inode| self.sockets.get(inode).is_some_and(|it| it.side == side))
            .collect();
        for inode in of_side {
            let leaked = self
                .held(inode)
                .is_some_and(|it| it.state.as_deref() == Some("CLOSE-WAIT"));
            if leaked && let Some(pair) = self.sockets.get(&inode).and_then(Known::pair) {
                self.leaks.entry(side).or_default().insert(pair);
            }
            self.closing(inode);
        }
    }

    fn returned(&mut self, call: &Call, returned: &Return) -> Option<Cause> {
        let sending = self.sending.remove(&call.id);
        let at_caller = |text: String| Some(Cause::Caller(text));
        let addr = call.args.iter().find(|it| it.name == "addr").map(|it| &it.value);
        match (call.name.as_str(), returned.error.as_deref()) {
            ("listen", None) => {
                let inode = call.socket?;
                let local = self.sockets.get(&inode)?.local.clone()?;
                self.listeners.insert(inode, local);
                None
            }
            ("bind", Some("EADDRINUSE")) => {
                let port = port(addr?)?;
                let at_port = |it: &&Held| self::port(&it.local) == Some(port);
                let holders = || self.kernel.iter().filter(at_port);
                let waiting = holders()
                    .filter(|it| it.state.as_deref() == Some("TIME-WAIT"))
                    .count();
                if holders().any(|it| it.state.as_deref() == Some("LISTEN")) {
                    at_caller(format!("somebody listens at port {port}"))
                } else if waiting > 0 {
                    at_caller(format!("port {port} is held in TIME-WAIT"))
                } else {
                    None
                }
            }
            ("connect", Some("EADDRNOTAVAIL")) => {
                let to = unmapped(addr?);
                let is = |it: &&Held| {
                    it.state.as_deref() == Some("TIME-WAIT")
                        && it.peer.as_deref() == Some(to.as_str())
                };
                let waiting = self.kernel.iter().filter(is).count();
                let text = format!("{waiting} ports are held in TIME-WAIT");
                (waiting > 0).then_some(Cause::Caller(text))
            }
            (_, None) if returned.data.is_some() => {
                self.cut_off(call, returned).and_then(at_caller)
            }
            (_, None) => self.held_back(call, returned, sending?).and_then(at_caller),
            _ => None,
        }
    }

    /// How much of a datagram did not fit.
    fn cut_off(&mut self, call: &Call, returned: &Return) -> Option<String> {
        let known = self.sockets.get(&call.socket?)?;
        let has = |value: &str| call.args.iter().any(|it| it.value.contains(value));
        if !known.datagrams || has("MSG_PEEK") {
            return None;
        }
        let local = known.local.clone()?;
        let queue = self.arrived.get_mut(&local)?;
        let from = returned.args.iter().find(|it| it.name == "src_addr");
        let from = from.map(|it| unmapped(&it.value));
        let is_from = |it: &(String, u64)| from.as_ref().is_none_or(|from| *from == it.0);
        let at = queue.iter().position(is_from)?;
        let (_, length) = queue.remove(at)?;
        let received = u64::try_from(returned.value?).ok()?;
        // With MSG_TRUNC a call returns the whole length.
        let received = received.min(returned.data.as_ref()?.length);
        let less = length.checked_sub(received).filter(|less| *less > 0)?;
        let bytes = if less == 1 { "byte" } else { "bytes" };
        Some(format!("{} {bytes} of this datagram were cut off", grouped(less)))
    }

    /// Why nothing was sent.
    fn held_back(
        &self,
        call: &Call,
        returned: &Return,
        sending: Sending,
    ) -> Option<String> {
        let length = u32::try_from(returned.value?).ok().filter(|it| *it > 0)?;
        let known = self.sockets.get(&call.socket?)?;
        if sending.sent || known.datagrams || self.kernel.is_empty() {
            return None;
        }
        let held = self.held(call.socket?)?;
        let (local, peer) = sending.pair;
        match self.windows.get(&(peer, local)) {
            Some(0) => Some("not sent yet: the peer's window is closed".to_owned()),
            // More is on its way than this call gave: of that the peer has not said.
            Some(_) if !known.no_delay && held.send_q > length => {
                let before = grouped(u64::from(held.send_q - length));
                Some(format!(
                    "not sent yet: {before} bytes before are not acknowledged (Nagle)"
                ))
            }
            _ => None,
        }
    }

    fn packet(&mut self, packet: &Packet, answered: bool) -> Option<Cause> {
        let pair = (unmapped(&packet.from), unmapped(&packet.to));
        let back = (pair.1.clone(), pair.0.clone());
        match &packet.protocol {
            Protocol::Udp => {
                let queue = self.arrived.entry(pair.1).or_default();
                queue.push_back((pair.0, packet.data.length));
                if queue.len() > ARRIVED {
                    queue.pop_front();
                }
                None
            }
            Protocol::Tcp { flags, window, .. } => {
                if packet.data.length > 0 {
                    let all = self.sending.values_mut();
                    all.filter(|it| it.pair == pair).for_each(|it| it.sent = true);
                }
                self.windows.insert(pair.clone(), *window);
                let syn = flags.has(Flag::Syn);
                if syn && !flags.has(Flag::Ack) {
                    self.asked.insert(pair.clone());
                    return if answered { None } else { self.dropped(&pair) };
                }
                let was_asked = self.asked.remove(&back);
                if !flags.has(Flag::Rst) {
                    return None;
                }
                if was_asked {
                    return Some(Cause::Sender(self.nobody_listens(&pair.0)));
                }
                let reason = self.closed.get_mut(&pair)?;
                let closed = || "this end is closed already".to_owned();
                Some(Cause::Sender(reason.take().unwrap_or_else(closed)))
            }
            Protocol::Icmp { .. } | Protocol::Other(_) => None,
        }
    }

    /// Why a SYN is not answered: the queue of its listener is full.
    fn dropped(&self, pair: &Pair) -> Option<Cause> {
        let port = port(&pair.1)?;
        let listener = self.kernel.iter().find(|it| {
            it.state.as_deref() == Some("LISTEN") && self::port(&it.local) == Some(port)
        })?;
        // The kernel takes one more than the backlog says: sk_acceptq_is_full().
        if listener.recv_q <= listener.send_q {
            return None;
        }
        let (waiting, backlog) = (listener.recv_q, listener.send_q);
        let wait = if waiting == 1 { "waits" } else { "wait" };
        Some(Cause::Receiver(format!(
            "dropped: the queue is full, {waiting} {wait} at backlog {backlog}"
        )))
    }

    fn nobody_listens(&self, at: &str) -> String {
        let text = format!("nobody listens at {}", printable(at));
        let mut all: Vec<&String> = self.listeners.values().collect();
        all.sort_unstable();
        let nearest = all
            .iter()
            .find(|it| port(it) == port(at))
            .or_else(|| all.first().filter(|_| all.len() == 1));
        match nearest {
            Some(nearest) => format!("{text}; nearest: {}", printable(nearest)),
            None => text,
        }
    }
}

impl Known {
    fn is(&self, pair: &Pair) -> bool {
        self.local.as_ref() == Some(&pair.0) && self.peer.as_ref() == Some(&pair.1)
    }

    fn pair(&self) -> Option<Pair> {
        Some((self.local.clone()?, self.peer.clone()?))
    }
}

/// Bytes that wait to be received. The peer's FIN counts as one that is none.
fn unread(held: &Held) -> u32 {
    match held.state.as_deref() {
        Some("ESTABLISHED" | "FIN-WAIT-1" | "FIN-WAIT-2") => held.recv_q,
        Some("CLOSE-WAIT" | "CLOSING" | "LAST-ACK") => held.recv_q.saturating_sub(1),
        _ => 0,
    }
}
