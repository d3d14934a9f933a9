//! The contents of a drawing, row by row, before they become text or a picture.

use std::collections::{HashMap, HashSet};

use super::Options;
use super::calls::{self, Anchor};
use super::causes::{At, Cause, Causes};
use super::connections::Places;
use super::detail::Details;
use super::fifos::Part;
use super::filter::Sieve;
use super::fold;
use super::local::Locals;
use super::owners::{Owners, port, unmapped};
use super::states::{Changes, Segment, State, States};
use super::topics::{self, Topic};
use crate::event::{
    Call, Change, Data, Event, Fate, Flag, Flags, Log, OnWire, Packet, Protocol, Return,
    Source,
};
use crate::{bytes, packet};

/// The contents of a drawing.
#[derive(Debug, Default)]
pub struct Diagram {
    /// The columns, from left to right.
    pub columns: Vec<Column>,
    /// The rows, from top to bottom.
    pub rows: Vec<Row>,
    /// For each row, the position in the log of the event that it was made from.
    pub origins: Vec<usize>,
    /// Notes below the drawing.
    pub notes: Vec<String>,
    /// Whether there were packets to draw.
    pub has_packets: bool,
}

/// A side's column.
#[derive(Debug, Default)]
pub struct Column {
    /// The name at its head.
    pub name: String,
    /// The source file that line numbers refer to, if there is only one.
    pub file: Option<String>,
    /// Whether it stands for something that is not a traced program.
    pub is_nobody: bool,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A call, or if `waits` is set, only the beginning of one.
    Call {
        /// Its column.
        column: usize,
        /// `recv(4, 1024)`, with the result if it is known.
        text: String,
        /// Where the program made the call: `:14`, or `main.rs:14`.
        source: Option<String>,
        /// Whether its program sleeps from here until the row of its return.
        waits: bool,
        /// Whether it failed.
        failed: bool,
        /// The state that it put its socket into, such as `LISTEN`.
        state: Option<State>,
    },
    /// The return of a call that waited.
    Return {
        /// Its column.
        column: usize,
        /// `recv = 16 "Hello TCP Server"`.
        text: String,
        /// Whether the call failed.
        failed: bool,
    },
    /// A packet.
    Packet(Arrow),
    /// A side's program starts, gets a signal, or ends.
    Life {
        /// Its column.
        column: usize,
        /// `exits 0`.
        text: String,
        /// Whether the line of its column begins (`Some(true)`) or ends (`Some(false)`)
        /// here.
        line: Option<bool>,
    },
    /// Why the row above is as it is.
    Cause {
        /// Its column.
        column: usize,
        /// `6 bytes were not received: so RST, no FIN`.
        text: String,
        /// Where it is explained.
        topic: Topic,
    },
    /// The numbers of the segment above.
    Detail {
        /// The columns between which the arrow runs, the left one first; twice the same
        /// if a side sends to itself.
        between: [usize; 2],
        /// `seq 1:4 ack 1 win 64256`.
        text: String,
    },
    /// Time passes between two columns, because of one of the kernel's timers or the
    /// wire.
    Time {
        /// The left one of the two columns.
        left: usize,
        /// `204 ms: tail loss probe`.
        text: String,
    },
    /// This many rows are left out here.
    Cut(usize),
}

/// A packet, from one column to another or to its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The sender's column.
    pub from: usize,
    /// The receiver's column.
    pub to: usize,
    /// What it carries, preceded by the number of its connection if there are several.
    pub label: String,
    /// If there are several connections, both ports at the first packet of each, to
    /// follow the label where there is room.
    pub ports: Option<String>,
    /// What it is about, for its colour.
    pub kind: PacketKind,
    /// The sender's state, if it changes.
    pub from_state: Option<State>,
    /// The receiver's state, if it changes.
    pub to_state: Option<State>,
    /// Whether it arrives.
    pub fate: Fate,
}

/// What a packet is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// It opens or closes a connection.
    Control,
    /// It only acknowledges.
    Ack,
    /// It carries data.
    Data,
    /// A reset, or an error message.
    Error,
}

impl Diagram {
    /// Makes the diagram of a log. No log makes it panic, however wrong it is.
    pub fn new(log: &Log, options: &Options) -> Diagram {
        Builder::new(log, options).build()
    }

    /// Like [`Diagram::new`], for a drawing with a lane for each socket of a program that
    /// is both ends: the label of a packet need not say whose it is.
    pub(super) fn for_lanes(log: &Log, options: &Options) -> Diagram {
        Builder { for_lanes: true, ..Builder::new(log, options) }.build()
    }
}

/// The most sides that are drawn: a log may claim any number.
const SIDES: usize = 16;

/// What takes less than this was probably not waiting for a timeout.
const SHORTEST_TIMEOUT_NS: u64 = 100_000_000;

