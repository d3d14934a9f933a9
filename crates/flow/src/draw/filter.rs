//! Selecting rows: [`Filter`].

use std::collections::{HashMap, HashSet};

use super::calls::shown_name;
use super::connections::Places;
use super::owners::port;
use super::{Diagram, Filter, PacketKind, Row};
use crate::event::{Arg, Call, Event, Log, Return};

/// A filter, with what it needs from the log.
pub(super) struct Sieve<'a> {
    filter: &'a Filter,
    log: &'a Log,
    calls: &'a HashMap<u64, &'a Call>,
    returns: &'a HashMap<u64, &'a Return>,
    places: &'a Places,
    /// The ports of each socket.
    ports: HashMap<u64, HashSet<u16>>,
}

impl<'a> Sieve<'a> {
    /// Returns `None` if every row is wanted.
    pub(super) fn new(
        filter: &'a Filter,
        log: &'a Log,
        calls: &'a HashMap<u64, &'a Call>,
        returns: &'a HashMap<u64, &'a Return>,
        places: &'a Places,
    ) -> Option<Sieve<'a>> {
        if *filter == Filter::default() {
            return None;
        }
        let mut ports: HashMap<u64, HashSet<u16>> = HashMap::new();
        for event in &log.events {
            if let Event::Socket(socket) = event {
                let both = [&socket.local, &socket.peer].into_iter().flatten();
                let of_socket = ports.entry(socket.inode).or_default();
                of_socket.extend(both.filter_map(|address| port(address)));
            }
        }
        Some(Sieve { filter, log, calls, returns, places, ports })
    }

    /// Keeps the rows that are wanted, and returns how many were dropped.
    pub(super) fn sift(&self, diagram: &mut Diagram) -> usize {
        let mut kept = Vec::new();
        // A cause explains the row above it, and numbers belong to the arrow above them.
        let mut last = false;
        for (row, origin) in diagram.rows.iter().zip(&diagram.origins) {
            let is_wanted = match row {
                Row::Cause { .. } | Row::Detail { .. } => last,
                _ => self.wants(diagram, row, *origin),
            };
            last = is_wanted;
            kept.push(is_wanted);
        }
        let before = diagram.rows.len();
        let mut flags = kept.iter();
        diagram.rows.retain(|_| flags.next().is_none_or(|kept| *kept));
        let mut flags = kept.iter();
        diagram.origins.retain(|_| flags.next().is_none_or(|kept| *kept));
        before - diagram.rows.len()
    }

    fn wants(&self, diagram: &Diagram, row: &Row, origin: usize) -> bool {
        // The beginning of a lifeline is not a row of its own.
        if matches!(row, Row::Life { text, .. } if text.is_empty()) {
            return true;
        }
        let Filter { ports, connections, calls, errors, processes } = self.filter;
        let Some(event) = self.log.events.get(origin) else { return false };
        let call = match event {
            Event::Call(call) => Some(call),
            Event::Return(returned) => self.calls.get(&returned.id).copied(),
            _ => None,
        };
        let of_port = || match (event, call) {
            (Event::Packet(it), _) => [&it.from, &it.to]
                .into_iter()
                .filter_map(|address| port(address))
                .any(|port| ports.contains(&port)),
            (_, Some(call)) => self.is_at(call, ports),
            _ => false,
        };
        let of_connection = || {
            let number = match (event, call) {
                (Event::Packet(_), _) => self.places.of_packet(origin),
                (_, Some(call)) => {
                    return self
                        .connections_of(origin, call)
                        .any(|it| connections.contains(&it));
                }
                _ => None,
            };
            number.is_some_and(|it| connections.contains(&(it + 1)))
        };
        let of_name = || {
            call.is_some_and(|call| {
                let names = [call.name.as_str(), shown_name(call, false)];
                calls.iter().any(|wanted| names.contains(&wanted.as_str()))
            })
        };
        let failed = || match row {
            Row::Packet(arrow) => arrow.kind == PacketKind::Error,
            _ => call.is_some_and(|call| {
                self.returns.get(&call.id).is_some_and(|it| it.error.is_some())
            }),
        };
        (ports.is_empty() || of_port())
            && (connections.is_empty() || of_connection())
            && (calls.is_empty() || of_name())
            && (!errors || failed())
            && (processes.is_empty() || self.of_process(diagram, row, event, call))
    }

    /// The numbers of the connections whose sockets a call involves.
    fn connections_of(&self, at: usize, call: &Call) -> impl Iterator<Item = usize> {
        let made = self.returns.get(&call.id).and_then(|it| it.socket);
        let sockets = [call.socket, made].into_iter().flatten();
        sockets
            .filter_map(move |inode| self.places.of_socket(at, inode))
            .map(|number| number + 1)
    }

    /// Whether a call is on a socket with one of the ports, or names one of them.
    fn is_at(&self, call: &Call, wanted: &[u16]) -> bool {
        let named = |args: &[Arg]| {
            args.iter().filter_map(|it| port(&it.value)).any(|it| wanted.contains(&it))
        };
        let returned = self.returns.get(&call.id);
        let sockets = [call.socket, returned.and_then(|it| it.socket)];
        sockets
            .into_iter()
            .flatten()
            .filter_map(|inode| self.ports.get(&inode))
            .any(|ports| ports.iter().any(|port| wanted.contains(port)))
            || named(&call.args)
            || returned.is_some_and(|it| named(&it.args))
    }

    fn of_process(
        &self,
        diagram: &Diagram,
        row: &Row,
        event: &Event,
        call: Option<&Call>,
    ) -> bool {
        let pid = match event {
            Event::Process(process) => Some(process.pid),
            _ => call.map(|call| call.pid),
        };
        let columns = match row {
            Row::Call { column, .. }
            | Row::Return { column, .. }
            | Row::Life { column, .. }
            | Row::Cause { column, .. } => [*column; 2],
            Row::Packet(arrow) => [arrow.from, arrow.to],
            Row::Detail { between, .. } => *between,
            Row::Time { left, .. } => [*left; 2],
            Row::Cut(_) => return true,
        };
        let names = || {
            columns
                .into_iter()
                .filter_map(|it| diagram.columns.get(it))
                .map(|it| &it.name)
        };
        self.filter.processes.iter().any(|wanted| {
            wanted.parse().ok().is_some_and(|wanted: i32| pid == Some(wanted))
                || names().any(|name| name == wanted)
        })
    }
}
