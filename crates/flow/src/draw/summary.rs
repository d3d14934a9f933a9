//! The totals of a run: calls and errors, bytes, round trips, a line for each connection,
//! and what was never closed. They are updated event by event, so a long run costs no
//! memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::calls::shown_name;
use super::canvas::{width, wrap};
use super::connections::Connections;
use super::owners::unmapped;
use crate::bytes::{grouped, printable};
use crate::event::{Call, Change, Event, Fate, Flag, Held, Packet, Protocol, Return};

/// The most connections that get a line of their own.
const LISTED: usize = 1000;
/// The most different errors of a call that are told apart: a log may claim any number.
const NAMES: usize = 200;

/// Computes the totals of a log.
#[derive(Debug, Default)]
pub struct Summary {
    sides: BTreeMap<usize, ProgramTally>,
    /// Calls that have not returned.
    pending: HashMap<u64, Pending>,
    connections: Connections,
    sums: Vec<Sums>,
    /// The side that has each socket.
    sockets: HashMap<u64, usize>,
    /// The descriptor through which each socket was last used.
    descriptors: HashMap<u64, i64>,
    kernel: Vec<Held>,
    measured: bool,
    open: Vec<OpenSocket>,
    last_ns: u64,
}

#[derive(Debug, Default)]
struct ProgramTally {
    name: String,
    calls: BTreeMap<String, Calls>,
    /// Its processes that have not ended.
    alive: HashSet<i32>,
}

#[derive(Debug)]
struct Pending {
    side: usize,
    name: String,
    time_ns: u64,
    bytes: Bytes,
}

/// What the return of a call says about bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// How many were sent.
    Sent,
    /// How many were received.
    Received,
    /// Nothing: those that were received are told beside it.
    AsTold,
}

/// The calls with one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// How many there were.
    pub calls: u64,
    /// How many of them failed, by the name of the error.
    pub errors: BTreeMap<String, u64>,
    /// How many bytes they sent.
    pub sent_bytes: u64,
    /// How many bytes they received.
    pub received_bytes: u64,
    /// How long their threads slept in them, in nanoseconds.
    pub waited_ns: u64,
}

/// What went over a connection.
#[derive(Debug, Clone, Default)]
struct Sums {
    /// From the end that sent first, and to it.
    packets: [u64; 2],
    bytes: [u64; 2],
    round_trips: u64,
    asked: bool,
    again: u64,
    lost: u64,
    ends: [bool; 2],
    reset: bool,
    begin_ns: u64,
    end_ns: u64,
}

/// All totals of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this format: 1.
    pub summary: u32,
    /// How long the log is, in nanoseconds.
    pub duration_ns: u64,
    /// The programs, in order of start.
    pub programs: Vec<ProgramSummary>,
    /// The connections, in the order in which they began.
    pub connections: Vec<ConnectionSummary>,
    /// The number of connections that are not listed, because there are too many.
    pub connections_left_out: usize,
    /// Whether the system allowed what was never closed to be measured.
    pub measured: bool,
    /// The sockets that a program had open when it ended, or still has open.
    pub never_closed: Vec<OpenSocket>,
}

/// What a program did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProgramSummary {
    /// Its name in the drawing.
    pub name: String,
    /// Its calls, by the names that a C program uses.
    pub calls: BTreeMap<String, Calls>,
}

/// What went over a connection. In each pair of numbers, the first is for what was sent
/// by the end that sent first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionSummary {
    /// Its number in the drawing; 1 is the first.
    pub number: usize,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// The end that sent first.
    pub from: String,
    /// The end that it sent to.
    pub to: String,
    /// The number of packets each way.
    pub packets: [u64; 2],
    /// The number of data bytes each way.
    pub bytes: [u64; 2],
    /// How often data went one way and data came back.
    pub round_trips: u64,
    /// On a wire, the number of packets that only carried what had been sent before.
    pub again: u64,
    /// On a wire, the number of packets that were lost.
    pub lost: u64,
    /// How it ended: `closed`, `half-closed`, `reset`, or `open` if it did not. `None`
    /// for UDP, which has no end.
    pub end: Option<String>,
    /// When its first packet arrived, in nanoseconds since the log began.
    pub begin_ns: u64,
    /// When its last packet arrived, in nanoseconds since the log began.
    pub end_ns: u64,
}

