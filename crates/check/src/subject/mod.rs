//! The program under test: the subject. It runs behind a fence (`netlab::fence`), with limits
//! and without the checker's secrets, and nothing of it outlives its check.

mod exit;
mod launch;
mod limits;
mod output;
mod proc;
mod words;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netlab::process::{self, Signal};
use netlab::sockets::{self, Transport};

pub use exit::Exit;
pub(crate) use exit::signal_name;
pub use launch::{Recipe, Run};
pub use limits::Allowance;
pub(crate) use proc::thread_waited_for_processor;

use crate::drawing::Drawing;
use crate::outcome::{Outcome, Stop};
use crate::timeline::Timeline;

/// A program that was started. Dropping it ends it and all that it started.
#[derive(Debug)]
pub struct Subject {
    child: Mutex<Option<Child>>,
    keeper: u32,
    pid: u32,
    namespaces: bool,
    shared: Arc<Shared>,
    run: Arc<Run>,
    started: Instant,
    /// It has begun with its task: it listened, or connected, or sent something.
    begun: AtomicBool,
    /// Where it waits, once that is known.
    address: Mutex<Option<SocketAddr>>,
    drawing: Mutex<Option<Drawing>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    timeline: Timeline,
    allowance: Allowance,
    /// Its output streams, to see what the threads that read them have not read yet.
    streams: Vec<OwnedFd>,
}

#[derive(Debug, Default)]
struct State {
    ended: Option<Exit>,
    /// Nothing more will be told of its end.
    told: bool,
    /// The limit for which it was stopped, if it was.
    stopped: Option<String>,
    /// It is being ended because its check is over.
    dismissed: bool,
    /// What it printed on standard output, or the beginning of it.
    stdout: Vec<u8>,
    /// What it printed on standard error, or the beginning and the end of it.
    stderr: Vec<u8>,
    /// Bytes that it printed on standard output and on standard error.
    printed: [usize; 2],
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

    /// The program hit this limit, and is stopped for it.
    fn limit(&self, why: String) {
        self.timeline.does("checker", format!("stops the program: {why}"));
        self.change(|state| state.stopped = state.stopped.take().or(Some(why)));
    }
}

