//! The processes of a run: started so that none outlives it, watched without being
//! reaped, ended as a group.
#![allow(
    unsafe_code,
    reason = "prctl(2), waitid(2) and kill(2) have no safe form in std"
)]

use std::fs::File;
use std::io;
use std::io::Read;
#[cfg(unix)]
use std::os::fd::AsRawFd;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

/// A signal that asks or forces a process to end, stop or continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGINT`, which Ctrl-C sends.
    Interrupt,
    /// `SIGTERM`: a request to end.
    Terminate,
    /// `SIGKILL`, which no program can refuse.
    Kill,
    /// `SIGSTOP`: stop until [`Signal::Continue`].
    Stop,
    /// `SIGCONT`: go on.
    Continue,
}

/// Prepares a command of ours for low limits; to be called first. A file that grows beyond
/// `ulimit -f` becomes an error that can be reported, instead of a SIGXFSZ that ends the
/// command without a word, and a stack or a memory that is too small is reported before the
/// first call that would need more.
///
/// # Errors
/// The stack or the memory is too small: the message.
#[cfg(unix)]
pub fn begin() -> Result<(), String> {
    /// In a debug build, clap needs nearly half of this.
    const STACK_BYTES: libc::rlim_t = 1 << 20;
    /// Each thread takes some MiB of addresses, and what cannot be had ends a program of
    /// Rust without a message.
    const ADDRESS_BYTES: libc::rlim_t = 256 << 20;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: signal takes two numbers; getrlimit fills an rlimit of ours.
    let asked = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit)
    };
    if asked == 0 && limit.rlim_cur < STACK_BYTES {
        return Err(format!(
            "start: the stack may have only {} KiB; raise its limit: ulimit -s 8192",
            limit.rlim_cur >> 10
        ));
    }
    let addresses = raise_limit(Limited::Addresses, ADDRESS_BYTES);
    if addresses < ADDRESS_BYTES {
        return Err(format!(
            "start: {} KiB of memory addresses are too few; raise the limit: \
             ulimit -v unlimited",
            addresses >> 10
        ));
    }
    Ok(())
}

/// Does nothing on this system.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn begin() -> Result<(), String> {
    Ok(())
}

/// What a limit of this process holds back (`getrlimit(2)`).
#[cfg(unix)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Open files.
    Files,
    /// Processes and threads of this user. Root has no such limit.
    Processes,
    /// Bytes of addresses.
    Addresses,
}

/// Returns whether this process runs as root, whom no limit on processes binds
/// (`RLIMIT_NPROC`, `getrlimit(2)`).
#[cfg(unix)]
pub fn is_root() -> bool {
    // SAFETY: takes nothing, and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Raises this limit to `wanted` if it is lower and may be raised so far, else as far as it
/// may, and returns what is allowed now.
#[cfg(unix)]
pub fn raise_limit(what: Limited, wanted: u64) -> u64 {
    let resource = match what {
        Limited::Files => libc::RLIMIT_NOFILE,
        Limited::Processes => libc::RLIMIT_NPROC,
        Limited::Addresses => libc::RLIMIT_AS,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    if what == Limited::Processes && is_root() {
        return u64::MAX;
    }
    // SAFETY: both limit calls get a live rlimit of ours.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) != 0 {
            return u64::MAX;
        }
        let before = limit.rlim_cur;
        if before < wanted {
            limit.rlim_cur = wanted.min(limit.rlim_max);
            if libc::setrlimit(resource, &raw const limit) != 0 {
                return before;
            }
        }
    }
    limit.rlim_cur
}

/// Makes `command` start in a process group of its own, with no signal ignored, and die
/// with the thread that starts it (`PR_SET_PDEATHSIG`, Linux): that thread must outlive
/// the run.
#[cfg(unix)]
pub fn isolate(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    // SAFETY: signal is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            heed_signals();
            Ok(())
        });
    }
    die_with_parent(command, libc::SIGKILL);
}

/// Makes what `command` starts get SIGTERM when the thread that starts it ends
/// (`PR_SET_PDEATHSIG`, Linux; nothing elsewhere). It stays in this process's group, so that
/// Ctrl-C reaches it as well.
#[cfg(unix)]
pub fn tie(command: &mut Command) {
    die_with_parent(command, libc::SIGTERM);
}

