//! Whose a packet is: which side sent it, and which one it is for.
//!
//! An address alone does not say. A port is used again by another program, several
//! programs listen on one port (`SO_REUSEPORT`), a connection is passed to another
//! program (`SCM_RIGHTS`) or inherited, a broadcast has many receivers. Both addresses
//! together with the moment do say: it is whoever last used the socket with these
//! addresses before then, or first used it afterwards.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::event::{
    Call, Change, Event, Flag, Log, Packet, Process, Protocol, Return, Socket,
};

/// A side uses a socket from this position in the log on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    at: usize,
    side: usize,
    inode: u64,
}

/// Both addresses of a socket, its own first.
type SocketAddresses = (String, Option<String>);

/// Who uses which address, and when.
#[derive(Debug, Default)]
pub(super) struct Owners {
    uses: HashMap<SocketAddresses, Vec<Use>>,
    /// For each port, the addresses to which sockets without a peer are bound.
    bound: HashMap<u16, Vec<String>>,
    /// Where each connection between two addresses begins: the positions of its SYNs.
    begins: HashMap<(String, String), Vec<usize>>,
    /// Received datagrams, by their sender.
    received: HashMap<String, Vec<Use>>,
    /// Sockets that send and receive ICMP.
    icmp: Vec<Use>,
    /// For each multicast group, where in the log which socket joins it, or leaves it.
    joined: HashMap<IpAddr, Vec<Member>>,
    /// Where in the log each socket is seen to be closed; its number may be used again.
    gone: HashMap<u64, Vec<usize>>,
    /// Sockets that get only what is for the groups that they have joined, from where on:
    /// IP_MULTICAST_ALL in ip(7).
    only_own: HashMap<u64, usize>,
}

/// A socket joins a multicast group, or leaves it.
#[derive(Debug, Clone, Copy)]
struct Member {
    at: usize,
    inode: u64,
    joins: bool,
}

/// What is known about an inode while the log is being read.
struct KnownInode {
    pair: SocketAddresses,
    side: usize,
}

/// Whose queue a connection was in that nobody accepted: several programs may listen at one
/// address, and the kernel resets what is in a queue when its listener is closed.
#[derive(Debug, Default)]
struct Queues {
    /// The address and the side of each listener.
    listeners: HashMap<u64, (String, usize)>,
    /// The side that was the last to close a listener at an address.
    closed: HashMap<String, usize>,
    /// The processes of each side that have not ended.
    alive: HashMap<usize, HashSet<i32>>,
}

impl Queues {
    fn call(&mut self, call: &Call, known: &HashMap<u64, KnownInode>) {
        let Some(inode) = call.socket else { return };
        match call.name.as_str() {
            "listen" => {
                if let Some(known) = known.get(&inode) {
                    self.listeners.insert(inode, (known.pair.0.clone(), call.side));
                }
            }
            "close" => {
                if let Some((local, side)) = self.listeners.remove(&inode) {
                    self.closed.insert(local, side);
                }
            }
            _ => {}
        }
    }

    fn process(&mut self, process: &Process) {
        let alive = self.alive.entry(process.side).or_default();
        match process.what {
            Change::Forked(child) => alive.extend([process.pid, child]),
            Change::Executed(_) => {
                alive.insert(process.pid);
            }
            Change::Signal(_) => {}
            Change::Exited(_) | Change::Killed(_) => {
                alive.remove(&process.pid);
                if alive.is_empty() {
                    let of_side =
                        |_: &u64, it: &mut (String, usize)| it.1 == process.side;
                    let closed = self.listeners.extract_if(of_side).map(|it| it.1);
                    self.closed.extend(closed);
                }
            }
        }
    }

    /// The side in whose queue the connection was that is reset from this end.
    fn of(&self, local: &str) -> Option<usize> {
        let any = with_any_address(local);
        any.iter().find_map(|it| self.closed.get(it)).copied()
    }
}

