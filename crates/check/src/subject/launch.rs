//! Starting a program: its command, the part of our environment that it sees, the fence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use netlab::fence::Notice;
use netlab::process;
use netlab::wire::Host;

use super::limits::Allowance;
use super::output::{follow, listen};
use super::{Shared, State, Subject};
use crate::diagnosis::Diagnosis;
use crate::drawing::Drawing;
use crate::outcome::{Outcome, Stop, fails_because};
use crate::timeline::Timeline;

/// How to start the program.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// This crate's own executable, which becomes the fence.
    pub guard: PathBuf,
    /// The command, with `{port}` and the like not yet replaced.
    pub command: Vec<OsString>,
    /// The working directory.
    pub folder: PathBuf,
    /// Names of additional environment variables that it may see.
    pub pass: Vec<String>,
    /// Whether the kernel lets us create namespaces.
    pub namespaces: bool,
    /// The `flow` executable, if the program's calls are to be drawn.
    pub flow: Option<PathBuf>,
    /// What the checks of one run share.
    pub shared: Arc<Run>,
}

/// What the checks of one run, which all start the same program, share.
#[derive(Debug, Default)]
pub struct Run {
    /// The longest time that the program has taken to start so far, in milliseconds; 0 if
    /// not yet known.
    slowest_start_ms: AtomicU64,
    /// The program has used a good deal of processor time with nothing to show for it.
    restless: AtomicBool,
    /// What the report remarks about the program.
    remark: OnceLock<String>,
    /// Nobody is waiting for the checks that are still running.
    cancelled: AtomicBool,
}

impl Run {
    /// Records how long after its start the program began its task.
    pub(super) fn begun_after(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        self.slowest_start_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// Returns how long an idle program may still be on the point of beginning its task: it
    /// may be waiting for its build tool's lock, for instance. The time is much shorter once
    /// it is known how long the program takes to start.
    pub(super) fn may_take(&self) -> Duration {
        const AT_FIRST: Duration = Duration::from_millis(6500);
        const AT_LEAST: Duration = Duration::from_millis(500);
        match self.slowest_start_ms.load(Ordering::Relaxed) {
            0 => AT_FIRST,
            ms => (AT_LEAST + 5 * Duration::from_millis(ms)).min(AT_FIRST),
        }
    }

    /// Records that the program used a good deal of processor time and still did not do what
    /// was expected.
    pub(super) fn is_seen_restless(&self) {
        self.restless.store(true, Ordering::Relaxed);
    }

    /// Returns whether that has happened in any check.
    pub(super) fn is_restless(&self) -> bool {
        self.restless.load(Ordering::Relaxed)
    }

    /// Records what the report remarks about the program, unless there is a remark already.
    pub(super) fn remarks(&self, remark: String) {
        let _ = self.remark.set(remark);
    }

    /// Returns what the report remarks about the program.
    pub(crate) fn remark(&self) -> Option<&String> {
        self.remark.get()
    }

    /// Ends the checks that are still running, since nobody is waiting for them.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns whether the run was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// The environment variables by which a program finds its home and its language's tools. All
/// others, which may hold secrets, are withheld.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "VIRTUAL_ENV",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "GOROOT",
    "GOPATH",
    "GOCACHE",
    "GOMODCACHE",
    "JAVA_HOME",
    "NVM_DIR",
    "NODE_PATH",
    "RBENV_ROOT",
    "GEM_HOME",
    "DOTNET_ROOT",
];

impl Subject {
    /// Starts the program on the calling thread's network, which is that of `host` if there is
    /// a wire. The calling thread must outlive it.
    ///
    /// # Errors
    /// Fails if there is no such program; the check is broken if the fence cannot be built.
    pub fn start(
        recipe: &Recipe,
        allowance: Allowance,
        variables: &BTreeMap<String, String>,
        timeline: &Timeline,
        host: Option<Host>,
    ) -> Outcome<Subject> {
        let (notices, told) = std::io::pipe()?;
        let mut child = fenced(recipe, allowance, variables).stdin(told).spawn()?;
        let drawing = recipe.flow.as_ref().map(|flow| {
            Drawing::join(flow, child.id(), recipe.namespaces, host)
                .map_err(|error| Stop::Broken(format!("draw the program: {error}")))
        });
        let mut notices = BufReader::new(notices);
        let first = match drawing {
            Some(Err(_)) => None,
            _ => next_notice(&mut notices),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            timeline: timeline.clone(),
            allowance,
            streams: copies(&child)?,
        });
        listen("stdout", child.stdout.take(), &shared);
        listen("stderr", child.stderr.take(), &shared);
        let guard = child.id();
        let mut subject = Subject {
            child: Mutex::new(Some(child)),
            keeper: guard,
            pid: guard,
            namespaces: recipe.namespaces,
            shared,
            run: Arc::clone(&recipe.shared),
            started: Instant::now(),
            begun: AtomicBool::new(false),
            address: Mutex::new(None),
            drawing: Mutex::new(None),
        };
        if let Some(drawing) = drawing {
            subject.drawing = Mutex::new(Some(drawing?));
        }
        is_started(first, recipe)?;
        if recipe.namespaces {
            subject.keeper = process::family(guard).get(1).copied().unwrap_or(guard);
        }
        // The process exists even if it has ended: its keeper does not reap it.
        let pid = process::family(subject.keeper).get(1).copied();
        subject.pid = pid.unwrap_or(subject.keeper);
        timeline.does("program", format!("starts: {}", shown(recipe, variables)));
        follow(notices, &subject.shared);
        subject.watch(allowance);
        Ok(subject)
    }
}

