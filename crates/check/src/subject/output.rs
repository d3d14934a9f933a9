//! The threads that read a program's output and wait for its end.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::thread;

use netlab::fence::Notice;

use super::launch::next_notice;
use super::limits::{Allowance, limit_of_processor_time};
use super::{Exit, Shared, State};
use crate::timeline::{Timeline, What};

/// Starts a thread that waits for the keeper's notice that the program has ended.
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
            // The keeper was killed: if not by us, then by the program in its keeping.
            _ => {
                let state = shared.lock();
                let by_us = state.dismissed || state.stopped.is_some();
                drop(state);
                if !by_us {
                    shared.limit("it ended the process that supervises it".to_owned());
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

/// Starts a thread that reads one of the program's output streams to its end.
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

/// Returns the limit whose violation the kernel reports with this signal, if any.
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

/// Number of bytes kept of each stream.
const KEPT: usize = 1 << 20;
/// Number of bytes kept of the end of standard error.
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
            // The last bytes often say why a program ended, so keep those after the first ones.
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
