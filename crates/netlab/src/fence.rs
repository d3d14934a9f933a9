//! A fence around a program that we did not write: namespaces and limits that hold it,
//! and a process of ours between it and us.
//!
//! The watching process starts the fencing program ([`run`]) as the leader of a process
//! group. The fencing program closes every descriptor that it inherited, resets signals
//! that were ignored, and dies with the thread that started it. It takes a user, a PID, a
//! mount and an IPC namespace, and forks; the child, the first process of the PID
//! namespace, is the *keeper*. The keeper makes the kernel's settings read-only, limits
//! itself, and starts the program, which inherits the limits and has no capabilities. It
//! reports through its own standard input ([`Notice`]). When the keeper dies, the kernel
//! kills everything that is left in the namespace, however fast it forks; and the keeper
//! dies with the watching process.
//!
//! The program and its keeper run as the same user, so the program could lower the
//! keeper's resource limits (`prlimit(2)`) and thereby kill it. A filter on its system
//! calls prevents that.
//!
//! What the fence does not cover: memory in a System V segment that nobody has attached
//! is not counted; it is freed with the namespace. Where the kernel has no filters, or
//! the processor is neither x86-64 nor AArch64, the program can kill its keeper as
//! described above. The kernel then kills the program too, and no [`Notice`] of its end
//! arrives.
//!
//! Sources: `pid_namespaces(7)`, `user_namespaces(7)`, `ipc_namespaces(7)`,
//! `capabilities(7)`, `setrlimit(2)`, `prctl(2)`, `close_range(2)`, `seccomp(2)`.
#![allow(
    unsafe_code,
    reason = "unshare, fork, mount, prctl and waitid have no safe form"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

/// What the program may use. Every limit but `processes` applies to each of its processes
/// separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Memory that it may write to, in bytes (`RLIMIT_DATA`). Address space that is only
    /// reserved, as Go and Java do, does not count.
    pub memory_bytes: u64,
    /// Processor time in seconds (`RLIMIT_CPU`).
    pub cpu_s: u64,
    /// Open files and sockets (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Processes and threads in total (`RLIMIT_NPROC`, which does not bind root; where
    /// possible, also the namespace's `kernel.pid_max`).
    pub processes: u64,
    /// The largest file that it may write, in bytes (`RLIMIT_FSIZE`).
    pub file_bytes: u64,
}

impl ProcessLimits {
    /// Encodes the limits as one word for the command line of [`run`].
    pub fn to_word(&self) -> String {
        let ProcessLimits { memory_bytes, cpu_s, open_files, processes, file_bytes } =
            self;
        format!("{memory_bytes},{cpu_s},{open_files},{processes},{file_bytes}")
    }

    fn from_word(word: &str) -> Option<ProcessLimits> {
        let numbers: Vec<u64> =
            word.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [memory_bytes, cpu_s, open_files, processes, file_bytes] = numbers[..] else {
            return None;
        };
        Some(ProcessLimits { memory_bytes, cpu_s, open_files, processes, file_bytes })
    }
}

/// What the keeper reports, one line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The program is running.
    Started,
    /// The program could not be started: the `errno`.
    NotStarted(i32),
    /// The program exited with this status.
    Exited(i32),
    /// This signal killed the program.
    Killed(i32),
    /// The kernel refused the namespaces: the `errno`.
    Refused(i32),
}