impl Subject {
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
        self.is_heard() && self.family().into_iter().all(rests)
    }

    /// Whether all that it has printed, and its end, is known here. On a busy machine the
    /// threads that hear of it may be waiting for a processor when it has long ended.
    fn is_heard(&self) -> bool {
        let told = self.shared.lock().told;
        (told || !process::has_ended(self.pid))
            && self.shared.streams.iter().all(|it| process::unread_bytes(it) == 0)
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Exit> {
        self.shared.lock().ended
    }

    /// Whether it has ended, in any way.
    pub fn is_over(&self) -> bool {
        let state = self.shared.lock();
        state.ended.is_some() || state.stopped.is_some()
    }

    /// The limit that it hit and was stopped for, if it did.
    pub fn stopped(&self) -> Option<String> {
        self.shared.lock().stopped.clone()
    }

    /// Whether all threads of all its processes are stopped by a signal.
    pub(crate) fn is_frozen(&self) -> bool {
        self.family()
            .into_iter()
            .all(|it| process::is_stopped(it) || process::has_ended(it))
    }

    /// Its processes, in whatever session or group.
    fn family(&self) -> Vec<u32> {
        process::family(self.keeper).into_iter().skip(1).collect()
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        proc::processor_time_of_all(&self.family())
    }

    /// How long that thread of it has waited for a processor which waited longest.
    pub(crate) fn waited_for_processor(&self) -> Duration {
        proc::waited_for_processor(&self.family())
    }

    /// Its threads, in all processes, and the processes that have ended and that it has not
    /// waited for (zombies).
    pub(crate) fn threads(&self) -> usize {
        self.family().into_iter().map(|pid| process::threads(pid).max(1)).sum()
    }

    /// Whether `flow` draws it.
    pub(crate) fn is_drawn(&self) -> bool {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Signals the program. `SIGTERM` and `SIGINT` go to the group that it leads, as `kill`
    /// and Ctrl-C send them; the others to every process of it, wherever that went: a helper
    /// in a session of its own stops and dies with the rest.
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
        // Its id, and that of the group it leads, is its own as long as its keeper lives,
        // which does not reap it.
        match signal {
            Signal::Interrupt | Signal::Terminate => {
                match self.behind_a_wrapper(number) {
                    Some(program) => process::signal(program, signal),
                    None => process::signal_group(self.pid, signal),
                }
            }
            Signal::Kill => {
                // Stopped first, so that none starts another meanwhile.
                self.signal_all(Signal::Stop);
                self.signal_all(Signal::Kill);
            }
            Signal::Stop | Signal::Continue => self.signal_all(signal),
        }
    }

    /// Signals every process of the program.
    pub(crate) fn signal_all(&self, signal: Signal) {
        self.family().into_iter().for_each(|pid| process::signal(pid, signal));
    }

    /// The program itself, where the command is a wrapper that put it into a session of its
    /// own and would not pass this signal on (`setsid --wait`).
    fn behind_a_wrapper(&self, signal: u32) -> Option<u32> {
        let family = self.family();
        let [wrapper, program, ..] = family[..] else { return None };
        let own_group = proc::group(program) != proc::group(wrapper);
        (wrapper == self.pid && own_group && !proc::catches(wrapper, signal))
            .then_some(program)
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::Continue);
    }

    /// It has begun with its task.
    pub(crate) fn begins(&self) {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.run.begun_after(self.started.elapsed());
        }
    }

    /// Whether it has begun with its task.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// It has used a good deal of processor time, and what it was to do did not come.
    pub(crate) fn is_seen_restless(&self) {
        self.run.is_seen_restless();
    }

    /// Whether that was seen in any check of this run.
    pub(crate) fn is_restless(&self) -> bool {
        self.run.is_restless()
    }

    /// How long it may rest, and still be about to begin with its task.
    pub(crate) fn may_take(&self) -> Duration {
        if self.has_begun() { Duration::ZERO } else { self.run.may_take() }
    }

    /// Where it waits for TCP clients, or for datagrams.
    pub fn waits_at(&self, transport: Transport) -> Vec<SocketAddr> {
        let all = self.waits().into_iter();
        all.filter(|(found, _)| *found == transport).map(|(_, address)| address).collect()
    }

    /// Everywhere it waits for somebody. A socket of IPv6 that is bound to an address of IPv4,
    /// as a Java virtual machine does it (`::ffff:127.0.0.1`), waits at that address.
    pub(crate) fn waits(&self) -> Vec<(Transport, SocketAddr)> {
        let mut waits = sockets::family_waits(self.keeper);
        for (_, address) in &mut waits {
            address.set_ip(address.ip().to_canonical());
        }
        waits
    }

    /// Remembers and gives the address under which clients find it.
    pub(crate) fn found_at(&self, address: SocketAddr) {
        self.begins();
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// The address under which clients find it.
    pub fn address(&self) -> Outcome<SocketAddr> {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.ok_or_else(|| Stop::Broken("the program is no server".into()))
    }

    /// Waits until all that it printed is on the time line. A process that it left behind may
    /// hold its output open: that is not waited for long.
    pub(crate) fn hear_out(&self) {
        const GRACE: Duration = Duration::from_secs(1);
        let hears = |state: &mut State| state.hearing > 0;
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.lock(), GRACE, hears);
        drop(waited);
    }

    /// All that it printed on standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.shared.lock().stdout.clone()
    }

    /// All that it printed on standard error so far.
    pub fn stderr(&self) -> Vec<u8> {
        self.shared.lock().stderr.clone()
    }

    /// What can be said about the program now, for a report.
    pub fn condition(&self) -> String {
        self.come_to_rest();
        let words =
            self.last_words().map_or(String::new(), |it| format!("; it says: {it}"));
        let state = self.shared.lock();
        if let Some(why) = &state.stopped {
            return format!("the checker stopped the program: {why}");
        }
        if let Some(ended) = state.ended {
            return format!("the program has ended: {ended}{words}");
        }
        drop(state);
        let doing = if self.rests() { "waits" } else { "is busy" };
        format!("the program still runs, and {doing}{words}")
    }

    /// Gives a program that is about to end, or to wait, a moment for it: what is said about
    /// it then does not depend on who of us is quicker.
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

    /// The message in what it printed on standard error, if there is one: of a Python
    /// traceback the last line, of a Rust panic the reason.
    pub fn last_words(&self) -> Option<String> {
        if self.ended().is_some() {
            self.hear_out();
        }
        words::message(&String::from_utf8_lossy(&self.shared.lock().stderr))
    }

    /// Bytes that all its processes have in memory. What several of them share counts once.
    pub fn memory_bytes(&self) -> u64 {
        proc::memory_bytes(&self.family())
    }

    /// Ends it and all that it started; returns when they are gone and what they printed is
    /// read.
    pub fn stop(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return };
        if self.is_drawn() {
            // A program that is about to end by itself is drawn to its end.
            self.come_to_rest();
        }
        self.shared.change(|state| state.dismissed = true);
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

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop();
    }
}
