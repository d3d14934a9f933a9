//! The lanes of the drawing: one per side or, if a single program is both ends, one per
//! socket.

use std::collections::HashMap;

use super::super::owners::unmapped;
use super::super::{Diagram, Row};
use crate::event::{Event, Log};

/// The most lanes: as many as a diagram has columns, and nobody's.
pub(super) const MOST: usize = 17;

/// The most lanes for sockets: more would be too narrow to read.
const SOCKETS: usize = 4;

/// The lanes, from left to right.
#[derive(Debug)]
pub(super) struct Lanes {
    /// The head of each lane: the program, and if it stands for a socket, its address.
    pub(super) names: Vec<(String, Option<String>)>,
    /// Whether each stands for one socket address of the only program.
    pub(super) by_socket: bool,
    /// The lane of each address.
    of_address: HashMap<String, usize>,
    /// The local address that each socket has in the end.
    address_of: HashMap<u64, String>,
    /// For each call, the socket that it makes or names.
    socket_of: HashMap<u64, u64>,
    /// The side that owns each address.
    owners: HashMap<String, usize>,
}

impl Lanes {
    pub(super) fn new(log: &Log, diagram: &Diagram) -> Lanes {
        let mut it = Lanes {
            names: diagram
                .columns
                .iter()
                .map(|column| (column.name.clone(), None))
                .collect(),
            by_socket: false,
            of_address: HashMap::new(),
            address_of: HashMap::new(),
            socket_of: HashMap::new(),
            owners: HashMap::new(),
        };
        for event in &log.events {
            match event {
                Event::Socket(socket) => {
                    if let Some(local) = &socket.local {
                        it.address_of.insert(socket.inode, unmapped(local));
                        it.owners.insert(unmapped(local), socket.side);
                    }
                }
                Event::Call(call) => {
                    it.socket_of.extend(call.socket.map(|socket| (call.id, socket)));
                }
                Event::Return(returned) => {
                    // When `accept` makes one, the call stays in the listener's lane.
                    if let Some(socket) = returned.socket {
                        it.socket_of.entry(returned.id).or_insert(socket);
                    }
                }
                _ => {}
            }
        }
        if diagram.columns.len() == 1 {
            it.by_sockets(log);
        }
        if it.names.is_empty() {
            it.names.push(("(no program)".to_owned(), None));
        }
        it
    }

    /// Makes a lane for each address between which packets go, in order of appearance.
    /// The first one that is sent to, to which the others connect, is on the right.
    fn by_sockets(&mut self, log: &Log) {
        let mut addresses: Vec<String> = Vec::new();
        let mut first_to = None;
        for event in &log.events {
            let Event::Packet(packet) = event else { continue };
            let (from, to) = (unmapped(&packet.from), unmapped(&packet.to));
            first_to.get_or_insert_with(|| to.clone());
            for address in [from, to] {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        if !(2..=SOCKETS).contains(&addresses.len()) {
            return;
        }
        addresses.sort_by_key(|address| Some(address) == first_to.as_ref());
        let name = self.names[0].0.clone();
        self.names = addresses
            .iter()
            .map(|address| (name.clone(), Some(address.clone())))
            .collect();
        self.of_address =
            addresses.into_iter().enumerate().map(|(lane, it)| (it, lane)).collect();
        self.by_socket = true;
    }

    /// The lane of a row, or the two lanes of a packet: its sender's and its receiver's.
    pub(super) fn of(&self, row: &Row, event: &Event) -> (usize, usize) {
        if self.by_socket {
            let lane = |address: &str| self.of_address.get(&unmapped(address)).copied();
            let of_call = |id: u64| {
                let address = self.address_of.get(self.socket_of.get(&id)?)?;
                lane(address)
            };
            return match event {
                Event::Packet(packet) => (
                    lane(&packet.from).unwrap_or_default(),
                    lane(&packet.to).unwrap_or_default(),
                ),
                Event::Call(call) => {
                    let lane = of_call(call.id).unwrap_or_default();
                    (lane, lane)
                }
                Event::Return(returned) => {
                    let lane = of_call(returned.id).unwrap_or_default();
                    (lane, lane)
                }
                _ => (0, 0),
            };
        }
        let last = self.names.len() - 1;
        let (from, to) = match row {
            Row::Call { column, .. }
            | Row::Return { column, .. }
            | Row::Life { column, .. }
            | Row::Cause { column, .. } => (*column, *column),
            Row::Packet(arrow) => (arrow.from, arrow.to),
            Row::Detail { between: [left, right], .. } => (*left, *right),
            Row::Time { left, .. } => (*left, *left),
            Row::Cut(_) => (0, 0),
        };
        (from.min(last), to.min(last))
    }

    /// Whether an address belongs to one of this side's sockets.
    pub(super) fn owns(&self, side: usize, address: &str) -> bool {
        self.owners.get(&unmapped(address)) == Some(&side)
    }
}
