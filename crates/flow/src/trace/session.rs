//! A session: starts the sides one after another on the calling thread's network, and
//! follows them until all have ended.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::capture::{Capture, CaptureSize, CapturedPacket};
use netlab::wire::{Sighting, Wire};

use super::spawn::{self, Program, SpawnError};
use super::sys::{self, Whose};
use super::thread::Thread;
use super::tracer::{self, Tracer};
use super::turns::MANY;
use crate::event::{Event, Packet};

/// How a session runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One thread at a time, so that every run is the same; see [`crate::draw`].
    pub in_turn: bool,
    /// The most bytes kept of what is sent or received.
    pub data_bytes: usize,
    /// How long the next side waits for the one before it to listen.
    pub ready_within: Duration,
    /// How long after the start of its last program the run is ended, and not before.
    /// With `None`, it is ended when the last program has ended and the others only wait.
    pub until: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            in_turn: true,
            data_bytes: 256,
            ready_within: Duration::from_secs(10),
            until: None,
        }
    }
}

/// How long there must have been no progress before sides that wait for nobody are
/// interrupted: if all of them are in calls that only a peer can end; if they may be
/// waiting for something else; and if one of them will go on by itself, because it
/// computes or sleeps for a time.
const STILL_IN_CALLS: Duration = Duration::from_millis(5);
const STILL: Duration = Duration::from_millis(100);
const STILL_WITH_PLANS: Duration = Duration::from_secs(1);
/// How long a side that listens, but does not wait for a peer, must be at rest to count
/// as ready.
const AT_REST: Duration = Duration::from_millis(400);
/// A side that has got no processor time has this many times as long to get ready.
const MORE_FOR_THE_BUSY: u32 = 4;
/// How often the kernel's tables are asked whether a side whose calls are not seen is
/// listening.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How long the kernels of a wire are followed once no program does anything any more.
const KERNELS_ALONE: Duration = Duration::from_secs(5);
/// How long an interrupted side has to end: where the run is over, and where a signal asked for
/// the end, so that somebody waits for the drawing.
const GRACE: Duration = Duration::from_secs(2);
const GRACE_WHEN_ASKED: Duration = Duration::from_millis(250);

/// Why a session could not go on.
#[derive(Debug)]
pub enum TraceError {
    /// The program of a side did not start; the name of the side.
    Spawn(String, SpawnError),
    /// Could not attach to a process; its id.
    Attach(i32, io::Error),
    /// Waiting for the traced programs failed.
    Wait(io::Error),
    /// The kernel does not reveal which call a stopped thread is in.
    Calls(io::Error),
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
                write!(f, "start {}: {error}", printable(name))?;
                netlab::remedy(error).map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
            }
            TraceError::Attach(pid, error) => {
                write!(f, "join process {pid}: {error}; {}", attach_remedy(*pid, error))
            }
            TraceError::Calls(error) => write!(
                f,
                "ask which call a program makes (PTRACE_GET_SYSCALL_INFO): {error}; it needs \
                 Linux 5.3 or later and a sandbox that allows it; `flow show` draws a recording"
            ),
            TraceError::Wait(error) => write!(f, "wait for the programs: {error}"),
        }
    }
}

impl std::error::Error for TraceError {}

impl TraceError {
    /// Whether the kernel refuses tracing altogether, so that nothing can be drawn here.
    pub fn is_refusal(&self) -> bool {
        match self {
            TraceError::Spawn(_, error) => matches!(error, SpawnError::Trace(_)),
            TraceError::Attach(_, error) => error.raw_os_error() == Some(libc::EPERM),
            TraceError::Calls(_) => true,
            TraceError::Wait(_) => false,
        }
    }
}

