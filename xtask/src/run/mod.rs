//! Runs a scene: starts its terminals in order, each when the one before is ready, follows
//! what they print, and leaves nothing behind.
//!
//! Nothing here waits by the clock. A terminal is ready when its process listens or has
//! bound (seen in the kernel's socket tables) and has come to rest, when it has printed the
//! first line that the page expects, or when it has exited. It is interrupted when the others
//! are done, it has printed as many lines as the page has before `^C`, and has come to rest.
//! What must be looked at again is looked at every half millisecond; every wait ends at a
//! deadline with a message.

mod command;
mod patience;
pub(crate) mod places;
mod reading;

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

use self::command::{Most, News, Running};
use self::patience::Patience;
use self::reading::Reading;
use crate::page::{Scene, Step, Terminal};
use crate::{interrupt, transcript};

#[cfg(unix)]
pub(crate) use command::kill_all;
pub(crate) use command::lay_environment;
pub use places::{Missing, Programs};

/// How often what sends no event (a socket that begins to listen) is looked at.
const TICK: Duration = Duration::from_micros(500);

/// After this long a process that listens, but never comes to rest, counts as ready. (Times of a
/// [`Patience`]: what a program had a chance to do.)
const RESTLESS: Duration = Duration::from_millis(200);

/// After this long in which nobody prints or exits, `^C` no longer waits for the lines that the
/// page has before it. (A time of a [`Patience`].)
const SILENCE: Duration = Duration::from_secs(1);

/// The grace of a process that was asked to end, where the user asked for the end of all.
const INTERRUPTED_FAREWELL: Duration = Duration::from_millis(150);

/// The variable that tells the processes of a run from those of another: this process's id, a
/// dash, and the number of the run.
pub(crate) const RUN: &str = "XTASK_RUN";

static RUNS: AtomicU32 = AtomicU32::new(0);

/// How many runs there are now.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// What begins the variable of all that this process runs: `XTASK_RUN=4711-`.
pub(crate) fn mark() -> String {
    format!("{RUN}={}-", std::process::id())
}

/// What a run may cost.
#[derive(Debug, Clone, Copy)]
pub struct RunLimits {
    /// For a terminal to become ready: the time in which its processes could do something.
    pub ready: Duration,
    /// For the whole run, by the clock.
    pub run: Duration,
    /// For a process that was asked to end (`SIGTERM`) before it is killed.
    pub farewell: Duration,
    /// For what one command prints, in bytes.
    pub output_bytes: usize,
    /// The same in lines.
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

/// A line as a terminal shows it, reported as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The index of the terminal in its scene.
    pub terminal: usize,
    /// The line, with what a terminal would obey escaped.
    pub line: &'a str,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What each terminal showed, line by line, in the form of a page's block.
    pub terminals: Vec<Vec<String>>,
    /// Why the run was stopped before its end, if it was.
    pub failure: Option<StopReason>,
    /// From before the first start to after the last reaping.
    pub elapsed: Duration,
    /// The processes that the commands left behind, and that were killed: name and id.
    pub leftovers: Vec<String>,
}

/// Why a run was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// The line of the page at which it happened.
    pub line: usize,
    /// Which terminal, what happened, what to do.
    pub message: String,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a run needs from outside.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The folder in which commands run: the page's.
    pub folder: &'a Path,
    /// Where commands are found.
    pub programs: &'a Programs,
    /// Which network.
    pub network: Network,
    /// What it may cost.
    pub limits: RunLimits,
}

