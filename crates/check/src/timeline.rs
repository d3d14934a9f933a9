//! The timeline of a check: what the checker's side sent and received, and what the program
//! printed, in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// How many bytes of a message are kept, to be shown.
const KEPT_BYTES: usize = 128;
/// How many entries are kept: a program that chatters must not fill the memory.
const KEPT_ENTRIES: usize = 2000;

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Microseconds since the check began.
    pub at_us: u64,
    /// Who acted: `client 1`, `server`, `program`.
    pub who: String,
    /// What they did.
    #[serde(flatten)]
    pub what: What,
}

/// What one side did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// Something without bytes, such as connecting or getting the end of the stream.
    Does {
        /// The action, in words.
        text: String,
    },
    /// It sends bytes.
    Sends(Bytes),
    /// It receives bytes.
    Gets(Bytes),
    /// The program prints a line, on `stdout` or `stderr`.
    Prints {
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// The line, escaped.
        text: String,
    },
}

/// Bytes that were sent or received: the first of them, and how many there were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// The first bytes, as [`common::Escaped`] shows them.
    pub text: String,
    /// The total number of bytes.
    pub length: usize,
    /// The number of calls, on the checker's side, that it took.
    pub pieces: usize,
}

impl Bytes {
    /// Keeps as much of `bytes` as a report shows.
    pub fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(KEPT_BYTES)];
        Bytes { text: common::Escaped(head).to_string(), length: bytes.len(), pieces: 1 }
    }
}

/// The timeline of a check. Clones share the same entries.
#[derive(Debug, Clone)]
pub struct Timeline {
    began: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
    drawings: Arc<Mutex<Vec<String>>>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline {
            began: Instant::now(),
            entries: Arc::default(),
            drawings: Arc::default(),
        }
    }
}

impl Timeline {
    /// Adds what happened just now.
    pub fn add(&self, who: &str, what: What) {
        let at_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut entries = self.lock();
        // Many small sends or receives in a row become one entry.
        if let Some(last) = entries.last_mut()
            && last.who == who
            && last.what.absorb(&what)
        {
            return;
        }
        if entries.len() < KEPT_ENTRIES {
            entries.push(Entry { at_us, who: who.to_owned(), what });
        }
    }

    /// Adds something without bytes.
    pub fn does(&self, who: &str, text: impl Into<String>) {
        self.add(who, What::Does { text: text.into() });
    }

    /// Adds something that happened some time ago, in its place on the timeline.
    pub fn did(&self, who: &str, ago: Duration, text: impl Into<String>) {
        self.insert(who, self.began.elapsed().saturating_sub(ago), text.into());
    }

    fn insert(&self, who: &str, at: Duration, text: String) {
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let mut entries = self.lock();
        if entries.len() < KEPT_ENTRIES {
            let place = entries.partition_point(|it| it.at_us <= at_us);
            let what = What::Does { text };
            entries.insert(place, Entry { at_us, who: who.to_owned(), what });
        }
    }

    /// Adds the drawing of a program's whole conversation.
    pub fn draw(&self, drawing: String) {
        self.drawings.lock().unwrap_or_else(PoisonError::into_inner).push(drawing);
    }

    /// Returns the drawings so far, one for each program that was drawn.
    pub fn drawings(&self) -> Vec<String> {
        self.drawings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns all entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl What {
    /// Merges `next` into this one and returns true, if both are sends or both are receives,
    /// and `next` is a single byte or this one has more bytes than are shown anyway.
    fn absorb(&mut self, next: &What) -> bool {
        let (mine, more) = match (self, next) {
            (What::Sends(mine), What::Sends(more)) => (mine, more),
            (What::Gets(mine), What::Gets(more)) => (mine, more),
            _ => return false,
        };
        if mine.length < KEPT_BYTES && more.length > 1 {
            return false;
        }
        if mine.length < KEPT_BYTES {
            mine.text.push_str(&more.text);
        }
        mine.length += more.length;
        mine.pieces += more.pieces;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bytes_one_after_another_are_one_line() {
        let line = Timeline::default();
        for byte in [b"H", b"i"] {
            line.add("client 1", What::Sends(Bytes::of(byte)));
        }
        line.add("client 1", What::Gets(Bytes::of(b"Hi")));
        let entries = line.entries();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            entries[0].what,
            What::Sends(Bytes { text: "Hi".into(), length: 2, pieces: 2 })
        );
    }

    #[test]
    fn what_is_told_late_stands_where_it_happened() {
        let line = Timeline::default();
        for (who, at_ms) in [("client 1", 10), ("client 2", 30), ("wire", 20)] {
            line.insert(who, Duration::from_millis(at_ms), "does something".into());
        }
        let who: Vec<String> = line.entries().into_iter().map(|it| it.who).collect();
        assert_eq!(who, ["client 1", "wire", "client 2"]);
    }

    #[test]
    fn a_flood_of_entries_is_cut() {
        let line = Timeline::default();
        for number in 0..3 * KEPT_ENTRIES {
            line.does("client 1", number.to_string());
        }
        assert_eq!(line.entries().len(), KEPT_ENTRIES);
    }
}
