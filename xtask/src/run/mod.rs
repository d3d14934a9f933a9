//! Runs a scene: starts its terminals in order, each when the one before is ready,
//! follows their output, and leaves nothing behind.
//!
//! No wait depends on the clock. A terminal is ready when its process listens or has
//! bound (as the kernel's socket tables show) and is idle, when it has printed the first
//! line that the page expects and is idle, or when it has exited. It is interrupted when
//! the other terminals are done, it has printed as many lines as the page has before
//! `^C`, and it is idle. What sends no event is polled every half millisecond, and every
//! wait has a deadline and a message.

mod command;
pub(crate) mod places;
mod reading;
mod runnable;

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use common::Visible;
use netlab::process::{self, Signal};
use netlab::sockets;
#[cfg(target_os = "linux")]
use netlab::wire::Host;
use netlab::wire::{Rules, Wire};
use netlab::{Network, PrivateNetwork};

use self::command::{Most, News, RunningCommand};
use self::reading::Reading;
use self::runnable::RunnableTime;
use crate::page::{Scene, Step, Terminal};
use crate::{interrupt, transcript};

#[cfg(unix)]
pub(crate) use command::kill_all;
pub(crate) use command::lay_environment;
pub use places::{Missing, Programs};

/// How often to look for what sends no event, such as a socket that begins to listen.
const TICK: Duration = Duration::from_micros(500);

/// After this time a process that listens, but is never idle, counts as ready. (As a
/// [`RunnableTime`] measures time: the time in which the program could do something.)
const RESTLESS: Duration = Duration::from_millis(200);

/// If nobody prints or exits for this time, `^C` no longer waits for the lines that the
/// page has before it. (Also as a [`RunnableTime`] measures it.)
const SILENCE: Duration = Duration::from_secs(1);

/// The grace period of a process that was asked to end, if the user has asked for the end
/// of everything.
const INTERRUPTED_FAREWELL: Duration = Duration::from_millis(150);

/// The variable that distinguishes the processes of one run from those of another. Its
/// value is this process's id, a dash, and the number of the run.
pub(crate) const RUN: &str = "XTASK_RUN";

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The number of runs in progress.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// Returns how the variable of everything that this process runs begins: `XTASK_RUN=4711-`.
pub(crate) fn mark() -> String {
    format!("{RUN}={}-", std::process::id())
}

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// How long a terminal may take to become ready, counting only time in which its
    /// processes could do something.
    pub ready: Duration,
    /// How long the whole run may take, by the clock.
    pub run: Duration,
    /// How long a process that was asked to end (`SIGTERM`) may take before it is killed.
    pub farewell: Duration,
    /// The maximum number of bytes that one command may print.
    pub output_bytes: usize,
    /// The maximum number of lines that one command may print.
    pub output_lines: usize,
}

impl Default for RunLimits {
    fn default() -> Self {
        RunLimits {
            ready: Duration::from_secs(10),
            run: Duration::from_secs(30),
            farewell: Duration::from_millis(500),
            output_bytes: 1 << 20,
            output_lines: 20_000,
        }
    }
}

/// A line that a terminal shows, reported as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The index of the terminal in its scene.
    pub terminal: usize,
    /// The line, with everything that a terminal would obey escaped.
    pub line: &'a str,
}

/// The result of a run.
#[derive(Debug)]
pub struct RunOutcome {
    /// What each terminal showed, line by line, in the form of a page's block.
    pub terminals: Vec<Vec<String>>,
    /// Why the run was stopped early, if it was.
    pub failure: Option<StopReason>,
    /// The time from before the first process was started to after the last was reaped.
    pub elapsed: Duration,
    /// The processes that the commands left behind, and that were killed: their names and
    /// ids.
    pub leftovers: Vec<String>,
}

/// The reason why a run was stopped early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// The line of the page at which it happened.
    pub line: usize,
    /// Which terminal it was, what happened, and what to do.
    pub message: String,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The surroundings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The folder in which commands run, which is the page's.
    pub folder: &'a Path,
    /// Where commands are found.
    pub programs: &'a Programs,
    /// The network that they use.
    pub network: Network,
    /// The limits of the run.
    pub limits: RunLimits,
}