/// Returns the command that builds the fence and runs the program behind it.
fn fenced(
    recipe: &Recipe,
    allowance: Allowance,
    variables: &BTreeMap<String, String>,
) -> Command {
    let words = recipe.command.iter().map(|word| fill(word, variables));
    let mut command = Command::new(&recipe.guard);
    command
        .arg("__fence")
        .arg(if recipe.namespaces { "namespaces" } else { "group" })
        .arg(std::process::id().to_string())
        .arg(allowance.each.to_word())
        .arg(if recipe.flow.is_some() { "stopped" } else { "now" })
        .args(words)
        .current_dir(&recipe.folder)
        .env_clear()
        .envs(netlab::environment::variables())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let passed = PASSED.iter().copied().chain(recipe.pass.iter().map(String::as_str));
    for name in passed {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // No code of ours runs between fork and execve(2), so std can use posix_spawn(3) and need
    // not copy this process. The fence does the rest.
    command.envs(variables).process_group(0);
    command
}

/// Checks that the keeper's first notice says that the program has started.
fn is_started(first: Option<Notice>, recipe: &Recipe) -> Outcome {
    let reason = std::io::Error::from_raw_os_error;
    match first {
        Some(Notice::Started) => Ok(()),
        Some(Notice::NotStarted(errno)) => {
            let program = recipe.command.first().map(|it| it.as_encoded_bytes());
            let program = common::Escaped(program.unwrap_or_default());
            let reason = reason(errno);
            let got = format!("start {program}: {reason}; is it there, and executable?");
            let diagnosis = Diagnosis::DidNotStart(got.clone(), None);
            fails_because("the program starts", got, Some(diagnosis))
        }
        Some(Notice::Refused(errno)) => Err(Stop::Broken(format!(
            "take namespaces for the program: {}; try --network host",
            reason(errno)
        ))),
        _ => Err(Stop::Broken("the fence ended by itself".into())),
    }
}

/// Replaces `{port}` in a word of the command with the value of the variable `PORT`, and so on.
fn fill(word: &OsString, variables: &BTreeMap<String, String>) -> OsString {
    let Some(text) = word.to_str() else { return word.clone() };
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text.replace(&format!("{{{}}}", name.to_lowercase()), value);
    }
    text.into()
}

fn shown(recipe: &Recipe, variables: &BTreeMap<String, String>) -> String {
    let words = recipe.command.iter().map(|word| fill(word, variables));
    let words: Vec<String> =
        words.map(|word| common::Escaped(word.as_encoded_bytes()).to_string()).collect();
    words.join(" ")
}

/// Duplicates the descriptors of the output streams.
fn copies(child: &Child) -> Outcome<Vec<OwnedFd>> {
    let out = child.stdout.as_ref().map(AsFd::as_fd);
    let err = child.stderr.as_ref().map(AsFd::as_fd);
    let streams = out.into_iter().chain(err);
    Ok(streams.map(|it| it.try_clone_to_owned()).collect::<Result<_, _>>()?)
}

pub(super) fn next_notice(notices: &mut impl BufRead) -> Option<Notice> {
    let mut line = String::new();
    notices.read_line(&mut line).ok()?;
    Notice::parse(line.trim_end())
}