#[cfg(unix)]
fn die_with_parent(command: &mut Command, signal: libc::c_int) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        let parent = std::process::id();
        // SAFETY: between fork and exec only prctl and getppid are called, which are
        // async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // If the parent died before it was asked for, no signal comes.
                if libc::getppid().cast_unsigned() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, signal);
}

/// Raises this process's own limit of open files as far as it may, and returns it.
///
/// # Errors
/// Those of `setrlimit(2)`.
#[cfg(unix)]
pub fn open_files_at_most() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit, which outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: reads one rlimit, which outlives the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Restores the default action of every signal that the parent of this process had it
/// ignore, for this process and what it starts. A program in the background of a script,
/// or under nohup(1), starts with SIGINT or SIGHUP ignored, and execve(2) keeps it that
/// way. A program that a user starts ignores neither.
#[cfg(unix)]
pub fn heed_signals() {
    // The signals of `signal(7)` except the real-time ones. The calls for SIGKILL and
    // SIGSTOP fail, and they do not need it.
    for signal in 1..32 {
        // SAFETY: takes two numbers; the default action runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Makes this process the parent of orphans among its descendants
/// (`PR_SET_CHILD_SUBREAPER`; does nothing outside Linux), including those in sessions of
/// their own.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with this option takes one number.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong);
    }
}

/// A process that outlives this one for a moment if this one is killed: see [`guard`].
#[derive(Debug)]
pub struct Guard {
    #[cfg(target_os = "linux")]
    writer: io::PipeWriter,
    #[cfg(target_os = "linux")]
    pid: u32,
}

impl Guard {
    /// The guard's process id; 0 outside Linux, where there is none.
    pub fn pid(&self) -> u32 {
        #[cfg(target_os = "linux")]
        return self.pid;
        #[cfg(not(target_os = "linux"))]
        0
    }

    /// Ends the guard and reaps it: this process has left nothing behind.
    pub fn dismiss(self) {
        #[cfg(target_os = "linux")]
        {
            let Guard { mut writer, pid } = self;
            let _ = io::Write::write_all(&mut writer, b"x");
            reap(pid);
        }
    }
}

/// Starts a guard. If this process ends without having dismissed it, the guard kills
/// every process with an environment variable that begins with `mark`. It does nothing
/// outside Linux.
///
/// Call it while the process has one thread.
///
/// # Errors
/// The system allows no more processes or pipes.
pub fn guard(mark: &str) -> io::Result<Guard> {
    #[cfg(target_os = "linux")]
    {
        let (mut reader, writer) = io::pipe()?;
        // SAFETY: the process has one thread, so the child may use all that it inherits;
        // it leaves by _exit, and so runs nothing of the parent's.
        match unsafe { libc::fork() } {
            0 => {
                drop(writer);
                // The guard is in no group that is killed along with this process, and
                // holds no pipe of this process's output open.
                // SAFETY: open takes a NUL-terminated path; setpgid, dup2 and signal take
                // numbers.
                unsafe {
                    libc::setpgid(0, 0);
                    let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
                    (0..3).for_each(|fd| _ = libc::dup2(null, fd));
                    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                        libc::signal(signal, libc::SIG_IGN);
                    }
                }
                // The write end is closed once everybody who had it is gone.
                if !matches!(reader.read(&mut [0]), Ok(1)) {
                    kill_marked(mark.as_bytes());
                }
                // SAFETY: _exit ends the child at once.
                unsafe { libc::_exit(0) }
            }
            child if child < 0 => Err(io::Error::last_os_error()),
            child => {
                // The guard does this too. Whichever comes first, nothing runs before the
                // guard has left the group that may be killed.
                // SAFETY: setpgid takes numbers.
                unsafe { libc::setpgid(child, child) };
                Ok(Guard { writer, pid: child.cast_unsigned() })
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = mark;
        Ok(Guard {})
    }
}

/// Kills every process with an environment variable that begins with `mark`, until there
/// are none left.
#[cfg(target_os = "linux")]
fn kill_marked(mark: &[u8]) {
    let start = Instant::now();
    let mut last_kill = start;
    // Whatever is forked while the list is being read is found by the next reading.
    while start.elapsed() < Duration::from_secs(10) {
        let (mut marked, mut in_execve) = (Vec::new(), false);
        for pid in processes().filter(|pid| *pid != std::process::id()) {
            let environment = environment(pid);
            let mut entries = environment.split(|byte| *byte == 0);
            if entries.any(|entry| entry.starts_with(mark)) && !has_ended(pid) {
                marked.push(pid);
            }
            in_execve |= environment.is_empty() && is_in_execve(pid);
        }
        if marked.is_empty() && (!in_execve || last_kill.elapsed() > EXEC) {
            return;
        }
        if !marked.is_empty() {
            last_kill = Instant::now();
        }
        marked.into_iter().for_each(kill);
    }
}

/// Whether `pid` may be in the middle of execve(2): it has neither variables nor arguments
/// then, and so cannot be recognized.
#[cfg(target_os = "linux")]
fn is_in_execve(pid: u32) -> bool {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline"));
    arguments.is_ok_and(|arguments| arguments.is_empty())
        && stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X') && !stat.kernel)
}

/// Waits until child `pid` has exited, but does not reap it: until it is reaped, its id,
/// and the id of the group that it leads, cannot be reused.
///
/// # Errors
/// `ECHILD` if `pid` is not a child of this process or has been reaped.
///
/// Source: `waitid(2)`, `WNOWAIT`.
#[cfg(unix)]
pub fn wait_exited(pid: u32) -> io::Result<()> {
    loop {
        // SAFETY: an all-zero siginfo_t is valid, and waitid fills it before it is dropped.
        let result = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT)
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends `signal` to every process of the group that `leader` leads. It is not an error
/// if the group is already gone.
#[cfg(unix)]
pub fn signal_group(leader: u32, signal: Signal) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(-leader.cast_signed(), number(signal)) };
}

