//! The kernel's tracing calls, each behind a safe function: `ptrace(2)`, `waitpid(2)`,
//! `process_vm_readv(2)`, `pidfd_getfd(2)`.
#![allow(unsafe_code)] // None of these calls has a safe form in std.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

/// The result of a call that returns -1 on failure.
pub(super) fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of `waitpid(2)`: the thread, and its raw status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) tid: i32,
    pub(super) raw: i32,
}

/// The meaning of a status of `waitpid(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitStatus {
    /// It ended with this exit status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// `PTRACE_O_TRACESYSGOOD`: at the entry or the exit of a system call.
    Syscall,
    /// A `PTRACE_EVENT_*` other than `STOP`.
    Event(i32),
    /// `PTRACE_EVENT_STOP`: a new thread's first stop, a group-stop, or a stop that was
    /// requested. Carries the signal.
    Group(i32),
    /// A signal is waiting to be delivered.
    Signal(i32),
}

impl Status {
    pub(super) fn stop(self) -> WaitStatus {
        let status = self.raw;
        if libc::WIFEXITED(status) {
            return WaitStatus::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return WaitStatus::Killed(libc::WTERMSIG(status));
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if signal == libc::SIGTRAP | 0x80 => WaitStatus::Syscall,
            0 => WaitStatus::Signal(signal),
            libc::PTRACE_EVENT_STOP => WaitStatus::Group(signal),
            event => WaitStatus::Event(event),
        }
    }
}

/// Whose stop or end is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of any of the calling thread's tracees and children. The kernel looks at one after
    /// another.
    Any,
    /// That of this one alone.
    Of(i32),
}

/// Waits for a stop or the end of one of *this thread's* tracees and children. Without
/// `block`, it returns at once, with `None` if there is nothing to report.
///
/// `nix`'s version of this call fails on real-time signals, hence the raw one.
///
/// # Errors
/// `ECHILD` if there is nobody to wait for, `EINTR` on a signal.
pub(super) fn wait(whose: Whose, block: bool) -> io::Result<Option<Status>> {
    let mut status = 0;
    // `__WNOTHREAD`: children of the library user's other threads are not ours to reap.
    let flags = libc::__WALL | libc::__WNOTHREAD | if block { 0 } else { libc::WNOHANG };
    let who = match whose {
        Whose::Any => -1,
        Whose::Of(tid) => tid,
    };
    // SAFETY: the status pointer is valid for the call.
    let tid = unsafe { libc::waitpid(who, &raw mut status, flags) };
    check(tid.into())?;
    Ok((tid != 0).then_some(Status { tid, raw: status }))
}

/// The options that every tracee gets.
fn options(exec: bool) -> libc::c_int {
    libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEVFORKDONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACEEXIT
        | libc::PTRACE_O_TRACESECCOMP
        // A program that we started must not outlive us; one that we attached to must.
        | if exec { libc::PTRACE_O_EXITKILL } else { 0 }
}

/// Begins to trace a thread without stopping it (`PTRACE_SEIZE`).
///
/// # Errors
/// `EPERM` if another tracer, Yama or a security module forbids it.
pub(super) fn seize(tid: i32, ours: bool) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, options(ours) as usize)
}

/// Stops a seized thread.
pub(super) fn interrupt(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// How a stopped thread continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// Until the next event.
    Go,
    /// Until the current system call's exit, or the next one's entry.
    ToSyscall,
    /// In a group-stop: stays stopped, but reports `SIGCONT`.
    Listen,
    /// On its own from now on.
    Detach,
}

/// Lets a stopped thread continue, delivering a signal unless it is 0. It is not an error
/// if the thread is gone by now (`ESRCH`: it was killed).
pub(super) fn resume(tid: i32, how: Resume, signal: i32) {
    let request = match how {
        Resume::Go => libc::PTRACE_CONT,
        Resume::ToSyscall => libc::PTRACE_SYSCALL,
        Resume::Listen => libc::PTRACE_LISTEN,
        Resume::Detach => libc::PTRACE_DETACH,
    };
    // A failure means that the thread is no longer stopped; `wait` reports its end.
    let _ = ptrace(request, tid, 0, signal as usize);
}

/// The message of an event stop: the id of a new thread, or an exit status.
pub(super) fn event_message(tid: i32) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut message) as usize)?;
    Ok(message)
}

/// Where in a system call a thread is stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum SyscallStop {
    /// At its entry: the number and the arguments.
    Entry { number: i64, args: [u64; 6] },
    /// At its exit: the value that it returns.
    Exit { value: i64 },
    /// Elsewhere.
    None,
}