impl Notice {
    /// Parses one line from the keeper.
    pub fn parse(line: &str) -> Option<Notice> {
        let (word, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        Some(match word {
            "started" => Notice::Started,
            "not-started" => Notice::NotStarted(number),
            "exited" => Notice::Exited(number),
            "killed" => Notice::Killed(number),
            "refused" => Notice::Refused(number),
            _ => return None,
        })
    }

    fn tell(self) {
        let (word, number) = match self {
            Notice::Started => ("started", 0),
            Notice::NotStarted(errno) => ("not-started", errno),
            Notice::Exited(status) => ("exited", status),
            Notice::Killed(signal) => ("killed", signal),
            Notice::Refused(errno) => ("refused", errno),
        };
        let line = format!("{word} {number}\n");
        // SAFETY: writes from a live buffer of that length to descriptor 0, the pipe that
        // the watching process gave us as standard input. When that process is gone, we
        // are about to be.
        unsafe { libc::write(0, line.as_ptr().cast(), line.len()) };
    }
}

/// The whole of the fencing program. Its arguments are `namespaces|group WATCHER LIMITS
/// now|stopped PROGRAM ARGUMENTS…`, where `WATCHER` is the process id of the watching
/// process, and its standard input is the write end of a pipe. The program inherits its
/// standard output, standard error and environment, and gets an empty standard input.
///
/// With `group` in place of `namespaces` it takes no namespaces, for a system that
/// refuses them. The watching process must then end the descendants one by one.
///
/// With `stopped`, the child stops itself just before it executes the program, so that a
/// tracer can attach. SIGCONT lets it go on.
///
/// With `probe` in place of `namespaces` or `group`, it takes the namespaces and exits,
/// with status 0 if it got them. This tells the watching process whether to ask for them.
///
/// Call this first in `main`, while the process has one thread.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mode = arguments.next().unwrap_or_default();
    if mode == "probe" {
        return if enter().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let watcher = arguments.next().and_then(|word| word.to_str()?.parse().ok());
    let limits =
        arguments.next().and_then(|word| ProcessLimits::from_word(word.to_str()?));
    let stopped = arguments.next().is_some_and(|word| word == "stopped");
    close_inherited();
    crate::process::heed_signals();
    let (Some(watcher), Some(limits), Some(program)) =
        (watcher, limits, arguments.next())
    else {
        return ExitCode::from(2);
    };
    if !dies_with(watcher) {
        return ExitCode::FAILURE;
    }
    if mode == "namespaces" {
        let own_user = match enter() {
            Ok(own_user) => own_user,
            Err(error) => {
                Notice::Refused(error.raw_os_error().unwrap_or(libc::EPERM)).tell();
                return ExitCode::FAILURE;
            }
        };
        // Once more: the kernel clears the setting when the credentials change.
        if !dies_with(watcher) {
            return ExitCode::FAILURE;
        }
        let (parent_lives, held_by_parent) = match io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => {
                Notice::Refused(error.raw_os_error().unwrap_or(libc::EMFILE)).tell();
                return ExitCode::FAILURE;
            }
        };
        // SAFETY: the process has one thread, so the child may use all that it inherits.
        match unsafe { libc::fork() } {
            0 => {}
            child => {
                close_output();
                let status = std::ptr::null_mut();
                // SAFETY: a null status is allowed; no pointer besides.
                while child > 0 && unsafe { libc::waitpid(child, status, 0) } < 0 {
                    if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                        break;
                    }
                }
                return ExitCode::SUCCESS;
            }
        }
        drop(held_by_parent);
        die_with_parent();
        // The parent may have died before this request took effect; then no signal comes,
        // now or later. Its number says nothing, because it is outside of this namespace
        // (getppid(2) returns 0), but nobody holds the pipe's other end any more.
        let mut parent = libc::pollfd {
            fd: parent_lives.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd; a timeout of 0 does not wait.
        if unsafe { libc::poll(&raw mut parent, 1, 0) } != 0 {
            return ExitCode::FAILURE;
        }
        drop(parent_lives);
        // Where /proc is masked, as in a container, the old one stays: the host's
        // processes can be seen there, but neither read nor signalled from this
        // namespace.
        if own_proc().is_ok() && own_user {
            // RLIMIT_NPROC does not bind root, not even under another id in here. A
            // namespace's own limit does (since Linux 6.14; 301 is the lowest). Without
            // it, only the watching process stands against a fork bomb. Skip it if we
            // have no user namespace of our own: an older kernel would set the host's
            // limit.
            let most = limits.processes.max(300) + 1;
            let _ = fs::write("/proc/sys/kernel/pid_max", most.to_string());
        }
        // The network belongs to the program's user, who could change its settings. Where
        // this fails, a check is easier to fool, but not wrong.
        let _ = settings_read_only();
    }
    keep(&limits, stopped, &program, arguments)
}

