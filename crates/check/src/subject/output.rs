//! What a program prints, and its end, as threads of ours hear of them.

use std::io::{BufRead, Read};
use std::sync::Arc;
use std::thread;

use netlab::fence::Notice;

use super::launch::next_notice;
use super::{Exit, Shared};
use crate::timeline::{Timeline, What};

/// Waits for the keeper's word that the program ended, on a thread of its own.
pub(super) fn follow(mut notices: impl BufRead + Send + 'static, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    shared.change(|state| state.hearing += 1);
    thread::spawn(move || {
        let ended = match next_notice(&mut notices) {
            Some(Notice::Exited(status)) => Some(Exit::Status(status)),
            Some(Notice::Killed(signal)) => Some(Exit::Signal(signal)),
            // The keeper was killed: by us, and it is known why.
            _ => None,
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

fn keep(name: &'static str, bytes: &[u8], line: &mut Vec<u8>, shared: &Shared) {
    let most = shared.output_bytes;
    let mut flooded = false;
    shared.change(|state| {
        let into = if name == "stdout" { &mut state.stdout } else { &mut state.stderr };
        flooded = into.len() > most;
        if !flooded {
            into.extend_from_slice(bytes);
        }
    });
    for byte in bytes {
        if *byte == b'\n' {
            if !flooded {
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