struct Builder<'a> {
    log: &'a Log,
    options: &'a Options,
    for_lanes: bool,
    diagram: Diagram,
    /// The column of each side.
    column_of: HashMap<usize, usize>,
    nobody: Option<usize>,
    /// The host of each side, on a wire.
    hosts: HashMap<usize, String>,
    /// When each segment was last sent, by its addresses and its end.
    last_sent: HashMap<(String, String, u32), u64>,
    /// When each address last sent something.
    last_from: HashMap<String, u64>,
    /// The addresses of the SYNs that arrived again and have not been answered since.
    asked_again: HashSet<(String, String)>,
    owners: Owners,
    places: Places,
    locals: Locals,
    /// The connections of which a packet has been drawn.
    opened: HashSet<usize>,
    causes: Causes,
    details: Details,
    /// Sockets that take datagrams, by inode.
    datagrams: HashSet<u64>,
    returns: HashMap<u64, &'a Return>,
    calls: HashMap<u64, &'a Call>,
    /// Calls that are left out.
    hidden: HashSet<u64>,
    /// Calls whose entry was drawn as a row of its own.
    split: HashSet<u64>,
    states: States,
    /// Calls during which a packet arrived.
    around_packets: HashSet<u64>,
    /// The positions in the log of the SYNs that the receiver answers with its own.
    answered: HashSet<usize>,
    /// The number of each side's threads, in order of appearance.
    threads: HashMap<usize, HashMap<i32, usize>>,
    /// The first process of each side.
    first: HashMap<usize, i32>,
    /// The processes that make calls which are drawn.
    callers: HashSet<i32>,
    /// The processes of each side that have not ended.
    alive: HashMap<usize, HashSet<i32>>,
}

