//! Keeps a log in memory without growing with the run.

use std::collections::VecDeque;

use crate::event::{Event, Header, Log, Note};

/// The first and the last events of a run; those in between are only counted.
#[derive(Debug)]
pub struct Keep {
    header: Header,
    first: Vec<Event>,
    last: VecDeque<Event>,
    limit: usize,
    left_out: u64,
}

impl Keep {
    /// Keeps `limit` events from the beginning and as many from the end.
    pub fn new(header: Header, limit: usize) -> Keep {
        let (first, last) = (Vec::new(), VecDeque::new());
        Keep { header, first, last, limit: limit.max(1), left_out: 0 }
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        // All other events refer to the sides, and to which addresses are whose.
        if self.first.len() < self.limit || matches!(event, Event::Side(_)) {
            self.first.push(event);
            return;
        }
        if self.last.len() >= self.limit {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(event);
    }

    /// The log of what was kept, with a note about what was not.
    pub fn into_log(self) -> Log {
        let mut log = Log { header: self.header, events: self.first };
        let time_ns = log.events.last().map_or(0, Event::time_ns);
        if self.left_out > 0 {
            let text = format!(
                "{} events in the middle are left out; --format json writes them all",
                self.left_out
            );
            log.events.push(Event::Note(Note { time_ns, text }));
        }
        log.events.extend(self.last);
        log
    }
}
