//! A session: sides started one after another on the calling thread's network, followed
//! until all of them have ended.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use netlab::capture::{Capture, CaptureSize, CapturedPacket};

use super::spawn::{self, Program, SpawnError};
use super::sys;
use super::thread::Thread;
use super::tracer::Tracer;
use crate::event::Event;

/// How a session runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One thread at a time, so that the same run comes out each time: see [`crate::draw`].
    pub in_turn: bool,
    /// Bytes kept of what is sent or received, at most.
    pub data_bytes: usize,
    /// How long the next side waits for the one before to listen.
    pub ready_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { in_turn: true, data_bytes: 256, ready_within: Duration::from_secs(10) }
    }
}

/// How long everything must be still before sides that wait for nobody are interrupted:
/// where all of them are in calls that only a peer can end, and where they may wait for
/// something else, a clock perhaps.
const STILL_IN_CALLS: Duration = Duration::from_millis(5);
const STILL: Duration = Duration::from_millis(100);
/// How long an interrupted side has to end.
const GRACE: Duration = Duration::from_secs(2);

/// Why a session could not go on.
#[derive(Debug)]
pub enum TraceError {
    /// A side's program did not start: its name.
    Spawn(String, SpawnError),
    /// A process could not be joined: its id.
    Attach(i32, io::Error),
    /// Waiting for the traced programs failed.
    Wait(io::Error),
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let printable = crate::bytes::printable;
        match self {
            TraceError::Spawn(name, SpawnError::Program(error)) => {
                let name = printable(name);
                write!(f, "run {name}: {error}; is it installed, and executable?")
            }
            TraceError::Spawn(name, SpawnError::Trace(error)) => write!(
                f,
                "trace {}: {error}; a sandbox forbids ptrace(2) or seccomp(2): allow \
                 them (in a container: --cap-add SYS_PTRACE --security-opt \
                 seccomp=unconfined), or draw a recording with `flow show`",
                printable(name)
            ),
            TraceError::Spawn(name, SpawnError::Other(error)) => {
                write!(f, "start {}: {error}", printable(name))
            }
            TraceError::Attach(pid, error) => {
                write!(f, "join process {pid}: {error}; {}", attach_remedy(*pid, error))
            }
            TraceError::Wait(error) => write!(f, "wait for the programs: {error}"),
        }
    }
}

impl std::error::Error for TraceError {}

impl TraceError {
    /// Whether the kernel refuses tracing as such, so that nothing can be drawn here.
    pub fn is_refusal(&self) -> bool {
        match self {
            TraceError::Spawn(_, error) => matches!(error, SpawnError::Trace(_)),
            TraceError::Attach(_, error) => error.raw_os_error() == Some(libc::EPERM),
            TraceError::Wait(_) => false,
        }
    }
}

/// Why a process cannot be joined, as far as the system tells.
fn attach_remedy(pid: i32, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(libc::ESRCH)
    {
        return "there is no such process".to_owned();
    }
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse::<i32>().ok());
    if let Some(tracer) = tracer.filter(|&tracer| tracer != 0) {
        return format!("process {tracer} traces it already: end that first");
    }
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    match yama.as_deref().map(str::trim) {
        Ok("1") => "kernel.yama.ptrace_scope is 1: start it under flow instead, or \
                    `sudo sysctl kernel.yama.ptrace_scope=0`"
            .to_owned(),
        Ok("2" | "3") => {
            "kernel.yama.ptrace_scope forbids it: run flow as root".to_owned()
        }
        _ => "it belongs to another user: run flow as that user or as root".to_owned(),
    }
}

/// A running session. It belongs to the thread that made it: the programs are traced by
/// that thread and run on that thread's network. Dropping it ends the programs that it
/// started, and leaves those that it joined.
pub struct Session {
    pub(super) tracer: Tracer,
    options: Options,
    waiting: VecDeque<(String, Program)>,
    since_ready: Instant,
    /// When everything last did something.
    last_news: Instant,
    interrupted: Option<Instant>,
    joined: bool,
}

impl Session {
    /// A session without sides. Every event goes to `sink`, in the order observed.
    pub fn new(options: Options, sink: Box<dyn FnMut(Event) + Send>) -> Session {
        let mut tracer = Tracer::new(sink, options.in_turn);
        tracer.data_bytes = options.data_bytes;
        Session {
            tracer,
            options,
            waiting: VecDeque::new(),
            since_ready: Instant::now(),
            last_news: Instant::now(),
            interrupted: None,
            joined: false,
        }
    }

    /// Captures the packets of the calling thread's loopback interface from now on. Where
    /// the kernel refuses that, as [`Capture::open`] tells, a remark in the log says so.
    pub fn capture(&mut self, size: CaptureSize) {
        // A new thread is on the network of the one that made it.
        self.tracer.opening = Some(std::thread::spawn(move || Capture::open(size)));
    }

