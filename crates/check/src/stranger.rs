//! The program under test. It is a stranger: it runs behind a fence (`netlab::fence`), with
//! limits and without the checker's secrets, and nothing of it outlives its check.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::fence::{self, Report};
use netlab::process::{self, Signal};
use netlab::sockets::{self, Transport};

use crate::drawing::Drawing;
use crate::outcome::{Outcome, Stop, fault};
use crate::patience::{GaveUp, Patience};
use crate::timeline::{Timeline, What};

/// What a program under test may use during one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each process, from the kernel.
    pub each: fence::Limits,
    /// Bytes in memory of all its processes together.
    pub resident_bytes: u64,
    /// Bytes that it may print.
    pub output_bytes: usize,
    /// How long it may run.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            each: fence::Limits {
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

/// How to start the program.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// This crate's own program, which becomes the fence.
    pub guard: PathBuf,
    /// The command, `{port}` and the like still in it.
    pub command: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Names of further variables of our environment that it may see.
    pub pass: Vec<String>,
    /// Whether the kernel gives namespaces.
    pub namespaces: bool,
    /// The program `flow`, where what this one does shall be drawn.
    pub flow: Option<PathBuf>,
}

/// The variables that a program finds its language and its home by. All others, among which
/// secrets may be, stay outside.
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

/// Set for every program: no colours, no translations, Python's lines at once.
const SET: &[(&str, &str)] = &[
    ("NO_COLOR", "1"),
    ("TERM", "dumb"),
    ("LC_ALL", "C.UTF-8"),
    ("PYTHONUNBUFFERED", "1"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
];

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Status(status) => write!(f, "exit status {status}"),
            Ended::Signal(signal) => write!(f, "killed by {}", signal_name(*signal)),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let names = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
    ];
    let name = names.iter().find(|(number, _)| *number == signal);
    name.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}

