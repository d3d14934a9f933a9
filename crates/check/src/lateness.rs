//! How late a busy machine has made everybody during a check that measures time. If that
//! could have changed the verdict, there is no verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, Stop, fails_because};
use crate::subject::{Subject, thread_waited_for_processor};

const TOO_LATE: Diagnosis = Diagnosis::Other(
    "too-late",
    "it does so in the end, but later than the statement says: the time that it waits is too \
     long",
);

/// Measures how long the program and the wires have waited for a processor since this was
/// created. The checker's own lateness does not matter: it compares times at which the wire
/// saw packets.
#[derive(Debug)]
pub(crate) struct Lateness {
    program: Arc<Subject>,
    at_first: Waited,
    /// How long this thread had waited for a processor at first.
    own: Duration,
}

#[derive(Debug)]
struct Waited {
    program: Duration,
    wires: BTreeMap<String, Duration>,
}

impl Lateness {
    pub(crate) fn begin(program: &Arc<Subject>) -> Lateness {
        let program = Arc::clone(program);
        let at_first = Waited::now(&program);
        let own = thread_waited_for_processor(Path::new("/proc/thread-self"));
        Lateness { program, at_first, own }
    }

    /// Fails if `what` took longer than `most`, not counting the time that the program and this
    /// thread have waited for a processor since this was created. On a busy machine the program
    /// gets the benefit of the doubt.
    pub(crate) fn at_most(&self, most: Duration, took: Duration, what: &str) -> Outcome {
        let waited = thread_waited_for_processor(Path::new("/proc/thread-self"));
        let late = self.so_far() + waited.saturating_sub(self.own);
        match took <= most + late {
            true => Ok(()),
            false => {
                let got = format!("that took {:.1} s", took.as_secs_f64());
                fails_because(what, got, Some(TOO_LATE))
            }
        }
    }

    fn so_far(&self) -> Duration {
        let (now, before) = (Waited::now(&self.program), &self.at_first);
        let wire = |(name, waited): (&String, &Duration)| {
            waited.saturating_sub(before.wires.get(name).copied().unwrap_or_default())
        };
        now.program.saturating_sub(before.program)
            + now.wires.iter().map(wire).max().unwrap_or_default()
    }

    /// Returns `result`, unless it is a failure and the program and the wire together were
    /// later than `most`: then nobody knows whose fault it is.
    pub(crate) fn unless_late(&self, most: Duration, result: Outcome) -> Outcome {
        let late = self.so_far();
        match result {
            Err(Stop::Failed(_)) if late > most => Err(Stop::Late(format!(
                "the machine is too busy: the program and the wire waited {late:.1?} for a \
                 processor"
            ))),
            result => result,
        }
    }
}

impl Waited {
    fn now(program: &Subject) -> Waited {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let wires = tasks.filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            let id = task.file_name().to_string_lossy().into_owned();
            (name.trim() == "wire").then(|| Some((id, waited(&task.path())?)))?
        });
        Waited { program: program.waited_for_processor(), wires: wires.collect() }
    }
}

/// Returns how long a thread has waited for a processor: the second number in its `schedstat`
/// (the kernel's `sched-stats.rst`).
fn waited(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}