/// Runs `scene`, telling each line to `show` as it comes.
///
/// It runs on a thread of its own, which takes the private network, and which outlives its
/// children: they die with it.
///
/// # Errors
/// The system's refusal of a network or of a thread. What programs do wrong is no error
/// but a [`StopReason`] in the outcome.
pub fn run(
    scene: &Scene,
    setting: Setting<'_>,
    show: &mut (dyn FnMut(Shown<'_>) + Send),
) -> io::Result<Outcome> {
    let body = || {
        let wire = match &scene.wire {
            Some(rules) => Some(wire(rules).map_err(io::Error::other)?),
            None => None,
        };
        let network = match setting.network {
            _ if wire.is_some() => None,
            Network::Private => Some(PrivateNetwork::enter().map_err(io::Error::other)?),
            Network::Host => None,
        };
        let start = Instant::now();
        let (sender, receiver) = mpsc::channel();
        let _interest = interrupt::tell(&sender, || Event::Interrupted);
        let _current = Current::new();
        let mut run = Run {
            setting,
            network,
            wire,
            live: scene.terminals.iter().map(Live::new).collect(),
            reading: Reading::start()?,
            sender,
            receiver,
            show,
            deadline: start + setting.limits.run,
            silence: Patience::default(),
            id: RUNS.fetch_add(1, Ordering::Relaxed),
            leaders: Vec::new(),
        };
        let failure = run.follow().and_then(|()| run.rules_matched()).err();
        let leftovers = run.stop();
        let terminals = run.live.into_iter().map(|live| live.lines).collect();
        Ok(Outcome { terminals, failure, elapsed: start.elapsed(), leftovers })
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("run".into()).spawn_scoped(scope, body)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The wire of a scene.
pub(crate) fn wire(rules: &[String]) -> Result<Wire, String> {
    let rules = Rules::parse(rules.iter().map(String::as_str));
    let rules = rules.map_err(|error| error.to_string())?;
    Wire::open(&rules, netlab::wire::Options::default()).map_err(|it| it.to_string())
}

/// Counts a run among [`CURRENT`] as long as it lives.
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
    setting: Setting<'a>,
    network: Option<PrivateNetwork>,
    wire: Option<Wire>,
    live: Vec<Live<'a>>,
    reading: Reading,
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    show: &'a mut (dyn FnMut(Shown<'_>) + Send),
    deadline: Instant,
    /// Since there was news of a terminal.
    silence: Patience,
    /// Its number among the runs of this process.
    id: u32,
    /// The commands that were started: each leads a process group.
    leaders: Vec<u32>,
}

/// A terminal while it runs.
struct Live<'a> {
    page: &'a Terminal,
    lines: Vec<String>,
    /// The beginning of a line that has not ended.
    partial: Vec<u8>,
    /// The index of the step that runs, or runs next.
    step: usize,
    running: Option<Running>,
    /// Of the step that runs.
    progress: Progress,
    /// Since the step was started.
    patience: Patience,
    /// The first line that the step is expected to print, with placeholders.
    first: Option<String>,
}

/// How far the command of a step has come.
#[derive(Debug, Default)]
struct Progress {
    ready: bool,
    /// Lines printed.
    printed: usize,
    /// The first expected line came.
    spoke: bool,
    /// Since it was looked whether it rests.
    restless: Option<Patience>,
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
            patience: Patience::default(),
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

    /// Whether there are as many lines as the page has before `^C`.
    fn said_all_before_interrupt(&self) -> bool {
        let lines = self.progress.printed + usize::from(!self.partial.is_empty());
        self.current().and_then(|step| step.interrupt_after).is_none_or(|it| lines >= it)
    }
}

