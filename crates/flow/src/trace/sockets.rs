//! Which descriptors are sockets or FIFOs, and what is known about each socket.
//!
//! `/proc/PID/fd/N` says whether a descriptor is a socket, so duplicates and inheritance need
//! no bookkeeping; that one is a socket is remembered until a call that may close it. The
//! rest is asked of the socket itself, through a copy of the descriptor that is closed before
//! the program goes on. If that is refused (`pidfd_getfd(2)`), it is looked up in the
//! kernel's tables, which is slower.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use super::{address, names, sys};
use crate::event;

/// The most folders of descriptors that are kept open.
const FOLDERS: usize = 64;

/// The descriptors of the traced threads.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// `/proc/TID/fd` of each thread, kept open: looking up a descriptor from there is
    /// faster than by its full path.
    folders: HashMap<i32, OwnedFd>,
    /// Descriptors of processes that are sockets. That one is none is not remembered: calls
    /// that make descriptors are not traced.
    known: HashMap<(i32, i32), u64>,
    /// Descriptors may be closed in ways that are not seen.
    closed_unseen: bool,
    /// FIFOs that are this program's own input and output: what goes through them is not
    /// between the programs that it runs.
    own: Vec<u64>,
}

/// Set in the number of a FIFO, which it shares with no socket: inode numbers are counted
/// up from zero, in 32 bits for sockets.
const FIFO: u64 = 1 << 52;

/// Whether this is the number of a FIFO.
pub(super) fn is_fifo(inode: u64) -> bool {
    inode & FIFO != 0
}

impl Descriptors {
    pub(super) fn new() -> Descriptors {
        let mut descriptors = Descriptors::default();
        let me = std::process::id() as i32;
        descriptors.own = (0..3).filter_map(|fd| descriptors.look(me, fd)).collect();
        descriptors
    }

    /// The inode number of the socket that descriptor `fd` of a thread refers to, if it
    /// is one; of a FIFO with a name, a number that no socket has.
    pub(super) fn socket(&mut self, pid: i32, tid: i32, fd: i32) -> Option<u64> {
        if let Some(inode) = self.known.get(&(pid, fd)) {
            return Some(*inode);
        }
        let inode = self.look(tid, fd)?;
        if !self.closed_unseen {
            self.known.insert((pid, fd), inode);
        }
        Some(inode)
    }

    fn look(&mut self, tid: i32, fd: i32) -> Option<u64> {
        if !self.folders.contains_key(&tid) {
            if self.folders.len() >= FOLDERS {
                self.folders.clear();
            }
            let folder = std::fs::File::open(format!("/proc/{tid}/fd")).ok()?;
            self.folders.insert(tid, folder.into());
        }
        let mut link = [0; 64];
        let folder = self.folders.get(&tid)?;
        let link = sys::read_link_at(folder, fd, &mut link).ok()?;
        // That of a pipe without a name is `pipe:[…]`.
        if link.starts_with(b"/") {
            let (device, inode) = sys::fifo_at(folder, fd)?;
            let fifo = FIFO | (device << 36 ^ inode) & (FIFO - 1);
            return (!self.own.contains(&fifo)).then_some(fifo);
        }
        let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
        std::str::from_utf8(inode).ok()?.parse().ok()
    }

    /// Forgets a thread that has ended: its id may be reused.
    pub(super) fn forget(&mut self, tid: i32) {
        self.folders.remove(&tid);
        self.known.retain(|(pid, _), _| *pid != tid);
    }

    /// A call may close this descriptor, now or until it returns; none: any.
    pub(super) fn may_close(&mut self, fd: Option<i32>) {
        // Of any process: some share their descriptors (`CLONE_FILES`).
        self.known.retain(|(_, known), _| fd.is_some_and(|fd| fd != *known));
    }

    /// From now on descriptors may be closed without a call that is seen.
    pub(super) fn may_close_unseen(&mut self) {
        self.known.clear();
        self.closed_unseen = true;
    }
}

/// The sockets seen so far, by inode number.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    known: HashMap<u64, event::Socket>,
    /// A pidfd for each process, by process id.
    processes: HashMap<i32, Option<OwnedFd>>,
}