/// Sends `signal` to process `pid` alone. It is not an error if the process is already
/// gone.
#[cfg(unix)]
pub fn signal(pid: u32, signal: Signal) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid.cast_signed(), number(signal)) };
}

/// Kills process `pid` (`SIGKILL`). It is not an error if the process is already gone.
#[cfg(unix)]
pub fn kill(pid: u32) {
    // SAFETY: kill takes two numbers.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

/// Reaps child `pid`, waiting until it has exited. It is not an error if `pid` is not a
/// child of this process or has already been reaped.
#[cfg(unix)]
pub fn reap(pid: u32) {
    let status = std::ptr::null_mut();
    // SAFETY: a null status is allowed (waitpid(2)).
    while unsafe { libc::waitpid(pid.cast_signed(), status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

#[cfg(unix)]
fn number(signal: Signal) -> libc::c_int {
    match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
        Signal::Stop => libc::SIGSTOP,
        Signal::Continue => libc::SIGCONT,
    }
}

/// The number of bytes written to a pipe and not read yet (`FIONREAD`, `ioctl_pipe(2)`);
/// 0 where this cannot be known.
#[cfg(unix)]
pub fn unread_bytes(pipe: &impl AsRawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, which outlives the call.
    let asked =
        unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD as _, &raw mut bytes) };
    if asked < 0 { 0 } else { usize::try_from(bytes).unwrap_or(0) }
}

/// The ids of this process's children, adopted orphans included. Empty where the system
/// has no `/proc`.
pub fn children() -> Vec<u32> {
    let own = std::process::id();
    processes().filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == own)).collect()
}

/// `pid` and all its descendants. Only `pid` where the system has no `/proc`.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        match children_of(parent) {
            Some(children) => family.extend(children),
            None => return family_by_parents(pid),
        }
        next += 1;
    }
    family
}