/// A program that was started. Dropping it ends it and all that it started.
#[derive(Debug)]
pub struct Stranger {
    child: Mutex<Option<Child>>,
    keeper: u32,
    pid: u32,
    namespaces: bool,
    shared: Arc<Shared>,
    /// Where it waits, once that is known.
    address: Mutex<Option<SocketAddr>>,
    drawing: Mutex<Option<Drawing>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    timeline: Timeline,
    output_bytes: usize,
    /// Its output streams, to see what the threads that read them have not read yet.
    streams: Vec<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    ended: Option<Ended>,
    /// Nothing more will be told of its end.
    told: bool,
    /// Why it was stopped by us, if so.
    stopped: Option<String>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Threads that still hear from it: what it prints, and its end.
    hearing: u8,
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Stranger {
    /// Starts the program on the calling thread's network. The calling thread must outlive
    /// it.
    ///
    /// # Errors
    /// A fault where there is no such program; broken where the fence cannot be built.
    pub fn start(
        recipe: &Recipe,
        limits: Limits,
        variables: &BTreeMap<String, String>,
        timeline: &Timeline,
    ) -> Outcome<Stranger> {
        let (reports, told) = std::io::pipe()?;
        let words = recipe.command.iter().map(|word| fill(word, variables));
        let mut command = Command::new(&recipe.guard);
        command
            .arg("__fence")
            .arg(if recipe.namespaces { "namespaces" } else { "group" })
            .arg(limits.each.to_word())
            .arg(if recipe.flow.is_some() { "stopped" } else { "now" })
            .args(words)
            .current_dir(&recipe.folder)
            .env_clear()
            .envs(SET.iter().copied())
            .stdin(told)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let passed = PASSED.iter().copied().chain(recipe.pass.iter().map(String::as_str));
        for name in passed {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(variables);
        // No code of ours before execve(2), so that std need not copy this process for it
        // (posix_spawn(3)): the fence does what is to be done.
        command.process_group(0);
        let mut child = command.spawn()?;
        drop(command);

        let drawing = recipe.flow.as_ref().map(|flow| {
            Drawing::join(flow, child.id(), recipe.namespaces)
                .map_err(|error| Stop::Broken(format!("draw the program: {error}")))
        });
        let mut reports = BufReader::new(reports);
        let first = match drawing {
            Some(Err(_)) => None,
            _ => next_report(&mut reports),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            timeline: timeline.clone(),
            output_bytes: limits.output_bytes,
            streams: copies(&child)?,
        });
        let (out, err) = (child.stdout.take(), child.stderr.take());
        listen("stdout", out, &shared);
        listen("stderr", err, &shared);
        let guard = child.id();
        let mut stranger = Stranger {
            child: Mutex::new(Some(child)),
            keeper: guard,
            pid: guard,
            namespaces: recipe.namespaces,
            shared,
            address: Mutex::new(None),
            drawing: Mutex::new(None),
        };
        if let Some(drawing) = drawing {
            stranger.drawing = Mutex::new(Some(drawing?));
        }
        match first {
            Some(Report::Started) => {}
            Some(Report::NotStarted(errno)) => {
                let reason = std::io::Error::from_raw_os_error(errno);
                let program = recipe.command.first().cloned().unwrap_or_default();
                return fault(
                    "the program starts",
                    format!(
                        "start {}: {reason}; is it there, and executable?",
                        program.to_string_lossy()
                    ),
                );
            }
            Some(Report::Refused(errno)) => {
                let reason = std::io::Error::from_raw_os_error(errno);
                return Err(Stop::Broken(format!(
                    "take namespaces for the program: {reason}; try --network host"
                )));
            }
            _ => return Err(Stop::Broken("the fence ended by itself".into())),
        }
        if recipe.namespaces {
            stranger.keeper = process::family(guard).get(1).copied().unwrap_or(guard);
        }
        // It is there even if it has ended: its keeper does not reap it.
        let pid = process::family(stranger.keeper).get(1).copied();
        stranger.pid = pid.unwrap_or(stranger.keeper);
        timeline.does("program", format!("starts: {}", shown(recipe, variables)));
        follow(reports, &stranger.shared);
        stranger.watch(limits);
        Ok(stranger)
    }

    /// Stops it where it uses more than the kernel's limits hold, on a thread of its own.
    fn watch(&self, limits: Limits) {
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

    /// The process id, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether all of its processes wait in the kernel for something to happen, or have
    /// ended.
    pub fn rests(&self) -> bool {
        let rests = |pid: u32| {
            process::has_ended(pid)
                || process::sleeps(pid) == Some(true)
                || process::is_stopped(pid)
        };
        self.is_heard() && process::family(self.keeper).into_iter().skip(1).all(rests)
    }

    /// Whether all that it has printed, and its end, is known here. On a busy machine the
    /// threads that hear of it may be waiting for a processor when it has long ended.
    fn is_heard(&self) -> bool {
        let told = self.shared.lock().told;
        (told || !process::has_ended(self.pid))
            && self.shared.streams.iter().all(|it| process::unread_bytes(it) == 0)
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.shared.lock().ended
    }

    /// Whether it has ended, in any way.
    pub fn is_over(&self) -> bool {
        let state = self.shared.lock();
        state.ended.is_some() || state.stopped.is_some()
    }

    /// Signals the program itself, as `kill` and Ctrl-C do.
    pub fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Kill => "SIGKILL",
            Signal::Stop => "SIGSTOP",
            Signal::Continue => "SIGCONT",
        };
        self.shared.timeline.does("program", format!("gets {name}"));
        // Its id, and that of the group it leads, is its own as long as its keeper lives,
        // which does not reap it.
        if self.shared.lock().stopped.is_none() {
            process::signal_group(self.pid, signal);
        }
    }