impl Sockets {
    /// Whether both addresses of the socket are known, or it has been asked and cannot
    /// have changed except through a call that asks again.
    pub(super) fn knows(&self, inode: u64) -> bool {
        self.known.contains_key(&inode)
    }

    /// Whether the socket has no local address yet and gets one when it first sends. An
    /// `AF_UNIX` socket may never get one.
    pub(super) fn is_unbound(&self, inode: u64) -> bool {
        self.known.get(&inode).is_some_and(|socket| {
            socket.family.starts_with("AF_INET")
                && socket.local.as_deref().is_none_or(address::is_unbound)
        })
    }

    /// What is known about a socket.
    pub(super) fn get(&self, inode: u64) -> Option<&event::Socket> {
        self.known.get(&inode)
    }

    /// Asks the socket for its type and addresses. Returns what is known now, if anything
    /// is new.
    pub(super) fn ask(
        &mut self,
        pid: i32,
        fd: i32,
        inode: u64,
        side: usize,
    ) -> Option<event::Socket> {
        if is_fifo(inode) {
            let name = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok();
            let name = name.map(|it| it.to_string_lossy().into_owned());
            let (family, kind) = ("FIFO".to_owned(), "FIFO".to_owned());
            let seen = event::Socket {
                time_ns: 0,
                side,
                inode,
                family,
                kind,
                local: name,
                peer: None,
            };
            return (self.known.insert(inode, seen.clone()).as_ref() != Some(&seen))
                .then_some(seen);
        }
        let handle =
            self.processes.entry(pid).or_insert_with(|| sys::pidfd(pid).ok()).as_ref();
        let copy = handle.and_then(|handle| sys::borrow_fd(handle, fd).ok());
        let seen = match copy {
            Some(copy) => asked(&copy, inode, side),
            // Refused, by an old kernel or a sandbox; the kernel's tables have it too.
            None => listed(pid, inode, side)?,
        };
        if self.known.get(&inode) == Some(&seen) {
            return None;
        }
        self.known.insert(inode, seen.clone());
        Some(seen)
    }

    /// Forgets a process that has ended.
    pub(super) fn forget_process(&mut self, pid: i32) {
        self.processes.remove(&pid);
    }

    /// Forgets a socket that was closed: its inode number may be reused. If another
    /// descriptor still refers to it, the next call asks again.
    pub(super) fn forget(&mut self, inode: u64) {
        self.known.remove(&inode);
    }
}

impl Sockets {
    /// The socket that sends from one address to another.
    pub(super) fn sender(&self, from: &str, to: &str) -> Option<u64> {
        let is = |address: &Option<String>, text: &str| address.as_deref() == Some(text);
        let local = || self.known.values().filter(|socket| is(&socket.local, from));
        local()
            .find(|socket| is(&socket.peer, to))
            .or_else(|| local().find(|socket| socket.peer.is_none()))
            .map(|socket| socket.inode)
    }
}

/// What a socket says about itself.
fn asked(copy: &OwnedFd, inode: u64, side: usize) -> event::Socket {
    let option = |name| sys::socket_option(copy, name).map_or(-1, i64::from);
    let address = |peer| address::text(&sys::socket_address(copy, peer).ok()?);
    event::Socket {
        time_ns: 0,
        side,
        inode,
        family: names::family(option(libc::SO_DOMAIN)),
        kind: names::kind(option(libc::SO_TYPE)),
        local: address(false).filter(|text| !address::is_unbound(text)),
        peer: address(true),
    }
}

/// What the kernel's tables say about a socket.
fn listed(pid: i32, inode: u64, side: usize) -> Option<event::Socket> {
    let listed = netlab::sockets::listed(u32::try_from(pid).ok()?, inode)?;
    let v6 = listed.local.is_ipv6();
    let bound = (listed.local.port() != 0).then(|| listed.local.to_string());
    Some(event::Socket {
        time_ns: 0,
        side,
        inode,
        family: if v6 { "AF_INET6" } else { "AF_INET" }.to_owned(),
        kind: if listed.datagrams { "SOCK_DGRAM" } else { "SOCK_STREAM" }.to_owned(),
        local: bound,
        peer: listed.peer.map(|it| it.to_string()),
    })
}
