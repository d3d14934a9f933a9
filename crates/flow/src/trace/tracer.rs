//! The tracer: follows threads from stop to stop and writes down what they do.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netlab::capture::{Capture, CapturedPacket};
use netlab::wire::{Host, Place, Sighting, Wire};

use super::arch::{self, Entry};
use super::calls::{self, Kind, Traced};
use super::diag::Diag;
use super::memory::Memory;
use super::processors::Processors;
use super::python::Pythons;
use super::reasons::Reasons;
use super::sharing::Sharing;
use super::sockets::{Descriptors, Sockets};
use super::sys::{self, Resume, Status, SyscallStop, WaitStatus, Whose};
use super::thread::{PendingCall, Ports, Thread};
use super::turns::{MANY, Turns};
use super::unwind::Unwind;
use super::{address, decode, names, spawn};
use crate::event::{
    Call, Change, Event, Fate, Note, Observed, OnWire, Packet, Printed, Process,
    Protocol, Return, Side, Socket, Source,
};
use crate::packet;

/// What the tracer knows about a side.
#[derive(Debug)]
pub(super) struct SideState {
    pub(super) name: String,
    /// Its first process.
    pub(super) main: i32,
    /// Whether it listens, or has bound a datagram socket to a port of its choice.
    pub(super) listens: bool,
    /// Whether it has bound a datagram socket to any port: as a server, or for questions
    /// of its own.
    pub(super) binds: bool,
    /// Whether its first process has ended.
    pub(super) main_has_ended: bool,
    /// How that process ended: the exit status, or 128 plus the signal.
    pub(super) status: i32,
    /// How many calls about sockets it has made.
    pub(super) calls: u64,
    /// Why its program did not run.
    pub(super) failure: Option<spawn::SpawnError>,
    noted_io_uring: bool,
}

/// A call that has slept for this many nanoseconds with nobody else at work is waiting.
const ASLEEP_NS: u64 = 15_000_000;

/// If a thread to which the processor was left has not given it back by now, it computes, or
/// other programs have had their share, too.
const OF_ITS_OWN: Duration = Duration::from_millis(1);

/// For so many looks from then on the processor is not left to anybody: on a busy machine, it
/// would come back only after every other program has had its share.
const BUSY_LOOKS: u32 = 500;

/// How many bytes of one write are searched for what somebody waits for.
const PRINTED_BYTES: usize = 64 * 1024;