impl<'a> Builder<'a> {
    fn new(log: &'a Log, options: &'a Options) -> Builder<'a> {
        let mut builder = Builder {
            log,
            options,
            for_lanes: false,
            diagram: Diagram::default(),
            column_of: HashMap::new(),
            nobody: None,
            hosts: HashMap::new(),
            last_sent: HashMap::new(),
            last_from: HashMap::new(),
            asked_again: HashSet::new(),
            owners: Owners::new(log),
            places: Places::new(&log.events),
            locals: Locals::new(&log.events),
            opened: HashSet::new(),
            causes: Causes::default(),
            details: Details::default(),
            datagrams: HashSet::new(),
            returns: HashMap::new(),
            calls: HashMap::new(),
            hidden: HashSet::new(),
            split: HashSet::new(),
            states: States::default(),
            around_packets: HashSet::new(),
            answered: HashSet::new(),
            threads: HashMap::new(),
            first: HashMap::new(),
            callers: HashSet::new(),
            alive: HashMap::new(),
        };
        builder.columns();
        builder.index();
        builder
    }

    fn build(mut self) -> Diagram {
        for (at, event) in self.log.events.iter().enumerate() {
            self.event(at, event);
            self.cause(at, event);
            self.diagram.origins.resize(self.diagram.rows.len(), at);
        }
        self.finish()
    }

    /// Adds a row that explains the last one, if the log knows why it is as it is.
    fn cause(&mut self, at: usize, event: &Event) {
        let answered = self.answered.contains(&at);
        let Some(cause) = self.causes.follow(event, &self.calls, &self.locals, answered)
        else {
            return;
        };
        let Cause { at: place, text, topic } = cause;
        let side = match (place, event) {
            (At::Caller, Event::Return(returned)) => {
                if self.hidden.contains(&returned.id) {
                    return;
                }
                self.calls.get(&returned.id).map(|call| call.side)
            }
            (At::Sender | At::Receiver, Event::Packet(packet)) => {
                let (from, to) = (unmapped(&packet.from), unmapped(&packet.to));
                let (sender, receiver) = self.sides(at, packet, &from, &to);
                if place == At::Sender { sender } else { receiver }
            }
            _ => return,
        };
        let column = match side.and_then(|side| self.column_of.get(&side)) {
            Some(column) => *column,
            None => match self.nobody {
                Some(column) => column,
                None => return,
            },
        };
        self.diagram.rows.push(Row::Cause { column, text, topic });
    }

    /// Lays out the columns. The first side, to which the others connect, is on the
    /// right.
    fn columns(&mut self) {
        let mut names: Vec<(usize, String)> = Vec::new();
        for event in &self.log.events {
            if let Event::Side(side) = event
                && names.len() < SIDES
                && !names.iter().any(|(number, _)| *number == side.side)
            {
                let name = bytes::printable(&side.name);
                let name = match &side.host {
                    Some(host) => {
                        self.hosts.insert(side.side, host.clone());
                        format!("{}: {name}", bytes::printable(host))
                    }
                    None => name,
                };
                names.push((side.side, name));
            }
        }
        if names.len() > 1 {
            names.rotate_left(1);
        }
        for (column, (side, name)) in names.into_iter().enumerate() {
            let file = self.only_file(side);
            self.diagram.columns.push(Column { name, file, is_nobody: false });
            self.column_of.insert(side, column);
        }
    }

    /// The source file of all of a side's calls, if there is only one.
    fn only_file(&self, side: usize) -> Option<String> {
        let mut files = self.log.events.iter().filter_map(|event| match event {
            Event::Call(call) if call.side == side => call.source.as_ref(),
            _ => None,
        });
        let first = files.next()?;
        files.all(|source| source.file == first.file).then(|| base(&first.file))
    }

    /// Finds the SYNs that the receiver answers with its own before they are
    /// retransmitted: not with a reset because nobody listens, nor with silence because
    /// its queue is full.
    fn find_answers(&mut self) {
        let mut asked: HashMap<(&str, &str), usize> = HashMap::new();
        for (at, event) in self.log.events.iter().enumerate() {
            let Event::Packet(packet) = event else { continue };
            let Protocol::Tcp { flags, .. } = &packet.protocol else { continue };
            let (from, to) = (packet.from.as_str(), packet.to.as_str());
            if let Some(syn) = asked.remove(&(to, from))
                && flags.has(Flag::Syn)
            {
                self.answered.insert(syn);
            }
            if flags.has(Flag::Syn) && !flags.has(Flag::Ack) {
                asked.insert((from, to), at);
            }
        }
    }

    fn index(&mut self) {
        self.find_answers();
        let mut packets = 0_usize;
        let mut packets_at_entry: HashMap<u64, usize> = HashMap::new();
        let mut to_nscd = HashSet::new();
        let mut made_by: HashMap<u64, u64> = HashMap::new();
        for event in &self.log.events {
            match event {
                Event::Call(call) => {
                    self.calls.insert(call.id, call);
                    packets_at_entry.insert(call.id, packets);
                    if is_aside(call) {
                        to_nscd.insert(call.id);
                        to_nscd.extend(call.socket.and_then(|it| made_by.get(&it)));
                    } else if let Some(maker) =
                        call.socket.and_then(|it| made_by.get(&it))
                        && to_nscd.contains(maker)
                    {
                        to_nscd.insert(call.id);
                    }
                }
                Event::Return(returned) => {
                    self.returns.insert(returned.id, returned);
                    let before = packets_at_entry.remove(&returned.id);
                    if before.is_some_and(|before| before < packets) {
                        self.around_packets.insert(returned.id);
                    }
                    if let Some(socket) = returned.socket {
                        made_by.insert(socket, returned.id);
                    }
                }
                Event::Packet(_) => packets += 1,
                _ => {}
            }
        }
        self.diagram.has_packets = packets > 0;
        if !self.options.exact {
            self.hidden = to_nscd;
        }
        let shown = self.calls.values().filter(|call| !self.hidden.contains(&call.id));
        self.callers = shown.map(|call| call.pid).collect();
    }

    fn event(&mut self, at: usize, event: &Event) {
        match event {
            Event::Side(_) => {}
            Event::Socket(socket) => {
                if socket.kind.starts_with("SOCK_DGRAM") {
                    self.datagrams.insert(socket.inode);
                } else {
                    self.datagrams.remove(&socket.inode);
                }
            }
            Event::Note(note) => self.diagram.notes.push(bytes::printable(&note.text)),
            Event::Process(process) => {
                let Some(&column) = self.column_of.get(&process.side) else { return };
                self.life(column, process.side, process.pid, &process.what);
            }
            Event::Call(call) if !self.hidden.contains(&call.id) => self.call(call),
            Event::Return(returned) if !self.hidden.contains(&returned.id) => {
                self.returned(returned);
            }
            Event::Call(_) | Event::Return(_) => {}
            Event::Packet(packet) => self.packet(at, packet),
        }
    }

    /// The mark before the calls of a side's second, third, … thread.
    fn thread_mark(&mut self, side: usize, tid: i32) -> String {
        let threads = self.threads.entry(side).or_default();
        let next = threads.len() + 1;
        match *threads.entry(tid).or_insert(next) {
            1 => String::new(),
            number => format!("({number}) "),
        }
    }

    fn life(&mut self, column: usize, side: usize, pid: i32, what: &Change) {
        let first = *self.first.entry(side).or_insert(pid) == pid;
        let alive = self.alive.entry(side).or_default();
        let is_last = match what {
            Change::Exited(_) | Change::Killed(_) => {
                alive.remove(&pid);
                alive.is_empty()
            }
            Change::Forked(child) => {
                alive.extend([pid, *child]);
                false
            }
            Change::Executed(_) | Change::Signal(_) => {
                alive.insert(pid);
                false
            }
        };
        // Of a side's other processes, only those that make socket calls are worth a row.
        if !first && !is_last && !self.callers.contains(&pid) {
            return;
        }
        let called = self.threads.get(&side).is_some_and(|all| all.contains_key(&pid));
        let mark = if first { String::new() } else { self.thread_mark(side, pid) };
        let (text, line) = match what {
            // The head of the column already names the side's first program.
            Change::Executed(_) if first && !called => (String::new(), Some(true)),
            Change::Executed(path) => (format!("runs {}", base(path)), None),
            // The child's mark precedes everything that it does.
            Change::Forked(child) if self.callers.contains(child) => {
                let child = self.thread_mark(side, *child);
                (format!("forks {child}").trim_end().to_owned(), None)
            }
            // SIGCHLD says that a child changed, which is not part of the conversation.
            // With SIGURG, Go's runtime preempts its goroutines.
            Change::Signal(name) if name == "SIGCHLD" || name == "SIGURG" => return,
            Change::Forked(_) => return,
            Change::Signal(name) => (format!("gets {}", bytes::printable(name)), None),
            // A daemon's first process ends, and the program goes on.
            Change::Exited(status) => {
                (format!("exits {status}"), is_last.then_some(false))
            }
            Change::Killed(signal) => (
                format!("killed by {}", bytes::printable(signal)),
                is_last.then_some(false),
            ),
        };
        let text = if text.is_empty() { text } else { format!("{mark}{text}") };
        self.diagram.rows.push(Row::Life { column, text, line });
    }

    /// Whether a call is drawn as two rows.
    fn is_split(&self, call: &Call) -> bool {
        let Some(returned) = self.returns.get(&call.id) else { return true };
        // A packet in the middle of `connect` is what it waited for, even if it did not
        // sleep.
        let place = calls::place(&call.name);
        // Over a wire, whatever a call waits for takes its time, and may be drawn in
        // between.
        let may_wait =
            place == Anchor::Both || place == Anchor::Return && !self.hosts.is_empty();
        returned.waited
            || may_wait && self.around_packets.contains(&call.id)
            || self.is_ended_by_a_timer(call, returned)
    }

    /// Whether the program's own timeout ended a call. A tracer without a processor may not
    /// have seen that it slept. Of a call that has a timeout among its arguments and finds
    /// nothing, this is certain; of others, over a wire, the clock tells.
    fn is_ended_by_a_timer(&self, call: &Call, returned: &Return) -> bool {
        let timeout = call.args.iter().find(|it| it.name == "timeout");
        let timeout = timeout.and_then(|it| it.value.split(' ').next()?.parse().ok());
        if timeout.is_some_and(|it: f64| it > 0.0) && returned.value == Some(0) {
            return true;
        }
        let took = returned.time_ns.saturating_sub(call.time_ns);
        !self.hosts.is_empty()
            && matches!(returned.error.as_deref(), Some("ETIMEDOUT" | "EAGAIN"))
            && took >= SHORTEST_TIMEOUT_NS
    }

    /// Whether the socket of a call takes messages that may be empty.
    fn takes_datagrams(&self, call: &Call) -> bool {
        call.socket.is_some_and(|inode| {
            self.datagrams.contains(&inode) || self.locals.may_receive_nothing(inode)
        })
    }

    /// Where the line of a call is placed.
    fn place(&self, call: &Call) -> Anchor {
        // It moves data from a socket or to one; what it sends shows which.
        if call.name == "splice" && self.around_packets.contains(&call.id) {
            return Anchor::Entry;
        }
        calls::place(&call.name)
    }

    fn call(&mut self, call: &Call) {
        let Some(&column) = self.column_of.get(&call.side) else { return };
        if self.is_split(call) {
            self.split.insert(call.id);
            self.call_row(column, call, None);
        } else if self.place(call) != Anchor::Return {
            let returned = self.returns.get(&call.id).copied();
            self.call_row(column, call, returned);
        }
        self.local_arrows(column, call);
    }

    /// Adds arrows for what a call sends to other programs over an AF_UNIX socket or a FIFO.
    fn local_arrows(&mut self, from: usize, call: &Call) {
        if self.returns.get(&call.id).is_some_and(|it| it.error.is_some()) {
            return;
        }
        for part in self.locals.receivers(call) {
            if let Some(&to) = self.column_of.get(&part.side) {
                self.local_arrow([from, to], call, &part);
            }
        }
    }

    fn local_arrow(&mut self, [from, to]: [usize; 2], call: &Call, part: &Part) {
        let (label, kind) = match &call.data {
            Some(data) => {
                // Perhaps less than that was sent.
                let returned = self.returns.get(&call.id);
                let sent = returned.and_then(|it| u64::try_from(it.value?).ok());
                let all = 0..sent.unwrap_or(data.length);
                let bytes = part.bytes.clone().unwrap_or(all);
                (data_label(&piece(data, bytes)), PacketKind::Data)
            }
            None if call.name == "connect" => ("connect".to_owned(), PacketKind::Control),
            None => return,
        };
        self.diagram.rows.push(Row::Packet(Arrow {
            from,
            to,
            label,
            ports: None,
            kind,
            from_state: None,
            to_state: None,
            fate: Fate::Arrived,
        }));
    }

    fn call_row(&mut self, column: usize, call: &Call, returned: Option<&Return>) {
        let mark = self.thread_mark(call.side, call.tid);
        let mut text = format!("{mark}{}", calls::call(call, self.options.exact));
        let failed = returned.is_some_and(|it| it.error.is_some());
        if let Some(returned) = returned {
            text.push(' ');
            text.push_str(&calls::result(call, returned, self.takes_datagrams(call)));
        }
        let listens = call.name == "listen" && returned.is_some() && !failed;
        self.diagram.rows.push(Row::Call {
            column,
            text,
            source: call.source.as_ref().map(|source| self.source(column, source)),
            waits: returned.is_none(),
            failed,
            state: listens.then_some(State::Listen),
        });
    }

    fn source(&self, column: usize, source: &Source) -> String {
        let has_file =
            self.diagram.columns.get(column).is_some_and(|it| it.file.is_some());
        let file = if has_file { String::new() } else { base(&source.file) };
        format!("{file}:{}", source.line)
    }

    fn returned(&mut self, returned: &Return) {
        let Some(call) = self.calls.get(&returned.id).copied() else { return };
        let Some(&column) = self.column_of.get(&call.side) else { return };
        if self.split.remove(&call.id) {
            let mark = self.thread_mark(call.side, call.tid);
            let name = calls::shown_name(call, self.options.exact);
            let name = bytes::printable(name);
            let text = format!(
                "{mark}{name} {}",
                calls::result(call, returned, self.takes_datagrams(call))
            );
            let text = if self.options.time {
                let waited = returned.time_ns.saturating_sub(call.time_ns);
                format!("{text} ({:.1} ms)", waited as f64 / 1e6)
            } else {
                text
            };
            let failed = returned.error.is_some();
            let timed = returned.error.as_deref();
            if !self.hosts.is_empty() && matches!(timed, Some("ETIMEDOUT" | "EAGAIN")) {
                let text = passed(returned.time_ns.saturating_sub(call.time_ns));
                self.diagram.rows.push(Row::Time { left: 0, text });
            }
            self.diagram.rows.push(Row::Return { column, text, failed });
        } else if self.place(call) == Anchor::Return {
            self.call_row(column, call, Some(returned));
        }
    }

    fn packet(&mut self, at: usize, packet: &Packet) {
        let (from, to) = (unmapped(&packet.from), unmapped(&packet.to));
        let (from_side, to_side) = self.sides(at, packet, &from, &to);
        if packet.wire.is_none()
            && let Some(receivers) = self.owners.group(at, &to)
        {
            return self.datagram_for_many(packet, from_side, &to, &receivers);
        }
        if from_side.is_none() && to_side.is_none() {
            return; // Neighbour discovery and the like belongs to nobody.
        }
        let from_column = self.column_or_nobody(from_side);
        let to_column = self.column_or_nobody(to_side);
        let (mut from_state, mut to_state) = (None, None);
        let wire = packet.wire.as_ref();
        let fate = wire.map_or(Fate::Arrived, |wire| wire.fate);
        let mut is_delayed = false;
        let (label, kind) = match &packet.protocol {
            Protocol::Tcp { flags, window, .. } => {
                let changes = self.follow(at, packet, &from, &to);
                (from_state, to_state) = (changes.sender, changes.receiver);
                let (mut label, kind) = tcp_label(*flags, shown_data(packet));
                // A reset offers no window either, and means nothing by it.
                if *window == 0 && kind != PacketKind::Error {
                    label.push_str(" window 0");
                }
                if wire.map_or(changes.probe, |wire| wire.probe) {
                    label.push_str(" probe");
                }
                for (is, word) in [
                    (flags.has(Flag::Urg), " URG"),
                    (changes.again, " again"),
                    (changes.delayed, " delayed"),
                ] {
                    if is {
                        label.push_str(word);
                    }
                }
                is_delayed = changes.delayed;
                (label, kind)
            }
            Protocol::Icmp { kind, code } => icmp_arrow(packet, *kind, *code),
            Protocol::Other(number) => {
                (format!("IP protocol {number}"), PacketKind::Control)
            }
            _ => (datagram_label(packet), PacketKind::Data),
        };
        let label = match (port(&from), port(&to)) {
            // Within one column, no arrow shows whose packet it is and whose state.
            (Some(from), Some(to)) if from_column == to_column && !self.for_lanes => {
                let state = |state: Option<_>| {
                    state.map_or_else(String::new, |state| format!(" [{state}]"))
                };
                format!(
                    "{label} from port {from}{} to port {to}{}",
                    state(from_state.take()),
                    state(to_state.take())
                )
            }
            _ => label,
        };
        let (from, to) = (from_column, to_column);
        let label = match wire {
            Some(wire) => self.on_wire(packet, wire, [from, to], label, is_delayed),
            None => label,
        };
        let (mark, ports) = self.mark(at, packet);
        let label = mark + &label;
        let ports = ports.filter(|_| from != to);
        let arrow = Arrow { from, to, label, ports, kind, from_state, to_state, fate };
        self.diagram.rows.push(Row::Packet(arrow));
        // A page to step through shows the fields of a packet elsewhere.
        if self.options.detail
            && !self.for_lanes
            && let Some(text) = self.details.of(packet)
        {
            let between = [from.min(to), from.max(to)];
            self.diagram.rows.push(Row::Detail { between, text });
        }
    }

    /// What identifies a packet's connection if there are several: its number, and at its
    /// first packet both ports.
    fn mark(&mut self, at: usize, packet: &Packet) -> (String, Option<String>) {
        let number = self.places.of_packet(at);
        let Some(number) =
            number.filter(|_| self.places.are_several() && !self.for_lanes)
        else {
            return (String::new(), None);
        };
        let ports = match (port(&packet.from), port(&packet.to)) {
            (Some(from), Some(to)) if self.opened.insert(number) => {
                Some(format!(" port {from} to {to}"))
            }
            _ => None,
        };
        (format!("#{} ", number + 1), ports)
    }

    /// The sides that a packet comes from and goes to. An ICMP error goes to the sender
    /// of the packet that it quotes.
    fn sides(
        &self,
        at: usize,
        packet: &Packet,
        from: &str,
        to: &str,
    ) -> (Option<usize>, Option<usize>) {
        let on_wire = |address: &str| self.side_at(address, packet.wire.as_ref());
        let (sender, receiver) = match packet.protocol {
            Protocol::Icmp { kind, .. } => match quoted_error(packet, kind) {
                Some((sender, receiver)) => (
                    self.owners.end(at, &receiver, &sender),
                    self.owners.end(at, &sender, &receiver),
                ),
                None => (self.owners.pings(at), self.owners.pings(at)),
            },
            _ => (self.owners.end(at, from, to), self.owners.end(at, to, from)),
        };
        (sender.or_else(|| on_wire(from)), receiver.or_else(|| on_wire(to)))
    }

    /// The first side on the host that has this address, if there is a wire.
    fn side_at(&self, address: &str, wire: Option<&OnWire>) -> Option<usize> {
        wire?;
        let ip = match address.parse::<std::net::SocketAddr>() {
            Ok(address) => address.ip().to_string(),
            Err(_) => address.to_owned(),
        };
        let host = match ip.as_str() {
            "10.77.0.1" | "10.77.0.11" | "fd77::1" => "a",
            "10.77.0.2" | "10.77.0.12" | "fd77::2" => "b",
            _ => return None,
        };
        let there = self.hosts.iter().filter(|(_, of)| *of == host);
        there.map(|(side, _)| *side).min()
    }

    /// Adds what the wire did to a packet to its label, and the time that this took as a
    /// row of its own.
    fn on_wire(
        &mut self,
        packet: &Packet,
        wire: &OnWire,
        columns: [usize; 2],
        mut label: String,
        is_delayed: bool,
    ) -> String {
        if let Some((offset, length)) = wire.fragment {
            let first = if offset == 0 && label.contains('"') {
                label.split_once(' ').map_or("", |(_, data)| data)
            } else {
                ""
            };
            let first = first.split_once(' ').map_or("", |(_, data)| data);
            let end = (offset + length).saturating_sub(1);
            label = format!("fragment: bytes {offset} to {end} {first}");
            label.truncate(label.trim_end().len());
        }
        let late = wire.held && wire.fate == Fate::Arrived;
        for (is, word) in [
            (wire.fate == Fate::Held, " held back"),
            (late, " late"),
            (wire.doubled, " doubled"),
            (wire.damaged, " damaged"),
        ] {
            if is {
                label.push_str(word);
            }
        }
        // When what is sent again was sent before.
        let end = match &packet.protocol {
            Protocol::Tcp { seq, .. } => seq.wrapping_add(packet.data.length as u32),
            _ => 0,
        };
        let key = (packet.from.clone(), packet.to.clone(), end);
        let since = if late || wire.doubled {
            late.then_some(wire.left_ns)
        } else if self.answers_again(packet, wire) {
            None
        } else if wire.again {
            self.last_sent.get(&key).copied()
        } else if wire.probe {
            self.last_from.get(&packet.from).copied()
        } else if is_delayed {
            self.last_from.get(&packet.to).copied()
        } else {
            None
        };
        let now_ns = if late { packet.time_ns } else { wire.left_ns };
        if !late {
            self.last_sent.insert(key, wire.left_ns);
            self.last_from.insert(packet.from.clone(), wire.left_ns);
        }
        if let Some(since) = since {
            let time = passed(now_ns.saturating_sub(since));
            let cause = wire.cause.as_deref().and_then(cause);
            let text = cause.map_or_else(|| time.clone(), |why| format!("{time}: {why}"));
            let left = columns[0].min(columns[1]);
            self.diagram.rows.push(Row::Time { left, text });
        }
        label
    }

    /// Whether this is a SYN ACK that is sent again because the SYN has come again: no timer
    /// of its sender went off.
    fn answers_again(&mut self, packet: &Packet, wire: &OnWire) -> bool {
        let Protocol::Tcp { flags, .. } = &packet.protocol else { return false };
        let (from, to) = (packet.from.clone(), packet.to.clone());
        if !flags.has(Flag::Syn) || !wire.again {
            return false;
        }
        if flags.has(Flag::Ack) {
            return self.asked_again.remove(&(to, from));
        }
        if wire.fate == Fate::Arrived {
            self.asked_again.insert((from, to));
        }
        false
    }

    /// Follows the TCP states through a segment.
    fn follow(&mut self, at: usize, packet: &Packet, from: &str, to: &str) -> Changes {
        let Protocol::Tcp { flags, seq, ack, .. } = packet.protocol else {
            return Changes::default();
        };
        let wire = packet.wire.as_ref();
        let fate = wire.map_or(Fate::Arrived, |wire| wire.fate);
        let segment = Segment {
            time_ns: packet.time_ns,
            from,
            to,
            flags,
            seq,
            ack,
            length: packet.data.length,
            left_ns: wire.map_or(packet.time_ns, |wire| wire.left_ns),
            again: wire.map(|wire| wire.again),
            lost: fate != Fate::Arrived || wire.is_some_and(is_dropped),
            late: wire.is_some_and(|wire| wire.held) && fate == Fate::Arrived,
            deferred: self.causes.defers(to),
        };
        self.states.follow(segment, self.answered.contains(&at))
    }

    /// Adds an arrow for a broadcast or multicast to each side that has the port.
    fn datagram_for_many(
        &mut self,
        packet: &Packet,
        from: Option<usize>,
        to: &str,
        receivers: &[usize],
    ) {
        if from.is_none() && receivers.is_empty() {
            return;
        }
        let from = self.column_or_nobody(from);
        let mut label = format!("{} to {}", datagram_label(packet), bytes::printable(to));
        let columns: Vec<usize> = match receivers {
            [] => vec![self.column_or_nobody(None)],
            all => all.iter().map(|side| self.column_or_nobody(Some(*side))).collect(),
        };
        for to in columns {
            self.diagram.rows.push(Row::Packet(Arrow {
                from,
                to,
                label: std::mem::replace(&mut label, "the same datagram".to_owned()),
                ports: None,
                kind: PacketKind::Data,
                from_state: None,
                to_state: None,
                fate: Fate::Arrived,
            }));
        }
    }

    fn column_or_nobody(&mut self, side: Option<usize>) -> usize {
        if let Some(column) = side.and_then(|side| self.column_of.get(&side)) {
            return *column;
        }
        *self.nobody.get_or_insert_with(|| {
            self.diagram.columns.push(Column {
                name: "(no program)".to_owned(),
                file: None,
                is_nobody: true,
            });
            self.diagram.columns.len() - 1
        })
    }

    /// Adds the notes about causes below the drawing, and where the causes are explained.
    fn read_on(&mut self, notes: Vec<(Topic, String)>) {
        let of_rows = self.diagram.rows.iter().filter_map(|row| match row {
            Row::Cause { topic, .. } => Some(*topic),
            _ => None,
        });
        let of_notes = notes.iter().map(|(topic, _)| *topic);
        let read_on = topics::note(of_rows.chain(of_notes));
        self.diagram.notes.extend(notes.into_iter().map(|(_, text)| text));
        self.diagram.notes.extend(read_on);
    }

    fn finish(mut self) -> Diagram {
        if self.calls.is_empty() && !self.diagram.has_packets {
            let text = "No program made a socket call".to_owned();
            self.diagram.notes.push(text);
        }
        let columns = &self.diagram.columns;
        let name = |side: usize| {
            let column = self.column_of.get(&side).and_then(|it| columns.get(*it));
            column.map_or_else(|| "?".to_owned(), |column| column.name.clone())
        };
        let notes = self.causes.notes(name);
        let filter = &self.options.filter;
        if let Some(sieve) =
            Sieve::new(filter, self.log, &self.calls, &self.returns, &self.places)
        {
            let left_out = sieve.sift(&mut self.diagram);
            self.diagram
                .notes
                .push(format!("{left_out} rows are left out by the filter"));
        }
        self.read_on(notes);
        if self.options.fold {
            fold::fold(&mut self.diagram);
        }
        let count = self.diagram.rows.len();
        if let Some((first, last)) = self.options.window {
            let last = last.min(count);
            self.cut(last..count);
            self.cut(0..first.saturating_sub(1).min(last));
        } else {
            let limit = self.options.rows.max(2);
            if count > limit {
                self.cut(limit - limit / 2..count - limit / 2);
            }
        }
        self.diagram
    }

    /// Leaves these rows out, and says how many there were.
    fn cut(&mut self, rows: std::ops::Range<usize>) {
        let Some(last) = rows.clone().last() else { return };
        let at = self.diagram.origins[last];
        self.diagram.rows.splice(rows.clone(), [Row::Cut(rows.len())]);
        self.diagram.origins.splice(rows, [at]);
    }
}

