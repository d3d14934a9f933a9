//! The event log as text: JSON Lines, one object per line, the header first. `FORMAT.md`
//! describes it for readers in other languages.
//!
//! ```text
//! {"flow":1,"system":"Linux 6.18.0 x86_64","in_turn":true,"began_ns":1764000000000000000}
//! {"event":"side","time_ns":0,"side":0,"name":"tcp-server","command":["tcp-server"]}
//! {"event":"call","time_ns":911000,"id":1,"side":0,"pid":7,"tid":7,"name":"listen", …}
//! {"event":"return","time_ns":912000,"id":1,"value":0}
//! ```
//!
//! The fields of each event are those of its type in [`crate::event`]. Bytes are text
//! with everything but printable ASCII escaped (`\n`, `\"`, `\\`, `\x1b`), which JSON
//! then escapes once more. A reader skips fields that it does not know, and refuses a log
//! whose `flow` is greater than the version that it was written for.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use crate::bytes::printable;
use crate::event::{Event, Header, Log, Note, VERSION};

/// Writes a whole log.
///
/// # Errors
/// Those of the writer.
pub fn write(to: &mut dyn Write, log: &Log) -> io::Result<()> {
    write_header(to, &log.header)?;
    log.events.iter().try_for_each(|event| write_event(to, event))
}

/// Writes the first line of a log.
///
/// # Errors
/// Those of the writer.
pub fn write_header(to: &mut dyn Write, header: &Header) -> io::Result<()> {
    write_line(to, header)
}

/// Writes one event as a line.
///
/// # Errors
/// Those of the writer.
pub fn write_event(to: &mut dyn Write, event: &Event) -> io::Result<()> {
    write_line(to, event)
}

/// Writes a value as a line of JSON. What a terminal would obey or nobody would see can only
/// stand in a string, where it is written as `\u202e`: a log is read on terminals too.
fn write_line(to: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    if !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let mut units = [0; 2];
        let shown = |letter: char| match common::is_hidden(letter) {
            false => letter.to_string(),
            true => {
                let units = letter.encode_utf16(&mut units).iter();
                units.map(|unit| format!("\\u{unit:04x}")).collect()
            }
        };
        line = line.chars().map(shown).collect();
    }
    line.push('\n');
    to.write_all(line.as_bytes())
}

/// Why a log could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The reader failed.
    Io(io::Error),
    /// A line does not have the form of the log; lines count from 1.
    Line(usize, String),
    /// The log has a later version than this library supports.
    Version(u32),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => write!(f, "{error}"),
            // The reason quotes the log, which may contain anything.
            ReadError::Line(line, reason) => {
                write!(f, "line {line}: {}", printable(reason))
            }
            ReadError::Version(found) => write!(
                f,
                "it has version {found}, this program knows up to {VERSION}; use a newer one"
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// The longest line that is read: a device like `/dev/zero` has no end.
const LONGEST_LINE_BYTES: u64 = 64 << 20;

/// Reads a whole log. It may come from a stranger: no input makes this panic.
///
/// # Errors
/// Says which line is wrong, and how.
pub fn read(from: &mut dyn BufRead) -> Result<Log, ReadError> {
    let mut events = Vec::new();
    let header = read_each(from, |event| events.push(event))?;
    Ok(Log { header, events })
}

/// Reads a log like [`read`], and gives each event away, so that a long log takes no more memory
/// than a short one.
///
/// # Errors
/// Says which line is wrong, and how.
pub fn read_each(
    from: &mut dyn BufRead,
    mut each: impl FnMut(Event),
) -> Result<Header, ReadError> {
    let mut header = Header::default();
    let mut time_ns = 0;
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let mut most = (&mut *from).take(LONGEST_LINE_BYTES);
        let read = most.read_until(b'\n', &mut line).map_err(ReadError::Io)?;
        if read == 0 {
            break;
        }
        number += 1;
        if read as u64 == LONGEST_LINE_BYTES && line.last() != Some(&b'\n') {
            let why = format!("it has more than {} MiB", LONGEST_LINE_BYTES >> 20);
            return Err(ReadError::Line(number, why));
        }
        let is_cut = line.last() != Some(&b'\n');
        let wrong = |error: serde_json::Error| {
            ReadError::Line(number, format!("not an event of this log ({error})"))
        };
        if number == 1 {
            header = serde_json::from_slice(&line).map_err(|error| {
                ReadError::Line(1, format!("not the first line of a flow log ({error})"))
            })?;
            if header.flow > VERSION {
                return Err(ReadError::Version(header.flow));
            }
        } else if !line.trim_ascii().is_empty() {
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) => {
                    time_ns = event.time_ns();
                    each(event);
                }
                // Its writer was killed in the middle; what it wrote before that is
                // complete.
                Err(_) if is_cut => {
                    let text =
                        format!("The log breaks off in the middle of line {number}");
                    each(Event::Note(Note { time_ns, text }));
                }
                Err(error) => return Err(wrong(error)),
            }
        }
    }
    if number == 0 {
        return Err(ReadError::Line(1, "the log is empty".to_owned()));
    }
    Ok(header)
}