/// What is done with captured packets besides making events of them.
pub(super) type RawPackets = Box<dyn FnMut(u32, &CapturedPacket<'_>, &str) + Send>;

/// Follows threads and writes their events.
pub(super) struct Tracer {
    pub(super) threads: BTreeMap<i32, Thread>,
    pub(super) sides: Vec<SideState>,
    pub(super) turns: Turns,
    pub(super) capture: Option<Capture>,
    /// A capture that another thread is opening meanwhile, because the kernel takes its
    /// time.
    pub(super) opening: Option<JoinHandle<io::Result<Capture>>>,
    pub(super) raw_packets: Option<RawPackets>,
    /// The wire between the sides' hosts, if there is one.
    pub(super) wire: Option<Arc<Wire>>,
    pub(super) data_bytes: usize,
    pub(super) began_ns: u64,
    sink: Box<dyn FnMut(Event) + Send>,
    processors: Option<Processors>,
    descriptors: Descriptors,
    sockets: Sockets,
    unwind: Unwind,
    pythons: Pythons,
    diag: Diag,
    /// What has been printed since the last event.
    printed: Vec<Printed>,
    /// The source files whose hash is already in the log.
    hashed: std::collections::HashSet<String>,
    next_id: u64,
    births: u64,
    /// Why calls cannot be inspected, if the kernel does not reveal them.
    pub(super) refused: Option<io::Error>,
    /// The lines that somebody is waiting for programs to print, and which of them have
    /// been printed.
    pub(super) awaited_lines: Vec<String>,
    pub(super) seen_lines: std::collections::HashSet<String>,
    /// Grows with everything that advances the run.
    pub(super) progress: u64,
    /// The side and the descriptor of each `epoll(7)` instance that watches sockets.
    epolls: std::collections::HashSet<(i32, i32)>,
    /// Which calls caused the captured packets.
    reasons: Reasons,
    /// Sockets on which a thread was seen asleep, waiting for bytes: they are blocking.
    blocking: std::collections::HashSet<u64>,
    /// Datagram sockets that share a port, until they are closed.
    sharing: Sharing,
    /// The processes whose end is written down, though not all of their threads are gone.
    ended: std::collections::HashSet<i32>,
}

impl Tracer {
    pub(super) fn new(sink: Box<dyn FnMut(Event) + Send>, in_turn: bool) -> Tracer {
        Tracer {
            threads: BTreeMap::new(),
            sides: Vec::new(),
            turns: Turns::new(in_turn),
            capture: None,
            opening: None,
            raw_packets: None,
            wire: None,
            data_bytes: 256,
            began_ns: sys::now_ns(),
            sink,
            processors: None,
            descriptors: Descriptors::new(),
            sockets: Sockets::default(),
            unwind: Unwind::default(),
            pythons: Pythons::default(),
            diag: Diag::open(),
            printed: Vec::new(),
            hashed: std::collections::HashSet::new(),
            next_id: 1,
            births: 0,
            refused: None,
            awaited_lines: Vec::new(),
            seen_lines: std::collections::HashSet::new(),
            progress: 0,
            epolls: std::collections::HashSet::new(),
            reasons: Reasons::default(),
            blocking: std::collections::HashSet::new(),
            sharing: Sharing::default(),
            ended: std::collections::HashSet::new(),
        }
    }

    /// Asks the kernels of a wire's two hosts what they hold.
    pub(super) fn ask_kernels_of(&mut self, wire: &Wire) {
        self.diag = Diag::open_on(wire);
    }

    fn now(&self) -> u64 {
        sys::now_ns().saturating_sub(self.began_ns)
    }

    fn emit(&mut self, mut event: Event) {
        match &mut event {
            Event::Call(Call { observed, source, .. }) => {
                observed.source_hash = source.as_ref().and_then(|it| self.hash(it));
                self.observe(observed);
            }
            Event::Return(Return { observed, .. }) => self.observe(observed),
            Event::Process(Process { observed, .. }) => {
                self.diag.note_change();
                self.observe(observed);
            }
            Event::Socket(socket) => self.diag.follow(socket),
            _ => {}
        }
        (self.sink)(event);
    }

    fn observe(&mut self, observed: &mut Observed) {
        let now = self.now();
        // Without the packets of the network, nobody knows what else has happened.
        observed.kernel = if self.capture.is_some() {
            self.diag.measure_if_stale(now)
        } else {
            self.diag.measure(now)
        };
        observed.printed = std::mem::take(&mut self.printed);
        observed.gone = self.sharing.gone(|| self.diag.datagram_sockets());
    }

    /// The hash of a source file, once per log.
    fn hash(&mut self, source: &Source) -> Option<String> {
        if !self.hashed.insert(source.file.clone()) {
            return None;
        }
        std::fs::read(&source.file).ok().map(|bytes| crate::event::hash(&bytes))
    }

    /// Writes a note into the log.
    pub(super) fn note(&mut self, text: String) {
        let time_ns = self.now();
        self.emit(Event::Note(Note { time_ns, text }));
    }

    /// Adds a side with its first process.
    pub(super) fn add_side(
        &mut self,
        name: String,
        command: Vec<String>,
        main: i32,
    ) -> usize {
        let (side, time_ns) = (self.sides.len(), self.now());
        let host = self.wire.as_ref().map(|_| host_of(side).to_string());
        let called = name.clone();
        self.emit(Event::Side(Side { time_ns, side, name: called, command, host }));
        self.sides.push(SideState {
            name,
            main,
            listens: false,
            binds: false,
            main_has_ended: false,
            status: 0,
            calls: 0,
            failure: None,
            noted_io_uring: false,
        });
        side
    }

    pub(super) fn add_thread(&mut self, tid: i32, pid: i32, side: usize, attached: bool) {
        self.births += 1;
        let birth = self.births;
        let thread = Thread::new(tid, pid, side, birth, attached);
        self.threads.entry(tid).or_insert(thread);
    }

    /// Shares the tracer's processor with whatever is started from now on; to be called
    /// before the first process of a side is created.
    pub(super) fn share_processor(&mut self) {
        if self.processors.is_none() {
            // If that is refused, everything is just slower.
            self.processors = Processors::share().ok();
        }
    }

    /// Records that a thread was started on the tracer's processor.
    pub(super) fn mark_pinned(&mut self, tid: i32) {
        let pinned = self.processors.is_some();
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.pinned = pinned;
        }
    }

    /// Gives threads all processors back.
    fn unpin(&mut self, tids: &[i32]) {
        let Some(processors) = &self.processors else { return };
        for tid in tids {
            if let Some(thread) = self.threads.get_mut(tid)
                && std::mem::take(&mut thread.pinned)
            {
                processors.give_back(*tid);
            }
        }
    }

    /// Whether each of a few threads waits for its turn, so that nobody can have stopped.
    pub(super) fn all_are_parked(&self) -> bool {
        let few = !self.threads.is_empty() && self.threads.len() <= MANY;
        few && self.threads.values().all(|thread| thread.parked.is_some())
    }

    /// Whether something has stopped; if one thread is expected to, this waits for it. With
    /// many threads, only those are asked about that may have stopped: the kernel would look
    /// at all of them each time.
    pub(super) fn wait_for_news(&mut self) -> io::Result<Option<Status>> {
        let expected = self.turns.expected.filter(|_| sys::is_ticking());
        if !self.turns.enabled || self.threads.len() <= MANY {
            return sys::wait(Whose::Any, expected.is_some());
        }
        if let Some(tid) = expected {
            match sys::wait(Whose::Of(tid), true) {
                // Another thread's execve(2) has ended it.
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                    self.expect_no_longer();
                }
                status => return status,
            }
        }
        if let Some(status) = self.make_way() {
            return Ok(Some(status));
        }
        let active = || self.threads.values().filter(|thread| thread.may_stop());
        if active().nth(MANY).is_some() {
            return sys::wait(Whose::Any, false);
        }
        for thread in active() {
            if let Ok(Some(status)) = sys::wait(Whose::Of(thread.tid), false) {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// Leaves the processor to the thread that was let go last, if both share one: it stops or
    /// sleeps, most likely at once, and until then there is nothing to look at. Returns its
    /// stop.
    fn make_way(&mut self) -> Option<Status> {
        let tid = self.turns.let_go.take()?;
        if self.threads.get(&tid).is_none_or(|it| !it.pinned || it.falls_asleep) {
            return None;
        }
        if self.turns.busy_looks > 0 {
            self.turns.busy_looks -= 1;
            return None;
        }
        let before = Instant::now();
        std::thread::yield_now();
        if before.elapsed() > OF_ITS_OWN {
            self.turns.busy_looks = BUSY_LOOKS;
        }
        sys::wait(Whose::Of(tid), false).ok().flatten()
    }

    /// The clock was sooner than the stop that was waited for.
    pub(super) fn expect_no_longer(&mut self) {
        let expected = self.turns.expected.take();
        if let Some(thread) = expected.and_then(|tid| self.threads.get_mut(&tid)) {
            thread.keeps_waiting = true;
        }
    }

    /// Handles a status at once, or holds it until the thread's turn comes.
    pub(super) fn handle(&mut self, status: Status) {
        let stop = status.stop();
        if self.turns.expected == Some(status.tid) {
            self.turns.expected = None;
        }
        if let Some(thread) = self.threads.get_mut(&status.tid) {
            thread.stops();
            if thread.call.as_ref().is_some_and(|open| open.kind.ends_sockets()) {
                self.may_have_woken_all();
            }
        }
        let ended = matches!(stop, WaitStatus::Exited(_) | WaitStatus::Killed(_));
        if !self.threads.contains_key(&status.tid) && !ended {
            self.adopt(status.tid);
        }
        if ended || !self.turns.enabled {
            // All run at once: a thread that stops now was running while the others were
            // in their calls.
            if !ended && !self.turns.enabled && self.threads.len() > 1 {
                self.mark_waiting(status.tid);
            }
            return self.work(status);
        }
        // Over a wire, things happen even to a thread that is alone.
        let alone = self.threads.len() == 1 && self.wire.is_none();
        let Some(thread) = self.threads.get_mut(&status.tid) else {
            return self.work(status);
        };
        // A thread that ends while its process goes on closes nothing, and another
        // thread's execve(2) may be waiting for its end.
        if stop == WaitStatus::Event(libc::PTRACE_EVENT_EXIT) {
            let pid = thread.pid;
            let is_other =
                |it: &Thread| it.pid == pid && it.tid != status.tid && !it.ends;
            if self.threads.values().any(is_other) {
                return self.work(status);
            }
        }
        let Some(thread) = self.threads.get_mut(&status.tid) else { return };
        // A turn ends when a socket call returns.
        let returns = stop == WaitStatus::Syscall && thread.is_in_socket_call();
        if alone || (self.turns.current == Some(status.tid) && !returns) {
            self.turns.current = Some(status.tid);
            return self.work(status);
        }
        if self.turns.current == Some(status.tid) {
            self.turns.end();
            self.turns.returned = Some(status.tid);
        }
        thread.parked = Some(status);
    }

    /// Writes down the return that ended the last turn. It waited until everyone else had
    /// come to rest, so that what the call caused is written down before it; and it does
    /// not wait for its thread's next turn, by which time others will have done more.
    pub(super) fn write_down_return(&mut self) {
        let Some(tid) = self.turns.returned.take() else { return };
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        if thread.parked.is_some() && !thread.is_written {
            thread.is_written = true;
            self.on_syscall(tid);
        }
    }

    /// Lets a thread go on whose turn has come.
    pub(super) fn let_go(&mut self, tid: i32) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let Some(status) = thread.parked.take() else { return };
        if std::mem::take(&mut thread.is_written) {
            self.go_on(tid, 0);
        } else {
            self.work(status);
        }
    }

    /// Adds a thread that stopped before its parent reported it, and finds out whose it
    /// is.
    fn adopt(&mut self, tid: i32) {
        let status = netlab::process::read_text(format!("/proc/{tid}/status"));
        let status = status.unwrap_or_default();
        let field = |name: &str| -> Option<i32> {
            status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let pid = field("Tgid:").unwrap_or(tid);
        let known = |pid: i32| self.threads.values().find(|thread| thread.pid == pid);
        let relative = known(pid).or_else(|| known(field("PPid:")?));
        let (side, attached) =
            relative.map_or((0, false), |thread| (thread.side, thread.attached));
        self.add_thread(tid, pid, side, attached);
    }

    /// Marks the threads that sleep in a call while another one runs.
    pub(super) fn mark_waiting(&mut self, running: i32) {
        for thread in self.threads.values_mut() {
            if thread.tid != running && thread.parked.is_none() && thread.call.is_some() {
                thread.waited = true;
            }
        }
    }

    /// Handles a status and lets the thread go on.
    pub(super) fn work(&mut self, status: Status) {
        let tid = status.tid;
        match status.stop() {
            WaitStatus::Exited(status) => {
                self.on_end(tid, status, Change::Exited(status))
            }
            WaitStatus::Killed(signal) => {
                self.on_end(tid, 128 + signal, Change::Killed(names::signal(signal)));
            }
            WaitStatus::Event(libc::PTRACE_EVENT_SECCOMP) => {
                self.on_filtered(tid);
                self.go_on(tid, 0);
            }
            WaitStatus::Syscall => {
                self.on_syscall(tid);
                self.go_on(tid, 0);
            }
            WaitStatus::Event(event) => {
                self.on_event(tid, event);
                self.go_on(tid, 0);
            }
            WaitStatus::Group(signal) => {
                let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
                if stops.contains(&signal) {
                    if let Some(thread) = self.threads.get_mut(&tid) {
                        thread.listening = true;
                    }
                    sys::resume(tid, Resume::Listen, 0);
                } else {
                    if let Some(thread) = self.threads.get_mut(&tid) {
                        thread.listening = false;
                    }
                    self.go_on(tid, 0);
                }
            }
            WaitStatus::Signal(signal) => {
                if let Some(thread) = self.threads.get(&tid) {
                    let (side, pid) = (thread.side, thread.pid);
                    self.process(side, pid, Change::Signal(names::signal(signal)));
                }
                self.return_eintr(tid);
                self.go_on(tid, signal);
            }
        }
    }

    /// A thread stopped at the entry of a call because of the filter.
    fn on_filtered(&mut self, tid: i32) {
        match arch::entry(tid) {
            Ok(Entry { number, args, start }) => {
                self.on_entry(tid, number, args, Some(start));
            }
            // It was killed in the meantime.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => self.refused = Some(error),
        }
    }

    /// Handles a thread that stopped at the entry of a call or at its return.
    fn on_syscall(&mut self, tid: i32) {
        match sys::syscall_info(tid) {
            Ok(SyscallStop::Entry { number, args }) => {
                self.on_entry(tid, number, args, None);
            }
            Ok(SyscallStop::Exit { value }) => self.on_exit(tid, value),
            Ok(SyscallStop::None) => {}
            // It has been killed in the meantime.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => self.refused = Some(error),
        }
    }

    fn go_on(&mut self, tid: i32, signal: i32) {
        let thread = self.threads.get(&tid);
        let to_syscall = thread.is_some_and(|it| it.attached || it.call.is_some());
        let how = if to_syscall { Resume::ToSyscall } else { Resume::Go };
        if self.turns.enabled
            && sys::is_ticking()
            && thread.is_some_and(Thread::comes_to_stop)
        {
            self.turns.expected = Some(tid);
        }
        self.turns.let_go = Some(tid);
        sys::resume(tid, how, signal);
    }

    fn process(&mut self, side: usize, pid: i32, what: Change) {
        self.progress += 1;
        let time_ns = self.now();
        self.emit(Event::Process(Process {
            time_ns,
            side,
            pid,
            what,
            observed: Observed::default(),
        }));
    }

    fn on_event(&mut self, tid: i32, event: i32) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let (side, pid, attached) = (thread.side, thread.pid, thread.attached);
        match event {
            libc::PTRACE_EVENT_FORK
            | libc::PTRACE_EVENT_VFORK
            | libc::PTRACE_EVENT_CLONE => {
                thread.in_vfork = event == libc::PTRACE_EVENT_VFORK;
                let Ok(new) = sys::event_message(tid) else { return };
                let new = new as i32;
                // A new thread has a directory within its process's; a new process has
                // not.
                let is_thread = Path::new(&format!("/proc/{pid}/task/{new}")).exists();
                let was_pinned = thread.pinned;
                self.add_thread(new, if is_thread { pid } else { new }, side, attached);
                if was_pinned {
                    self.mark_pinned(new);
                    // In turn they still run one at a time.
                    if !self.turns.enabled {
                        self.unpin(&[tid, new]);
                    }
                }
                if !is_thread {
                    self.pythons.forked(pid, new);
                    self.process(side, pid, Change::Forked(new));
                }
            }
            libc::PTRACE_EVENT_VFORK_DONE => thread.in_vfork = false,
            libc::PTRACE_EVENT_EXEC => self.on_exec(tid, pid, side),
            libc::PTRACE_EVENT_EXIT => {
                let status = sys::event_message(tid).unwrap_or(0) as i32;
                thread.ends = true;
                // A signal, and exit_group(2), end all threads. Otherwise the process ends
                // with its last thread, whichever that is: the first one may have ended
                // alone, or be in the way of another one's execve(2).
                let of_all = libc::WIFSIGNALED(status)
                    || arch::entry(tid).is_ok_and(|it| it.number == libc::SYS_exit_group);
                if of_all || self.threads.values().all(|it| it.pid != pid || it.ends) {
                    self.on_process_end(side, pid, status);
                }
            }
            _ => {}
        }
    }

    /// A process is about to end, and the kernel to close what it has open.
    fn on_process_end(&mut self, side: usize, pid: i32, status: i32) {
        if !self.ended.insert(pid) {
            return;
        }
        self.drain();
        let what = if libc::WIFSIGNALED(status) {
            Change::Killed(names::signal(libc::WTERMSIG(status)))
        } else {
            Change::Exited(libc::WEXITSTATUS(status))
        };
        self.process(side, pid, what);
    }

    fn on_exec(&mut self, tid: i32, pid: i32, side: usize) {
        // All other threads are gone, and the one that is left has the process's id.
        self.threads.retain(|_, thread| thread.pid != pid || thread.tid == tid);
        if let Some(thread) = self.threads.get_mut(&tid) {
            (thread.call, thread.suspended) = (None, None);
            thread.ends = false;
        }
        self.unwind.forget(pid);
        self.pythons.forget(pid);
        self.descriptors.forget(pid);
        // FD_CLOEXEC in fcntl(2).
        self.sharing.may_close(pid);
        // Closes the pipe on which the child would have reported why it failed.
        let _ = spawn::failure(pid);
        let Ok(path) = std::fs::read_link(format!("/proc/{pid}/exe")) else { return };
        let shown = path.to_string_lossy().into_owned();
        self.process(side, pid, Change::Executed(shown.clone()));
        if is_32_bit(pid) {
            self.note(format!(
                "{shown}: 32-bit code; its calls are not shown; build it for 64 bits"
            ));
        }
    }

    /// A thread has ended. `change` is how, if it was the last one of its process.
    fn on_end(&mut self, tid: i32, status: i32, change: Change) {
        let thread = self.threads.remove(&tid);
        let is_last =
            |it: &Thread| self.threads.values().all(|other| other.pid != it.pid);
        let last = thread.as_ref().filter(|it| is_last(it)).map(|it| (it.side, it.pid));
        // SIGKILL ends a process without the stop in which others say that they are about to
        // end. What the kernel then sends comes below.
        if let Some((side, pid)) = last
            && !self.ended.remove(&pid)
        {
            self.process(side, pid, change);
        }
        self.drain();
        // When a process ends, so do the sockets that no call has closed.
        self.diag.note_change();
        self.sharing.ended(tid);
        self.descriptors.forget(tid);
        let Some(thread) = thread else { return };
        if self.turns.current == Some(tid) {
            self.turns.end();
        }
        if last.is_some() {
            // What it had open and nobody closed is closed now.
            self.may_have_woken_all();
        }
        if thread.pid == tid {
            self.sockets.forget_process(tid);
            self.unwind.forget(tid);
            self.pythons.forget(tid);
        }
        let side = &mut self.sides[thread.side];
        if side.main == tid {
            side.main_has_ended = true;
            side.status = status;
            side.failure = spawn::failure(tid);
        }
    }

    fn memory(&self, tid: i32) -> Memory {
        Memory { tid, data_bytes: self.data_bytes }
    }

    /// A call begins. `start` is where its stack is unwound from, if that is known already.
    fn on_entry(
        &mut self,
        tid: i32,
        number: i64,
        mut args: [u64; 6],
        start: Option<arch::Start>,
    ) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let Some(traced) = calls::find(number) else { return };
        // Without a filter, every call comes here.
        if traced.only_with().is_some_and(|only| args[1] as u32 != only) {
            return;
        }
        let (side, pid) = (thread.side, thread.pid);
        self.sharing.goes_on(tid);
        // It has three arguments: what is in the register of the fourth means nothing, and
        // may differ when the call goes on after a signal.
        if traced.name == "accept" {
            args[3] = 0;
        }
        if let Some(open) = thread.suspended.take() {
            let is_same = traced.kind == Kind::Restart
                || (open.number, open.args) == (number, args);
            if is_same && !open.returned_eintr {
                thread.call = Some(open);
                return;
            }
            self.emit_interrupted(open.id);
        }
        match traced.kind {
            Kind::IoUring => {
                let open = PendingCall::new(0, tid, traced, args, None, u64::MAX);
                return self.set_call(tid, open);
            }
            Kind::Processors => return self.on_processors(tid, number, args),
            // A program gets the processors that it asks for, and is told so.
            Kind::SetProcessors if args[0] == 0 => self.forget_pin(tid),
            Kind::SetProcessors => self.forget_pin(args[0] as i32),
            _ => {}
        }
        if !self.awaited_lines.is_empty() {
            self.look_for_lines(tid, traced.kind, &args);
        }
        let Some(socket) = self.concerns_sockets(tid, pid, traced.kind, &args) else {
            self.on_other_write(tid, pid, side, traced.kind, &args);
            return;
        };
        if let Some(inode) = socket
            && !self.sockets.knows(inode)
        {
            self.ask(side, pid, args[0] as i32, inode);
        }
        self.forget_closed(traced.kind, &args);
        let id = self.write_down_call(tid, traced, &args, socket, start);
        let open = PendingCall::new(id, tid, traced, args, socket, self.now());
        self.set_call(tid, open);
    }

    /// Writes a call about sockets down; its number in the log.
    fn write_down_call(
        &mut self,
        tid: i32,
        traced: &Traced,
        args: &[u64; 6],
        socket: Option<u64>,
        start: Option<arch::Start>,
    ) -> u64 {
        let (side, pid) = self.threads.get(&tid).map_or((0, tid), |it| (it.side, it.pid));
        let memory = self.memory(tid);
        let mut decoded = decode::entry(memory, traced.kind, args);
        if traced.kind == Kind::SetOption
            && let Some(inode) = socket.filter(|it| self.takes_datagrams(*it))
        {
            self.sharing.option(inode, &decoded.args);
        }
        decoded.args.extend(decode::timeout(memory, traced.name, args));
        let source = self
            .pythons
            .source(pid, memory)
            .or_else(|| self.unwind.source(pid, tid, start));
        self.drain();
        let id = self.next_id;
        self.next_id += 1;
        if let (Some(inode), true) = (socket, self.raw_packets.is_some()) {
            let comment = self.comment(side, traced.name, source.as_ref());
            let to = decoded.args.iter().find(|arg| arg.name == "addr");
            self.reasons.note(
                traced.kind,
                inode,
                to.map(|arg| arg.value.as_str()),
                comment,
            );
        }
        self.sides[side].calls += 1;
        self.emit(Event::Call(Call {
            time_ns: self.now(),
            id,
            side,
            pid,
            tid,
            name: traced.name.to_owned(),
            args: decoded.args,
            socket,
            data: decoded.data,
            source,
            observed: Observed::default(),
        }));
        id
    }

    /// Whether this is a datagram socket of the internet's.
    fn takes_datagrams(&self, inode: u64) -> bool {
        let socket = self.sockets.get(inode);
        let is =
            |it: &Socket| it.family.starts_with("AF_INET") && it.kind == "SOCK_DGRAM";
        socket.is_some_and(is)
    }

    /// Whether a call may close a datagram socket. One that is on its way to another program
    /// (`SCM_RIGHTS`) goes with an AF_UNIX socket.
    fn may_close_datagrams(&self, open: &PendingCall) -> bool {
        let is_tcp =
            |it: &Socket| it.family.starts_with("AF_INET") && it.kind == "SOCK_STREAM";
        match open.kind {
            Kind::Close => {
                !open.socket.and_then(|it| self.sockets.get(it)).is_some_and(is_tcp)
            }
            Kind::Duplicate | Kind::CloseRange => true,
            _ => false,
        }
    }

    /// Forgets the descriptors that a call may close: before it and after it, since others
    /// may ask for them meanwhile.
    fn forget_closed(&mut self, kind: Kind, args: &[u64; 6]) {
        match kind {
            Kind::Close => self.descriptors.may_close(Some(args[0] as i32)),
            Kind::Duplicate => self.descriptors.may_close(Some(args[1] as i32)),
            Kind::CloseRange => self.descriptors.may_close(None),
            _ => {}
        }
    }

    /// Says once that a side uses `io_uring(7)`.
    fn note_io_uring(&mut self, side: usize) {
        if !std::mem::replace(&mut self.sides[side].noted_io_uring, true) {
            let name = &self.sides[side].name;
            let text =
                format!("{name} uses io_uring: what it does through it is not seen");
            self.note(text);
        }
    }

    /// A program asks for its processors: the answer is written over if it is not what it
    /// would be untraced.
    fn on_processors(&mut self, tid: i32, number: i64, args: [u64; 6]) {
        let is_pinned = self.threads.get(&tid).is_some_and(|thread| thread.pinned);
        if let (Some(traced), true) = (calls::find(number), is_pinned) {
            self.set_call(tid, PendingCall::new(0, tid, traced, args, None, u64::MAX));
        }
    }

    /// Searches what a program is about to print for lines that somebody is waiting for.
    fn look_for_lines(&mut self, tid: i32, kind: Kind, args: &[u64; 6]) {
        let is_output =
            matches!(args[0] as i32, libc::STDOUT_FILENO | libc::STDERR_FILENO);
        let memory = Memory { tid, data_bytes: PRINTED_BYTES };
        let data = match kind {
            Kind::Write if is_output => memory.data(args[1], args[2]),
            Kind::WriteVector if is_output => {
                memory.vector_data(args[1], args[2], u64::MAX)
            }
            _ => return,
        };
        let has = |line: &&String| {
            let line = line.as_bytes();
            line.is_empty() || data.bytes.windows(line.len()).any(|it| it == line)
        };
        self.seen_lines.extend(self.awaited_lines.iter().filter(has).cloned());
    }

    /// Handles a write to something that is not a socket: the program prints, or its
    /// Python reports its lines.
    fn on_other_write(
        &mut self,
        tid: i32,
        pid: i32,
        side: usize,
        kind: Kind,
        args: &[u64; 6],
    ) {
        let fd = args[0] as i32;
        let memory = self.memory(tid);
        match (kind, fd) {
            (Kind::Write, -1) => {
                self.pythons
                    .hear(pid, &memory.bytes(args[1], args[2].min(4096) as usize));
            }
            (Kind::Write | Kind::WriteVector, 1 | 2) => {
                let data = decode::entry(memory, kind, args).data;
                self.printed.extend(data.map(|data| Printed { side, fd, data }));
            }
            _ => {}
        }
    }

    /// Sets the call that a thread is in, with what can be foreseen of it: whether it will
    /// sleep. That only says what is waited for; what is drawn comes from what happens.
    fn set_call(&mut self, tid: i32, mut open: PendingCall) {
        let held = open.socket.and_then(|inode| self.diag.held(inode));
        let waits = self.wire.is_none()
            && open.takes_what_is_there()
            && open.socket.is_some_and(|inode| self.blocking.contains(&inode))
            && held.is_some_and(|it| {
                it.recv_q == 0 && it.state.as_deref() == Some("ESTABLISHED")
            });
        open.returns_at_once = open.kind.never_sleeps()
            || held.is_some_and(|it| {
                open.takes_what_is_there() && it.recv_q > 0
                    || open.sends_little() && it.send_q == 0
            });
        let socket = open.socket.and_then(|inode| self.sockets.get(inode));
        // Every packet that wakes somebody is captured.
        let told = self.capture.is_some() && self.wire.is_none();
        let is_tcp =
            |it: &&Socket| it.family.starts_with("AF_INET") && it.kind == "SOCK_STREAM";
        let ports = socket.filter(is_tcp).and_then(|it| {
            let own = it.local.as_deref().and_then(port)?;
            Some(Ports { own, peer: it.peer.as_deref().and_then(port) })
        });
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.has_accepted = false;
            thread.call = Some(open);
            thread.falls_asleep = waits;
            thread.awaits = ports.filter(|_| told && thread.waits_for_peer());
        }
    }

    /// Threads that sleep in calls may be awake now: those to whose socket a packet between
    /// these ports came.
    fn may_have_woken(&mut self, from: u16, to: u16) {
        for thread in self.threads.values_mut() {
            if thread.awaits.is_some_and(|it| it.get(from, to)) {
                thread.asleep = false;
            }
        }
    }

    /// Any of them may be.
    fn may_have_woken_all(&mut self) {
        self.threads.values_mut().for_each(|thread| thread.asleep = false);
    }

    fn forget_pin(&mut self, tid: i32) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.pinned = false;
        }
    }

    /// A call, as a comment on the packets that it sends.
    fn comment(&self, side: usize, name: &str, source: Option<&Source>) -> String {
        let mut comment = format!("{}: {name}", self.sides[side].name);
        if let Some(source) = source {
            let file = source.file.rsplit('/').next().unwrap_or_default();
            comment.push_str(&format!(" at {file}:{}", source.line));
        }
        comment
    }

    /// Writes down an EINTR that a signal caused.
    fn return_eintr(&mut self, tid: i32) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        if let Some(open) = thread.suspended.take_if(|open| open.returned_eintr) {
            self.emit_interrupted(open.id);
        }
    }

    /// Writes down that a call returned because of a signal.
    fn emit_interrupted(&mut self, id: u64) {
        let returned = Return {
            time_ns: self.now(),
            id,
            value: None,
            waited: true,
            error: Some("EINTR".to_owned()),
            args: Vec::new(),
            socket: None,
            data: None,
            observed: Observed::default(),
        };
        self.emit(Event::Return(returned));
    }

    /// Whether a call is about sockets; if so, the socket that it refers to.
    fn concerns_sockets(
        &mut self,
        tid: i32,
        pid: i32,
        kind: Kind,
        args: &[u64; 6],
    ) -> Option<Option<u64>> {
        let fd = args[0] as i32;
        let memory = self.memory(tid);
        let mut socket_of = |fd: i32| self.descriptors.socket(pid, tid, fd);
        match kind {
            Kind::Socket | Kind::SocketPair => Some(None),
            Kind::Read | Kind::Write | Kind::ReadVector | Kind::WriteVector => {
                Some(Some(socket_of(fd)?))
            }
            Kind::Close => {
                // Its number may be reused for another instance.
                self.epolls.remove(&(pid, fd));
                Some(Some(socket_of(fd)?))
            }
            Kind::Poll => {
                let mut fds = memory.poll_descriptors(args[0], args[1]).into_iter();
                fds.any(|fd| socket_of(fd).is_some()).then_some(None)
            }
            Kind::Select => {
                let sets = args[1..4].iter().filter(|set| **set != 0);
                let mut fds =
                    sets.flat_map(|set| memory.fd_set_descriptors(*set, args[0]));
                fds.any(|fd| socket_of(fd).is_some()).then_some(None)
            }
            Kind::EpollControl => {
                socket_of(args[2] as i32)?;
                self.epolls.insert((pid, fd));
                Some(None)
            }
            // It may have been registered through this descriptor, through another of the
            // same instance, or before it was inherited; the kernel has the list.
            Kind::EpollWait => {
                let known = self.epolls.contains(&(pid, fd));
                let watched = || sys::watched_by_epoll(tid, fd).into_iter();
                if !known
                    && watched().any(|it| self.descriptors.socket(pid, tid, it).is_some())
                {
                    self.epolls.insert((pid, fd));
                }
                self.epolls.contains(&(pid, fd)).then_some(None)
            }
            Kind::SendFile => {
                socket_of(fd).or_else(|| socket_of(args[1] as i32)).map(Some)
            }
            Kind::Splice => socket_of(fd).or_else(|| socket_of(args[2] as i32)).map(Some),
            // Both may be sockets: the one that gets a second descriptor, and the one
            // that is closed.
            Kind::Duplicate => {
                socket_of(fd).or_else(|| socket_of(args[1] as i32)).map(Some)
            }
            Kind::CloseRange => {
                let open = sys::descriptors(tid).into_iter();
                let (first, last) = (args[0] as u32, args[1] as u32);
                let mut fds = open.filter(|fd| (first..=last).contains(&(*fd as u32)));
                fds.any(|fd| socket_of(fd).is_some()).then_some(None)
            }
            Kind::FileControl | Kind::DeviceControl => Some(Some(socket_of(fd)?)),
            Kind::Restart | Kind::IoUring | Kind::Processors | Kind::SetProcessors => {
                None
            }
            _ => Some(socket_of(fd)),
        }
    }

    fn on_exit(&mut self, tid: i32, value: i64) {
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let Some(open) = thread.call.take() else { return };
        if open.kind == Kind::Processors {
            if let (Some(processors), true) = (&self.processors, value > 0) {
                processors.answer(tid, open.args[2], value as usize);
            }
            return;
        }
        if open.kind == Kind::IoUring {
            // Many a runtime only asks whether it may have one.
            if value >= 0 {
                let side = thread.side;
                self.descriptors.may_close_unseen();
                self.note_io_uring(side);
            }
            return;
        }
        // A signal came; the next entry shows whether the call goes on.
        let returned_eintr = -value == i64::from(libc::EINTR);
        if matches!(-value, 512 | 513 | 514 | 516) || returned_eintr {
            thread.suspended = Some(PendingCall { returned_eintr, ..open });
            return;
        }
        let (side, pid) = (thread.side, thread.pid);
        let waited = std::mem::take(&mut thread.waited);
        thread.has_accepted = open.kind == Kind::Accept && value >= 0;
        self.forget_closed(open.kind, &open.args);
        if self.may_close_datagrams(&open) {
            self.sharing.may_close(tid);
        }
        let failed = (-4095..0).contains(&value);
        let fd = open.args[0] as i32;
        let decoded = if failed {
            decode::Decoded::default()
        } else {
            decode::exit(self.memory(tid), open.kind, &open.args, value)
        };
        self.drain();
        self.note_change(&open);
        self.learn_blocking(&open);
        let mut made = None;
        match open.kind {
            Kind::Socket | Kind::Accept if !failed => {
                let fd = value as i32;
                if let Some(inode) = self.descriptors.socket(pid, tid, fd) {
                    made = Some(inode);
                    self.sockets.forget(inode);
                    self.ask(side, pid, fd, inode);
                }
            }
            Kind::Bind | Kind::Connect | Kind::Listen => {
                if let Some(inode) = open.socket {
                    self.ask(side, pid, fd, inode);
                    if open.kind == Kind::Bind && !failed && self.takes_datagrams(inode) {
                        self.sharing.bind(inode);
                    }
                }
            }
            Kind::Send
            | Kind::SendMessage
            | Kind::SendMessages
            | Kind::Write
            | Kind::WriteVector => {
                if let Some(inode) = open.socket
                    && self.sockets.is_unbound(inode)
                {
                    self.ask(side, pid, fd, inode);
                }
            }
            Kind::Close if !failed => {
                if let Some(inode) = open.socket {
                    self.reasons.forget(inode);
                    self.sockets.forget(inode);
                }
            }
            _ => {}
        }
        if !failed {
            self.on_success(side, &open, value);
        }
        let returned = Return {
            time_ns: self.now(),
            id: open.id,
            value: (!failed).then_some(value),
            waited,
            error: failed.then(|| names::error(-value)),
            args: decoded.args,
            socket: made,
            data: decoded.data,
            observed: Observed::default(),
        };
        self.emit(Event::Return(returned));
    }

    /// Notes what a call that returns may have changed of what the kernel holds.
    fn note_change(&mut self, open: &PendingCall) {
        let ports = || {
            let socket =
                self.sockets.get(open.socket?).filter(|_| open.kind.moves_bytes())?;
            let own = socket.local.as_deref().and_then(port)?;
            Some((own, socket.peer.as_deref().and_then(port)))
        };
        if open.kind.changes_sockets() {
            // Over a wire, the packets that a call caused may arrive later, unseen.
            match ports().filter(|_| self.wire.is_none()) {
                Some((own, peer)) => self.diag.note_ports(own, peer),
                None => self.diag.note_change(),
            }
        }
    }

    /// Notes whether a socket is seen to be one whose reader sleeps until there is something.
    fn learn_blocking(&mut self, open: &PendingCall) {
        let Some(inode) = open.socket else { return };
        match open.kind {
            Kind::FileControl
            | Kind::DeviceControl
            | Kind::SetOption
            | Kind::Shutdown
            | Kind::Close => {
                self.blocking.remove(&inode);
            }
            _ if open.has_slept && open.takes_what_is_there() => {
                self.blocking.insert(inode);
            }
            _ => {}
        }
    }

    /// Records what a successful call means for its side, and whether it advances the
    /// run: asking for something that is there, or has not come, is not progress.
    fn on_success(&mut self, side: usize, open: &PendingCall, value: i64) {
        let datagrams = || {
            let socket = self.sockets.get(open.socket?)?;
            let is = socket.kind == "SOCK_DGRAM" && !socket.family.contains("NETLINK");
            // Port 0 leaves the choice to the kernel.
            is.then(|| address::asks_for_a_port(&self.memory(open.tid), &open.args))
        };
        let state = &self.sides[side];
        let (listens, binds) = match open.kind {
            Kind::Listen => (true, state.binds),
            Kind::Bind => match datagrams() {
                Some(chosen) => (state.listens || chosen, true),
                None => (state.listens, state.binds),
            },
            _ => (state.listens, state.binds),
        };
        (self.sides[side].listens, self.sides[side].binds) = (listens, binds);
        let moved = open.kind.moves_bytes() && value > 0;
        let changed = matches!(
            open.kind,
            Kind::Accept
                | Kind::Connect
                | Kind::Bind
                | Kind::Listen
                | Kind::Shutdown
                | Kind::Close
        );
        if moved || changed {
            self.progress += 1;
        }
    }

    /// Marks the calls that sleep although nobody else is running: what they wait for
    /// comes from outside, or with time.
    pub(super) fn mark_asleep(&mut self) {
        let now = self.now();
        for thread in self.threads.values_mut() {
            let entered = thread.call.as_ref().map(|open| open.entered_ns);
            let long = entered.is_some_and(|it| now.saturating_sub(it) >= ASLEEP_NS);
            if long && !thread.waited && thread.parked.is_none() && thread.is_asleep() {
                thread.waited = true;
            }
        }
    }

    /// Gives the threads all processors back if one of them computes: the others would
    /// have to wait for it.
    pub(super) fn spread(&mut self) {
        let pinned = self.threads.values_mut().filter(|thread| thread.pinned);
        if pinned.into_iter().any(|thread| thread.is_seen_to_compute()) {
            let all: Vec<i32> = self.threads.keys().copied().collect();
            self.unpin(&all);
        }
    }

    /// Asks a socket for its addresses, and writes down what is new.
    fn ask(&mut self, side: usize, pid: i32, fd: i32, inode: u64) {
        if let Some(mut seen) = self.sockets.ask(pid, fd, inode, side) {
            seen.time_ns = self.now();
            self.emit(Event::Socket(seen));
        }
    }

    /// Takes the packets that have arrived so far into the log: all of them were sent
    /// before the stop that is being handled.
    pub(super) fn drain(&mut self) {
        self.drain_wire();
        self.await_capture();
        let Some(mut capture) = self.capture.take() else { return };
        let began_ns = self.began_ns;
        capture.drain(|captured| {
            let Some(mut packet) = packet::parse(captured.bytes, self.data_bytes) else {
                return;
            };
            packet.time_ns = captured.time_ns.saturating_sub(began_ns);
            if let Some(raw) = &mut self.raw_packets {
                let sender = self.sockets.sender(&packet.from, &packet.to);
                let comment = self.reasons.of(sender, &packet);
                raw(0, &captured, comment.unwrap_or_default());
            }
            if let Protocol::Tcp { flags, .. } = &packet.protocol
                && flags.to_string() == "SYN"
            {
                self.diag.follow_syn(&packet.from, &packet.to);
            }
            self.progress += 1;
            if let (Some(from), Some(to)) = (port(&packet.from), port(&packet.to)) {
                self.diag.note_ports(from, Some(to));
                self.may_have_woken(from, to);
            } else {
                self.diag.note_change();
            }
            (self.sink)(Event::Packet(packet));
        });
        self.capture = Some(capture);
    }

    /// Takes what has passed over the wire so far into the log.
    fn drain_wire(&mut self) {
        let Some(wire) = self.wire.clone() else { return };
        for seen in wire.sightings() {
            let Some(mut packet) = packet::parse(&seen.bytes, self.data_bytes) else {
                continue;
            };
            packet.time_ns = seen.time_ns.saturating_sub(self.began_ns);
            // What a router cut off was never at its sender's card.
            let at_a_card = !seen.routed || seen.place == Place::Arrived;
            if let Some(raw) = self.raw_packets.as_mut().filter(|_| at_a_card) {
                let sender = self.sockets.sender(&packet.from, &packet.to);
                let comment = self.reasons.of(sender, &packet);
                // What each host's card saw: the sender's, or the receiver's.
                let arrived = seen.place == Place::Arrived;
                let at = if arrived { seen.from.peer() } else { seen.from };
                let captured = CapturedPacket {
                    time_ns: seen.time_ns,
                    bytes: &seen.bytes,
                    length: seen.length,
                };
                raw(u32::from(at == Host::B), &captured, comment.unwrap_or_default());
            }
            packet.wire = on_wire(&seen, self.began_ns);
            if packet.wire.is_none() {
                continue;
            }
            self.progress += 1;
            (self.sink)(Event::Packet(packet));
        }
    }

    /// Waits for the capture to be open, before the first call goes on and the first
    /// packet with it.
    fn await_capture(&mut self) {
        let Some(opening) = self.opening.take() else { return };
        let opened = opening.join().unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic);
        });
        match opened {
            Ok(capture) => self.capture = Some(capture),
            Err(error) => self.note(format!(
                "Only calls, no packets: the kernel refuses AF_PACKET ({error}); a \
                 security module or a sandbox forbids it"
            )),
        }
    }

    /// Seizes a running process with all its threads.
    ///
    /// # Errors
    /// `EPERM` if the kernel forbids it, `ESRCH` if there is no such process.
    pub(super) fn attach(&mut self, pid: i32, side: usize) -> io::Result<()> {
        let mut news = true;
        // Threads may appear while we look, so look until there are no new ones.
        while std::mem::take(&mut news) {
            for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let name = entry?.file_name();
                let Some(tid) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                if self.threads.contains_key(&tid) {
                    continue;
                }
                match sys::seize(tid, false) {
                    Ok(()) => {}
                    // A thread comes and goes as it likes: it has ended since, or one that
                    // is traced has just started it, and it is traced from its birth.
                    Err(_) if tid != pid && (has_ended(tid) || is_traced_here(tid)) => {
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                self.add_thread(tid, pid, side, true);
                match sys::interrupt(tid) {
                    Err(_) if tid != pid && has_ended(tid) => {}
                    interrupted => interrupted?,
                }
                news = true;
            }
        }
        Ok(())
    }
}

