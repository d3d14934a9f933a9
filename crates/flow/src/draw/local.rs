//! AF_UNIX sockets and FIFOs between the drawn programs. No packet shows what goes from one to
//! the other, but the calls do: what a program sends is drawn as an arrow to the program that
//! has the other end.

use std::collections::{HashMap, HashSet, VecDeque};

use super::fifos::{Fifos, Part};
use crate::event::{Arg, Call, Event, Return};

/// The most connections to one address that wait for their `accept`.
const WAITING: usize = 1024;

/// Which ends of AF_UNIX sockets belong together.
#[derive(Debug, Default)]
pub(super) struct Locals {
    /// The AF_UNIX sockets, and whether each takes datagrams.
    known: HashMap<u64, bool>,
    /// Who has a socket: the side that last used it.
    side: HashMap<u64, usize>,
    /// The sockets that are bound to an address, the latest for each.
    bound: HashMap<String, u64>,
    /// The other end of each.
    peer: HashMap<u64, u64>,
    /// The sockets that have a connection, and receive messages all the same.
    messages: HashSet<u64>,
    /// Those of them that have sent a message without a byte.
    sent_nothing: HashSet<u64>,
    /// The sockets that connected to a listener of the log.
    connected: HashSet<u64>,
    fifos: Fifos,
}

/// The ends that socketpair(2) has made. The log says which sockets they are when a call uses
/// them.
#[derive(Debug, Default)]
struct Pairs {
    /// The other descriptor of each that no call has used yet, by process.
    other: HashMap<(i32, i32), i32>,
    /// The sockets of the descriptors whose other end no call has used yet.
    known: HashMap<(i32, i32), u64>,
}

impl Pairs {
    fn returned(&mut self, call: &Call, returned: &Return) {
        if call.name != "socketpair" || returned.error.is_some() {
            return;
        }
        let Some(made) = returned.args.iter().find(|it| it.name == "sv") else { return };
        let mut made = made.value.trim_matches(['[', ']']).split(", ");
        let mut next = || made.next()?.parse::<i32>().ok();
        if let (Some(one), Some(other)) = (next(), next()) {
            self.other.insert((call.pid, one), other);
            self.other.insert((call.pid, other), one);
            // The numbers may have been those of others before.
            self.known
                .retain(|end, _| ![(call.pid, one), (call.pid, other)].contains(end));
        }
    }

    /// Both sockets, if a call uses the second one for the first time.
    fn called(&mut self, call: &Call) -> Option<(u64, u64)> {
        let inode = call.socket.filter(|_| !self.other.is_empty())?;
        let fd = call.args.iter().find(|it| matches!(&*it.name, "sockfd" | "fd"))?;
        let fd = fd.value.parse().ok()?;
        let other = self.other.remove(&(call.pid, fd))?;
        if let Some(known) = self.known.remove(&(call.pid, other)) {
            return Some((inode, known));
        }
        self.known.insert((call.pid, fd), inode);
        None
    }
}

impl Locals {
    pub(super) fn new(events: &[Event]) -> Locals {
        let mut locals = Locals { fifos: Fifos::new(events), ..Locals::default() };
        let mut calls: HashMap<u64, &Call> = HashMap::new();
        let mut waiting: HashMap<u64, VecDeque<u64>> = HashMap::new();
        let mut accepted_early: HashMap<u64, VecDeque<u64>> = HashMap::new();
        let mut pairs = Pairs::default();
        for event in events {
            match event {
                Event::Socket(socket) if socket.family == "AF_UNIX" => {
                    let datagrams = socket.kind.starts_with("SOCK_DGRAM");
                    locals.known.insert(socket.inode, datagrams);
                    if socket.kind.starts_with("SOCK_SEQPACKET") {
                        locals.messages.insert(socket.inode);
                    }
                    locals.side.insert(socket.inode, socket.side);
                }
                // The inode number of a socket that is gone may be reused.
                Event::Socket(socket) => {
                    locals.known.remove(&socket.inode);
                }
                Event::Call(call) => {
                    calls.insert(call.id, call);
                    if let Some((one, other)) = pairs.called(call) {
                        locals.join(one, other);
                    }
                    if let Some(inode) = call.socket {
                        locals.side.insert(inode, call.side);
                    }
                }
                Event::Return(returned) => {
                    let Some(call) = calls.get(&returned.id) else { continue };
                    pairs.returned(call, returned);
                    locals.returned(call, returned, &mut waiting, &mut accepted_early);
                }
                _ => {}
            }
        }
        locals
    }

