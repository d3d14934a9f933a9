//! Who gets what is written into a FIFO: whoever reads next. No call says which of several
//! readers that is, but what their reads return does: the bytes come out in the order in which
//! they went in.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use crate::event::{Call, Event, Return};

/// A part of what a call sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The side that receives it.
    pub(super) side: usize,
    /// Which bytes; `None` for all.
    pub(super) bytes: Option<Range<u64>>,
}

/// The FIFOs of a log.
#[derive(Debug, Default)]
pub(super) struct Fifos {
    /// The sides that read from each.
    readers: HashMap<u64, BTreeSet<usize>>,
    /// What has been taken of what each call wrote.
    taken: HashMap<u64, Vec<Part>>,
}

/// What a FIFO holds.
#[derive(Debug, Default)]
struct Contents<'a> {
    written: VecDeque<Written<'a>>,
    /// Bytes have come or gone in a way that the log does not show.
    unknown: bool,
}

/// What a call has written, and nobody has read yet.
#[derive(Debug)]
struct Written<'a> {
    call: &'a Call,
    left: Range<u64>,
}

impl Fifos {
    pub(super) fn new(events: &[Event]) -> Fifos {
        let mut fifos = Fifos::default();
        for event in events {
            if let Event::Socket(socket) = event
                && socket.family == "FIFO"
            {
                fifos.readers.entry(socket.inode).or_default();
            }
        }
        if !fifos.readers.is_empty() {
            fifos.follow(events);
        }
        fifos
    }

    fn follow(&mut self, events: &[Event]) {
        let mut contents: HashMap<u64, Contents<'_>> = HashMap::new();
        let mut calls: HashMap<u64, &Call> = HashMap::new();
        let returns: HashMap<u64, &Return> = events
            .iter()
            .filter_map(|event| match event {
                Event::Return(returned) => Some((returned.id, returned)),
                _ => None,
            })
            .collect();
        for event in events {
            match event {
                Event::Call(call) => {
                    let Some(inode) = call.socket else { continue };
                    let Some(readers) = self.readers.get_mut(&inode) else { continue };
                    calls.insert(call.id, call);
                    if is_read(call) {
                        readers.insert(call.side);
                        continue;
                    }
                    let held = contents.entry(inode).or_default();
                    held.unknown |= matches!(call.name.as_str(), "splice" | "sendfile");
                    if let Some(data) = &call.data {
                        let value = returns.get(&call.id).map(|it| it.value.unwrap_or(0));
                        let value = value.map(|it| u64::try_from(it).unwrap_or(0));
                        let left = 0..value.unwrap_or(data.length);
                        held.written.push_back(Written { call, left });
                    }
                }
                Event::Return(returned) => {
                    let Some(call) = calls.get(&returned.id) else { continue };
                    if let Some(inode) = call.socket.filter(|_| is_read(call)) {
                        let held = contents.entry(inode).or_default();
                        self.read(held, call.side, returned);
                    }
                }
                _ => {}
            }
        }
    }

    /// A side has read something.
    fn read(&mut self, held: &mut Contents<'_>, side: usize, returned: &Return) {
        let length = returned.value.map_or(0, |it| u64::try_from(it).unwrap_or(0));
        let mut read = 0;
        while read < length && !held.unknown {
            let Some(written) = held.written.front_mut() else {
                held.unknown = true;
                return;
            };
            let bytes = written.left.start
                ..written.left.end.min(written.left.start.saturating_add(length - read));
            if !is_same(written.call, &bytes, returned, read) {
                held.unknown = true;
                return;
            }
            read += bytes.end - bytes.start;
            written.left.start = bytes.end;
            let is_empty = written.left.is_empty();
            if !bytes.is_empty() {
                let parts = self.taken.entry(written.call.id).or_default();
                match parts.last_mut() {
                    Some(Part { side: last, bytes: Some(all) }) if *last == side => {
                        all.end = bytes.end;
                    }
                    _ => parts.push(Part { side, bytes: Some(bytes) }),
                }
            }
            if is_empty {
                held.written.pop_front();
            }
        }
    }