/// Asks where in a system call a stopped thread is (`PTRACE_GET_SYSCALL_INFO`).
pub(super) fn syscall_info(tid: i32) -> io::Result<SyscallStop> {
    // SAFETY: all zeroes is a valid value of this plain structure.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, size, (&raw mut info) as usize)?;
    Ok(match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: `op` says that the kernel filled this member.
            let entry = unsafe { info.u.entry };
            SyscallStop::Entry { number: entry.nr as i64, args: entry.args }
        }
        libc::PTRACE_SYSCALL_INFO_SECCOMP => {
            // SAFETY: as above.
            let entry = unsafe { info.u.seccomp };
            SyscallStop::Entry { number: entry.nr as i64, args: entry.args }
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            SyscallStop::Exit { value: exit.sval }
        }
        _ => SyscallStop::None,
    })
}

/// Reads as many general registers as the buffer holds (`NT_PRSTATUS`).
pub(super) fn registers<T: Copy>(tid: i32, mut zeroed: T) -> io::Result<T> {
    let mut vector =
        libc::iovec { iov_base: (&raw mut zeroed).cast(), iov_len: size_of::<T>() };
    let (set, vector_at) = (libc::NT_PRSTATUS as usize, (&raw mut vector) as usize);
    ptrace(libc::PTRACE_GETREGSET, tid, set, vector_at)?;
    Ok(zeroed)
}

/// Makes a ptrace request. Every request above has only integers, or pointers to live
/// local values, as its arguments.
fn ptrace(
    request: libc::c_uint,
    tid: i32,
    address: usize,
    data: usize,
) -> io::Result<()> {
    // SAFETY: the callers above pass what each request requires; see ptrace(2).
    check(unsafe { libc::ptrace(request, tid, address, data) }).map(|_| ())
}

/// Reads a process's memory into `to`, and returns the number of bytes read, which is
/// less at a hole.
pub(super) fn read_memory(tid: i32, address: u64, to: &mut [u8]) -> usize {
    const PAGE: u64 = 4096;
    const PIECES: usize = 17;
    // The call does not split a piece, so each piece lies within one page.
    // SAFETY: all zeroes is a valid iovec.
    let mut pieces: [libc::iovec; PIECES] = unsafe { std::mem::zeroed() };
    let (mut count, mut at, mut left) = (0, address, to.len() as u64);
    while left > 0 && count < PIECES {
        let length = left.min(PAGE - at % PAGE);
        pieces[count] = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(at as usize),
            iov_len: length as usize,
        };
        let Some(next) = at.checked_add(length) else { break };
        (count, at, left) = (count + 1, next, left - length);
    }
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    // SAFETY: the local buffer is ours and has the stated length; the remote addresses
    // are only read by the kernel, which checks them.
    let read = unsafe {
        libc::process_vm_readv(tid, &raw const local, 1, pieces.as_ptr(), count as u64, 0)
    };
    if read < 0 && !io::Error::last_os_error().raw_os_error().is_some_and(is_about_memory)
    {
        return peek_memory(tid, address, to);
    }
    usize::try_from(read).unwrap_or(0)
}

/// Whether an error of `process_vm_readv(2)` concerns the address, rather than the call
/// itself, which some sandboxes refuse.
fn is_about_memory(errno: i32) -> bool {
    matches!(errno, libc::EFAULT | libc::EIO | libc::ESRCH | libc::EINVAL)
}

/// Like [`read_memory`], word by word (`PTRACE_PEEKDATA`), which is allowed to whoever
/// may trace.
fn peek_memory(tid: i32, address: u64, to: &mut [u8]) -> usize {
    const WORD: u64 = 8;
    let mut read = 0;
    while read < to.len() {
        let at = address + read as u64;
        let start = at - at % WORD;
        let mut word: libc::c_long = 0;
        // Unlike the C function, the system call stores the word where `data` points.
        // SAFETY: `word` outlives the call; the kernel checks the address it reads from.
        let result = unsafe {
            let (request, data) = (libc::PTRACE_PEEKDATA, &raw mut word);
            libc::syscall(libc::SYS_ptrace, request, tid, start, data)
        };
        if result < 0 {
            break;
        }
        let bytes = word.to_ne_bytes();
        let part = &bytes[(at - start) as usize..];
        let length = part.len().min(to.len() - read);
        to[read..read + length].copy_from_slice(&part[..length]);
        read += length;
    }
    read
}

/// The set of processors on which the calling thread may run.
pub(super) fn affinity() -> io::Result<libc::cpu_set_t> {
    // SAFETY: all zeroes is the empty set; the kernel fills at most its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        check(libc::sched_getaffinity(0, size, &raw mut set).into())?;
        Ok(set)
    }
}

