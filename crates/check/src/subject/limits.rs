//! What a program may use during one check, and the thread that ends one that uses more.

use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::fence;
use netlab::process;

use super::Subject;

/// What a program under test may use during one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// For each process, from the kernel.
    pub each: fence::ProcessLimits,
    /// Bytes in memory of all its processes together.
    pub resident_bytes: u64,
    /// Bytes that it may print.
    pub output_bytes: usize,
    /// How long it may run.
    pub time: Duration,
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance {
            each: fence::ProcessLimits {
                memory_bytes: 1 << 30,
                cpu_s: 10,
                open_files: 256,
                processes: 512,
                file_bytes: 64 << 20,
            },
            resident_bytes: 1 << 30,
            output_bytes: 1 << 20,
            time: Duration::from_secs(20),
        }
    }
}

impl Subject {
    /// Stops it where it uses more than the kernel's limits hold, on a thread of its own.
    pub(super) fn watch(&self, limits: Allowance) {
        /// How often it is looked at.
        const LOOK: Duration = Duration::from_millis(20);
        let shared = Arc::clone(&self.shared);
        let keeper = self.keeper;
        thread::spawn(move || {
            let until = Instant::now() + limits.time;
            loop {
                let state = shared.lock();
                let wait = shared.changed.wait_timeout_while(state, LOOK, |s| !s.over);
                let state = wait.unwrap_or_else(PoisonError::into_inner).0;
                if state.over {
                    return;
                }
                let printed = state.stdout.len() + state.stderr.len();
                drop(state);
                let why = if printed > limits.output_bytes {
                    Some(format!("it printed more than {} bytes", limits.output_bytes))
                } else if Instant::now() > until {
                    Some(format!("it still ran after {} s", limits.time.as_secs()))
                } else {
                    too_much(keeper, limits)
                };
                if let Some(why) = why {
                    // The process that holds the namespace dies, and with it all in it.
                    shared.change(|state| state.stopped = Some(why));
                    process::kill(keeper);
                    return;
                }
            }
        });
    }
}

fn too_much(keeper: u32, limits: Allowance) -> Option<String> {
    let family = process::family(keeper);
    let threads: usize = family.iter().skip(1).map(|pid| process::threads(*pid)).sum();
    if threads as u64 > limits.each.processes {
        return Some(format!("it made more than {} processes", limits.each.processes));
    }
    let bytes: u64 = family.iter().skip(1).map(|pid| process::resident_bytes(*pid)).sum();
    let mebibytes = limits.resident_bytes >> 20;
    (bytes > limits.resident_bytes).then(|| format!("it used more than {mebibytes} MiB"))
}