    /// Stops all its threads, and returns when they stand still.
    pub fn freeze(&self) -> Outcome {
        self.signal(Signal::Stop);
        let mut patience = Patience::with_deadline(self, Duration::from_secs(5));
        // Where it is drawn, it stands still for moments at each of its calls.
        let drawn = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let enough = if drawn { 40 } else { 1 };
        let mut seen = 0;
        loop {
            let still = process::family(self.pid).into_iter().all(process::is_stopped);
            seen = if still { seen + 1 } else { 0 };
            if seen >= enough {
                return Ok(());
            }
            if patience.tick().is_some() {
                return fault("the program stands still on SIGSTOP", self.condition());
            }
            patience.nap();
        }
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::Continue);
    }

    /// Where it waits for TCP clients, or for datagrams.
    pub fn waits_at(&self, transport: Transport) -> Vec<SocketAddr> {
        let all = sockets::family_waits(self.keeper).into_iter();
        all.filter(|(found, _)| *found == transport).map(|(_, address)| address).collect()
    }

    /// Waits until it listens for TCP clients no more. It shall be soon: later it may have
    /// ended altogether.
    pub fn waits_no_more(&self, mut patience: Patience<'_>) -> Outcome {
        let port = self.address()?.port();
        while sockets::is_listened_at(port) {
            if patience.tick().is_some() {
                return fault("it closes its listener", self.condition());
            }
            patience.nap();
        }
        Ok(())
    }

    /// Remembers and gives the address under which clients find it.
    pub(crate) fn found_at(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The address under which clients find it.
    pub fn address(&self) -> Outcome<SocketAddr> {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.ok_or_else(|| Stop::Broken("the program is no server".into()))
    }

    /// Waits for its end, and for the end of what it prints.
    ///
    /// # Errors
    /// A fault where it goes on, or was stopped.
    pub fn wait_end(&self, mut patience: Patience<'_>) -> Outcome<Ended> {
        loop {
            if let Some(ended) = self.drained() {
                return Ok(ended);
            }
            if let Some(why) = &self.shared.lock().stopped {
                return fault("the program ends by itself", format!("stopped: {why}"));
            }
            if matches!(patience.tick(), Some(GaveUp::Rests | GaveUp::Late)) {
                return fault("the program ends", self.condition());
            }
            patience.nap();
        }
    }

    /// How it ended, once all that it printed is known as well.
    fn drained(&self) -> Option<Ended> {
        let ended = self.shared.lock().ended?;
        self.hear_out();
        Some(ended)
    }

    /// Waits until all that it printed is on the time line. A process that it left behind may
    /// hold its output open: that is not waited for long.
    fn hear_out(&self) {
        const GRACE: Duration = Duration::from_secs(1);
        let hears = |state: &mut State| state.hearing > 0;
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.lock(), GRACE, hears);
        drop(waited);
    }

    /// It ends now, with status 0.
    pub fn expect_success(&self) -> Outcome {
        match self.wait_end(Patience::new(self))? {
            Ended::Status(0) => Ok(()),
            other => fault("exit status 0", other.to_string()),
        }
    }

    /// It ends now by itself with another status than 0, and says why on standard error.
    pub fn expect_failure(&self) -> Outcome {
        self.expect_failure_after(Patience::new(self))
    }

    /// The same where the program may take a time of its own, such as a timeout.
    pub fn expect_failure_within(&self, within: Duration) -> Outcome {
        self.expect_failure_after(Patience::with_deadline(self, within))
    }

    fn expect_failure_after(&self, patience: Patience<'_>) -> Outcome {
        match self.wait_end(patience)? {
            Ended::Status(0) => fault("an exit status that is not 0", "exit status 0"),
            Ended::Signal(signal) => {
                let name = signal_name(signal);
                fault("an exit status that is not 0", format!("killed by {name}"))
            }
            Ended::Status(_) if self.stderr().trim_ascii().is_empty() => {
                fault("a line on standard error that says why", "nothing on it")
            }
            Ended::Status(_) => Ok(()),
        }
    }

    /// All that it printed on standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.shared.lock().stdout.clone()
    }

    /// All that it printed on standard error so far.
    pub fn stderr(&self) -> Vec<u8> {
        self.shared.lock().stderr.clone()
    }

    /// Waits until a line of its standard output is `line`.
    pub fn expect_line(&self, line: &[u8]) -> Outcome {
        let printed = || self.stdout().split(|byte| *byte == b'\n').any(|it| it == line);
        let mut patience = Patience::new(self);
        while !printed() {
            if patience.tick().is_some() {
                // It may have ended with words that are still on their way.
                if self.drained().is_some() && printed() {
                    break;
                }
                let stdout = self.stdout();
                let wanted = format!("the line {} on standard output", quoted(line));
                let came = match stdout.is_empty() {
                    true => "it printed nothing there".to_owned(),
                    false => format!("it printed {}", quoted(&stdout)),
                };
                return fault(wanted, came);
            }
            patience.nap();
        }
        Ok(())
    }

    /// Ends it; nothing that it printed is a command to a terminal.
    pub fn expect_safe_output(&self) -> Outcome {
        self.stop();
        let printed = [self.stdout(), self.stderr()].concat();
        match printed.iter().any(|byte| matches!(byte, 0x1b | 0x07)) {
            true => fault("escapes such as \\x1b in what it prints", quoted(&printed)),
            false => Ok(()),
        }
    }

    /// What can be said about the program now, for a report.
    pub fn condition(&self) -> String {
        let state = self.shared.lock();
        let stderr = String::from_utf8_lossy(&state.stderr).into_owned();
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
        let words = last.map_or(String::new(), |line| {
            format!("; its last words: {}", common::Escaped(line.trim().as_bytes()))
        });
        if let Some(why) = &state.stopped {
            return format!("the program was stopped: {why}");
        }
        if let Some(ended) = state.ended {
            return format!("the program has ended: {ended}{words}");
        }
        drop(state);
        let doing = if self.rests() { "waits" } else { "is busy" };
        format!("the program still runs, and {doing}{words}")
    }

    /// Bytes that all its processes have in memory.
    pub fn resident_bytes(&self) -> u64 {
        let all = process::family(self.keeper).into_iter().skip(1);
        all.map(process::resident_bytes).sum()
    }

    /// Ends it and all that it started; returns when they are gone and what they printed is
    /// read.
    pub fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return };
        if self.namespaces {
            // The guard and the keeper are one group. The keeper's end is complete when all
            // in its namespace are gone; an orphan, it falls to this process.
            process::signal_group(child.id(), Signal::Kill);
            let _ = child.wait();
            if self.keeper != child.id() {
                process::reap(self.keeper);
            }
        } else {
            // Without a namespace, one by one; each that dies gives its children to the keeper.
            for _ in 0..1000 {
                let family = process::family(child.id());
                if family[1..].iter().all(|pid| process::has_ended(*pid)) {
                    break;
                }
                family[1..].iter().for_each(|pid| process::kill(*pid));
            }
            let _ = child.kill();
            let _ = child.wait();
            for pid in process::children() {
                if process::has_ended(pid) {
                    process::reap(pid);
                }
            }
        }
        self.hear_out();
        let drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(drawing) = drawing {
            self.shared.timeline.draw(drawing.finish());
        }
        self.shared.change(|state| state.over = true);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Bytes between quotation marks, cut where they are many.
