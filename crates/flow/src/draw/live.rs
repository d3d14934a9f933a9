//! Drawing while the run goes on: `flow --live`.
//!
//! What a row looks like may depend on what comes later: whether a call waits is known
//! only when it is over, and that there are several connections only when the second one
//! begins. So what is drawn meanwhile is a draft, made of what is known so far. At the
//! end it is compared with the whole drawing, and if they differ, the whole drawing is
//! shown once more.

use std::collections::HashMap;

use super::calls::{Anchor, place};
use super::text::TextDrawing;
use super::{Diagram, Options};
use crate::event::{Event, Flag, Header, Log, Protocol, Side, Socket};

/// The most events that are drawn as they come: all of them are redrawn each time.
const EVENTS: usize = 5_000;

/// A call that has not returned after this time is taken for one that waits.
const WAITS_NS: u64 = 20_000_000;

/// A drawing that grows.
#[derive(Debug)]
pub struct Live {
    options: Options,
    log: Log,
    /// How many of the events only say which programs there will be.
    planned: usize,
    /// The positions of the calls that have not returned.
    pending: HashMap<u64, usize>,
    /// The head above the rows that were drawn last.
    head: String,
    /// The rows drawn so far are those of the events before this position.
    drawn_to: usize,
    /// All rows that were drawn.
    draft: String,
    is_full: bool,
}

impl Live {
    /// Creates a drawing without any events. The programs to come are known, each with
    /// its name and, on a wire, its host, so they have their columns from the beginning.
    pub fn new(
        header: Header,
        options: Options,
        sides: &[(String, Option<&str>)],
    ) -> Live {
        let options = Options { rows: usize::MAX, window: None, fold: false, ..options };
        let side = |(number, (name, host)): (usize, &(String, Option<&str>))| {
            Event::Side(Side {
                time_ns: 0,
                side: number,
                name: name.clone(),
                command: Vec::new(),
                host: host.map(ToOwned::to_owned),
            })
        };
        let events: Vec<Event> = sides.iter().enumerate().map(side).collect();
        Live {
            options,
            planned: events.len(),
            log: Log { header, events },
            pending: HashMap::new(),
            head: String::new(),
            drawn_to: 0,
            draft: String::new(),
            is_full: false,
        }
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        if self.log.events.len() >= self.planned + EVENTS {
            return;
        }
        match &event {
            Event::Call(call) => {
                self.pending.insert(call.id, self.log.events.len());
            }
            Event::Return(returned) => {
                self.pending.remove(&returned.id);
            }
            _ => {}
        }
        let connecting = self.connecting(&event);
        self.log.events.push(event);
        self.log.events.extend(connecting.map(Event::Socket));
    }

    /// The socket that a SYN comes from; the log gets its address only when `connect`
    /// returns.
    fn connecting(&self, event: &Event) -> Option<Socket> {
        let Event::Packet(packet) = event else { return None };
        let is_it = |at: &&usize| match &self.log.events[**at] {
            Event::Call(call) => {
                let to = call.args.iter().find(|it| it.name == "addr");
                call.name == "connect" && to.is_some_and(|it| it.value == packet.to)
            }
            _ => false,
        };
        let at = self.pending.values().find(is_it).filter(|_| is_syn(event))?;
        let Event::Call(call) = &self.log.events[*at] else { return None };
        Some(Socket {
            time_ns: packet.time_ns,
            side: call.side,
            inode: call.socket?,
            family: "AF_INET".to_owned(),
            kind: "SOCK_STREAM".to_owned(),
            local: Some(packet.from.clone()),
            peer: Some(packet.to.clone()),
        })
    }

    /// The lines that are new since the last time. `at_rest` says that nothing has
    /// happened for a while; the last call is then drawn as one that waits.
    pub fn more(&mut self, at_rest: bool) -> String {
        let end = if at_rest { self.log.events.len() } else { self.settled() };
        if end <= self.drawn_to {
            return self.end_of_draft();
        }
        let diagram = Diagram::new(&self.log, &self.options);
        // A note may come before the first program.
        if diagram.columns.is_empty() {
            return self.end_of_draft();
        }
        let (head, rows) = TextDrawing::of(&diagram, &self.options, &self.log).rows();
        let mut new = String::new();
        for (origin, lines) in rows {
            if origin >= self.drawn_to && origin < end {
                new.push_str(&lines);
            }
        }
        self.drawn_to = end;
        self.draft.push_str(&new);
        // The name of a source file is known only once its program has made a call.
        if !new.is_empty() && head != self.head {
            new.insert_str(0, &head);
            self.head = head;
        }
        new + &self.end_of_draft()
    }

    /// Says, once, that the run is too long to be drawn as it goes on.
    fn end_of_draft(&mut self) -> String {
        if self.is_full || self.log.events.len() < self.planned + EVENTS {
            return String::new();
        }
        self.is_full = true;
        format!("⋯ more than {EVENTS} events: the rest comes at the end ⋯\n")
    }

    /// The position of the first event whose row may still change: a call that has not
    /// returned, or a SYN that nothing has answered yet. A call that takes something from
    /// the kernel is taken for one that waits once it has not returned for a while.
    fn settled(&self) -> usize {
        let events = &self.log.events;
        let now_ns = events.last().map_or(0, Event::time_ns);
        let is_open = |at: usize| match &events[at] {
            Event::Call(call) if place(&call.name) != Anchor::Entry => {
                now_ns.saturating_sub(call.time_ns) < WAITS_NS
            }
            _ => true,
        };
        let call = self.pending.values().copied().filter(|at| is_open(*at)).min();
        let packet = events.iter().rposition(|it| matches!(it, Event::Packet(_)));
        let syn = packet.filter(|at| is_syn(&events[*at]));
        call.into_iter().chain(syn).min().unwrap_or(events.len())
    }

    /// What to write at the end, if this is the whole drawing: what is missing below the
    /// rows already drawn, or all of it once more.
    pub fn finish(self, whole: &str) -> String {
        if self.draft.is_empty() {
            return whole.to_owned();
        }
        let rows = whole.split_once('\n').map_or("", |(_, rows)| rows);
        match rows.strip_prefix(self.draft.as_str()) {
            Some(rest) => rest.to_owned(),
            None => format!("\nThe whole run:\n{whole}"),
        }
    }
}

/// Whether this packet asks for a connection.
fn is_syn(event: &Event) -> bool {
    let Event::Packet(packet) = event else { return false };
    match &packet.protocol {
        Protocol::Tcp { flags, .. } => flags.has(Flag::Syn) && !flags.has(Flag::Ack),
        _ => false,
    }
}