/// Why we cannot attach to a process, as far as the system says.
fn attach_remedy(pid: i32, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(libc::ESRCH)
    {
        return "there is no such process".to_owned();
    }
    if let Some(tracer) = netlab::process::tracer(pid.cast_unsigned()) {
        return format!("process {tracer} is already tracing it: end that one first");
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

/// A running session. It belongs to the thread that made it: that thread traces the
/// programs, and they run on that thread's network. Dropping the session ends the
/// programs that it started, and detaches from those that it attached to.
pub struct Session {
    pub(super) tracer: Tracer,
    options: Options,
    waiting: VecDeque<(String, Program)>,
    /// What each side waits for before it starts, instead of the readiness of the one
    /// before.
    conditions: VecDeque<Condition>,
    since_ready: Instant,
    /// When the kernel's tables were last asked for listeners.
    looked_up: Instant,
    /// The tracer's progress when it was last looked at, and when it last changed.
    progress: (u64, Instant),
    /// When something last stopped.
    last_news: Instant,
    interrupted: Option<Instant>,
    /// Whether a signal has asked this process to end.
    asked_to_end: bool,
    /// How many requests to end have been handled. One that comes before the run has begun
    /// ends it then.
    heeded: u32,
    /// Sides that did not end when interrupted are named in the log.
    noted_stubborn: bool,
    joined: bool,
    /// The timer slack of this thread outside the session, and that of the programs.
    timer_slack: libc::c_ulong,
}

/// A condition for the start of a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Somebody listens on this port, or has bound a datagram socket to it.
    Port(u16),
    /// The program before has printed this.
    Line(String),
}

impl Session {
    /// Creates a session without sides. Every event goes to `sink`, in the order
    /// observed.
    pub fn new(options: Options, sink: Box<dyn FnMut(Event) + Send>) -> Session {
        let mut tracer = Tracer::new(sink, options.in_turn);
        tracer.data_bytes = options.data_bytes;
        Session {
            tracer,
            options,
            waiting: VecDeque::new(),
            conditions: VecDeque::new(),
            since_ready: Instant::now(),
            looked_up: Instant::now(),
            progress: (0, Instant::now()),
            last_news: Instant::now(),
            interrupted: None,
            asked_to_end: false,
            heeded: sys::asked().0,
            noted_stubborn: false,
            joined: false,
            timer_slack: sys::timer_slack(),
        }
    }

    /// Captures the packets of the calling thread's loopback interface from now on. If
    /// the kernel refuses, as described at [`Capture::open`], a note in the log says so.
    pub fn capture(&mut self, size: CaptureSize) {
        // A new thread is on the network of the thread that created it.
        self.tracer.opening = Some(std::thread::spawn(move || Capture::open(size)));
    }

    /// Runs the sides on the two hosts of a wire: the first on b, the others on a. The
    /// packets are then those that pass over the wire.
    pub fn wire(&mut self, wire: Wire) {
        self.tracer.ask_kernels_of(&wire);
        self.tracer.wire = Some(Arc::new(wire));
    }

    /// Passes every captured packet to `each` as it arrives, with the number of the card
    /// that saw it (on a wire, 0 is host a's and 1 is b's), and a comment that names the
    /// latest call on the socket that sent it.
    pub fn on_packet(
        &mut self,
        each: impl FnMut(u32, &CapturedPacket<'_>, &str) + Send + 'static,
    ) {
        self.tracer.raw_packets = Some(Box::new(each));
    }

    /// Adds a side that starts once the one before listens, has bound, or has ended.
    pub fn add(&mut self, name: String, program: Program) {
        self.waiting.push_back((name, program));
    }

    /// Starts a side now, and returns its number and process id.
    ///
    /// # Errors
    /// [`TraceError::Spawn`].
    fn spawn(
        &mut self,
        name: String,
        mut program: Program,
    ) -> Result<(usize, i32), TraceError> {
        let host = tracer::host_of(self.tracer.sides.len());
        program.network = self.tracer.wire.as_ref().map(|wire| wire.network(host));
        let program = &program;
        self.tracer.share_processor();
        let pid = spawn::spawn(program, self.timer_slack)
            .map_err(|error| TraceError::Spawn(name.clone(), error))?;
        let side = self.tracer.add_side(name, program.words(), pid);
        self.tracer.add_thread(pid, pid, side, false);
        self.tracer.mark_pinned(pid);
        self.since_ready = Instant::now();
        Ok((side, pid))
    }

    /// Attaches to a running process as a side, under this name or that of its program.
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

    /// Writes a note into the log.
    pub fn note(&mut self, text: String) {
        self.tracer.note(text);
    }

    /// Sets what the second side, the third, … wait for, in this order, instead of the
    /// readiness of the one before.
    pub fn wait_for(&mut self, conditions: Vec<Condition>) {
        self.tracer.awaited_lines = conditions
            .iter()
            .filter_map(|it| match it {
                Condition::Line(line) => Some(line.clone()),
                Condition::Port(_) => None,
            })
            .collect();
        self.conditions = conditions.into();
    }

    /// Whether the next side may start: the one before listens, or has bound a datagram
    /// socket, and is now waiting; or it waits for the other end of a FIFO; or all its
    /// processes have ended.
    fn is_ready(&mut self, side: usize) -> bool {
        let Some(state) = self.tracer.sides.get(side) else { return false };
        let (listens, binds) = (state.listens, state.binds);
        let of_side = |thread: &&mut Thread| thread.side == side;
        let mut threads = self.tracer.threads.values_mut().filter(of_side).peekable();
        if threads.peek().is_none() {
            return true;
        }
        let mut in_call = false;
        for thread in threads {
            if thread.parked.is_some() || !thread.is_quiet() {
                return false;
            }
            in_call |= thread.waits_in_call();
        }
        match self.conditions.front() {
            Some(Condition::Port(port)) => {
                let port = *port;
                return self.looks_up() && netlab::sockets::is_waited_at(port);
            }
            Some(Condition::Line(line)) => return self.tracer.seen_lines.contains(line),
            None => {}
        }
        if listens {
            return in_call || self.last_news.elapsed() >= AT_REST;
        }
        binds && in_call
            || self.looks_up() && (self.waits_at_fifo(side) || self.listens_unseen(side))
    }

    fn waits_at_fifo(&self, side: usize) -> bool {
        self.tracer.threads.values().any(|it| it.side == side && it.waits_at_fifo())
    }

    /// Whether it is time to ask the kernel's tables.
    fn looks_up(&mut self) -> bool {
        let due = self.looked_up.elapsed() >= LOOK_UP;
        if due {
            self.looked_up = Instant::now();
        }
        due
    }

    /// Whether a side listens although none of its calls was seen: 32-bit code, or
    /// io_uring.
    fn listens_unseen(&self, side: usize) -> bool {
        let is_listener =
            |(transport, _)| transport == netlab::sockets::Transport::TcpListener;
        let of_side = self.tracer.threads.values().filter(|thread| thread.side == side);
        of_side
            .filter(|thread| thread.tid == thread.pid)
            .filter_map(|thread| u32::try_from(thread.pid).ok())
            .any(|pid| netlab::sockets::waits(pid).into_iter().any(is_listener))
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

    /// Handles everything that has happened since the last call, without waiting. Returns
    /// whether there was anything.
    ///
    /// # Errors
    /// [`TraceError::Wait`].
    fn step(&mut self) -> Result<bool, TraceError> {
        let mut news = false;
        // Bounded, so that the caller gets to check its deadlines.
        for _ in 0..1000 {
            if self.tracer.all_are_parked() && self.next_turn() {
                news = true;
                continue;
            }
            match self.tracer.wait_for_news() {
                Ok(Some(status)) => self.tracer.handle(status),
                Ok(None) if self.next_turn() => {}
                // Who is not expected to stop is looked for when nothing else happens.
                Ok(None) if news => break,
                Ok(None) => match sys::wait(Whose::Any, false) {
                    Ok(Some(status)) => self.tracer.handle(status),
                    Ok(None) => break,
                    Err(error) => {
                        self.on_wait_error(error)?;
                        break;
                    }
                },
                Err(error) => {
                    self.tracer.expect_no_longer();
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
            // There is nobody left to wait for.
            Some(libc::ECHILD) => {
                self.tracer.threads.clear();
                Ok(())
            }
            _ => Err(TraceError::Wait(error)),
        }
    }

    /// Gives the turn to the next thread, if it is time.
    fn next_turn(&mut self) -> bool {
        if self.tracer.threads.len() > MANY {
            // Who sleeps for packets is awake if one has come.
            self.tracer.drain();
        }
        if !self.tracer.turns.may_pass(&mut self.tracer.threads) {
            return false;
        }
        if let Some(wire) = &self.tracer.wire {
            // What a call sent has arrived, and what that caused is under way.
            if !wire.is_at_rest() {
                return true;
            }
            if !self.tracer.turns.may_pass(&mut self.tracer.threads) {
                return false;
            }
        }
        self.tracer.write_down_return();
        let Some(tid) = self.tracer.turns.next(&mut self.tracer.threads) else {
            return false;
        };
        self.tracer.mark_waiting(tid);
        self.tracer.let_go(tid);
        true
    }

    /// The packet that a wire of another process has seen, as an event of this session's log.
    /// `None` for what is not drawn: it only left its host, or did so before the session began.
    pub fn packet(&self, seen: &Sighting) -> Option<Packet> {
        tracer::packet_of(seen, self.tracer.began_ns, self.tracer.data_bytes)
    }

    /// Runs until every side has ended.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn run(&mut self) -> Result<(), TraceError> {
        let mask = sys::keep_news();
        // Its shortest pauses are shorter than what the kernel would add to them.
        sys::set_timer_slack(1);
        let ran = self.follow();
        sys::set_timer_slack(self.timer_slack);
        sys::set_mask(&mask);
        ran?;
        self.finish();
        let sides = 0..self.tracer.sides.len();
        sides.into_iter().find_map(|side| self.failure(side)).map_or(Ok(()), Err)
    }

    /// Handles events until every side has ended.
    fn follow(&mut self) -> Result<(), TraceError> {
        const SHORTEST: Duration = Duration::from_micros(5);
        const LONGEST: Duration = Duration::from_millis(1);
        let mut pause = SHORTEST;
        loop {
            if self.step()? {
                pause = SHORTEST;
            }
            if let Some(error) = self.tracer.refused.take() {
                self.end();
                return Err(TraceError::Calls(error));
            }
            let (count, asked) = sys::asked();
            // Two of them may have come since the last look.
            for _ in std::mem::replace(&mut self.heeded, count)..count {
                if self.joined {
                    return self.detach();
                }
                self.on_signal(asked);
            }
            let until = self.options.until;
            if self.joined && until.is_some_and(|it| self.since_ready.elapsed() >= it) {
                return self.detach();
            }
            if self.tracer.progress != self.progress.0 {
                self.progress = (self.tracer.progress, Instant::now());
            }
            self.start_next()?;
            if self.is_over() {
                return Ok(());
            }
            let ending = self.interrupt_the_rest();
            let parked =
                self.tracer.threads.values().any(|thread| thread.parked.is_some());
            if ending || parked || !self.waiting.is_empty() {
                sys::await_stop(pause);
                pause = (pause * 2).min(LONGEST);
                if pause == LONGEST {
                    self.tracer.mark_asleep();
                    self.tracer.spread();
                }
                continue;
            }
            match sys::wait(Whose::Any, true) {
                Ok(status) => status.into_iter().for_each(|it| self.tracer.handle(it)),
                Err(error) => {
                    self.tracer.mark_asleep();
                    self.tracer.spread();
                    self.on_wait_error(error)?;
                }
            }
            self.last_news = Instant::now();
        }
    }

    /// Handles a signal that asked this process to end. The programs get it first, unless
    /// the kernel has already sent it to them, as it does for a terminal's `^C`; a second
    /// one ends the run.
    fn on_signal(&mut self, asked: sys::Asked) {
        self.waiting.clear();
        let first = !std::mem::replace(&mut self.asked_to_end, true);
        if !first {
            return self.end();
        }
        let name = super::names::signal(asked.signal);
        self.note(format!("{name} ended this run"));
        self.interrupted = Some(Instant::now());
        if !asked.all {
            for side in 0..self.tracer.sides.len() {
                self.signal(side, asked.signal);
            }
        }
    }

    /// Takes the last packets, and notes what was lost.
    fn finish(&mut self) {
        if let Some(wire) = self.tracer.wire.clone() {
            // The kernels go on without the programs until they have nothing left to say.
            let deadline = Instant::now() + KERNELS_ALONE;
            while (wire.is_busy() || !wire.is_at_rest()) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.tracer.drain();
            for remark in wire.remarks() {
                self.note(remark);
            }
        }
        self.tracer.drain();
        let lost = self.tracer.capture.as_mut().map_or(0, Capture::lost);
        if lost > 0 {
            self.note(format!("{lost} packets came too fast to be captured"));
        }
    }

    /// Whether a side has had its time to get ready. On a busy machine, that time passes
    /// while the side gets no processor; one that wants to run is given more of it.
    fn is_late(&mut self, side: usize) -> bool {
        let since = self.since_ready.elapsed();
        let of_side = |thread: &&mut Thread| thread.side == side;
        let mut threads = self.tracer.threads.values_mut().filter(of_side);
        since > self.options.ready_within
            && (since > self.options.ready_within * MORE_FOR_THE_BUSY
                || threads.all(|it| it.parked.is_none() && it.is_quiet()))
    }

    /// Starts the next side if the one before is ready for it.
    fn start_next(&mut self) -> Result<(), TraceError> {
        let before = self.tracer.sides.len().checked_sub(1);
        let late = before.is_some_and(|it| self.is_late(it));
        if self.waiting.is_empty() || !late && before.is_some_and(|it| !self.is_ready(it))
        {
            return Ok(());
        }
        if let Some(failure) = before.and_then(|it| self.failure(it)) {
            return Err(failure);
        }
        let Some((name, program)) = self.waiting.pop_front() else { return Ok(()) };
        let condition = before.and_then(|_| self.conditions.pop_front());
        if let (true, Some(before)) = (late, before) {
            let state = &self.tracer.sides[before];
            let missing = match condition {
                Some(Condition::Port(port)) => format!("nobody was on port {port}"),
                Some(Condition::Line(line)) => {
                    format!("{} did not print \"{line}\"", state.name)
                }
                None if state.listens => {
                    format!("{} listened, but did not come to rest", state.name)
                }
                None => format!("{} neither listened nor ended", state.name),
            };
            let seconds = self.since_ready.elapsed().as_secs();
            self.note(format!("{missing} within {seconds} s: {name} starts anyway"));
        }
        self.spawn(name, program).map(|_| ())
    }

    /// Once the last side has ended and the others only wait, nobody will come any more:
    /// they get SIGINT, as from a terminal, and later SIGKILL. The same happens to all of
    /// them once the time given for the run is up. Returns whether it has come to this.
    fn interrupt_the_rest(&mut self) -> bool {
        if let Some(when) = self.interrupted {
            let since = when.elapsed();
            // On a busy machine the time goes by while a side gets no processor.
            let asked = self.asked_to_end && self.all_rest() && since > GRACE_WHEN_ASKED;
            if asked || since > GRACE {
                self.note_stubborn(since);
                self.end();
            }
            return true;
        }
        if !self.waiting.is_empty() {
            return false;
        }
        let over = match self.options.until {
            Some(time) => self.since_ready.elapsed() >= time,
            None => {
                let last = self.tracer.sides.last();
                let ending = self.tracer.sides.len() > 1
                    && last.is_some_and(|side| side.main_has_ended);
                if !ending {
                    return false;
                }
                self.is_still()
            }
        };
        if over {
            self.interrupted = Some(Instant::now());
            for side in 0..self.tracer.sides.len() {
                self.signal(side, libc::SIGINT);
            }
        }
        true
    }

    /// Whether no thread is about to do something.
    fn all_rest(&mut self) -> bool {
        let mut threads = self.tracer.threads.values_mut();
        threads.all(|it| it.parked.is_none() && it.is_quiet())
    }

    /// Says once which sides have not ended in their time.
    fn note_stubborn(&mut self, since: Duration) {
        if std::mem::replace(&mut self.noted_stubborn, true) {
            return;
        }
        for side in 0..self.tracer.sides.len() {
            if self.tracer.threads.values().any(|it| it.side == side) {
                let name = &self.tracer.sides[side].name;
                let time = since.as_millis();
                self.note(format!(
                    "{name} has not ended {time} ms after it was asked to: SIGKILL"
                ));
            }
        }
    }

    /// Whether all threads are at rest, and there has been no progress for long enough to
    /// mean something.
    fn is_still(&mut self) -> bool {
        let threads = || self.tracer.threads.values();
        let in_calls = threads().all(Thread::waits_for_peer);
        let still_for = if in_calls { STILL_IN_CALLS } else { STILL };
        let since = self.progress.1.elapsed();
        if since <= still_for {
            return false;
        }
        // A kernel that is going to retransmit may yet wake somebody.
        let wire = self.tracer.wire.as_ref();
        if since < KERNELS_ALONE && wire.is_some_and(|wire| wire.is_busy()) {
            return false;
        }
        let all_quiet = self.all_rest();
        if since > STILL_WITH_PLANS {
            return true;
        }
        all_quiet && !self.tracer.threads.values().any(Thread::has_plans)
    }

    /// Detaches from the processes that we attached to: stops each thread once, and lets
    /// it go.
    fn detach(&mut self) -> Result<(), TraceError> {
        let tids: Vec<i32> = self.tracer.threads.keys().copied().collect();
        for tid in tids {
            // A thread that is gone needs no detaching.
            let _ = sys::interrupt(tid);
        }
        let deadline = Instant::now() + GRACE;
        while !self.tracer.threads.is_empty() && Instant::now() < deadline {
            match sys::wait(Whose::Any, false) {
                Ok(Some(status)) => {
                    let signal = match status.stop() {
                        sys::WaitStatus::Signal(signal) => signal,
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

    /// Ends whatever the session started that is still running.
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
        // Each exit status must be collected, or the dead remain as zombies.
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match sys::wait(Whose::Any, false) {
                Ok(Some(status)) => sys::resume(status.tid, sys::Resume::Go, 0),
                Ok(None) => std::thread::sleep(Duration::from_micros(100)),
                Err(_) => break,
            }
        }
    }
}