fn has_ended(tid: i32) -> bool {
    netlab::process::has_ended(tid.cast_unsigned())
}

/// Whether a thread of this very process traces it.
fn is_traced_here(tid: i32) -> bool {
    let tracer = netlab::process::tracer(tid.cast_unsigned());
    tracer.is_some_and(|it| Path::new(&format!("/proc/self/task/{it}")).exists())
}

/// What became of a packet on its way; `None` where it only left, as a packet that arrives in
/// its time is told when it arrives.
fn on_wire(seen: &Sighting, began_ns: u64) -> Option<OnWire> {
    let fate = match seen.place {
        Place::Left => return None,
        Place::Held => Fate::Held,
        Place::Lost => Fate::Lost,
        Place::Arrived => Fate::Arrived,
    };
    Some(OnWire {
        left_ns: seen.left_ns.saturating_sub(began_ns),
        fate,
        again: seen.again,
        probe: seen.probe,
        damaged: seen.damaged,
        doubled: seen.doubled,
        held: seen.held,
        fragment: seen.fragment,
        cause: seen.cause.map(str::to_owned),
        rule: seen.rule.clone(),
    })
}

/// The event of a packet that a wire of another process has seen, if there is one.
pub(super) fn packet_of(
    seen: &Sighting,
    began_ns: u64,
    data_bytes: usize,
) -> Option<Packet> {
    let wire = on_wire(seen, began_ns)?;
    let mut packet = packet::parse(&seen.bytes, data_bytes)?;
    packet.time_ns = seen.time_ns.checked_sub(began_ns)?;
    packet.wire = Some(wire);
    Some(packet)
}

/// The host of a wire on which a side runs: the first one, to which the others connect,
/// on b.
pub(super) fn host_of(side: usize) -> Host {
    if side == 0 { Host::B } else { Host::A }
}

/// The port of an address.
fn port(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

/// Whether a process runs 32-bit code.
fn is_32_bit(pid: i32) -> bool {
    use std::io::Read as _;
    let mut head = [0_u8; 5];
    let read = std::fs::File::open(format!("/proc/{pid}/exe"))
        .and_then(|mut file| file.read_exact(&mut head));
    // EI_CLASS: ELFCLASS32 is 1.
    read.is_ok() && head[4] == 1
}