/// Whether the receiver's kernel drops a packet that arrives, because its checksum does not
/// fit what the wire made of it.
fn is_dropped(wire: &OnWire) -> bool {
    wire.damaged && wire.rule.as_deref().is_some_and(|rule| rule.starts_with("flip "))
}

/// A duration, always of the same width: `204 ms`, ` 1.0 s`.
fn passed(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds / 1_000_000;
    // A second that the clock rounds down is still a second.
    if milliseconds < 950 {
        format!("{milliseconds:>3} ms")
    } else {
        format!("{:>4.1} s", milliseconds as f64 / 1000.0)
    }
}

/// What a counter of the kernel says about why a segment was sent.
fn cause(counter: &str) -> Option<&'static str> {
    Some(match counter {
        "TCPLossProbes" => "tail loss probe",
        "TCPFastRetrans" => "fast retransmit",
        "TCPTimeouts" | "TCPSynRetrans" => "retransmission timeout",
        "TCPSlowStartRetrans" => "all after the loss again",
        "TCPWinProbe" => "window probe",
        "TCPKeepAlive" => "keepalive",
        _ => return None,
    })
}

/// The last part of a path.
fn base(path: &str) -> String {
    bytes::printable(path.rsplit('/').next().unwrap_or(path))
}

/// What a packet carries: `16 bytes "Hello TCP Server"`; `None` if it carries nothing.
fn shown_data(packet: &Packet) -> Option<String> {
    (packet.data.length > 0).then(|| data_label(&packet.data))
}