pub fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", common::Escaped(bytes));
    }
    format!("\"{}\"… ({} bytes)", common::Escaped(&bytes[..SHOWN]), bytes.len())
}

fn too_much(keeper: u32, limits: Limits) -> Option<String> {
    let family = process::family(keeper);
    let threads: usize = family.iter().skip(1).map(|pid| process::threads(*pid)).sum();
    if threads as u64 > limits.each.processes {
        return Some(format!("it made more than {} processes", limits.each.processes));
    }
    let bytes: u64 = family.iter().skip(1).map(|pid| process::resident_bytes(*pid)).sum();
    let mebibytes = limits.resident_bytes >> 20;
    (bytes > limits.resident_bytes).then(|| format!("it used more than {mebibytes} MiB"))
}

/// `{port}` in a word of the command is the value of the variable `PORT`, and so on.
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

/// Further descriptors of the output streams.
fn copies(child: &Child) -> Outcome<Vec<OwnedFd>> {
    let out = child.stdout.as_ref().map(AsFd::as_fd);
    let err = child.stderr.as_ref().map(AsFd::as_fd);
    let streams = out.into_iter().chain(err);
    Ok(streams.map(|it| it.try_clone_to_owned()).collect::<Result<_, _>>()?)
}

fn next_report(reports: &mut impl BufRead) -> Option<Report> {
    let mut line = String::new();
    reports.read_line(&mut line).ok()?;
    Report::parse(line.trim_end())
}

/// Waits for the keeper's word that the program ended, on a thread of its own.
fn follow(mut reports: impl BufRead + Send + 'static, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    shared.change(|state| state.hearing += 1);
    thread::spawn(move || {
        let ended = match next_report(&mut reports) {
            Some(Report::Exited(status)) => Some(Ended::Status(status)),
            Some(Report::Killed(signal)) => Some(Ended::Signal(signal)),
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
fn listen(
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
