//! The program under test: the subject. It runs behind a fence (`netlab::fence`), with limits
//! and without the checker's secrets, and nothing of it outlives its check.

mod exit;
mod launch;
mod limits;
mod output;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netlab::process::{self, Signal};
use netlab::sockets::{self, Transport};

pub use exit::Exit;
pub(crate) use exit::signal_name;
pub use launch::Recipe;
pub use limits::Allowance;

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
    ended: Option<Exit>,
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
    pub fn ended(&self) -> Option<Exit> {
        self.shared.lock().ended
    }

    /// Whether it has ended, in any way.
    pub fn is_over(&self) -> bool {
        let state = self.shared.lock();
        state.ended.is_some() || state.stopped.is_some()
    }

    /// Why it was stopped by the checker, if it was.
    pub fn stopped(&self) -> Option<String> {
        self.shared.lock().stopped.clone()
    }

    /// Whether all its threads are stopped by a signal.
    pub(crate) fn is_frozen(&self) -> bool {
        process::family(self.pid).into_iter().all(process::is_stopped)
    }

    /// Whether `flow` draws it.
    pub(crate) fn is_drawn(&self) -> bool {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
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

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::Continue);
    }

    /// Where it waits for TCP clients, or for datagrams.
    pub fn waits_at(&self, transport: Transport) -> Vec<SocketAddr> {
        let all = sockets::family_waits(self.keeper).into_iter();
        all.filter(|(found, _)| *found == transport).map(|(_, address)| address).collect()
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

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop();
    }
}