/// A socket that was never closed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OpenSocket {
    /// The program that had it.
    pub program: String,
    /// Its local address.
    pub local: String,
    /// Its peer's address, if it has one.
    pub peer: Option<String>,
    /// Its TCP state; `None` for UDP.
    pub state: Option<String>,
}

impl Summary {
    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.last_ns = self.last_ns.max(event.time_ns());
        let connection = self.connections.follow(event);
        match event {
            Event::Side(side) => {
                self.sides.entry(side.side).or_default().name = printable(&side.name);
            }
            Event::Socket(socket) => {
                self.sockets.insert(socket.inode, socket.side);
            }
            Event::Process(process) => {
                self.observe(process.observed.kernel.as_ref());
                let alive = &mut self.sides.entry(process.side).or_default().alive;
                match &process.what {
                    Change::Forked(child) => {
                        alive.extend([process.pid, *child]);
                    }
                    Change::Executed(_) | Change::Signal(_) => {
                        alive.insert(process.pid);
                    }
                    Change::Exited(_) | Change::Killed(_) => {
                        alive.remove(&process.pid);
                        if alive.is_empty() {
                            let open = self.open_of(process.side);
                            self.open.extend(open);
                        }
                    }
                }
            }
            Event::Call(call) => self.call(call),
            Event::Return(returned) => self.returned(returned),
            Event::Packet(packet) => {
                if let Some(number) = connection {
                    self.packet(number, packet);
                }
            }
            Event::Note(_) => {}
        }
    }

    fn observe(&mut self, kernel: Option<&Vec<Held>>) {
        if let Some(kernel) = kernel {
            self.kernel.clone_from(kernel);
            self.measured = true;
        }
    }

    /// What a side has open at this moment.
    fn open_of(&self, side: usize) -> Vec<OpenSocket> {
        let program =
            self.sides.get(&side).map_or_else(String::new, |it| it.name.clone());
        let of_side = |held: &&Held| {
            held.socket.is_some_and(|inode| self.sockets.get(&inode) == Some(&side))
        };
        let open = |held: &Held| OpenSocket {
            program: program.clone(),
            local: printable(&held.local),
            peer: held.peer.as_deref().map(printable),
            state: held.state.as_deref().map(printable),
        };
        self.kernel.iter().filter(of_side).map(open).collect()
    }

    fn call(&mut self, call: &Call) {
        self.observe(call.observed.kernel.as_ref());
        let name = shown_name(call, false).to_owned();
        let side = self.sides.entry(call.side).or_default();
        side.alive.insert(call.pid);
        if side.calls.len() < NAMES || side.calls.contains_key(&name) {
            side.calls.entry(name.clone()).or_default().calls += 1;
        }
        let bytes = self.bytes_of(call);
        if let Some(inode) = call.socket {
            // It may have been passed on.
            self.sockets.insert(inode, call.side);
            if let Some(fd) = descriptor(call, &["sockfd", "fd"]) {
                self.descriptors.insert(inode, fd);
            }
        }
        let time_ns = call.time_ns;
        self.pending.insert(call.id, Pending { side: call.side, name, time_ns, bytes });
    }

    fn returned(&mut self, returned: &Return) {
        self.observe(returned.observed.kernel.as_ref());
        let Some(call) = self.pending.remove(&returned.id) else { return };
        if let Some(inode) = returned.socket {
            self.sockets.insert(inode, call.side);
            if let Some(fd) = returned.value {
                self.descriptors.insert(inode, fd);
            }
        }
        let side = self.sides.entry(call.side).or_default();
        let Some(sums) = side.calls.get_mut(&call.name) else { return };
        if returned.waited {
            sums.waited_ns += returned.time_ns.saturating_sub(call.time_ns);
        }
        if let Some(error) = &returned.error
            && (sums.errors.len() < NAMES || sums.errors.contains_key(error))
        {
            *sums.errors.entry(error.clone()).or_default() += 1;
        }
        let bytes = returned.value.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        match (call.bytes, &returned.data) {
            (Bytes::Sent, _) => sums.sent_bytes += bytes,
            (Bytes::Received, _) => sums.received_bytes += bytes,
            (Bytes::AsTold, Some(data)) => sums.received_bytes += data.length,
            (Bytes::AsTold, None) => {}
        }
    }

    /// What the return of a call says about bytes.
    fn bytes_of(&self, call: &Call) -> Bytes {
        match call.name.as_str() {
            // They return the number of messages.
            "sendmmsg" | "recvmmsg" => Bytes::AsTold,
            // The bytes are not the program's own.
            "sendfile" => Bytes::Sent,
            "splice" => {
                let socket = call.socket.and_then(|it| self.descriptors.get(&it));
                match socket.copied() {
                    None => Bytes::AsTold,
                    fd if fd == descriptor(call, &["fd_in"]) => Bytes::Received,
                    fd if fd == descriptor(call, &["fd_out"]) => Bytes::Sent,
                    Some(_) => Bytes::AsTold,
                }
            }
            _ if call.data.is_some() => Bytes::Sent,
            _ => Bytes::AsTold,
        }
    }

    fn packet(&mut self, number: usize, packet: &Packet) {
        if number >= self.sums.len() {
            self.sums.resize_with(number + 1, Sums::default);
        }
        let (Some(sums), Some(connection)) =
            (self.sums.get_mut(number), self.connections.all.get(number))
        else {
            return;
        };
        let there = usize::from(unmapped(&packet.from) != connection.opener);
        if sums.packets == [0, 0] {
            sums.begin_ns = packet.time_ns;
        }
        let wire = packet.wire.as_ref();
        let fate = wire.map_or(Fate::Arrived, |wire| wire.fate);
        if fate == Fate::Held {
            // It is counted when it arrives.
            return;
        }
        sums.end_ns = packet.time_ns;
        sums.packets[there] += 1;
        sums.lost += u64::from(fate == Fate::Lost);
        let again = wire.is_some_and(|wire| wire.again);
        sums.again += u64::from(again);
        if fate == Fate::Lost {
            return;
        }
        if packet.data.length > 0 && !wire.is_some_and(|wire| wire.doubled) {
            sums.bytes[there] += packet.data.length;
            sums.round_trips += u64::from(there == 1 && sums.asked);
            sums.asked = there == 0;
        }
        if let Protocol::Tcp { flags, .. } = &packet.protocol {
            sums.ends[there] |= flags.has(Flag::Fin);
            sums.reset |= flags.has(Flag::Rst);
        }
    }

    /// The totals so far.
    pub fn report(&self) -> Report {
        let mut never_closed = self.open.clone();
        for (side, it) in &self.sides {
            if !it.alive.is_empty() {
                never_closed.extend(self.open_of(*side));
            }
        }
        never_closed.sort();
        let programs = self.sides.values().map(|side| ProgramSummary {
            name: side.name.clone(),
            calls: side.calls.clone(),
        });
        let drawn: Vec<ConnectionSummary> = self.listed().collect();
        let all = self.sums.iter().filter(|sums| sums.packets != [0, 0]).count();
        Report {
            summary: 1,
            duration_ns: self.last_ns,
            programs: programs.collect(),
            connections_left_out: all.saturating_sub(drawn.len()),
            connections: drawn,
            measured: self.measured,
            never_closed,
        }
    }

    fn listed(&self) -> impl Iterator<Item = ConnectionSummary> {
        let numbered = self.connections.all.iter().zip(&self.sums).enumerate();
        let with_packets = numbered.filter(|(_, (_, sums))| sums.packets != [0, 0]);
        with_packets.take(LISTED).map(|(number, (connection, sums))| {
            let end = match sums.ends {
                _ if sums.reset => "reset",
                [true, true] => "closed",
                [false, false] => "open",
                _ => "half-closed",
            };
            ConnectionSummary {
                number: number + 1,
                protocol: connection.protocol.to_owned(),
                from: printable(&connection.opener),
                to: printable(&connection.other),
                packets: sums.packets,
                bytes: sums.bytes,
                round_trips: sums.round_trips,
                again: sums.again,
                lost: sums.lost,
                end: (connection.protocol == "TCP").then(|| end.to_owned()),
                begin_ns: sums.begin_ns,
                end_ns: sums.end_ns,
            }
        })
    }
}

