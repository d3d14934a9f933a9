//! The program under test: the subject. It runs behind a fence (`netlab::fence`), within
//! limits and without access to our secrets, and none of its processes outlive the check.

mod exit;
mod launch;
mod limits;
mod output;
mod proc;
mod words;

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::asleep;
use netlab::process::{self, Signal};
use netlab::sockets::{self, Transport};
use netlab::wire::Sighting;

pub use exit::Exit;
pub(crate) use exit::signal_name;
pub use launch::{Recipe, Run};
pub use limits::Allowance;
pub(crate) use proc::thread_waited_for_processor;

use crate::drawing::Drawing;
use crate::outcome::{Outcome, Stop};
use crate::timeline::Timeline;

/// A running program under test. Dropping it ends the program and everything that it started.
#[derive(Debug)]
pub struct Subject {
    child: Mutex<Option<Child>>,
    keeper: u32,
    pid: u32,
    namespaces: bool,
    shared: Arc<Shared>,
    run: Arc<Run>,
    started: Instant,
    /// It has begun its task: it has listened, connected, or sent something.
    begun: AtomicBool,
    /// The address that clients use to reach it, once known.
    address: Mutex<Option<SocketAddr>>,
    drawing: Mutex<Option<Drawing>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    timeline: Timeline,
    allowance: Allowance,
    /// Its output streams: used to ask the kernel whether they hold bytes that the threads
    /// that read them have not read yet.
    streams: Vec<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    ended: Option<Exit>,
    /// The keeper will send no further notice about its end.
    told: bool,
    /// The limit that it was stopped for exceeding, if any.
    stopped: Option<String>,
    /// It is being ended because its check is over.
    dismissed: bool,
    /// What it has printed on standard output; only the beginning, if that is long.
    stdout: Vec<u8>,
    /// What it has printed on standard error; only the beginning and the end, if that is long.
    stderr: Vec<u8>,
    /// Number of bytes printed so far, on standard output and on standard error.
    printed: [usize; 2],
    /// Number of threads still waiting for its output or for its end.
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

    /// Records that the program is being stopped for exceeding this limit.
    fn limit(&self, why: String) {
        self.timeline.does("checker", format!("stops the program: {why}"));
        self.change(|state| state.stopped = state.stopped.take().or(Some(why)));
    }
}

impl Subject {
    /// Returns its process id, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns whether it is idle: every one of its processes is blocked in the kernel,
    /// stopped, or has ended.
    pub fn rests(&self) -> bool {
        let rests = |pid: u32| {
            process::has_ended(pid)
                || process::sleeps(pid) == Some(true)
                || process::is_stopped(pid)
        };
        self.is_heard() && self.family().into_iter().all(rests)
    }

    /// Returns whether we have caught up with all its output, and with its end. On a busy
    /// machine the threads that read them may still be waiting for a processor long after the
    /// program has ended.
    fn is_heard(&self) -> bool {
        let told = self.shared.lock().told;
        (told || !process::has_ended(self.pid))
            && self.shared.streams.iter().all(|it| process::unread_bytes(it) == 0)
    }

    /// Returns how it ended, if it has.
    pub fn ended(&self) -> Option<Exit> {
        self.shared.lock().ended
    }

    /// Returns whether it has ended, by itself or because it was stopped. A program that has
    /// begun its task in the background, as a daemon does, has not: its first process ends
    /// with status 0, and others go on.
    pub fn is_over(&self) -> bool {
        let state = self.shared.lock();
        let (ended, stopped) = (state.ended, state.stopped.is_some());
        drop(state);
        match ended {
            Some(Exit::Status(0)) if !stopped && self.has_begun() => {
                self.family().into_iter().all(process::has_ended)
            }
            ended => stopped || ended.is_some(),
        }
    }

    /// Returns the limit that it was stopped for exceeding, if any.
    pub fn stopped(&self) -> Option<String> {
        self.shared.lock().stopped.clone()
    }

    /// Returns whether a signal has stopped all threads of all its processes.
    pub(crate) fn is_frozen(&self) -> bool {
        self.family()
            .into_iter()
            .all(|it| process::is_stopped(it) || process::has_ended(it))
    }

    /// Returns the ids of its processes, in whatever session or process group they are.
    fn family(&self) -> Vec<u32> {
        process::family(self.keeper).into_iter().skip(1).collect()
    }