/// Takes the namespaces. Inside, the program is user 1000: an ordinary user, with no
/// capabilities once it runs. Returns whether a user namespace is among them: root may be
/// refused just that one (`user.max_user_namespaces` is 0), and does without.
fn enter() -> io::Result<bool> {
    // SAFETY: these two take nothing and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let others = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
    // SAFETY: takes flags alone.
    if let Err(refused) = check(unsafe { libc::unshare(libc::CLONE_NEWUSER | others) }) {
        // SAFETY: takes flags alone.
        return check(unsafe { libc::unshare(others) })
            .map(|()| false)
            .map_err(|_| refused);
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("1000 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("1000 {gid} 1"))?;
    Ok(true)
}

/// Closes what the caller of the watching process left open by accident: otherwise a file
/// of secrets at descriptor 9 would be open in the program too.
fn close_inherited() {
    // SAFETY: closes descriptors that nothing in this process uses; it has only just
    // begun.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9.
    for fd in 3..4096 {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

fn die_with_parent() {
    // SAFETY: takes two numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) };
}

/// Asks to die with the watching process, and returns whether that was in time. If it had
/// died before, no signal would come. Its own end may take a moment, in which its pipe is
/// still open: only the parent's number tells.
fn dies_with(watcher: libc::pid_t) -> bool {
    die_with_parent();
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() == watcher }
}

fn own_proc() -> io::Result<()> {
    let nothing = std::ptr::null();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all strings are NUL-terminated and live through the call; null is allowed
    // for arguments that a change of propagation does not use (mount(2)).
    check(unsafe {
        libc::mount(nothing, c"/".as_ptr(), nothing, private, nothing.cast())
    })?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let proc = c"proc".as_ptr();
    // SAFETY: as above.
    check(unsafe { libc::mount(proc, c"/proc".as_ptr(), proc, flags, nothing.cast()) })
}

/// Makes `/proc/sys` read-only in this mount namespace.
fn settings_read_only() -> io::Result<()> {
    let nothing = std::ptr::null();
    let sys = c"/proc/sys".as_ptr();
    // SAFETY: all strings are NUL-terminated and live through the call; null is allowed for
    // the type and data of a bind mount (mount(2)).
    check(unsafe {
        libc::mount(sys, sys, nothing, libc::MS_BIND | libc::MS_REC, nothing.cast())
    })?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let again = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | flags;
    // SAFETY: as above.
    check(unsafe { libc::mount(nothing, sys, nothing, again, nothing.cast()) })
}

/// Drops every capability of the calling process, for itself and for whatever it
/// executes: root becomes a user who owns root's files and can do nothing else.
fn drop_capabilities() {
    // _LINUX_CAPABILITY_VERSION_3 (capset(2)): two sets of 32 bits each.
    const VERSION_3: u32 = 0x2008_0522;
    // SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP and their locks (capabilities(7)).
    const NO_ROOT: libc::c_ulong = 0b1111;
    let header = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: prctl takes numbers; capset reads a header and three pairs of sets, which
    // live through the call. A step that the process is not allowed to take has no
    // effect.
    unsafe {
        libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0);
        for capability in 0..64 as libc::c_ulong {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr());
    }
}

/// `prlimit64(2)` by architecture: how seccomp(2) names the architecture, and the number
/// of the call. The second row is for 32-bit programs on the same kernel.
#[cfg(target_arch = "x86_64")]
const PRLIMIT: &[(u32, u32)] = &[(0xC000_003E, 302), (0x4000_0003, 340)];
#[cfg(target_arch = "aarch64")]
const PRLIMIT: &[(u32, u32)] = &[(0xC000_00B7, 261), (0x4000_0028, 369)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PRLIMIT: &[(u32, u32)] = &[];

/// A filter that refuses calls to read or change the limits of `keeper` (`EPERM`), and
/// allows all other calls. The keeper is the first process of its namespace, so no other
/// process has its id.
fn spares(keeper: u32) -> Vec<libc::sock_filter> {
    // Offsets in struct seccomp_data, which is loaded one word at a time. An argument is
    // two words, the low one first on these processors.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const FIRST_ARGUMENT: u32 = 16;
    // The x32 ABI has the numbers of x86-64 with one more bit, which this mask clears.
    const NOT_X32: u32 = !0x4000_0000;
    let step =
        |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |from| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, from);
    // Skips `jf` steps if the loaded word is something else.
    let is = |k, jf| libc::sock_filter {
        jf,
        ..step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k)
    };
    let answer = |value| step(libc::BPF_RET | libc::BPF_K, value);
    let mut filter = Vec::new();
    for (architecture, number) in PRLIMIT {
        filter.extend([
            load(ARCHITECTURE),
            is(*architecture, 6),
            load(NUMBER),
            step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, NOT_X32),
            is(*number, 3),
            load(FIRST_ARGUMENT),
            is(keeper, 1),
            answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned()),
        ]);
    }
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    filter
}

/// Installs a filter for the calls of this process and everything that it executes or
/// starts. A kernel without filters leaves the process as it is.
fn set_filter(filter: &[libc::sock_filter]) {
    let program =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the kernel reads the program, which lives through the call.
    unsafe {
        let mode = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
        libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program);
    }
}