    /// The sides that get what a call writes, other than the caller's own; `None` if this is no
    /// FIFO.
    pub(super) fn receivers(&self, call: &Call) -> Option<Vec<Part>> {
        let readers = self.readers.get(&call.socket?)?;
        let others = || readers.iter().filter(|side| **side != call.side);
        // If there is but one, it is for that one, who may not have read it yet.
        let to = match (others().count(), self.taken.get(&call.id)) {
            _ if call.data.is_none() => Vec::new(),
            (1, _) => others().map(|side| Part { side: *side, bytes: None }).collect(),
            (_, Some(taken)) => {
                taken.iter().filter(|it| it.side != call.side).cloned().collect()
            }
            _ => Vec::new(),
        };
        Some(to)
    }
}

fn is_read(call: &Call) -> bool {
    matches!(call.name.as_str(), "read" | "readv" | "preadv2")
}

/// Whether a call has read, from this place on, what these bytes of a call that wrote are, as
/// far as the log has both.
fn is_same(wrote: &Call, bytes: &Range<u64>, returned: &Return, from: u64) -> bool {
    let (Some(written), Some(read)) = (&wrote.data, &returned.data) else { return true };
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let length = place(bytes.end - bytes.start);
    let written = written.bytes.get(place(bytes.start)..).unwrap_or_default();
    let read = read.bytes.get(place(from)..).unwrap_or_default();
    written.iter().zip(read).take(length).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    /// A log of calls on one FIFO: who makes them, their names, what they move.
    fn log(calls: &[(usize, &str, &str)]) -> Vec<Event> {
        let mut text = "{\"flow\":2}\n".to_owned();
        text += "{\"event\":\"socket\",\"time_ns\":0,\"side\":0,\"inode\":7,\
                 \"family\":\"FIFO\",\"kind\":\"FIFO\"}\n";
        for (id, (side, name, bytes)) in calls.iter().enumerate() {
            let length = bytes.len();
            let data = format!(",\"data\":{{\"bytes\":\"{bytes}\",\"length\":{length}}}");
            let (given, got) =
                if *name == "write" { (data.as_str(), "") } else { ("", data.as_str()) };
            text += &format!(
                "{{\"event\":\"call\",\"time_ns\":0,\"id\":{id},\"side\":{side},\"pid\":1,\
                 \"tid\":1,\"name\":\"{name}\",\"args\":[],\"socket\":7{given}}}\n\
                 {{\"event\":\"return\",\"time_ns\":0,\"id\":{id},\"value\":{length}{got}}}\n"
            );
        }
        json::read(&mut text.as_bytes()).expect("a log").events
    }

    /// Who gets what each write writes.
    fn parts(calls: &[(usize, &str, &str)]) -> Vec<Vec<(usize, Option<Range<u64>>)>> {
        let events = log(calls);
        let fifos = Fifos::new(&events);
        let of = |event: &Event| match event {
            Event::Call(call) if call.name == "write" => {
                let parts = fifos.receivers(call)?;
                Some(parts.into_iter().map(|it| (it.side, it.bytes)).collect())
            }
            _ => None,
        };
        events.iter().filter_map(of).collect()
    }

    #[test]
    fn each_reader_gets_what_its_reads_returned() {
        let found = parts(&[
            (0, "write", "first"),
            (0, "write", "second"),
            (1, "read", "fir"),
            (2, "read", "stsec"),
            (1, "read", "on"),
            (1, "read", "d"),
        ]);
        assert_eq!(
            found,
            [
                vec![(1, Some(0..3)), (2, Some(3..5))],
                vec![(2, Some(0..3)), (1, Some(3..6))],
            ]
        );
    }

    #[test]
    fn what_nobody_has_read_goes_to_the_only_reader() {
        let found = parts(&[(0, "write", "a"), (1, "read", "a"), (0, "write", "b")]);
        assert_eq!(found, [vec![(1, None)], vec![(1, None)]]);
        let read = [(1, "read", "a"), (2, "read", "")];
        let all = [&[(0, "write", "a")], &read[..], &[(0, "write", "b")]].concat();
        assert_eq!(parts(&all), [vec![(1, Some(0..1))], vec![]]);
    }

    #[test]
    fn what_does_not_fit_together_is_not_told() {
        // Somebody else has written, or the order is another one.
        let found = parts(&[(0, "write", "one"), (1, "read", "two"), (2, "read", "one")]);
        assert_eq!(found, [vec![]]);
        let found = parts(&[
            (0, "write", "one"),
            (0, "splice", ""),
            (1, "read", "one"),
            (2, "read", ""),
        ]);
        assert_eq!(found, [vec![]]);
    }
}
