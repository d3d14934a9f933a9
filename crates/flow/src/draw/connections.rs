//! Which connection a packet or a socket belongs to. Connections are numbered in the
//! order in which they begin: `#1` is the first.

use std::collections::HashMap;

use super::owners::{ordered, unmapped};
use crate::event::{Event, Flag, Packet, Protocol, Socket};

/// The most connections that are told apart: a log may claim any number.
const CONNECTIONS: usize = 100_000;

/// Both ends of a conversation: a TCP connection, or two addresses that exchange UDP
/// datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// `TCP` or `UDP`.
    pub(crate) protocol: &'static str,
    /// The end that sent first.
    pub(crate) opener: String,
    /// The end that it sent to.
    pub(crate) other: String,
}

/// Numbers the connections of a log, event by event. Numbers start from 0 here and from 1
/// where they are shown.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) all: Vec<Endpoints>,
    /// The latest connection between two addresses.
    latest: HashMap<(&'static str, String, String), Latest>,
}

#[derive(Debug)]
struct Latest {
    number: usize,
    /// The sequence number of its SYN; a SYN with the same number is that SYN, sent
    /// again.
    syn: Option<u32>,
}

impl Connections {
    /// The connection of this event, if it has one: of a packet, or of a socket with both
    /// addresses.
    pub(crate) fn follow(&mut self, event: &Event) -> Option<usize> {
        match event {
            Event::Packet(packet) => self.packet(packet),
            Event::Socket(socket) => self.socket(socket),
            _ => None,
        }
    }

    fn packet(&mut self, packet: &Packet) -> Option<usize> {
        let (protocol, syn) = match &packet.protocol {
            Protocol::Tcp { flags, seq, .. } => {
                let opens = flags.has(Flag::Syn) && !flags.has(Flag::Ack);
                ("TCP", opens.then_some(*seq))
            }
            Protocol::Udp => ("UDP", None),
            Protocol::Icmp { .. } | Protocol::Other(_) => return None,
        };
        self.number(protocol, &unmapped(&packet.from), &unmapped(&packet.to), syn)
    }

    fn socket(&mut self, socket: &Socket) -> Option<usize> {
        let protocol = match (socket.family.as_str(), socket.kind.as_str()) {
            ("AF_INET" | "AF_INET6", kind) if kind.starts_with("SOCK_STREAM") => "TCP",
            ("AF_INET" | "AF_INET6", kind) if kind.starts_with("SOCK_DGRAM") => "UDP",
            _ => return None,
        };
        let (local, peer) = (socket.local.as_ref()?, socket.peer.as_ref()?);
        self.number(protocol, &unmapped(local), &unmapped(peer), None)
    }

    fn number(
        &mut self,
        protocol: &'static str,
        from: &str,
        to: &str,
        syn: Option<u32>,
    ) -> Option<usize> {
        let (one, other) = ordered(from, to);
        let key = (protocol, one, other);
        if let Some(latest) = self.latest.get_mut(&key)
            && (syn.is_none() || latest.syn == syn)
        {
            return Some(latest.number);
        }
        if self.all.len() >= CONNECTIONS {
            return None;
        }
        let number = self.all.len();
        self.latest.insert(key, Latest { number, syn });
        self.all.push(Endpoints {
            protocol,
            opener: from.to_owned(),
            other: to.to_owned(),
        });
        Some(number)
    }
}

/// The connection of each socket, as the log goes on.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Maps the position of a packet in the log to its connection.
    packets: HashMap<usize, usize>,
    /// For each socket, the positions from which on it belongs to a connection.
    sockets: HashMap<u64, Vec<(usize, usize)>>,
    pub(super) connections: Connections,
}

impl Places {
    pub(super) fn new(events: &[Event]) -> Places {
        let mut places = Places::default();
        for (at, event) in events.iter().enumerate() {
            let Some(number) = places.connections.follow(event) else { continue };
            match event {
                Event::Socket(socket) => {
                    places.sockets.entry(socket.inode).or_default().push((at, number));
                }
                _ => {
                    places.packets.insert(at, number);
                }
            }
        }
        places
    }

    /// Whether there are several, so that each needs a mark.
    pub(super) fn are_several(&self) -> bool {
        self.connections.all.len() > 1
    }

    pub(super) fn of_packet(&self, at: usize) -> Option<usize> {
        self.packets.get(&at).copied()
    }

    /// The connection of a socket at this position; for a socket that is about to
    /// connect, the connection that will result.
    pub(super) fn of_socket(&self, at: usize, inode: u64) -> Option<usize> {
        let uses = self.sockets.get(&inode)?;
        let after = uses.partition_point(|(from, _)| *from <= at);
        let found = after.checked_sub(1).and_then(|it| uses.get(it)).or(uses.get(after));
        found.map(|(_, number)| *number)
    }
}