    /// Returns the processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        proc::processor_time_of_all(&self.family())
    }

    /// Returns the longest time that any one of its threads has spent waiting for a processor.
    pub(crate) fn waited_for_processor(&self) -> Duration {
        proc::waited_for_processor(&self.family())
    }

    /// Returns the number of its threads, in all its processes. A process that has ended and
    /// has not been waited for (a zombie) counts as one.
    pub(crate) fn threads(&self) -> usize {
        self.family().into_iter().map(|pid| process::threads(pid).max(1)).sum()
    }

    /// Returns the number of descriptors of its processes that are sockets.
    pub(crate) fn sockets(&self) -> usize {
        self.family().into_iter().map(sockets::open_at).sum()
    }

    /// Returns whether `flow` is drawing it.
    pub(crate) fn is_drawn(&self) -> bool {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Sends a signal to the program. `SIGTERM` and `SIGINT` go to the process group that it
    /// leads, as a terminal's Ctrl-C does; other signals go to every one of its processes,
    /// wherever it is, so that a helper in a session of its own stops and dies with the rest.
    pub fn signal(&self, signal: Signal) {
        let (name, number) = match signal {
            Signal::Interrupt => ("SIGINT", 2),
            Signal::Terminate => ("SIGTERM", 15),
            Signal::Kill => ("SIGKILL", 9),
            Signal::Stop => ("SIGSTOP", 19),
            Signal::Continue => ("SIGCONT", 18),
        };
        self.shared.timeline.does("program", format!("gets {name}"));
        if self.shared.lock().stopped.is_some() {
            return;
        }
        // Its process id, which is also its group's, cannot be reused while its keeper lives:
        // the keeper does not reap it.
        match signal {
            Signal::Interrupt | Signal::Terminate => {
                match self.behind_a_wrapper(number) {
                    Some(program) => process::signal(program, signal),
                    None => process::signal_group(self.pid, signal),
                }
            }
            Signal::Kill => {
                // Stop them all first, so that none starts another in the meantime.
                self.signal_all(Signal::Stop);
                self.signal_all(Signal::Kill);
            }
            Signal::Stop | Signal::Continue => self.signal_all(signal),
        }
    }

    /// Sends a signal to every process of the program.
    pub(crate) fn signal_all(&self, signal: Signal) {
        self.family().into_iter().for_each(|pid| process::signal(pid, signal));
    }

    /// Returns the program itself, if the command is a wrapper that put it into a session of
    /// its own and would not pass this signal on (`setsid --wait`).
    fn behind_a_wrapper(&self, signal: u32) -> Option<u32> {
        let family = self.family();
        let [wrapper, program, ..] = family[..] else { return None };
        let own_group = proc::group(program) != proc::group(wrapper);
        (wrapper == self.pid && own_group && !proc::catches(wrapper, signal))
            .then_some(program)
    }

    /// Lets it continue after [`Subject::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::Continue);
    }

    /// Records that it has begun its task.
    pub(crate) fn begins(&self) {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.run.begun_after(self.started.elapsed());
        }
    }

    /// Returns whether it has begun its task.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Records that it used a good deal of processor time and still did not do what was
    /// expected.
    pub(crate) fn is_seen_restless(&self) {
        self.run.is_seen_restless();
    }

    /// Returns whether that has happened in any check of this run.
    pub(crate) fn is_restless(&self) -> bool {
        self.run.is_restless()
    }

    /// Looks whether it goes on working without a pause, although there is nothing for it to do.
    /// If so, that is a remark in the report: a program may poll, but it had better wait. One
    /// that only finishes something, like a virtual machine that compiles what has just run,
    /// pauses before it has used so much processor time.
    pub(crate) fn remark_if_restless(&self, meanwhile: &str) {
        const ENOUGH: Duration = Duration::from_secs(1);
        // One remark is enough. What is drawn is stopped at each of its calls.
        if self.run.remark().is_some() || self.is_drawn() || !self.works_for(ENOUGH) {
            return;
        }
        self.run.remarks(format!(
            "it never rests: while {meanwhile}, it used {} s of processor time without a \
             pause; wait in accept(2), recv(2) or poll(2) until something comes",
            ENOUGH.as_secs()
        ));
    }

    /// Returns whether it uses so much processor time without being found idle once.
    fn works_for(&self, time: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(10);
        let before = self.processor_time();
        while self.processor_time().saturating_sub(before) < time {
            if self.is_over() || self.rests() {
                return false;
            }
            thread::park_timeout(LOOK);
        }
        true
    }

    /// Returns how long it may be idle and still be on the point of beginning its task.
    pub(crate) fn may_take(&self) -> Duration {
        if self.has_begun() { Duration::ZERO } else { self.run.may_take() }
    }

    /// Returns whether it has not begun its task and never will: all its threads wait for
    /// something that can come from none of them, nor from elsewhere while it may still begin.
    pub(crate) fn waits_for_ever(&self) -> bool {
        let long = self.started.elapsed() + self.may_take();
        !self.has_begun() && asleep::for_ever(self.keeper, long)
    }

    /// Returns the addresses at which it waits for TCP clients, or for datagrams.
    pub fn waits_at(&self, transport: Transport) -> Vec<SocketAddr> {
        let all = self.waits().into_iter();
        all.filter(|(found, _)| *found == transport).map(|(_, address)| address).collect()
    }

    /// Returns every address at which it listens or receives datagrams. An IPv6 socket that is
    /// bound to an IPv4-mapped address (`::ffff:127.0.0.1`), as the Java virtual machine binds
    /// them, counts as waiting at the IPv4 address.
    pub(crate) fn waits(&self) -> Vec<(Transport, SocketAddr)> {
        let mut waits = sockets::family_waits(self.keeper);
        for (_, address) in &mut waits {
            address.set_ip(address.ip().to_canonical());
        }
        waits
    }

    /// Borrows its end of the connection with this peer, to ask the kernel about it. `None` if
    /// it has none, or the system does not let us look.
    pub(crate) fn connection_with(&self, peer: SocketAddr) -> Option<TcpStream> {
        sockets::family_connection(self.keeper, peer)
    }

    /// Records the address that clients use to reach it.
    pub(crate) fn found_at(&self, address: SocketAddr) {
        self.begins();
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Returns the address that clients use to reach it.
    ///
    /// # Errors
    /// The check is broken if the program was not started as a server.
    pub fn address(&self) -> Outcome<SocketAddr> {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.ok_or_else(|| Stop::Broken("the program is no server".into()))
    }

    /// Waits until everything that it printed is on the timeline, but not for long: a process
    /// that it left behind may be holding its output open.
    pub(crate) fn hear_out(&self) {
        const GRACE: Duration = Duration::from_secs(1);
        let hears = |state: &mut State| state.hearing > 0;
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.lock(), GRACE, hears);
        drop(waited);
    }

    /// Returns what it has printed on standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.shared.lock().stdout.clone()
    }

    /// Returns what it has printed on standard error so far.
    pub fn stderr(&self) -> Vec<u8> {
        self.shared.lock().stderr.clone()
    }

    /// Describes the program's current state, for a report.
    pub fn condition(&self) -> String {
        self.come_to_rest();
        let words =
            self.last_words().map_or(String::new(), |it| format!("; it says: {it}"));
        let state = self.shared.lock();
        if let Some(why) = &state.stopped {
            return format!("the checker stopped the program: {why}");
        }
        let ended = state.ended;
        drop(state);
        if let Some(ended) = ended.filter(|_| self.is_over()) {
            return format!("the program has ended: {ended}{words}");
        }
        let doing = if self.rests() { "waiting" } else { "busy" };
        format!("the program is still running, and {doing}{words}")
    }

    /// Gives a program that is about to end, or to block, a moment to do so, so that what is
    /// said about it does not depend on which of us is quicker.
    fn come_to_rest(&self) {
        const MOMENT: Duration = Duration::from_millis(300);
        let until = Instant::now() + MOMENT;
        while !self.is_over() && !self.rests() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(2));
        }
        if self.ended().is_some() {
            self.hear_out();
        }
    }

    /// Returns the error message that it printed on standard error, if there is one: the last
    /// line of a Python traceback, for instance, or the reason of a Rust panic.
    pub fn last_words(&self) -> Option<String> {
        if self.ended().is_some() {
            self.hear_out();
        }
        words::message(&String::from_utf8_lossy(&self.shared.lock().stderr))
    }

    /// Returns the memory that all its processes use together, in bytes. A page that several
    /// of them share counts once.
    pub fn memory_bytes(&self) -> u64 {
        proc::memory_bytes(&self.family())
    }

    /// Ends the program and everything that it started. Returns when they are gone and their
    /// output has been read.
    pub fn stop(&self) {
        self.stop_on_a_wire(Vec::new);
    }

    /// The same for a program on a wire: if it is drawn, `sightings` is asked for what the
    /// wire saw.
    pub fn stop_on_a_wire(&self, sightings: impl FnOnce() -> Vec<Sighting>) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return };
        if self.is_drawn() {
            // If the program is about to end by itself, let the drawing show that.
            self.come_to_rest();
        }
        self.shared.change(|state| state.dismissed = true);
        if self.namespaces {
            // The guard and the keeper form one group. Once the keeper has ended, all
            // processes in its namespace are gone. Being an orphan by then, it is this
            // process's to reap.
            process::signal_group(child.id(), Signal::Kill);
            let _ = child.wait();
            if self.keeper != child.id() {
                process::reap(self.keeper);
            }
        } else {
            // Without a namespace, they are killed one by one. The children of one that dies
            // pass to the keeper, so look again.
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
            self.shared.timeline.draw(drawing.finish(&sightings()));
        }
        self.shared.change(|state| state.over = true);
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop();
    }
}