/// The processor on which the calling thread is running, as a set.
pub(super) fn this_processor() -> io::Result<libc::cpu_set_t> {
    // SAFETY: no pointers.
    let number = check(unsafe { libc::sched_getcpu() }.into())?;
    // SAFETY: all zeroes is the empty set; CPU_SET checks that the number fits.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(number as usize, &mut set);
        Ok(set)
    }
}

/// Restricts a thread, or with 0 the calling thread, to these processors.
pub(super) fn set_affinity(tid: i32, set: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the set lives through the call and has the size given.
    let result =
        unsafe { libc::sched_setaffinity(tid, size_of::<libc::cpu_set_t>(), set) };
    check(result.into()).map(|_| ())
}

/// Writes the first `length` bytes of a set into the memory of a stopped process.
pub(super) fn write_set(tid: i32, address: u64, set: &libc::cpu_set_t, length: usize) {
    let length = length.min(size_of::<libc::cpu_set_t>());
    let local =
        libc::iovec { iov_base: (&raw const *set).cast_mut().cast(), iov_len: length };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: length,
    };
    // SAFETY: the local buffer is a set, and is read only up to its size; the kernel
    // checks the remote address, to which it has just written the same number of bytes.
    unsafe {
        libc::process_vm_writev(tid, &raw const local, 1, &raw const remote, 1, 0);
    }
}

/// Reads the symbolic link in a folder whose name is the number `name`, as far as it fits
/// into `to` (`readlinkat(2)`).
///
/// # Errors
/// `ENOENT` if there is none.
pub(super) fn read_link_at<'a>(
    folder: &OwnedFd,
    name: i32,
    to: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let mut text = [0_u8; 12];
    // An int has at most eleven characters, so the last byte stays 0.
    io::Write::write_fmt(&mut &mut text[..11], format_args!("{name}"))?;
    // SAFETY: the name is NUL-terminated, and the buffer has the stated length.
    let read = check(unsafe {
        libc::readlinkat(
            folder.as_raw_fd(),
            text.as_ptr().cast(),
            to.as_mut_ptr().cast(),
            to.len(),
        ) as libc::c_long
    })?;
    Ok(&to[..read as usize])
}

/// The device and the inode of what a folder's entry with this number leads to, if that is
/// a FIFO or a pipe (`statx(2)`). What the kernel knows already is enough: whoever serves the
/// file may be a stopped program.
pub(super) fn fifo_at(folder: &OwnedFd, name: i32) -> Option<(u64, u64)> {
    let mut text = [0_u8; 12];
    io::Write::write_fmt(&mut &mut text[..11], format_args!("{name}")).ok()?;
    let wanted = libc::STATX_TYPE | libc::STATX_INO;
    // SAFETY: the name is NUL-terminated; all zeroes is a valid value of the plain structure,
    // which the kernel fills.
    let (result, found) = unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        let result = libc::statx(
            folder.as_raw_fd(),
            text.as_ptr().cast(),
            libc::AT_STATX_DONT_SYNC,
            wanted,
            &raw mut found,
        );
        (result, found)
    };
    let is_fifo = u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFIFO;
    let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
    (result == 0 && is_fifo).then_some((device, found.stx_ino))
}

/// The numbers of a thread's open descriptors.
pub(super) fn descriptors(tid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{tid}/fd"));
    let number = |entry: io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse().ok()
    };
    entries.into_iter().flatten().filter_map(number).collect()
}

/// The descriptors that an `epoll(7)` instance watches, by the numbers under which they
/// were registered: the `tfd:` lines of `/proc/TID/fdinfo/FD`.
pub(super) fn watched_by_epoll(tid: i32, fd: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}"));
    let watched =
        |line: &str| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok();
    text.unwrap_or_default().lines().filter_map(watched).collect()
}

/// A descriptor for a process (`pidfd_open(2)`).
pub(super) fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A copy of another process's descriptor (`pidfd_getfd(2)`).
pub(super) fn borrow_fd(pidfd: &OwnedFd, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })?;
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// An integer option of a socket, such as `SO_TYPE`.
pub(super) fn socket_option(socket: &OwnedFd, name: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is an int and the length says so.
    check(libc::c_long::from(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    }))?;
    Ok(value)
}

/// The bytes of a socket's local address (`getsockname(2)`) or peer address.
pub(super) fn socket_address(socket: &OwnedFd, peer: bool) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; 128];
    let mut length = bytes.len() as libc::socklen_t;
    let (address, fd) = (bytes.as_mut_ptr().cast(), socket.as_raw_fd());
    // SAFETY: the buffer has the stated length.
    check(libc::c_long::from(unsafe {
        if peer {
            libc::getpeername(fd, address, &raw mut length)
        } else {
            libc::getsockname(fd, address, &raw mut length)
        }
    }))?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

