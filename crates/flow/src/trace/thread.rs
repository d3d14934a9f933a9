//! What is known about a traced thread.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use super::calls::{Kind, Traced};
use super::sockets::is_fifo;
use super::sys::Status;

/// A thread that is being traced.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) tid: i32,
    pub(super) pid: i32,
    pub(super) side: usize,
    /// Grows from thread to thread: the order in which they appeared.
    pub(super) birth: u64,
    /// Whether it is about to end.
    pub(super) ends: bool,
    /// The call that it is in.
    pub(super) call: Option<PendingCall>,
    /// A call that a signal interrupted, and that may go on.
    pub(super) suspended: Option<PendingCall>,
    /// A stop that is waiting for the thread's turn.
    pub(super) parked: Option<Status>,
    /// Whether that stop is the return of a call that has already been written down.
    pub(super) is_written: bool,
    /// Whether it is stopped by a stop signal, as untraced programs are.
    pub(super) listening: bool,
    /// Whether it waits until the child of its `vfork(2)` runs a program of its own.
    pub(super) in_vfork: bool,
    /// Whether other threads were seen at work while it was in its call.
    pub(super) waited: bool,
    /// Whether we attached to it while it ran: then there is no filter, and every call
    /// stops.
    pub(super) attached: bool,
    /// Whether it may run only on the tracer's processor.
    pub(super) pinned: bool,
    /// Its processor time when it was first seen at work since its last stop.
    working_since: Option<u64>,
    /// Whether it has computed for so long without a stop that nobody waits for it any
    /// more.
    computes: bool,
    /// In its call it sleeps, or is about to, before anybody else has been let go.
    pub(super) falls_asleep: bool,
    /// It has accepted a connection and made no other call about sockets since.
    pub(super) has_accepted: bool,
    /// It was waited for and did not stop for long.
    pub(super) keeps_waiting: bool,
    /// How many stops in a row it has come to without being seen asleep outside of calls.
    restless: u32,
    /// It was seen asleep since its last stop, in a call that only a packet of this connection
    /// ends, or one to this listener.
    pub(super) asleep: bool,
    pub(super) awaits: Option<Ports>,
    /// Its `/proc/TID/task/TID/stat`, kept open because it is read again and again.
    stat: Option<File>,
}

impl Thread {
    /// Creates the state for a thread that is running.
    pub(super) fn new(
        tid: i32,
        pid: i32,
        side: usize,
        birth: u64,
        attached: bool,
    ) -> Thread {
        Thread {
            tid,
            pid,
            side,
            birth,
            ends: false,
            call: None,
            suspended: None,
            parked: None,
            is_written: false,
            listening: false,
            in_vfork: false,
            waited: false,
            attached,
            pinned: false,
            working_since: None,
            computes: false,
            falls_asleep: false,
            has_accepted: false,
            keeps_waiting: false,
            restless: 0,
            asleep: false,
            awaits: None,
            stat: None,
        }
    }

    /// Whether it is in a call about sockets, whose return ends its turn.
    pub(super) fn is_in_socket_call(&self) -> bool {
        let is_other = |kind| matches!(kind, Kind::Processors | Kind::IoUring);
        self.call.as_ref().is_some_and(|open| !is_other(open.kind))
    }

    /// Whether it is in a call that only a peer can end, because it has no timeout of its
    /// own.
    pub(super) fn waits_for_peer(&self) -> bool {
        let forever = |timeout: u64| (timeout as i32) < 0;
        self.call.as_ref().is_some_and(|open| match open.kind {
            Kind::Accept | Kind::Receive | Kind::ReceiveMessage => true,
            Kind::Read | Kind::ReadVector => true,
            // ppoll(2) has a pointer to its timeout.
            Kind::Poll if open.number == libc::SYS_ppoll => open.args[2] == 0,
            Kind::Poll => forever(open.args[2]),
            Kind::EpollWait if open.number == libc::SYS_epoll_pwait2 => open.args[3] == 0,
            Kind::EpollWait => forever(open.args[3]),
            _ => false,
        })
    }

    /// Records that it stopped: what it did before no longer counts.
    pub(super) fn stops(&mut self) {
        if self.call.is_none() {
            self.restless = self.restless.saturating_add(1);
        }
        (self.working_since, self.computes) = (None, false);
        (self.falls_asleep, self.keeps_waiting) = (false, false);
        (self.asleep, self.awaits) = (false, None);
    }

    /// Whether it sleeps, as is known without asking the kernel.
    pub(super) fn is_known_to_sleep(&self) -> bool {
        self.asleep && self.awaits.is_some()
    }