    /// Hands every captured packet over as it came, with a comment that names the latest
    /// call on the socket that sent it.
    pub fn on_packet(
        &mut self,
        each: impl FnMut(&CapturedPacket<'_>, &str) + Send + 'static,
    ) {
        self.tracer.raw_packets = Some(Box::new(each));
    }

    /// Adds a side that starts when the one before listens, has bound, or has ended.
    pub fn add(&mut self, name: String, program: Program) {
        self.waiting.push_back((name, program));
    }

    /// Starts a side now; its number and process id.
    ///
    /// # Errors
    /// [`TraceError::Spawn`].
    fn spawn(
        &mut self,
        name: String,
        program: &Program,
    ) -> Result<(usize, i32), TraceError> {
        self.tracer.share_processor();
        let pid = spawn::spawn(program)
            .map_err(|error| TraceError::Spawn(name.clone(), error))?;
        let side = self.tracer.add_side(name, program.words(), pid);
        self.tracer.add_thread(pid, pid, side, false);
        self.tracer.mark_pinned(pid);
        self.since_ready = Instant::now();
        Ok((side, pid))
    }

    /// Joins a running process as a side, under this name or that of its program.
    ///
    /// # Errors
    /// [`TraceError::Attach`].
    pub fn attach(&mut self, pid: i32, name: Option<&str>) -> Result<usize, TraceError> {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = command.split(|&byte| byte == 0).filter(|word| !word.is_empty());
        let command: Vec<String> =
            words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let name = name.map_or_else(
            || format!("{} {pid}", crate::side_name(&command)),
            ToOwned::to_owned,
        );
        let side = self.tracer.sides.len();
        self.tracer.attach(pid, side).map_err(|error| TraceError::Attach(pid, error))?;
        self.tracer.add_side(name, command, pid);
        self.joined = true;
        Ok(side)
    }

    /// Writes a remark into the log.
    pub fn note(&mut self, text: String) {
        self.tracer.note(text);
    }

    /// Whether a side listens, or has bound a datagram socket, and now waits; or has ended.
    fn is_ready(&self, side: usize) -> bool {
        let Some(state) = self.tracer.sides.get(side) else { return false };
        state.has_ended
            || state.listens
                && self
                    .tracer
                    .threads
                    .values()
                    .filter(|thread| thread.side == side)
                    .all(|thread| thread.parked.is_none() && thread.is_quiet())
    }

    /// Why a side's program did not run, if it did not.
    fn failure(&mut self, side: usize) -> Option<TraceError> {
        let state = self.tracer.sides.get_mut(side)?;
        Some(TraceError::Spawn(state.name.clone(), state.failure.take()?))
    }

    /// Sends a signal to every process of a side.
    fn signal(&self, side: usize, signal: i32) {
        let mut pids: Vec<i32> = self
            .tracer
            .threads
            .values()
            .filter(|thread| thread.side == side)
            .map(|thread| thread.pid)
            .collect();
        pids.dedup();
        pids.into_iter().for_each(|pid| sys::kill(pid, signal));
    }

    /// Whether all traced processes have ended.
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.tracer.threads.is_empty()
    }

    /// Works on all that happened since the last call, without waiting. Whether there was
    /// anything.
    ///
    /// # Errors
    /// [`TraceError::Wait`].
    fn step(&mut self) -> Result<bool, TraceError> {
        let mut news = false;
        // Bounded, so that the caller's deadlines are looked at now and then.
        for _ in 0..1000 {
            match sys::wait(false) {
                Ok(Some(status)) => self.tracer.handle(status),
                Ok(None) if self.next_turn() => {}
                Ok(None) => break,
                Err(error) => {
                    self.on_wait_error(error)?;
                    break;
                }
            }
            news = true;
        }
        if news {
            self.last_news = Instant::now();
        }
        Ok(news)
    }

    fn on_wait_error(&mut self, error: io::Error) -> Result<(), TraceError> {
        match error.raw_os_error() {
            Some(libc::EINTR) => Ok(()),
            // Nobody is left to wait for.
            Some(libc::ECHILD) => {
                self.tracer.threads.clear();
                Ok(())
            }
            _ => Err(TraceError::Wait(error)),
        }
    }

    /// Gives the turn to the next thread, if it is time.
    fn next_turn(&mut self) -> bool {
        if !self.tracer.turns.may_pass(&self.tracer.threads) {
            return false;
        }
        self.tracer.write_down_return();
        let Some(tid) = self.tracer.turns.next(&self.tracer.threads) else {
            return false;
        };
        self.tracer.mark_waiting(tid);
        self.tracer.let_go(tid);
        true
    }