impl Owners {
    pub(super) fn new(log: &Log) -> Owners {
        let mut owners = Owners::default();
        let mut known: HashMap<u64, KnownInode> = HashMap::new();
        let mut sides: HashMap<u64, usize> = HashMap::new();
        let mut syns: HashMap<(String, String), u32> = HashMap::new();
        let mut asked: HashMap<u64, (IpAddr, Member)> = HashMap::new();
        let mut queues = Queues::default();
        for (at, event) in log.events.iter().enumerate() {
            owners.closed(at, event);
            match event {
                Event::Socket(socket) => owners.socket(at, socket, &mut known),
                Event::Call(call) => {
                    sides.insert(call.id, call.side);
                    owners.call(at, call, &mut known);
                    queues.call(call, &known);
                    if let Some(asks) = owners.membership(at, call) {
                        asked.insert(call.id, asks);
                    }
                }
                Event::Return(returned) => {
                    owners.returned(at, returned, &sides);
                    let asked = asked.remove(&returned.id);
                    if let Some((group, member)) =
                        asked.filter(|_| returned.error.is_none())
                    {
                        owners.change(group, member);
                    }
                }
                Event::Packet(packet) => {
                    owners.begin(at, packet, &mut syns);
                    owners.reset(at, packet, &queues);
                }
                Event::Process(process) => queues.process(process),
                _ => {}
            }
        }
        owners
    }

    fn closed(&mut self, at: usize, event: &Event) {
        let (Event::Call(Call { observed, .. })
        | Event::Return(Return { observed, .. })
        | Event::Process(Process { observed, .. })) = event
        else {
            return;
        };
        for inode in &observed.gone {
            self.gone.entry(*inode).or_default().push(at);
        }
    }

    /// Whether a socket that was there at one position is still there at a later one.
    fn is_open(&self, inode: u64, from: usize, to: usize) -> bool {
        let Some(gone) = self.gone.get(&inode) else { return true };
        let next = gone.partition_point(|it| *it <= from);
        gone.get(next).is_none_or(|it| *it >= to)
    }

    fn add(&mut self, pair: &SocketAddresses, at: usize, side: usize, inode: u64) {
        if pair.1.is_none()
            && let Some(port) = port(&pair.0)
        {
            let bound = self.bound.entry(port).or_default();
            if bound.len() < ADDRESSES && !bound.contains(&pair.0) {
                bound.push(pair.0.clone());
            }
        }
        self.uses.entry(pair.clone()).or_default().push(Use { at, side, inode });
    }

    fn socket(
        &mut self,
        at: usize,
        socket: &Socket,
        known: &mut HashMap<u64, KnownInode>,
    ) {
        let Some(local) = &socket.local else { return };
        let pair = (unmapped(local), socket.peer.as_deref().map(unmapped));
        self.add(&pair, at, socket.side, socket.inode);
        known.insert(socket.inode, KnownInode { pair, side: socket.side });
    }

    fn call(&mut self, at: usize, call: &Call, known: &mut HashMap<u64, KnownInode>) {
        if call.name == "socket" && call.args.iter().any(|it| it.value.contains("ICMP")) {
            self.icmp.push(Use { at, side: call.side, inode: 0 });
        }
        let Some(inode) = call.socket else { return };
        let Some(known) = known.get_mut(&inode) else { return };
        // It was passed on, or the descriptor was inherited.
        if known.side != call.side {
            known.side = call.side;
            let pair = known.pair.clone();
            self.add(&pair, at, call.side, inode);
        }
    }

    /// Follows the options by which a socket joins multicast groups and leaves them: the group
    /// that a call is about, if it is such a call, and what changes if it succeeds.
    fn membership(&mut self, at: usize, call: &Call) -> Option<(IpAddr, Member)> {
        let inode = call.socket.filter(|_| call.name == "setsockopt")?;
        let value = |name: &str| {
            let arg = call.args.iter().find(|it| it.name == name);
            arg.map_or("", |it| it.value.as_str())
        };
        let (option, value) = (value("optname"), value("optval"));
        let joins = match option {
            "IP_MULTICAST_ALL" | "IPV6_MULTICAST_ALL" if value == "0" => {
                self.only_own.insert(inode, at);
                return None;
            }
            "IP_ADD_MEMBERSHIP"
            | "IPV6_ADD_MEMBERSHIP"
            | "IP_ADD_SOURCE_MEMBERSHIP"
            | "MCAST_JOIN_GROUP"
            | "MCAST_JOIN_SOURCE_GROUP" => true,
            "IP_DROP_MEMBERSHIP"
            | "IPV6_DROP_MEMBERSHIP"
            | "IP_DROP_SOURCE_MEMBERSHIP"
            | "MCAST_LEAVE_GROUP"
            | "MCAST_LEAVE_SOURCE_GROUP" => false,
            _ => return None,
        };
        // The group is the first multicast address; those of the newer options have a port.
        let address = |text: &str| -> Option<IpAddr> {
            let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
            text.parse().ok().or_else(with_port)
        };
        let parts = value.trim_matches(['{', '}']).split(", ");
        let group = parts.filter_map(address).find(IpAddr::is_multicast)?;
        Some((group, Member { at, inode, joins }))
    }