/// The children of `pid`'s threads, from `/proc/PID/task/TID/children`; `None` where the
/// kernel was built without `CONFIG_PROC_CHILDREN`.
fn children_of(pid: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten() {
        let Ok(thread) = thread else { continue };
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(text) => {
                children.extend(text.split_whitespace().flat_map(str::parse::<u32>))
            }
            // A thread that has ended meanwhile has no folder; on a kernel without this
            // file, it still has.
            Err(_) if thread.path().join("stat").exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// Like [`family`], by asking every process of the system for its parent.
fn family_by_parents(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> =
        processes().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// Whether every thread of `pid` is asleep in the kernel, waiting for something to
/// happen. `None` where this cannot be known (there is no `/proc`, or the process is
/// gone).
pub fn sleeps(pid: u32) -> Option<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut states = threads.filter_map(|thread| {
        let path = thread.ok()?.path().join("stat");
        parse_stat(&read_text(path)?).map(|stat| stat.state)
    });
    let first = states.next()?;
    Some(first == 'S' && states.all(|state| state == 'S'))
}

/// Whether a thread of `pid` is running, or would be if a processor were free. `None`
/// where this cannot be known (there is no `/proc`, or the process is gone).
pub fn is_runnable(pid: u32) -> Option<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut states = threads.filter_map(|thread| {
        let path = thread.ok()?.path().join("stat");
        parse_stat(&read_text(path)?).map(|stat| stat.state)
    });
    Some(states.any(|state| state == 'R'))
}

/// The processor time used by `pid` and by the children that it has waited for.
pub fn processor_time(pid: u32) -> Option<Duration> {
    let text = read_text(format!("/proc/{pid}/stat"))?;
    // utime, stime, cutime and cstime are fields 14 to 17; the state is field 3.
    let fields = text.get(text.rfind(')')? + 1..)?.split_whitespace().skip(11).take(4);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The clock ticks of `/proc` (`USER_HZ`, `sysconf(_SC_CLK_TCK)`), the same on every
/// Linux today.
const TICKS_PER_SECOND: u64 = 100;

/// The orphans that came to this process from groups led by `leaders`, which have ended
/// themselves.
pub fn orphans_of_groups(leaders: &[u32]) -> Vec<u32> {
    let member = |pid: &u32| {
        let group = stat(*pid).map(|stat| stat.group);
        // A group leader here is a new process that got an old number.
        group.is_some_and(|group| group != *pid && leaders.contains(&group))
    };
    children().into_iter().filter(member).collect()
}

/// The orphans that came to this process and are in a session other than its own. None of
/// them was started by this process itself, because only setsid(2) leaves a session.
pub fn orphans_of_other_sessions() -> Vec<u32> {
    let Some(session) = stat(std::process::id()).map(|stat| stat.session) else {
        return Vec::new();
    };
    let other = |pid: &u32| stat(*pid).is_some_and(|stat| stat.session != session);
    children().into_iter().filter(other).collect()
}

/// Whether every thread of `pid` is stopped by a signal, as [`Signal::Stop`] asks. A
/// traced process also seems stopped while its tracer looks at it.
pub fn is_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let mut states = threads.filter_map(|thread| {
        let path = thread.ok()?.path().join("stat");
        parse_stat(&read_text(path)?).map(|stat| stat.state)
    });
    let is_stopped = |state| matches!(state, 'T' | 't');
    states.next().is_some_and(is_stopped) && states.all(is_stopped)
}

/// The process that traces `pid` (ptrace(2)), if any.
pub fn tracer(pid: u32) -> Option<u32> {
    let status = read_text(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|tracer| *tracer != 0)
}

/// Whether `pid` has ended: it is gone, or waiting to be reaped.
pub fn has_ended(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

/// The resident set of `pid` in bytes (`/proc/PID/statm`); 0 if it is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// The size of a page on most systems that run Linux; it is only used for a bound.
const PAGE_BYTES: u64 = 4096;

/// The number of threads of `pid`; 0 if it is gone.
pub fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().count()
}

/// Whether process `pid` was started with `NAME=VALUE` in its environment
/// (`/proc/PID/environ`). Such a variable marks the processes that were started for a
/// run.
pub fn has_variable(pid: u32, variable: &str) -> bool {
    // A process in the middle of execve(2) has no variables. Zombies and kernel threads
    // have none either, and for a process that was started with none we soon give up.
    let start = Instant::now();
    let mut environment = environment(pid);
    while environment.is_empty()
        && start.elapsed() < EXEC
        && stat(pid).is_some_and(|stat| stat.state != 'Z' && !stat.kernel)
    {
        std::thread::yield_now();
        environment = self::environment(pid);
    }
    environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

/// Far longer than a process spends in the middle of execve(2).
const EXEC: Duration = Duration::from_secs(1);

/// Reads all of it in one read(2): between two reads, execve(2) may throw away what the
/// second would have read.
fn environment(pid: u32) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 18];
    let length = File::open(format!("/proc/{pid}/environ"))
        .and_then(|mut file| file.read(&mut bytes))
        .unwrap_or(0);
    bytes.truncate(length);
    bytes
}