    fn returned(
        &mut self,
        call: &Call,
        returned: &Return,
        waiting: &mut HashMap<u64, VecDeque<u64>>,
        accepted_early: &mut HashMap<u64, VecDeque<u64>>,
    ) {
        let Some(inode) = call.socket else { return };
        if returned.error.is_some() || !self.known.contains_key(&inode) {
            return;
        }
        match call.name.as_str() {
            "bind" => {
                if let Some(address) = address(&call.args) {
                    self.bound.insert(address.to_owned(), inode);
                }
            }
            "connect" => {
                let listener = address(&call.args).and_then(|it| self.bound.get(it));
                let Some(&listener) = listener else { return };
                if self.known.get(&inode) == Some(&true) {
                    self.peer.insert(inode, listener);
                    return;
                }
                self.connected.insert(inode);
                // In the log, `accept` may have returned before `connect` did.
                let early =
                    accepted_early.get_mut(&listener).and_then(VecDeque::pop_front);
                match early {
                    Some(accepted) => self.join(inode, accepted),
                    None => {
                        let queue = waiting.entry(listener).or_default();
                        if queue.len() < WAITING {
                            queue.push_back(inode);
                        }
                    }
                }
            }
            "accept" | "accept4" => {
                let Some(accepted) = returned.socket else { return };
                self.known.insert(accepted, false);
                self.side.entry(accepted).or_insert(call.side);
                match waiting.get_mut(&inode).and_then(VecDeque::pop_front) {
                    Some(connected) => self.join(connected, accepted),
                    None => {
                        let queue = accepted_early.entry(inode).or_default();
                        if queue.len() < WAITING {
                            queue.push_back(accepted);
                        }
                    }
                }
            }
            _ if call.data.is_some() && returned.value == Some(0) => {
                self.sent_nothing.insert(inode);
            }
            _ => {}
        }
    }

    fn join(&mut self, one: u64, other: u64) {
        self.peer.insert(one, other);
        self.peer.insert(other, one);
    }

    /// The other end of a connection, or the socket that gets the datagrams of this one.
    pub(super) fn peer(&self, inode: u64) -> Option<u64> {
        self.peer.get(&inode).copied()
    }

    /// Whether a socket connected to a listener of the log, and no program accepted that.
    pub(super) fn was_never_accepted(&self, inode: u64) -> bool {
        self.connected.contains(&inode) && !self.peer.contains_key(&inode)
    }

    /// Whether this socket may receive a message without a byte, which is not the end of
    /// anything.
    pub(super) fn may_receive_nothing(&self, inode: u64) -> bool {
        let peer = self.peer.get(&inode);
        self.messages.contains(&inode)
            && peer.is_none_or(|peer| self.sent_nothing.contains(peer))
    }

    /// The sides that receive what a call sends, other than the caller's own, and which part
    /// of it each.
    pub(super) fn receivers(&self, call: &Call) -> Vec<Part> {
        self.fifos.receivers(call).unwrap_or_else(|| {
            self.receiver(call)
                .map(|side| Part { side, bytes: None })
                .into_iter()
                .collect()
        })
    }

    fn receiver(&self, call: &Call) -> Option<usize> {
        let inode = call.socket.filter(|inode| self.known.contains_key(inode))?;
        let to = match (call.name.as_str(), destination(&call.args)) {
            ("connect", _) => self.bound.get(address(&call.args)?),
            // A datagram without a connection.
            (_, Some(destination)) => self.bound.get(destination),
            _ => self.peer.get(&inode),
        };
        self.side.get(to?).copied().filter(|side| *side != call.side)
    }
}

fn address(args: &[Arg]) -> Option<&str> {
    args.iter().find(|it| it.name == "addr").map(|it| it.value.as_str())
}

fn destination(args: &[Arg]) -> Option<&str> {
    args.iter().find(|it| it.name == "dest_addr").map(|it| it.value.as_str())
}
