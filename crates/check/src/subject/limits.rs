//! What a program may use during one check, and the thread that ends one that uses more.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::fence;
use netlab::process;

use super::{Subject, proc};

/// What a program under test may use during one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// For each process, from the kernel.
    pub each: fence::ProcessLimits,
    /// Bytes in memory of all its processes together (the proportional set size), and in
    /// files in memory that they hold.
    pub resident_bytes: u64,
    /// Bytes that it may print, on each of its two streams.
    pub output_bytes: usize,
    /// How long it may run. The time in which it waits for a processor does not count.
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
            output_bytes: 64 << 20,
            time: Duration::from_secs(20),
        }
    }
}

/// How often a program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Every so many looks the costly questions are asked too.
const RARELY: u32 = 5;

impl Subject {
    /// Stops it when it uses more than the kernel's limits hold, on a thread of its own.
    pub(super) fn watch(&self, allowance: Allowance) {
        let shared = Arc::clone(&self.shared);
        let (keeper, run) = (self.keeper, Arc::clone(&self.run));
        let clock = Clock::start();
        thread::spawn(move || {
            for look in 0_u32.. {
                let state = shared.lock();
                let wait = shared.changed.wait_timeout_while(state, LOOK, |s| !s.over);
                let state = wait.unwrap_or_else(PoisonError::into_inner).0;
                if state.over {
                    return;
                }
                let printed = state.printed.into_iter().max().unwrap_or_default();
                drop(state);
                let family = process::family(keeper);
                let why = if run.is_cancelled() {
                    Some("the run is over".to_owned())
                } else if printed > allowance.output_bytes {
                    let kibibytes = allowance.output_bytes >> 10;
                    Some(format!("it printed more than {kibibytes} KiB (--output)"))
                } else {
                    let rarely = look % RARELY == 0;
                    too_long(&clock, &family[1..], allowance)
                        .or_else(|| too_much(&family[1..], allowance, rarely))
                };
                if let Some(why) = why {
                    shared.limit(why);
                    // The process that holds the namespace dies, and with it all in it.
                    process::kill(keeper);
                    return;
                }
            }
        });
    }
}

/// Measures how long a program has run. The time in which it, or the checker that talks to
/// it, waited for a processor does not count.
struct Clock {
    began: Instant,
    /// The thread of the checker that makes the check, and how long it had waited by then.
    checker: Option<(PathBuf, Duration)>,
}

impl Clock {
    /// Of a check that this thread makes.
    fn start() -> Clock {
        let checker = fs::read_link("/proc/thread-self").ok().map(|thread| {
            let thread = Path::new("/proc").join(thread);
            let waited = proc::thread_waited_for_processor(&thread);
            (thread, waited)
        });
        Clock { began: Instant::now(), checker }
    }

    fn is_over(&self, time: Duration, family: &[u32]) -> bool {
        let elapsed = self.began.elapsed();
        // The kernel is asked only when it matters.
        elapsed > time && {
            let checker = self.checker.as_ref().map(|(thread, before)| {
                proc::thread_waited_for_processor(thread).saturating_sub(*before)
            });
            let waited = proc::waited_for_processor(family) + checker.unwrap_or_default();
            elapsed - waited.min(elapsed).min(10 * time) > time
        }
    }
}

/// Whether it has had its time, or one of its processes its time on a processor.
fn too_long(clock: &Clock, family: &[u32], allowance: Allowance) -> Option<String> {
    let cpu_s = allowance.each.cpu_s;
    let most = Duration::from_secs(cpu_s);
    if family.iter().any(|pid| proc::processor_time(*pid) >= most) {
        return Some(limit_of_processor_time(cpu_s));
    }
    let time = allowance.time;
    clock
        .is_over(time, family)
        .then(|| format!("it still ran after {} s (--time)", time.as_secs()))
}

/// The words for a process that the kernel, or the checker, ended for its processor time.
pub(super) fn limit_of_processor_time(cpu_s: u64) -> String {
    format!("a process used {cpu_s} s of processor time")
}

fn too_much(family: &[u32], allowance: Allowance, rarely: bool) -> Option<String> {
    let threads: usize = family.iter().map(|pid| process::threads(*pid)).sum();
    let most = allowance.each.processes;
    if threads as u64 > most {
        return Some(format!("it made more than {most} processes (--processes)"));
    }
    let resident: u64 = family.iter().map(|pid| process::resident_bytes(*pid)).sum();
    let most = allowance.resident_bytes;
    // Pages that processes share are counted again and again in the quick sum.
    let used = if resident > most { proc::memory_bytes(family) } else { 0 };
    let files = if rarely { proc::memfd_bytes(family) } else { 0 };
    (used + files > most)
        .then(|| format!("it used more than {} MiB (--memory)", most >> 20))
}