/// Starts the program, reports how it ended, and reaps the orphans that come to this
/// process.
fn keep(
    limits: &ProcessLimits,
    stopped: bool,
    program: &OsString,
    arguments: impl Iterator<Item = OsString>,
) -> ExitCode {
    set_limits(limits);
    // SAFETY: both take only numbers. With no new privileges, a setuid program gains
    // none.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as libc::c_ulong, 0, 0, 0);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong);
    }
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    let keeper = std::process::id().cast_signed();
    let filter = spares(keeper.cast_unsigned());
    // SAFETY: prctl(2), getppid(2), capset(2), and everything that `stop` calls, are
    // async-signal-safe; the filter was made before the fork.
    unsafe {
        command.pre_exec(move || {
            die_with_parent();
            if libc::getppid() != keeper {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            drop_capabilities();
            set_filter(&filter);
            if stopped { stop() } else { Ok(()) }
        });
    }
    let program = match command.spawn() {
        Ok(program) => program,
        Err(error) => {
            let _ = io::stderr().flush();
            Notice::NotStarted(error.raw_os_error().unwrap_or(libc::ENOENT)).tell();
            return ExitCode::FAILURE;
        }
    };
    close_output();
    Notice::Started.tell();
    let program = program.id().cast_signed();
    loop {
        // SAFETY: zeros are a valid siginfo_t, which waitid fills before it is read.
        let (result, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let options = libc::WEXITED | libc::WNOWAIT;
            (libc::waitid(libc::P_ALL, 0, &raw mut info, options), info)
        };
        if result < 0 {
            continue;
        }
        // SAFETY: waitid filled the fields for a child.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == program {
            match info.si_code {
                libc::CLD_EXITED => Notice::Exited(status).tell(),
                _ => Notice::Killed(status).tell(),
            }
            break;
        }
        // SAFETY: a null status is allowed.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
    // The program is not reaped, so its id cannot be reused until we are killed; whatever
    // it left behind lives on until then.
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// Stops the calling process until SIGCONT, without letting it see the signal delivered:
/// a tracer that attaches meanwhile must not see it either.
fn stop() -> io::Result<()> {
    // SAFETY: zeros are a valid sigset_t, and sigemptyset(3) makes it one anyway; the
    // calls get live sets of ours. A pending SIGCONT is discarded when its action is set
    // to the default, which is to ignore it (sigaction(2)).
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCONT);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before);
        libc::raise(libc::SIGSTOP);
        libc::signal(libc::SIGCONT, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
    }
    Ok(())
}

/// Closes standard output and error, so that only the program holds them open.
fn close_output() {
    // SAFETY: closes two descriptors that nothing here uses any more.
    unsafe {
        libc::close(1);
        libc::close(2);
    }
}

fn set_limits(limits: &ProcessLimits) {
    let mut all = vec![
        (libc::RLIMIT_DATA, limits.memory_bytes),
        (libc::RLIMIT_NOFILE, limits.open_files),
        (libc::RLIMIT_FSIZE, limits.file_bytes),
        (libc::RLIMIT_CORE, 0),
    ];
    all.push((libc::RLIMIT_NPROC, limits.processes));
    for (resource, most) in all {
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both calls get a live rlimit of ours. A limit that is already lower
        // stays; a kernel that lacks one of them leaves the others in force.
        unsafe {
            if libc::getrlimit(resource, &raw mut now) == 0 {
                let most = most.min(now.rlim_max);
                let new = libc::rlimit { rlim_cur: most, rlim_max: most };
                libc::setrlimit(resource, &raw const new);
            }
        }
    }
    // First SIGXCPU, which names the limit; a second later SIGKILL (setrlimit(2)).
    let cpu = libc::rlimit { rlim_cur: limits.cpu_s, rlim_max: limits.cpu_s + 1 };
    // SAFETY: reads a live rlimit of ours.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &raw const cpu) };
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_command_line() {
        let limits = ProcessLimits {
            memory_bytes: 1 << 29,
            cpu_s: 10,
            open_files: 256,
            processes: 512,
            file_bytes: 1 << 26,
        };
        assert_eq!(ProcessLimits::from_word(&limits.to_word()), Some(limits));
        for word in ["", "1,2,3,4", "1,2,3,4,x", "1,2,3,4,5,6"] {
            assert_eq!(ProcessLimits::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn a_report_is_a_word_and_a_number() {
        assert_eq!(Notice::parse("exited 3"), Some(Notice::Exited(3)));
        assert_eq!(Notice::parse("killed 9"), Some(Notice::Killed(9)));
        for line in ["", "exited", "exited x", "danced 1"] {
            assert_eq!(Notice::parse(line), None, "{line}");
        }
    }
}