/// The argument of a call that has one of these names, if it is a descriptor.
fn descriptor(call: &Call, names: &[&str]) -> Option<i64> {
    let arg = call.args.iter().find(|arg| names.contains(&arg.name.as_str()))?;
    arg.value.parse().ok()
}

impl Report {
    /// The totals as text of this many columns, in lines that end with a newline.
    pub fn text(&self, columns: usize) -> String {
        let columns = columns.max(40);
        let mut lines = self.calls();
        lines.extend(self.connections());
        lines.extend(self.open());
        let wrapped = lines.iter().flat_map(|line| wrap_line(line, columns));
        wrapped.map(|line| line + "\n").collect()
    }

    /// A table of the calls, one block per program.
    fn calls(&self) -> Vec<String> {
        let row = |name: &str, cells: [&str; 5]| {
            let [calls, failed, sent, received, waited] = cells;
            let gap = " ".repeat(16_usize.saturating_sub(width(name)));
            format!(
                "{name}{gap} {calls:>9} {failed:>7} {sent:>12} {received:>12} {waited:>12}"
            )
        };
        let heads = ["calls", "failed", "bytes sent", "received", "waited ms"];
        let mut lines = vec![row("", heads).trim_end().to_owned()];
        for program in &self.programs {
            lines.push(program.name.clone());
            let mut all = Calls::default();
            for (name, calls) in &program.calls {
                all.add(calls);
                lines.push(row(
                    &format!("  {}", printable(name)),
                    calls.cells().each_ref().map(String::as_str),
                ));
            }
            if program.calls.is_empty() {
                lines.push("  no socket calls".to_owned());
            } else {
                lines.push(row("  all", all.cells().each_ref().map(String::as_str)));
            }
            let errors = all.errors.iter();
            let errors: Vec<String> = errors
                .map(|(name, count)| format!("{} {}", printable(name), grouped(*count)))
                .collect();
            if !errors.is_empty() {
                lines.push(format!("  errors: {}", errors.join(", ")));
            }
        }
        lines
    }

