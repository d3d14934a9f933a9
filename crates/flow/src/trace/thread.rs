//! What is known of a traced thread.

use super::calls::Kind;
use super::sys::Status;

/// A thread that is traced.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) tid: i32,
    pub(super) pid: i32,
    pub(super) side: usize,
    /// Counts up: the order in which threads came.
    pub(super) birth: u64,
    /// The call that it is in.
    pub(super) call: Option<Open>,
    /// A call that a signal interrupted and that may go on.
    pub(super) suspended: Option<Open>,
    /// A stop that waits for the thread's turn.
    pub(super) parked: Option<Status>,
    /// That stop is the return of a call, and is written down already.
    pub(super) is_written: bool,
    /// Stopped by a stop signal, as untraced programs are.
    pub(super) listening: bool,
    /// Waits until the child of its `vfork(2)` has a program of its own.
    pub(super) in_vfork: bool,
    /// Other threads were seen at work while it was in its call.
    pub(super) waited: bool,
    /// Joined while it ran: there is no filter, every call stops.
    pub(super) attached: bool,
    /// It runs on the tracer's processor alone.
    pub(super) pinned: bool,
}

impl Thread {
    /// A thread that runs.
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
            call: None,
            suspended: None,
            parked: None,
            is_written: false,
            listening: false,
            in_vfork: false,
            waited: false,
            attached,
            pinned: false,
        }
    }

    /// Whether it is in a call about sockets, whose return ends its turn.
    pub(super) fn is_in_socket_call(&self) -> bool {
        self.call.as_ref().is_some_and(|open| open.kind != Kind::Processors)
    }

    /// Whether it is in a call that ends only when a peer does something: one that has no
    /// timeout of its own.
    pub(super) fn waits_for_peer(&self) -> bool {
        let forever = |timeout: u64| (timeout as i32) < 0;
        self.call.as_ref().is_some_and(|open| match open.kind {
            Kind::Accept | Kind::Receive | Kind::ReceiveMessage => true,
            Kind::Read | Kind::ReadVector => true,
            Kind::Poll => open.number != libc::SYS_ppoll && forever(open.args[2]),
            Kind::EpollWait => {
                open.number != libc::SYS_epoll_pwait2 && forever(open.args[3])
            }
            _ => false,
        })
    }

    /// Whether it is stopped, asleep or gone: it does nothing before something else does.
    pub(super) fn is_quiet(&self) -> bool {
        if self.parked.is_some() || self.listening {
            return true;
        }
        match state(self.tid) {
            Some(b'S' | b'Z' | b'X') | None => true,
            Some(b'D') => self.in_vfork,
            _ => false,
        }
    }
}

/// A call between its entry and its exit.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) id: u64,
    pub(super) number: i64,
    pub(super) kind: Kind,
    pub(super) args: [u64; 6],
    pub(super) socket: Option<u64>,
}

/// The state letter of a thread, from `/proc/TID/stat`.
fn state(tid: i32) -> Option<u8> {
    let stat = std::fs::read(format!("/proc/{tid}/stat")).ok()?;
    // The name, in parentheses, may itself hold any byte: look for the last `)`.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(end + 2).copied()
}