    /// Whether it accepts one connection after another: it has a new one, or asks for the next.
    pub(super) fn accepts(&self) -> bool {
        self.has_accepted
            || self.call.as_ref().is_some_and(|open| open.kind == Kind::Accept)
    }

    /// Whether it may have come to a stop that has not been collected: it was let go, and is
    /// not known to sleep.
    pub(super) fn may_stop(&self) -> bool {
        self.parked.is_none() && !self.is_known_to_sleep()
    }

    /// Whether it does nothing until something else happens: it is stopped, asleep or
    /// gone. A thread that computes for long is left alone, as if it were quiet.
    pub(super) fn is_quiet(&mut self) -> bool {
        if self.parked.is_some() || self.listening || self.computes || self.falls_asleep {
            return true;
        }
        let stat = self.stat();
        self.asleep = stat.as_ref().is_some_and(|stat| stat.state == b'S');
        match &mut self.call {
            Some(open) => open.has_slept |= self.asleep,
            None if self.asleep => self.restless = 0,
            None => {}
        }
        match stat {
            None => true,
            Some(stat) => match stat.state {
                b'S' | b'Z' | b'X' => true,
                b'D' => self.in_vfork,
                _ => {
                    let since = *self.working_since.get_or_insert(stat.ticks);
                    self.computes = stat.ticks.saturating_sub(since) >= COMPUTES_TICKS;
                    self.computes
                }
            },
        }
    }

    /// What was foreseen of its sleep has come true: it sleeps from now on until something
    /// wakes it.
    pub(super) fn sleeps(&mut self) {
        if std::mem::take(&mut self.falls_asleep)
            && let Some(open) = &mut self.call
        {
            open.has_slept = true;
        }
    }

    /// Whether, if it runs, something has woken it in its call.
    pub(super) fn was_woken(&self) -> bool {
        self.call.as_ref().is_some_and(|open| open.has_slept)
    }

    /// Whether it will come to a stop soon, as far as it can be foreseen, so that the kernel
    /// can be left to tell. One that then sleeps is found by the clock, which takes longer.
    pub(super) fn comes_to_stop(&self) -> bool {
        let foreseen = match &self.call {
            None => self.restless >= RESTLESS,
            Some(open) => open.returns_at_once,
        };
        foreseen && !self.keeps_waiting
    }

    /// Whether it is asleep at this moment.
    pub(super) fn is_asleep(&mut self) -> bool {
        self.stat().is_some_and(|stat| stat.state == b'S')
    }

    /// Whether it has by now been computing for long.
    pub(super) fn is_seen_to_compute(&mut self) -> bool {
        self.is_quiet();
        self.computes
    }

    /// What the kernel says about it now; `None` once it is gone.
    fn stat(&mut self) -> Option<Stat> {
        let mut text = [0; 1024];
        let length = if let Some(file) = &self.stat {
            file.read_at(&mut text, 0).ok()?
        } else {
            // Not `/proc/TID/stat`, which is that of all threads of its process.
            let file = File::open(format!("/proc/{0}/task/{0}/stat", self.tid)).ok()?;
            let length = file.read_at(&mut text, 0).ok()?;
            // With a thousand threads, some are opened each time.
            self.stat = Some(file).filter(|file| file.as_raw_fd() < STATS_OPEN);
            length
        };
        Stat::parse(text.get(..length)?)
    }

    /// Whether it will do something by itself: it computes, or sleeps for a set time.
    pub(super) fn has_plans(&self) -> bool {
        self.computes || self.call.is_none() && sleeps_by_the_clock(self.tid)
    }

    /// Whether it waits, in open(2) or in a call, for whoever has the other end of a FIFO.
    pub(super) fn waits_at_fifo(&self) -> bool {
        match &self.call {
            Some(open) => open.socket.is_some_and(is_fifo),
            // Nothing else that is opened makes its opener wait for somebody.
            None => call_of(self.tid).is_some_and(|(number, _)| {
                #[cfg(target_arch = "x86_64")]
                if number == libc::SYS_open {
                    return true;
                }
                matches!(number, libc::SYS_openat | libc::SYS_openat2)
            }),
        }
    }

    /// Whether it is in a call that waits for a socket, with or without a timeout.
    pub(super) fn waits_in_call(&self) -> bool {
        self.call.as_ref().is_some_and(|open| {
            matches!(
                open.kind,
                Kind::Accept
                    | Kind::Receive
                    | Kind::ReceiveMessage
                    | Kind::ReceiveMessages
                    | Kind::Read
                    | Kind::ReadVector
                    | Kind::Poll
                    | Kind::Select
                    | Kind::EpollWait
            )
        })
    }
}

