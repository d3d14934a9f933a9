//! Limits on what a program may use during one check, and the thread that enforces them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::fence;
use netlab::process;

use super::{Subject, proc};

/// The resources that a program under test may use during one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Limits for each process, which the kernel enforces.
    pub each: fence::ProcessLimits,
    /// Maximum bytes of memory for all its processes together: their proportional set size,
    /// plus the files in memory (`memfd_create(2)`) that they hold open.
    pub resident_bytes: u64,
    /// Maximum bytes that it may print on each of its two streams.
    pub output_bytes: usize,
    /// How long it may run. Time spent waiting for a processor does not count.
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

/// How often a program's use is measured.
const LOOK: Duration = Duration::from_millis(20);
/// The costly measurements are made only once in this many looks.
const RARELY: u32 = 5;

impl Subject {
    /// Starts a thread that ends the program when it exceeds a limit that the kernel does not
    /// enforce.
    pub(super) fn watch(&self, allowance: Allowance) {
        let shared = Arc::clone(&self.shared);
        let (keeper, run) = (self.keeper, Arc::clone(&self.run));
        let mut clock = Clock::start();
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
                    too_long(&mut clock, &family[1..], allowance)
                        .or_else(|| too_much(&family[1..], allowance, rarely))
                };
                if let Some(why) = why {
                    shared.limit(why);
                    // When the first process of a namespace dies, all others in it die too.
                    process::kill(keeper);
                    return;
                }
            }
        });
    }
}

/// Measures how long a program has run. Time that it, or the checker's thread that talks to it,
/// spent waiting for a processor does not count.
struct Clock {
    began: Instant,
    /// The thread that runs the check, and how long it had waited for a processor at the start.
    checker: Option<(PathBuf, Duration)>,
    /// How long the program has waited, as was seen last: a thread that ends takes what it knew
    /// with it.
    waited: Duration,
}

impl Clock {
    /// Starts the clock of a check that runs on this thread.
    fn start() -> Clock {
        let checker = fs::read_link("/proc/thread-self").ok().map(|thread| {
            let thread = Path::new("/proc").join(thread);
            let waited = proc::thread_waited_for_processor(&thread);
            (thread, waited)
        });
        Clock { began: Instant::now(), checker, waited: Duration::ZERO }
    }

    fn is_over(&mut self, time: Duration, family: &[u32]) -> bool {
        let elapsed = self.began.elapsed();
        // Ask the kernel only when the answer matters. A program that has ended takes no time,
        // however long its check goes on.
        elapsed > time && !family.iter().all(|pid| process::has_ended(*pid)) && {
            let checker = self.checker.as_ref().map(|(thread, before)| {
                proc::thread_waited_for_processor(thread).saturating_sub(*before)
            });
            self.waited = self.waited.max(proc::waited_for_processor(family));
            let waited = self.waited + checker.unwrap_or_default();
            elapsed - waited.min(elapsed).min(10 * time) > time
        }
    }
}

/// Returns a reason to stop the program if its time is up, or if one of its processes has used
/// up its processor time.
fn too_long(clock: &mut Clock, family: &[u32], allowance: Allowance) -> Option<String> {
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

/// Returns the reason given when a process is ended for its use of processor time, whether by
/// the kernel or by the checker.
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
    // The quick sum counts a page once for each process that shares it.
    let used = if resident > most { proc::memory_bytes(family) } else { 0 };
    let files = if rarely { proc::memfd_bytes(family) } else { 0 };
    (used + files > most)
        .then(|| format!("it used more than {} MiB (--memory)", most >> 20))
}