    /// Runs until every side has ended.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn run(&mut self) -> Result<(), TraceError> {
        const SHORTEST: Duration = Duration::from_micros(20);
        const LONGEST: Duration = Duration::from_millis(1);
        let mut pause = SHORTEST;
        let mut heeded = sys::interrupts();
        loop {
            if self.step()? {
                pause = SHORTEST;
            }
            if sys::interrupts() > heeded {
                heeded = sys::interrupts();
                if self.joined {
                    self.detach()?;
                    break;
                }
                // The programs got the terminal's first ^C, too; the second is for us.
                if heeded > 1 {
                    self.end();
                }
            }
            self.start_next()?;
            if self.is_over() {
                break;
            }
            let ending = self.interrupt_the_rest();
            let parked =
                self.tracer.threads.values().any(|thread| thread.parked.is_some());
            if ending || parked || !self.waiting.is_empty() {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST);
                continue;
            }
            match sys::wait(true) {
                Ok(status) => status.into_iter().for_each(|it| self.tracer.handle(it)),
                Err(error) => self.on_wait_error(error)?,
            }
            self.last_news = Instant::now();
        }
        self.finish();
        let sides = 0..self.tracer.sides.len();
        sides.into_iter().find_map(|side| self.failure(side)).map_or(Ok(()), Err)
    }

    /// Takes the last packets, and says what was lost.
    fn finish(&mut self) {
        self.tracer.drain();
        let lost = self.tracer.capture.as_mut().map_or(0, Capture::lost);
        if lost > 0 {
            self.note(format!("{lost} packets came too fast to be captured"));
        }
    }

    /// Starts the next side if the one before is ready for it.
    fn start_next(&mut self) -> Result<(), TraceError> {
        let before = self.tracer.sides.len().checked_sub(1);
        let late = self.since_ready.elapsed() > self.options.ready_within;
        if self.waiting.is_empty() || !late && before.is_some_and(|it| !self.is_ready(it))
        {
            return Ok(());
        }
        if let Some(failure) = before.and_then(|it| self.failure(it)) {
            return Err(failure);
        }
        let Some((name, program)) = self.waiting.pop_front() else { return Ok(()) };
        if let (true, Some(before)) = (late, before) {
            let seconds = self.options.ready_within.as_secs();
            let before = self.tracer.sides[before].name.clone();
            self.note(format!(
                "{before} neither listened nor ended within {seconds} s: {name} starts anyway"
            ));
        }
        self.spawn(name, &program).map(|_| ())
    }

    /// When the last side has ended and the others only wait, nobody will come any more:
    /// they get SIGINT, as from a terminal, and later SIGKILL. Whether it has come to this.
    fn interrupt_the_rest(&mut self) -> bool {
        let last = self.tracer.sides.last();
        let ending = self.tracer.sides.len() > 1
            && self.waiting.is_empty()
            && last.is_some_and(|side| side.has_ended);
        if !ending {
            return false;
        }
        let threads = || self.tracer.threads.values();
        let in_calls = threads().all(Thread::waits_for_peer);
        let still_for = if in_calls { STILL_IN_CALLS } else { STILL };
        let still = self.last_news.elapsed() > still_for
            && threads().all(|it| it.parked.is_none() && it.is_quiet());
        match self.interrupted {
            None if still => {
                self.interrupted = Some(Instant::now());
                for side in 0..self.tracer.sides.len() {
                    self.signal(side, libc::SIGINT);
                }
            }
            Some(when) if when.elapsed() > GRACE => self.end(),
            _ => {}
        }
        true
    }

    /// Leaves the processes that were joined: stops each thread once, and lets it go.
    fn detach(&mut self) -> Result<(), TraceError> {
        let tids: Vec<i32> = self.tracer.threads.keys().copied().collect();
        for tid in tids {
            // A thread that is gone is left already.
            let _ = sys::interrupt(tid);
        }
        let deadline = Instant::now() + GRACE;
        while !self.tracer.threads.is_empty() && Instant::now() < deadline {
            match sys::wait(false) {
                Ok(Some(status)) => {
                    let signal = match status.stop() {
                        sys::Stop::Signal(signal) => signal,
                        _ => 0,
                    };
                    sys::resume(status.tid, sys::Resume::Detach, signal);
                    self.tracer.threads.remove(&status.tid);
                }
                Ok(None) => std::thread::sleep(Duration::from_micros(100)),
                Err(error) => self.on_wait_error(error)?,
            }
        }
        Ok(())
    }

    /// Ends what the session started and still runs.
    fn end(&mut self) {
        for side in 0..self.tracer.sides.len() {
            self.signal(side, libc::SIGKILL);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.joined {
            let _ = self.detach();
            return;
        }
        self.end();
        // Each status of an end must be taken, or the dead stay as zombies.
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match sys::wait(false) {
                Ok(Some(status)) => sys::resume(status.tid, sys::Resume::Go, 0),
                Ok(None) => std::thread::sleep(Duration::from_micros(100)),
                Err(_) => break,
            }
        }
    }
}