/// Runs `scene`, passing each line to `show` as it comes.
///
/// It runs on a thread of its own, which enters the private network and outlives its
/// children: they would die with it.
///
/// # Errors
/// Fails if the system refuses a network or a thread. What programs do wrong is not an error, but
/// a [`StopReason`] in the outcome.
pub fn run(
    scene: &Scene,
    surroundings: Surroundings<'_>,
    show: &mut (dyn FnMut(Shown<'_>) + Send),
) -> io::Result<RunOutcome> {
    let body = || {
        let wire = match &scene.wire {
            Some(rules) => Some(wire(rules).map_err(io::Error::other)?),
            None => None,
        };
        let network = match surroundings.network {
            _ if wire.is_some() => None,
            Network::Private => Some(PrivateNetwork::enter().map_err(io::Error::other)?),
            Network::Host => None,
        };
        let start = Instant::now();
        let (sender, receiver) = mpsc::channel();
        let _interest = interrupt::tell(&sender, || Event::Interrupted);
        let _current = Current::new();
        let mut run = Run {
            surroundings,
            network,
            wire,
            live: scene.terminals.iter().map(Live::new).collect(),
            reading: Reading::start()?,
            sender,
            receiver,
            show,
            deadline: start + surroundings.limits.run,
            silence: RunnableTime::default(),
            id: RUNS.fetch_add(1, Ordering::Relaxed),
            leaders: Vec::new(),
        };
        let failure = run.follow().and_then(|()| run.rules_matched()).err();
        let leftovers = run.stop();
        let terminals = run.live.into_iter().map(|live| live.lines).collect();
        Ok(RunOutcome { terminals, failure, elapsed: start.elapsed(), leftovers })
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("run".into()).spawn_scoped(scope, body)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Opens the wire of a scene.
pub(crate) fn wire(rules: &[String]) -> Result<Wire, String> {
    let rules = Rules::parse(rules.iter().map(String::as_str));
    let rules = rules.map_err(|error| error.to_string())?;
    Wire::open(&rules, netlab::wire::Options::default()).map_err(|it| it.to_string())
}

/// Counts a run in [`CURRENT`] for as long as this lives.
struct Current;

impl Current {
    fn new() -> Current {
        CURRENT.fetch_add(1, Ordering::SeqCst);
        Current
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
enum Event {
    News { terminal: usize, step: usize, news: News },
    Interrupted,
}

struct Run<'a> {
    surroundings: Surroundings<'a>,
    network: Option<PrivateNetwork>,
    wire: Option<Wire>,
    live: Vec<Live<'a>>,
    reading: Reading,
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    show: &'a mut (dyn FnMut(Shown<'_>) + Send),
    deadline: Instant,
    /// The time since the last news from any terminal.
    silence: RunnableTime,
    /// The number of this run among those of this process.
    id: u32,
    /// The process ids of the commands that were started: each leads a process group.
    leaders: Vec<u32>,
}

/// A terminal during a run.
struct Live<'a> {
    page: &'a Terminal,
    lines: Vec<String>,
    /// The beginning of a line that has not ended yet.
    partial: Vec<u8>,
    /// The index of the step that is running, or will run next.
    step: usize,
    running: Option<RunningCommand>,
    /// The progress of the step that is running.
    progress: Progress,
    /// The time since the step was started.
    idle: RunnableTime,
    /// The first line that the step is expected to print, with placeholders.
    first: Option<String>,
}

/// The progress of a step's command.
#[derive(Debug, Default)]
struct Progress {
    ready: bool,
    /// The number of lines printed.
    printed: usize,
    /// Whether the first expected line has come.
    spoke: bool,
    /// The time since the first look at whether it is idle.
    restless: Option<RunnableTime>,
    mark_asked: bool,
    marked: bool,
    interrupted: bool,
    exited: bool,
}

impl<'a> Live<'a> {
    fn new(page: &'a Terminal) -> Self {
        Live {
            page,
            lines: Vec::new(),
            partial: Vec::new(),
            step: 0,
            running: None,
            progress: Progress::default(),
            idle: RunnableTime::default(),
            first: None,
        }
    }

    fn current(&self) -> Option<&'a Step> {
        self.page.steps.get(self.step)
    }

    fn started(&self) -> bool {
        self.step > 0 || self.running.is_some()
    }

    fn done(&self) -> bool {
        self.step == self.page.steps.len()
    }

    fn ready(&self) -> bool {
        self.step > 0 || self.progress.ready
    }

    fn waits_for_interrupt(&self) -> bool {
        self.progress.ready
            && !self.progress.interrupted
            && self.current().is_some_and(|step| step.interrupt_after.is_some())
    }

    /// Returns whether there are as many lines as the page has before `^C`.
    fn said_all_before_interrupt(&self) -> bool {
        let lines = self.progress.printed + usize::from(!self.partial.is_empty());
        self.current().and_then(|step| step.interrupt_after).is_none_or(|it| lines >= it)
    }
}

impl Run<'_> {
    /// Follows the run until every terminal is done.
    fn follow(&mut self) -> Result<(), StopReason> {
        loop {
            for terminal in 0..self.live.len() {
                self.advance(terminal)?;
            }
            if self.live.iter().all(Live::done) {
                return Ok(());
            }
            match self.next_event()? {
                Some(Event::News { terminal, step, news }) => {
                    self.in_time()?;
                    self.hear(terminal, step, news)?;
                    // Handle all news that has arrived before acting on any of it.
                    while let Ok(event) = self.receiver.try_recv() {
                        match event {
                            Event::News { terminal, step, news } => {
                                self.in_time()?;
                                self.hear(terminal, step, news)?;
                            }
                            Event::Interrupted => return Err(self.interrupted()),
                        }
                    }
                }
                Some(Event::Interrupted) => return Err(self.interrupted()),
                None => {}
            }
        }
    }

    /// Checks that there is time left, and that nobody has asked for the end.
    fn in_time(&self) -> Result<(), StopReason> {
        if interrupt::asked() {
            return Err(self.interrupted());
        }
        if Instant::now() >= self.deadline { Err(self.overtime()) } else { Ok(()) }
    }

    /// Returns whether nobody has printed or exited for long, although all could have.
    fn is_silent(&mut self) -> bool {
        let running = self.live.iter().filter_map(|live| live.running.as_ref());
        let family = running.flat_map(|running| process::family(running.pid()));
        self.silence.look(family) >= SILENCE
    }

    /// Advances a terminal: starts its next step if it can start, ends its step if that has
    /// exited, interrupts it if it waits for that.
    fn advance(&mut self, terminal: usize) -> Result<(), StopReason> {
        if self.live[terminal].progress.exited {
            self.end_step(terminal);
        }
        let live = &self.live[terminal];
        if live.done() {
            return Ok(());
        }
        let (earlier, later) = self.live.split_at(terminal);
        if live.running.is_none() {
            if live.started() || earlier.iter().all(Live::ready) {
                self.start_step(terminal)?;
            }
        } else if !live.progress.ready {
            self.observe(terminal)?;
        } else if live.waits_for_interrupt() {
            let mut others = earlier.iter().chain(&later[1..]);
            let said_all = live.said_all_before_interrupt();
            if others.all(|other| other.done() || other.waits_for_interrupt())
                && earlier.iter().all(Live::done)
                && (said_all || self.is_silent())
                && !self.kernels_work()
                && self.rests(terminal)
            {
                self.interrupt(terminal);
            }
        }
        Ok(())
    }

    fn start_step(&mut self, terminal: usize) -> Result<(), StopReason> {
        let live = &mut self.live[terminal];
        let Some(step) = live.current() else { return Ok(()) };
        let number = live.step;
        let first = step.expected.first().map(|line| transcript::renamed(line));
        self.print(terminal, &format!("$ {}", step.command));
        let (program, arguments) = self
            .surroundings
            .programs
            .resolve(&step.words, self.surroundings.folder)
            .map_err(|missing| self.failure(terminal, missing.to_string()))?;
        let running = RunningCommand::start(
            &program,
            arguments,
            self.surroundings.folder,
            (RUN, &format!("{}-{}", std::process::id(), self.id)),
            Most {
                bytes: self.surroundings.limits.output_bytes,
                lines: self.surroundings.limits.output_lines,
            },
            (&self.reading, &self.sender),
            |command| self.place(command, terminal),
            move |news| Event::News { terminal, step: number, news },
        )
        .map_err(|error| {
            let error = netlab::with_remedy(&error);
            self.failure(terminal, format!("start {}: {error}", program.display()))
        })?;
        let live = &mut self.live[terminal];
        self.leaders.push(running.pid());
        live.running = Some(running);
        live.progress = Progress::default();
        live.idle = RunnableTime::default();
        live.first = first;
        Ok(())
    }

    /// Puts a command on its host, if there is a wire.
    fn place(&self, command: &mut std::process::Command, terminal: usize) {
        #[cfg(target_os = "linux")]
        if let Some(wire) = &self.wire {
            let host = if terminal == 0 { Host::B } else { Host::A };
            wire.place(command, host);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (command, terminal);
    }

    /// Returns whether the kernel at either end of the wire will still retransmit
    /// something, which may yet wake a program.
    fn kernels_work(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.wire.as_ref().is_some_and(Wire::is_busy);
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// Checks that every rule of the wire has matched: otherwise something that the page
    /// claims did not happen.
    fn rules_matched(&self) -> Result<(), StopReason> {
        #[cfg(target_os = "linux")]
        if let Some(wire) = &self.wire {
            let idle = wire.idle_rules();
            if !idle.is_empty() {
                let line = self.live.first().map_or(1, |live| live.page.line);
                return Err(StopReason { line, message: idle.join("; ") });
            }
        }
        Ok(())
    }

    /// Checks whether the command of `terminal` has become ready.
    fn observe(&mut self, terminal: usize) -> Result<(), StopReason> {
        let live = &self.live[terminal];
        let Some(pid) = live.running.as_ref().map(RunningCommand::pid) else {
            return Ok(());
        };
        let progress = &live.progress;
        let may_rest = progress.spoke
            || progress.mark_asked
            || progress.restless.is_some()
            || sockets::family_ready(pid);
        if may_rest && self.rests(terminal) {
            // Forget this look: before the command is interrupted, it must be idle again.
            let progress = &mut self.live[terminal].progress;
            let printed = progress.printed;
            *progress = Progress { ready: true, printed, ..Progress::default() };
        }
        let live = &mut self.live[terminal];
        if !live.progress.ready
            && live.idle.look(process::family(pid)) >= self.surroundings.limits.ready
        {
            // While a kernel retransmits, ever more slowly, the program can do nothing.
            if self.kernels_work() {
                self.live[terminal].idle = RunnableTime::default();
                return Ok(());
            }
            let live = &self.live[terminal];
            let first = live.current().and_then(|step| step.expected.first());
            let printed =
                first.map_or(String::new(), |line| format!(", nor printed `{line}`"));
            let seconds = self.surroundings.limits.ready.as_secs_f32();
            return Err(self.failure(
                terminal,
                format!(
                    "not ready within {seconds} s: it neither listens nor has bound{printed}, \
                     nor exited"
                ),
            ));
        }
        Ok(())
    }

    /// Returns whether the command is idle: its processes are asleep, and all their
    /// output has been read. On a system where that cannot be seen, returns whether it
    /// has printed what the page expects by now.
    fn rests(&mut self, terminal: usize) -> bool {
        let live = &mut self.live[terminal];
        let Some(step) = live.page.steps.get(live.step) else { return false };
        let Some(running) = &mut live.running else { return false };
        let progress = &mut live.progress;
        if progress.marked {
            return true;
        }
        if progress.mark_asked {
            return false;
        }
        let family = process::family(running.pid());
        let restless = progress.restless.get_or_insert_default();
        let restless = restless.look(family.iter().copied());
        let asleep = family.into_iter().map(process::sleeps);
        let asleep = asleep.reduce(|all, one| Some(all? && one?)).flatten();
        match asleep {
            Some(true) => {
                progress.mark_asked = true;
                running.mark();
                false
            }
            Some(false) => restless >= RESTLESS,
            None if progress.ready => {
                progress.printed >= step.interrupt_after.unwrap_or(step.expected.len())
            }
            None => progress.spoke,
        }
    }

    fn interrupt(&mut self, terminal: usize) {
        self.end_line(terminal);
        self.print(terminal, "^C");
        let live = &mut self.live[terminal];
        live.progress.interrupted = true;
        if let Some(running) = &live.running {
            running.signal(Signal::Interrupt);
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, StopReason> {
        let looking = |live: &Live<'_>| {
            live.running.is_some() && (!live.progress.ready || live.waits_for_interrupt())
        };
        let mut until = self.deadline;
        if self.live.iter().any(looking) {
            until = until.min(Instant::now() + TICK);
        }
        let left = until.saturating_duration_since(Instant::now());
        match self.receiver.recv_timeout(left) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                if Instant::now() >= self.deadline {
                    Err(self.overtime())
                } else {
                    Ok(None)
                }
            }
        }
    }

    fn hear(
        &mut self,
        terminal: usize,
        step: usize,
        news: News,
    ) -> Result<(), StopReason> {
        self.silence = RunnableTime::default();
        match news {
            News::Output(bytes) => return self.output(terminal, &bytes),
            News::Flood(most) => {
                self.end_line(terminal);
                return Err(self.failure(
                    terminal,
                    format!("it printed more than {most}, and was stopped"),
                ));
            }
            // Ignore a mark from an earlier command: only output from what it left behind
            // counts.
            _ if self.live[terminal].step != step => {}
            News::Marked => self.live[terminal].progress.marked = true,
            News::Exited => {
                let progress = &mut self.live[terminal].progress;
                progress.exited = true;
                progress.ready = true;
            }
        }
        Ok(())
    }

    fn output(&mut self, terminal: usize, bytes: &[u8]) -> Result<(), StopReason> {
        let mut partial = std::mem::take(&mut self.live[terminal].partial);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(piece);
            if let Some(line) = partial.strip_suffix(b"\n") {
                // Showing a line may take long, so check the time before each.
                self.in_time()?;
                let line = Visible(line.strip_suffix(b"\r").unwrap_or(line)).to_string();
                self.printed(terminal, &line);
                partial.clear();
            }
        }
        self.live[terminal].partial = partial;
        Ok(())
    }

    /// Shows the beginning of a line whose end will not come.
    fn end_line(&mut self, terminal: usize) {
        let partial = std::mem::take(&mut self.live[terminal].partial);
        if !partial.is_empty() {
            self.printed(terminal, &Visible(&partial).to_string());
        }
    }

    fn printed(&mut self, terminal: usize, line: &str) {
        let live = &mut self.live[terminal];
        if !live.progress.spoke && !live.progress.ready {
            let first = live.first.as_ref();
            live.progress.spoke =
                first.is_some_and(|it| *it == transcript::renamed(line));
        }
        live.progress.printed += 1;
        self.print(terminal, line);
    }

    fn print(&mut self, terminal: usize, line: &str) {
        self.live[terminal].lines.push(line.to_owned());
        (self.show)(Shown { terminal, line });
    }

    /// Ends a step whose command has exited: shows how it ended, if that is worth a line.
    fn end_step(&mut self, terminal: usize) {
        self.end_line(terminal);
        let live = &mut self.live[terminal];
        let Some(mut running) = live.running.take() else { return };
        let interrupted = live.progress.interrupted;
        live.progress = Progress::default();
        live.step += 1;
        let ended = match running.status() {
            Ok(status) => ending(status, interrupted),
            Err(error) => Some(format!("[exit status unknown: {error}]")),
        };
        if let Some(line) = ended {
            self.print(terminal, &line);
        }
    }

    /// Ends what is still running, kills what was left behind, and reaps everything.
    /// Returns what was left behind.
    fn stop(&mut self) -> Vec<String> {
        let running = |live: &Live<'_>| live.running.is_some() && !live.progress.exited;
        for live in &self.live {
            if let Some(running) = &live.running {
                running.signal(Signal::Terminate);
            }
        }
        let farewell = self.surroundings.limits.farewell;
        let farewell = if interrupt::asked() {
            farewell.min(INTERRUPTED_FAREWELL)
        } else {
            farewell
        };
        let deadline = Instant::now() + farewell;
        while self.live.iter().any(running) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(Event::News { terminal, step, news }) => {
                    let _ = self.hear(terminal, step, news);
                }
                Ok(Event::Interrupted) => {}
                Err(_) => break,
            }
        }
        for terminal in 0..self.live.len() {
            if self.live[terminal].progress.exited {
                self.end_step(terminal);
            } else {
                self.end_line(terminal);
            }
            // Dropping a command kills its process group and reaps it.
            self.live[terminal].running = None;
        }
        self.kill_leftovers()
    }

    /// Kills what escaped its process group: everything that is still on the private
    /// network, or, on the host's network, the orphans of this run that this process has
    /// adopted.
    fn kill_leftovers(&self) -> Vec<String> {
        let mut killed: Vec<String> = Vec::new();
        loop {
            let mut left = match (&self.network, &self.wire) {
                (Some(network), _) => network.processes(),
                #[cfg(target_os = "linux")]
                (_, Some(wire)) => wire.processes(),
                _ => self.orphans(),
            };
            // A process that has left the network but not its group yet is found by its
            // group.
            if left.is_empty() {
                left = process::orphans_of_groups(&self.leaders);
            }
            // One that has left both, or changed its environment, can be told from
            // another run's processes only if there is no other run.
            if left.is_empty() && CURRENT.load(Ordering::SeqCst) == 1 {
                left = process::orphans_of_other_sessions();
            }
            if left.is_empty() {
                return killed;
            }
            for pid in left {
                let name = process::name(pid).unwrap_or_default();
                #[cfg(unix)]
                {
                    process::kill(pid);
                    // If it is not a child of this process, then its parent is on the list
                    // too, and after that this process adopts it.
                    process::reap(pid);
                }
                let entry = format!("{} (pid {pid})", Visible(name.as_bytes()));
                if !killed.contains(&entry) {
                    killed.push(entry);
                }
            }
        }
    }

    fn orphans(&self) -> Vec<u32> {
        let mark = format!("{}{}", mark(), self.id);
        let children = process::children().into_iter();
        children.filter(|pid| process::has_variable(*pid, &mark)).collect()
    }

    fn failure(&self, terminal: usize, message: String) -> StopReason {
        let live = &self.live[terminal];
        let line = live.current().map_or(live.page.line, |step| step.line);
        StopReason { line, message: format!("terminal {}: {message}", live.page.name) }
    }

    fn interrupted(&self) -> StopReason {
        let terminal = self.live.iter().position(|live| !live.done()).unwrap_or(0);
        let mut failure = self.failure(terminal, String::new());
        failure.message = "interrupted".into();
        failure
    }

    /// Returns the reason for stopping a run whose time is up: the terminal that it
    /// waited for.
    fn overtime(&self) -> StopReason {
        let terminal = self.live.iter().position(|live| !live.done()).unwrap_or(0);
        let seconds = self.surroundings.limits.run.as_secs_f32();
        let live = &self.live[terminal];
        let interrupt = live.current().is_some_and(|step| step.interrupt_after.is_some());
        let advice = if interrupt { "" } else { "; does its block need a `^C`?" };
        self.failure(terminal, format!("still running after {seconds} s{advice}"))
    }
}

/// Returns the line that says how a command ended, unless a terminal would be silent
/// about it.
fn ending(status: ExitStatus, interrupted: bool) -> Option<String> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(signal);
        let name = name.map_or_else(|| format!("signal {signal}"), str::to_owned);
        return (!interrupted || name != "SIGINT").then(|| format!("[killed by {name}]"));
    }
    match status.code() {
        Some(0) => None,
        // Windows has no signals: ^C results in an exit status.
        _ if interrupted && cfg!(windows) => None,
        Some(code) => Some(format!("[exit status {code}]")),
        None => Some("[killed]".into()),
    }
}