    /// One line per connection.
    fn connections(&self) -> Vec<String> {
        let mut lines = vec!["Connections".to_owned()];
        for it in &self.connections {
            let milliseconds = it.end_ns.saturating_sub(it.begin_ns) as f64 / 1e6;
            let mut parts = vec![
                format!(
                    "{} bytes there, {} back",
                    grouped(it.bytes[0]),
                    grouped(it.bytes[1])
                ),
                format!(
                    "{} packets there, {} back",
                    grouped(it.packets[0]),
                    grouped(it.packets[1])
                ),
                plural(it.round_trips, "round trip"),
                format!("{milliseconds:.1} ms"),
            ];
            if it.lost > 0 {
                parts.push(format!("{} lost", grouped(it.lost)));
            }
            if it.again > 0 {
                parts.push(format!("{} again", grouped(it.again)));
            }
            parts.extend(it.end.clone());
            lines.push(format!(
                "  #{} {} {} to {}: {}",
                it.number,
                it.protocol,
                it.from,
                it.to,
                parts.join("; ")
            ));
        }
        if self.connections.is_empty() {
            lines.push("  none".to_owned());
        }
        if self.connections_left_out > 0 {
            let more = plural(self.connections_left_out as u64, "connection");
            lines.push(format!("  and {more} more"));
        }
        lines
    }

    /// What was never closed, and its state.
    fn open(&self) -> Vec<String> {
        let mut lines = vec!["Never closed".to_owned()];
        for it in &self.never_closed {
            let peer =
                it.peer.as_ref().map_or_else(String::new, |peer| format!(" with {peer}"));
            let state = it.state.as_deref().unwrap_or("UDP");
            lines.push(format!("  {}: {}{peer}, {state}", it.program, it.local));
        }
        if self.never_closed.is_empty() {
            let none = if self.measured { "  nothing" } else { "  not measured" };
            lines.push(none.to_owned());
        }
        lines
    }
}

impl Calls {
    fn add(&mut self, other: &Calls) {
        self.calls += other.calls;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.waited_ns += other.waited_ns;
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
    }

    fn cells(&self) -> [String; 5] {
        [
            grouped(self.calls),
            grouped(self.errors.values().sum()),
            grouped(self.sent_bytes),
            grouped(self.received_bytes),
            format!("{:.1}", self.waited_ns as f64 / 1e6),
        ]
    }
}

fn plural(count: u64, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {what}{ending}", grouped(count))
}

/// Continues a line that is too long on the next one, four columns further in.
/// Indentation is kept.
fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    if width(line) <= columns {
        return vec![line.to_owned()];
    }
    let indent = line.len() - line.trim_start().len();
    let parts = wrap(line.trim_start(), columns.saturating_sub(indent + 2), 0);
    let blanks = " ".repeat(indent);
    parts.into_iter().map(|part| format!("{blanks}{part}")).collect()
}
