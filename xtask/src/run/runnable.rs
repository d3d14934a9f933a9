//! How long to wait for a program: by what it had a chance to do, not by the clock alone.
//!
//! On a busy machine a program may be ready to run for seconds without getting a
//! processor. That is not its fault, and does not count. Time in which it waits for
//! something, by contrast, counts as the clock says, and so does the processor time that
//! it uses.

use std::time::{Duration, Instant};

use netlab::process;

/// The minimum time between two looks: a look reads some files in `/proc`.
const LOOK: Duration = Duration::from_millis(2);

/// If more time than this passes between two looks, this process got no processor either,
/// and only this much counts.
const LONGEST: Duration = Duration::from_millis(20);

/// Measures the time in which some processes could do something.
#[derive(Debug)]
pub(super) struct RunnableTime {
    counted: Duration,
    looked: Instant,
    used: Duration,
}

impl Default for RunnableTime {
    fn default() -> RunnableTime {
        RunnableTime {
            counted: Duration::ZERO,
            looked: Instant::now(),
            used: Duration::MAX,
        }
    }
}

impl RunnableTime {
    /// Looks at the processes, and returns the time so far in which they could do
    /// something. On a system where that cannot be seen, all time counts.
    pub(super) fn look(&mut self, family: impl IntoIterator<Item = u32>) -> Duration {
        let now = Instant::now();
        let passed = now - self.looked;
        if passed < LOOK {
            return self.counted;
        }
        let (mut used, mut waits_for_processor) = (Duration::ZERO, false);
        for pid in family {
            used += process::processor_time(pid).unwrap_or_default();
            waits_for_processor |= process::is_runnable(pid).unwrap_or(false);
        }
        self.counted += if waits_for_processor {
            used.saturating_sub(self.used).min(passed)
        } else if cfg!(target_os = "linux") {
            passed.min(LONGEST)
        } else {
            passed
        };
        (self.looked, self.used) = (now, used);
        self.counted
    }
}