/// The name of process `pid`, as the kernel has it (`/proc/PID/comm`, at most 15 bytes).
pub fn name(pid: u32) -> Option<String> {
    let comm = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    let comm = String::from_utf8_lossy(&comm);
    Some(printable(comm.trim_end()))
}

/// Replaces by `?` what a terminal would obey or nobody would see: controls, formats, what has
/// no form of its own.
fn printable(text: &str) -> String {
    let is_seen = |letter: &char| match letter {
        ' '..='~' => true,
        // One that stands for itself in a Rust literal.
        _ => letter.escape_debug().len() == 1,
    };
    text.chars().map(|letter| if is_seen(&letter) { letter } else { '?' }).collect()
}

/// Reads a file of `/proc` as text; `None` if it cannot be read. The file may contain the name
/// of a process, which need not be UTF-8: the kernel cuts it at 15 bytes, even inside a
/// character.
pub fn read_text(path: impl AsRef<Path>) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

struct Stat {
    state: char,
    parent: u32,
    group: u32,
    session: u32,
    /// Whether it is a kernel thread.
    kernel: bool,
}

/// The flag of a kernel thread in a process's flags (`include/linux/sched.h`).
const PF_KTHREAD: u32 = 0x0020_0000;

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&read_text(format!("/proc/{pid}/stat"))?)
}

/// `PID (NAME) STATE PPID …`: the name may hold spaces and parentheses (`proc_pid_stat(5)`).
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let flags: u32 = fields.nth(2)?.parse().ok()?;
    Some(Stat { state, parent, group, session, kernel: flags & PF_KTHREAD != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = parse_stat("12 (a) S 1) R 34 12 12 0 -1 2129984 0").unwrap();
        assert_eq!((stat.state, stat.parent, stat.kernel), ('R', 34, true));
        assert_eq!((stat.group, stat.session), (12, 12));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processor_time_is_used_by_who_runs_and_not_by_who_sleeps() {
        use std::io::{Read, Write};
        use std::process::Stdio;

        // It has started once it has answered; then it sleeps until it gets more to read.
        let mut sleeper = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sleeper.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        sleeper.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let is_asleep = || is_runnable(sleeper.id()) == Some(false);
        testkit::until("cat sleeps", is_asleep);
        let before = processor_time(sleeper.id()).unwrap();
        let mut spinner =
            Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let used = || processor_time(spinner.id()).unwrap();
        testkit::until("sh computes", || used() >= Duration::from_millis(30));
        testkit::until("sh runs", || is_runnable(spinner.id()) == Some(true));
        assert!(is_asleep());
        let meanwhile = processor_time(sleeper.id()).unwrap() - before;
        assert!(meanwhile < Duration::from_millis(30), "{meanwhile:?}");
        for child in [&mut sleeper, &mut spinner] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(processor_time(u32::MAX), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_family_is_the_same_by_both_ways() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let own = std::process::id();
        for family in [family(own), family_by_parents(own)] {
            assert!(family.contains(&own) && family.contains(&child.id()), "{family:?}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Like that of a program called `\u{e9}cho-\u{e9}t\u{e9}-\u{e9}\u{e9}\u{e9}`, which is cut at 15 bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_whose_name_is_not_utf8_is_one() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff) R 1"));
        testkit::copy_program("/bin/sleep", &program);
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let pid = child.id();
        testkit::until("it sleeps", || sleeps(pid) == Some(true));
        assert!(children().contains(&pid));
        assert!(family_by_parents(std::process::id()).contains(&pid));
        assert!(!has_ended(pid));
        assert_eq!((tracer(pid), is_runnable(pid)), (None, Some(false)));
        assert!(processor_time(pid).is_some());
        assert_eq!(name(pid).as_deref(), Some("a\u{fffd}) R 1"));
        child.kill().unwrap();
        testkit::until("it has ended", || has_ended(pid));
        child.wait().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn unread_bytes_of_a_pipe_are_counted() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"three").unwrap();
        assert_eq!(unread_bytes(&reader), 5);
        reader.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(unread_bytes(&reader), 0);
    }

    #[test]
    fn a_cut_line_is_no_process() {
        assert!(parse_stat("12 (a) S").is_none());
        assert!(parse_stat("").is_none());
    }
}