/// The port of a socket, and that of its peer; none: it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) own: u16,
    pub(super) peer: Option<u16>,
}

impl Ports {
    /// Whether a packet between these two ports is one to this socket.
    pub(super) fn get(self, from: u16, to: u16) -> bool {
        self.own == to && self.peer.is_none_or(|peer| peer == from)
    }
}

/// A call between its entry and its exit.
#[derive(Debug, Clone)]
pub(super) struct PendingCall {
    pub(super) id: u64,
    pub(super) tid: i32,
    pub(super) number: i64,
    pub(super) kind: Kind,
    pub(super) args: [u64; 6],
    pub(super) socket: Option<u64>,
    /// When it entered the kernel, in the time of events.
    pub(super) entered_ns: u64,
    /// Whether it has returned EINTR, which is written down below the signal.
    pub(super) returned_eintr: bool,
    /// It does not sleep, as far as is known.
    pub(super) returns_at_once: bool,
    /// The thread was seen asleep in it.
    pub(super) has_slept: bool,
}

impl PendingCall {
    pub(super) fn new(
        id: u64,
        tid: i32,
        traced: &Traced,
        args: [u64; 6],
        socket: Option<u64>,
        entered_ns: u64,
    ) -> PendingCall {
        PendingCall {
            id,
            tid,
            number: traced.number,
            kind: traced.kind,
            args,
            socket,
            entered_ns,
            returned_eintr: false,
            returns_at_once: false,
            has_slept: false,
        }
    }

    /// Whether it takes the bytes that are there, and waits for some if there are none and the
    /// socket is a blocking one: no flag says otherwise.
    pub(super) fn takes_what_is_there(&self) -> bool {
        match self.kind {
            Kind::Read => true,
            Kind::ReadVector => self.number == libc::SYS_readv,
            Kind::Receive => self.args[3] == 0,
            Kind::ReceiveMessage => self.args[2] == 0,
            _ => false,
        }
    }

    /// Whether it sends so little that an empty queue takes it at once.
    pub(super) fn sends_little(&self) -> bool {
        matches!(self.kind, Kind::Send | Kind::Write) && self.args[2] <= LITTLE_BYTES
    }
}

/// What the queue of any socket has room for.
const LITTLE_BYTES: u64 = 2048;

/// A thread that has computed for this long without a stop is not waited for. In clock
/// ticks of the kernel, a hundredth of a second each, of the thread's own processor time
/// rather than of the clock: on a busy machine, a thread may have to wait for a
/// processor.
const COMPUTES_TICKS: u64 = 10;

/// A thread that has come to so many stops in a row without a sleep between its calls will
/// most likely come to the next one in the same way.
const RESTLESS: u32 = 32;

/// Stat files are kept open up to this descriptor; a process may have 1,024.
const STATS_OPEN: i32 = 512;

/// What `/proc/TID/task/TID/stat` says of a thread.
struct Stat {
    state: u8,
    /// The processor time that it has used.
    ticks: u64,
}

impl Stat {
    fn parse(stat: &[u8]) -> Option<Stat> {
        // The name, in parentheses, may itself contain any byte: look for the last `)`.
        let end = stat.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(stat.get(end + 2..)?).ok()?.split(' ');
        let state = *fields.next()?.as_bytes().first()?;
        // utime and stime are fields 14 and 15 of proc_pid_stat(5); the state is field 3.
        let user: u64 = fields.nth(10)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Stat { state, ticks: user + system })
    }
}

/// Whether a thread is in a call of its own choice that ends by the clock:
/// `nanosleep(2)`, or a call that waits for descriptors but has none.
fn sleeps_by_the_clock(tid: i32) -> bool {
    let Some((number, args)) = call_of(tid) else { return false };
    let arg = |at: usize| args.get(at).copied().unwrap_or(0);
    let timed = |at| (arg(at) as i32) >= 0;
    match number {
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => true,
        libc::SYS_ppoll => arg(2) != 0,
        libc::SYS_pselect6 => arg(4) != 0,
        libc::SYS_epoll_pwait => timed(3),
        libc::SYS_rt_sigtimedwait => arg(2) != 0,
        // FUTEX_WAIT and its kin have a timeout as their fourth argument.
        libc::SYS_futex => arg(3) != 0,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => timed(2),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => arg(4) != 0,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => timed(3),
        _ => false,
    }
}

/// The number of the call that a thread sleeps in, and its arguments: `/proc/TID/syscall`.
fn call_of(tid: i32) -> Option<(i64, Vec<u64>)> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let args =
        words.filter_map(|it| u64::from_str_radix(it.trim_start_matches("0x"), 16).ok());
    Some((number, args.collect()))
}