/// Makes the kernel keep each `SIGCHLD`, which announces a stop, until [`await_stop`]
/// takes it. Returns the calling thread's previous signal mask.
pub(super) fn keep_news() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid set; each pointer is to one of ours.
    unsafe {
        let (mut news, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut news);
        libc::sigaddset(&raw mut news, libc::SIGCHLD);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const news, &raw mut before);
        before
    }
}

/// Sets the calling thread's signal mask.
pub(super) fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: the pointer is to a set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

/// Waits until something has stopped since [`keep_news`] or the last call, but no longer
/// than `longest`. The stop may already have been collected.
pub(super) fn await_stop(longest: std::time::Duration) {
    let time = libc::timespec {
        tv_sec: longest.as_secs() as _,
        tv_nsec: longest.subsec_nanos() as _,
    };
    // SAFETY: the set and the time are ours; nothing is written.
    unsafe {
        let mut news = std::mem::zeroed();
        libc::sigemptyset(&raw mut news);
        libc::sigaddset(&raw mut news, libc::SIGCHLD);
        libc::sigtimedwait(&raw const news, std::ptr::null_mut(), &raw const time);
    }
}

/// By how many nanoseconds the kernel may let the calling thread oversleep.
pub(super) fn timer_slack() -> libc::c_ulong {
    // SAFETY: no pointers.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) };
    slack.max(1) as libc::c_ulong
}

/// Sets by how many nanoseconds the kernel may let the calling thread oversleep. Whatever
/// the thread starts from now on inherits it.
pub(super) fn set_timer_slack(nanoseconds: libc::c_ulong) {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0) };
}

/// Sends a signal to a process. It is not an error if the process is gone.
pub(super) fn kill(pid: i32, signal: i32) {
    // SAFETY: no pointers.
    unsafe { libc::kill(pid, signal) };
}

/// Nanoseconds since the Unix epoch, by the clock that stamps packets.
pub(super) fn now_ns() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// How many signals have asked this process to end since [`watch_signals`].
static SIGNALS: AtomicU32 = AtomicU32::new(0);
/// The last of these signals.
static LAST_SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Whether the kernel sent it, as it does for a terminal's `^C`, which the programs get
/// as well.
static TO_ALL: AtomicBool = AtomicBool::new(false);

/// A request to end that came as a signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) signal: i32,
    /// Whether the programs got it too.
    pub(super) all: bool,
}

/// How many requests to end have come so far, and the last one.
pub(super) fn asked() -> (u32, Asked) {
    let count = SIGNALS.load(Ordering::Acquire);
    let signal = LAST_SIGNAL.load(Ordering::Relaxed);
    (count, Asked { signal, all: TO_ALL.load(Ordering::Relaxed) })
}

/// How often the kernel interrupts a wait, so that a session looks around: for a request
/// to end that came just before the wait, and for calls that sleep.
const TICK_MICROSECONDS: libc::suseconds_t = 20_000;

/// Whether the clock interrupts each wait.
static TICKS: AtomicBool = AtomicBool::new(false);

/// Whether [`watch_signals`] has made the clock interrupt each wait.
pub(super) fn is_ticking() -> bool {
    TICKS.load(Ordering::Relaxed)
}

/// A request to end has come, and the run is over: the next one ends this process at once.
pub fn stop_watching_signals() {
    if SIGNALS.load(Ordering::Acquire) == 0 {
        return;
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the default action is no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// From now on, SIGINT, SIGTERM and SIGHUP do not end this process: a session ends its
/// run, so that what was seen is drawn.
pub fn watch_signals() {
    extern "C" fn count(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO, the kernel passes a handler a valid siginfo_t.
        let by_kernel = unsafe { (*info).si_code } == libc::SI_KERNEL;
        TO_ALL.store(by_kernel, Ordering::Relaxed);
        LAST_SIGNAL.store(signal, Ordering::Relaxed);
        SIGNALS.fetch_add(1, Ordering::Release);
    }
    extern "C" fn tick(_: libc::c_int) {}
    // SAFETY: both handlers do only what is async-signal-safe; without SA_RESTART they
    // make `wait` return EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_SIGINFO;
        action.sa_sigaction = count as *const () as usize;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, &raw const action, &raw mut before);
            // nohup(1) wants a program to outlive its terminal.
            if signal == libc::SIGHUP && before.sa_sigaction == libc::SIG_IGN {
                libc::sigaction(signal, &raw const before, std::ptr::null_mut());
            }
        }
        action.sa_flags = 0;
        action.sa_sigaction = tick as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        let every = libc::timeval { tv_sec: 0, tv_usec: TICK_MICROSECONDS };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        let set =
            libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
        TICKS.store(set == 0, Ordering::Relaxed);
    }
}