    fn change(&mut self, group: IpAddr, member: Member) {
        let all = self.joined.entry(group).or_default();
        if all.len() < MEMBERS {
            all.push(member);
        }
    }

    fn returned(&mut self, at: usize, returned: &Return, sides: &HashMap<u64, usize>) {
        let Some(&side) = sides.get(&returned.id) else { return };
        let from = returned.args.iter().filter(|it| it.name == "src_addr");
        for from in from {
            let received = self.received.entry(unmapped(&from.value)).or_default();
            received.push(Use { at, side, inode: 0 });
        }
    }

    fn begin(
        &mut self,
        at: usize,
        packet: &Packet,
        syns: &mut HashMap<(String, String), u32>,
    ) {
        let Protocol::Tcp { flags, seq, .. } = &packet.protocol else { return };
        if !flags.has(Flag::Syn) || flags.has(Flag::Ack) {
            return;
        }
        let pair = ordered(&unmapped(&packet.from), &unmapped(&packet.to));
        // The same number is the same SYN, sent again.
        if syns.insert(pair.clone(), *seq) != Some(*seq) {
            self.begins.entry(pair).or_default().push(at);
        }
    }

    /// A connection that nobody has accepted ends with its listener.
    fn reset(&mut self, at: usize, packet: &Packet, queues: &Queues) {
        let Protocol::Tcp { flags, .. } = &packet.protocol else { return };
        if !flags.has(Flag::Rst) {
            return;
        }
        let (local, peer) = (unmapped(&packet.from), unmapped(&packet.to));
        let Some(side) = queues.of(&local) else { return };
        let (begin, _) = self.connection(at, &local, &peer);
        let uses = self.uses.entry((local, Some(peer))).or_default();
        if uses.last().is_none_or(|it| it.at < begin) {
            uses.push(Use { at, side, inode: 0 });
        }
    }

    /// The side that has the end at `local` of what is exchanged between two addresses at
    /// this position.
    pub(super) fn end(&self, at: usize, local: &str, peer: &str) -> Option<usize> {
        let pair = (local.to_owned(), Some(peer.to_owned()));
        if let Some(uses) = self.uses.get(&pair) {
            let (begin, end) = self.connection(at, local, peer);
            let (from, to) = (before(uses, begin), before(uses, end));
            let of_connection = uses.get(from..to).filter(|uses| !uses.is_empty());
            return near(of_connection.unwrap_or(uses), at).map(|it| it.side);
        }
        let candidates = self.at_address(at, local);
        let only = candidates.first()?.side;
        if candidates.iter().all(|it| it.side == only) {
            return Some(only);
        }
        // Several programs have this port: who received it?
        let received = self.received.get(peer).and_then(|received| {
            let after = received.get(before(received, at)..)?;
            after
                .iter()
                .take(SHARERS)
                .find(|it| candidates.iter().any(|one| one.side == it.side))
        });
        received.or_else(|| near(&candidates, at)).map(|it| it.side)
    }