/// Some of the bytes that a call gave.
fn piece(data: &Data, part: std::ops::Range<u64>) -> Data {
    let known = data.bytes.len();
    let place = |at: u64| usize::try_from(at).map_or(known, |at| at.min(known));
    let bytes = data.bytes.get(place(part.start)..place(part.end));
    Data {
        bytes: bytes.unwrap_or_default().to_vec(),
        length: part.end.saturating_sub(part.start),
    }
}

fn data_label(data: &Data) -> String {
    let bytes = if data.length == 1 { "byte" } else { "bytes" };
    format!("{} {bytes} {}", bytes::grouped(data.length), calls::quoted_start(data))
}

fn datagram_label(packet: &Packet) -> String {
    shown_data(packet).unwrap_or_else(|| "0 bytes".to_owned())
}

/// An ICMP error and what it is about: `ICMP port 9 unreachable`.
fn icmp_about(label: String, receiver: &str) -> String {
    match port(receiver) {
        Some(port) if label.contains(" port ") => {
            label.replace(" port ", &format!(" port {port} "))
        }
        _ => format!("{label}: {receiver}"),
    }
}

/// The label and the kind of an ICMP message's arrow.
fn icmp_arrow(packet: &Packet, kind: u8, code: u8) -> (String, PacketKind) {
    let label = icmp_label(packet.from.contains(':'), kind, code);
    match quoted_error(packet, kind) {
        Some((_, receiver)) => (icmp_about(label, &receiver), PacketKind::Error),
        None => (label, PacketKind::Control),
    }
}