impl Run<'_> {
    /// Until every terminal is done.
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
                    // What is there already is heard before anything is done about it.
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

    /// Whether there is time left, and nobody asked for the end.
    fn in_time(&self) -> Result<(), StopReason> {
        if interrupt::asked() {
            return Err(self.interrupted());
        }
        if Instant::now() >= self.deadline { Err(self.overtime()) } else { Ok(()) }
    }

    /// Whether nobody has printed or exited for long, though all could.
    fn is_silent(&mut self) -> bool {
        let running = self.live.iter().filter_map(|live| live.running.as_ref());
        let family = running.flat_map(|running| process::family(running.pid()));
        self.silence.look(family) >= SILENCE
    }

    /// Starts what can start, ends what has ended, interrupts what waits for it.
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
            .setting
            .programs
            .resolve(&step.words, self.setting.folder)
            .map_err(|missing| self.failure(terminal, missing.to_string()))?;
        let running = Running::start(
            &program,
            arguments,
            self.setting.folder,
            (RUN, &format!("{}-{}", std::process::id(), self.id)),
            Most {
                bytes: self.setting.limits.output_bytes,
                lines: self.setting.limits.output_lines,
            },
            (&self.reading, &self.sender),
            |command| self.place(command, terminal),
            move |news| Event::News { terminal, step: number, news },
        )
        .map_err(|error| {
            self.failure(terminal, format!("start {}: {error}", program.display()))
        })?;
        let live = &mut self.live[terminal];
        self.leaders.push(running.pid());
        live.running = Some(running);
        live.progress = Progress::default();
        live.patience = Patience::default();
        live.first = first;
        Ok(())
    }

    /// Puts a command on its host, where there is a wire.
    fn place(&self, command: &mut std::process::Command, terminal: usize) {
        #[cfg(target_os = "linux")]
        if let Some(wire) = &self.wire {
            let host = if terminal == 0 { Host::B } else { Host::A };
            wire.place(command, host);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (command, terminal);
    }

    /// Whether a kernel at an end of the wire will send something again, which may yet wake
    /// a program.
    fn kernels_work(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.wire.as_ref().is_some_and(Wire::is_busy);
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// A rule that never matched says something of the page that did not happen.
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

    /// Looks whether the command of `terminal` has become ready.
    fn observe(&mut self, terminal: usize) -> Result<(), StopReason> {
        let live = &self.live[terminal];
        let Some(pid) = live.running.as_ref().map(Running::pid) else { return Ok(()) };
        let progress = &live.progress;
        let may_rest = progress.spoke
            || progress.mark_asked
            || progress.restless.is_some()
            || sockets::family_ready(pid);
        if may_rest && self.rests(terminal) {
            // Before it is interrupted it is asked anew.
            let progress = &mut self.live[terminal].progress;
            let printed = progress.printed;
            *progress = Progress { ready: true, printed, ..Progress::default() };
        }
        let live = &mut self.live[terminal];
        if !live.progress.ready
            && live.patience.look(process::family(pid)) >= self.setting.limits.ready
        {
            let first = live.current().and_then(|step| step.expected.first());
            let printed =
                first.map_or(String::new(), |line| format!(", nor printed `{line}`"));
            let seconds = self.setting.limits.ready.as_secs_f32();
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

    /// Whether the command has come to rest: its processes sleep, and all they printed is
    /// known. Where that cannot be seen: whether it printed what the page expects by now.
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
        self.silence = Patience::default();
        match news {
            News::Output(bytes) => return self.output(terminal, &bytes),
            News::Flood(most) => {
                self.end_line(terminal);
                return Err(self.failure(
                    terminal,
                    format!("it printed more than {most}, and was stopped"),
                ));
            }
            // Of a command before this one: what it left behind still prints, no more.
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
                // A terminal that is slow to show a line shows no other after the end.
                self.in_time()?;
                let line = Visible(line.strip_suffix(b"\r").unwrap_or(line)).to_string();
                self.printed(terminal, &line);
                partial.clear();
            }
        }
        self.live[terminal].partial = partial;
        Ok(())
    }

    /// Shows the beginning of a line that will get no end.
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

    /// The command of a step exited: says how, if that is worth a line, and goes on.
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

    /// Ends what still runs, kills what was left behind, reaps all.
    fn stop(&mut self) -> Vec<String> {
        let running = |live: &Live<'_>| live.running.is_some() && !live.progress.exited;
        for live in &self.live {
            if let Some(running) = &live.running {
                running.signal(Signal::Terminate);
            }
        }
        let farewell = self.setting.limits.farewell;
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
            // Dropping a command kills its group and reaps it.
            self.live[terminal].running = None;
        }
        self.kill_leftovers()
    }

    /// What escaped its process group: all that is still on the private network, or, on
    /// the host's, the orphans of this run that fell to this process.
    fn kill_leftovers(&self) -> Vec<String> {
        let mut killed: Vec<String> = Vec::new();
        loop {
            let mut left = match (&self.network, &self.wire) {
                (Some(network), _) => network.processes(),
                #[cfg(target_os = "linux")]
                (_, Some(wire)) => wire.processes(),
                _ => self.orphans(),
            };
            // On its way out of the network and the group, it is still in the group.
            if left.is_empty() {
                left = process::orphans_of_groups(&self.leaders);
            }
            // What also left the network, or its environment, can be told from another run's
            // only where there is no other.
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
                    // Of one that is no child of this process its parent hears; the parent
                    // is on the list too, and then it falls to this process.
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

    /// The run's time is over: says which terminal it waited for.
    fn overtime(&self) -> StopReason {
        let terminal = self.live.iter().position(|live| !live.done()).unwrap_or(0);
        let seconds = self.setting.limits.run.as_secs_f32();
        let live = &self.live[terminal];
        let interrupt = live.current().is_some_and(|step| step.interrupt_after.is_some());
        let advice = if interrupt { "" } else { "; does its block need a `^C`?" };
        self.failure(terminal, format!("still runs after {seconds} s{advice}"))
    }
}

/// How a command ended, where the terminal would not be silent about it.
fn ending(status: ExitStatus, interrupted: bool) -> Option<String> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(signal);
        let name = name.map_or_else(|| format!("signal {signal}"), str::to_owned);
        return (!interrupted || name != "SIGINT").then(|| format!("[killed by {name}]"));
    }
    match status.code() {
        Some(0) => None,
        // Windows has no signals: ^C is an exit status.
        _ if interrupted && cfg!(windows) => None,
        Some(code) => Some(format!("[exit status {code}]")),
        None => Some("[killed]".into()),
    }
}