    /// The sides that receive what is sent to a broadcast or multicast address.
    pub(super) fn group(&self, at: usize, to: &str) -> Option<Vec<usize>> {
        let address: SocketAddr = to.parse().ok()?;
        let is_for_many = match address.ip() {
            IpAddr::V4(ip) => {
                ip.is_multicast()
                    || ip.is_broadcast()
                    || ip.is_loopback() && ip.octets()[1..] == [255; 3]
            }
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if !is_for_many {
            return None;
        }
        let addresses = self.bound.get(&address.port())?;
        // Each socket gets it once, and whoever has used that last receives it.
        let mut seen = HashSet::new();
        let mut sides: Vec<usize> = addresses
            .iter()
            .filter(|bound| {
                let ip = bound.parse().map(|it: SocketAddr| it.ip());
                ip.is_ok_and(|ip| ip.is_unspecified() || ip == address.ip())
            })
            .filter_map(|bound| self.uses.get(&(bound.clone(), None)))
            .flat_map(|uses| uses[..before(uses, at)].iter().rev().take(SHARERS))
            .filter(|it| seen.insert(it.inode) && self.is_open(it.inode, it.at, at))
            .filter(|it| self.gets(at, address.ip(), it.inode))
            .map(|it| it.side)
            .collect();
        sides.sort_unstable();
        sides.dedup();
        Some(sides)
    }

    /// Whether a socket that is bound to the right port gets what is sent to this address:
    /// for a multicast group, if some socket of the host is a member. That it is one itself
    /// matters only if it has said so.
    fn gets(&self, at: usize, to: IpAddr, inode: u64) -> bool {
        if !to.is_multicast() {
            return true;
        }
        let members: HashSet<u64> =
            self.joined.get(&to).map_or_else(HashSet::new, |all| {
                let mut members = HashSet::new();
                for it in all.iter().take_while(|it| it.at < at) {
                    if it.joins && self.is_open(it.inode, it.at, at) {
                        members.insert(it.inode);
                    } else {
                        members.remove(&it.inode);
                    }
                }
                members
            });
        if self.only_own.get(&inode).is_some_and(|since| *since < at) {
            members.contains(&inode)
        } else {
            !members.is_empty()
        }
    }

    /// The side that sends ICMP echo requests itself, as ping(8) does.
    pub(super) fn pings(&self, at: usize) -> Option<usize> {
        near(&self.icmp, at).map(|it| it.side)
    }

    /// Who uses an address, or its port on every address, without a peer: for each side,
    /// the last use before the position, or the first one after it.
    fn at_address(&self, at: usize, local: &str) -> Vec<Use> {
        let addresses = with_any_address(local).into_iter();
        let uses: Vec<&Vec<Use>> =
            addresses.filter_map(|address| self.uses.get(&(address, None))).collect();
        let is_open = |it: &Use| self.is_open(it.inode, it.at, at);
        let mut found: Vec<Use> = Vec::new();
        for uses in uses {
            let split = before(uses, at);
            let (earlier, later) = uses.split_at(split);
            if earlier.is_empty() && found.is_empty() {
                found.extend(later.first());
            }
            for one in earlier.iter().rev().take(SHARERS) {
                match found.iter_mut().find(|it| it.side == one.side) {
                    None => found.push(*one),
                    // An older socket of the same program may be open still.
                    Some(last) if !is_open(last) && is_open(one) => *last = *one,
                    Some(_) => {}
                }
            }
        }
        // What nobody has any more was for whoever had it last.
        if found.iter().any(is_open) {
            found.retain(is_open);
        }
        found.sort_unstable_by_key(|it| it.at);
        found
    }

    /// The part of the log during which a connection between two addresses exists.
    fn connection(&self, at: usize, one: &str, other: &str) -> (usize, usize) {
        let Some(begins) = self.begins.get(&ordered(one, other)) else {
            return (0, usize::MAX);
        };
        let next = begins.partition_point(|&begin| begin <= at);
        let begin = next.checked_sub(1).map_or(0, |last| begins[last]);
        (begin, begins.get(next).copied().unwrap_or(usize::MAX))
    }
}

/// The most uses of one address, and addresses of one port, that are looked at: a log may
/// claim any number.
const SHARERS: usize = 64;
const ADDRESSES: usize = 64;
/// The most changes in the membership of one group.
const MEMBERS: usize = 1024;

/// How many of the uses are before this place.
fn before(uses: &[Use], at: usize) -> usize {
    uses.partition_point(|it| it.at < at)
}

/// The last use before the position, or else the first one after it.
fn near(uses: &[Use], at: usize) -> Option<&Use> {
    let after = before(uses, at);
    after.checked_sub(1).and_then(|last| uses.get(last)).or_else(|| uses.get(after))
}

pub(super) fn ordered(one: &str, other: &str) -> (String, String) {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    (first.to_owned(), second.to_owned())
}

/// The port of an address, if it has one.
pub(super) fn port(address: &str) -> Option<u16> {
    address.parse().ok().map(|address: SocketAddr| address.port())
}

/// An address, and those of sockets that have its port on every address.
pub(super) fn with_any_address(local: &str) -> [String; 3] {
    let port = port(local).map_or_else(String::new, |port| port.to_string());
    [local.to_owned(), format!("0.0.0.0:{port}"), format!("[::]:{port}")]
}

/// Converts `::ffff:127.0.0.1`, which is how an IPv6 socket shows an IPv4 address, to
/// that IPv4 address.
pub(super) fn unmapped(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(it) => SocketAddr::new(it.ip().to_canonical(), it.port()).to_string(),
        Err(_) => address.to_owned(),
    }
}