/// The addresses of the packet that an ICMP error quotes.
fn quoted_error(packet: &Packet, kind: u8) -> Option<(String, String)> {
    let is_error = is_icmp_error(packet.from.contains(':'), kind);
    packet::quoted(&packet.data.bytes).filter(|_| is_error)
}

/// Whether an ICMP message quotes the packet that it is about (RFC 792, RFC 4443 §2.1).
fn is_icmp_error(v6: bool, kind: u8) -> bool {
    if v6 { kind < 128 } else { matches!(kind, 3 | 4 | 5 | 11 | 12) }
}

fn icmp_label(v6: bool, kind: u8, code: u8) -> String {
    let name = match (v6, kind, code) {
        (false, 3, 0) | (true, 1, 0) => "network unreachable",
        (false, 3, 1) | (true, 1, 3) => "host unreachable",
        (false, 3, 2) => "protocol unreachable",
        (false, 3, 3) | (true, 1, 4) => "port unreachable",
        (false, 3, 4) | (true, 2, _) => "too big",
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => "prohibited",
        (false, 11, 1) | (true, 3, 1) => "fragments missing",
        (false, 11, _) | (true, 3, _) => "time exceeded",
        (false, 8, _) | (true, 128, _) => "echo request",
        (false, 0, _) | (true, 129, _) => "echo reply",
        _ => return format!("ICMP type {kind} code {code}"),
    };
    format!("ICMP {name}")
}

/// Whether a call is the C library's own: asking `nscd`, or asking the kernel about
/// interfaces.
fn is_aside(call: &Call) -> bool {
    let has = |name: &str, value: &str| {
        call.args.iter().any(|arg| arg.name == name && arg.value.contains(value))
    };
    call.name == "connect" && has("addr", "/nscd/socket")
        || call.name == "socket" && has("domain", "AF_NETLINK")
}

/// The label and the kind of a segment's arrow.
fn tcp_label(flags: Flags, data: Option<String>) -> (String, PacketKind) {
    if flags.has(Flag::Rst) {
        return ("RST".to_owned(), PacketKind::Error);
    }
    let control = match (flags.has(Flag::Syn), flags.has(Flag::Fin), flags.has(Flag::Ack))
    {
        (true, _, true) => Some("SYN ACK"),
        (true, _, false) => Some("SYN"),
        (false, true, _) => Some("FIN"),
        _ => None,
    };
    match (control, data) {
        (Some(control), Some(data)) => (format!("{data} {control}"), PacketKind::Data),
        (Some(control), None) => (control.to_owned(), PacketKind::Control),
        (None, Some(data)) => (data, PacketKind::Data),
        (None, None) => ("ACK".to_owned(), PacketKind::Ack),
    }
}
