//! What a program prints, and its end, as threads of ours hear of them.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::thread;

use netlab::fence::Notice;

use super::launch::next_notice;
use super::limits::{Allowance, limit_of_processor_time};
use super::{Exit, Shared, State};
use crate::timeline::{Timeline, What};

/// Waits for the keeper's word that the program ended, on a thread of its own.
pub(super) fn follow(mut notices: impl BufRead + Send + 'static, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    shared.change(|state| state.hearing += 1);
    thread::spawn(move || {
        let ended = match next_notice(&mut notices) {
            Some(Notice::Exited(status)) => Some(Exit::Status(status)),
            Some(Notice::Killed(signal)) => {
                if let Some(why) = limit(signal, &shared.allowance) {
                    shared.limit(why);
                }
                Some(Exit::Signal(signal))
            }
            // The keeper was killed. If not by us, then by what it keeps.
            _ => {
                let state = shared.lock();
                let by_us = state.dismissed || state.stopped.is_some();
                drop(state);
                if !by_us {
                    shared.limit("it ended the process that watches it".to_owned());
                }
                None
            }
        };
        if let Some(ended) = ended {
            shared.timeline.does("program", format!("ends: {ended}"));
        }
        shared.change(|state| {
            state.ended = ended;
            state.told = true;
            state.hearing -= 1;
        });
    });
}

/// Reads one of its output streams to the end, on a thread of its own.
pub(super) fn listen(
    name: &'static str,
    stream: Option<impl Read + Send + 'static>,
    shared: &Arc<Shared>,
) {
    let shared = Arc::clone(shared);
    shared.change(|state| state.hearing += 1);
    thread::spawn(move || {
        let mut line = Vec::new();
        let mut buffer = [0; 16 * 1024];
        if let Some(mut stream) = stream {
            loop {
                let length = match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                        continue;
                    }
                    Err(_) => break,
                };
                keep(name, &buffer[..length], &mut line, &shared);
            }
        }
        if !line.is_empty() {
            print(name, &line, &shared.timeline);
        }
        shared.change(|state| state.hearing -= 1);
    });
}

/// The limit of the kernel's that this signal tells of.
fn limit(signal: i32, allowance: &Allowance) -> Option<String> {
    const SIGXCPU: i32 = 24;
    const SIGXFSZ: i32 = 25;
    match signal {
        SIGXCPU => Some(limit_of_processor_time(allowance.each.cpu_s)),
        SIGXFSZ => {
            let mebibytes = allowance.each.file_bytes >> 20;
            Some(format!("it wrote a file of more than {mebibytes} MiB"))
        }
        _ => None,
    }
}

/// Bytes of each stream that are kept.
const KEPT: usize = 1 << 20;
/// Bytes of the end of standard error that are kept.
const KEPT_END: usize = 16 << 10;

fn keep(name: &'static str, bytes: &[u8], line: &mut Vec<u8>, shared: &Shared) {
    let mut kept = true;
    shared.change(|state| {
        let State { stdout, stderr, printed, .. } = state;
        let is_stdout = name == "stdout";
        let (into, printed) = match is_stdout {
            true => (stdout, &mut printed[0]),
            false => (stderr, &mut printed[1]),
        };
        *printed += bytes.len();
        kept = into.len() < KEPT;
        if kept {
            into.extend_from_slice(bytes);
        } else if !is_stdout {
            // The end of it says why a program ends: the room behind the beginning is for it.
            into.extend_from_slice(bytes);
            if into.len() > KEPT + 2 * KEPT_END {
                let end = into.len() - KEPT_END;
                into.drain(KEPT..end);
            }
        }
    });
    for byte in bytes {
        if *byte == b'\n' {
            if kept {
                print(name, line, &shared.timeline);
            }
            line.clear();
        } else if line.len() < 1000 {
            line.push(*byte);
        }
    }
}

fn print(stream: &'static str, line: &[u8], timeline: &Timeline) {
    let text = common::Escaped(line).to_string();
    timeline.add("program", What::Prints { stream, text });
}
