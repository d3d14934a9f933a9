//! A tracer that does nothing at its stops: a yardstick, and the other calls to the kernel that
//! the measurement needs.
#![allow(unsafe_code)] // ptrace(2), seccomp(2) and fork(2) have no safe form in std.

use std::ffi::CString;
use std::process::ExitCode;
use std::time::Duration;

/// Traces programs, each after `--`, until all have ended: they stop at the entry and at the
/// return of each call that `flow` traces in such a run, and go on at once.
pub(super) fn trace(words: &[&str], on_one_processor: bool) -> ExitCode {
    if on_one_processor {
        stay_on_this_processor();
    }
    let programs = words.split(|word| *word == "--").filter(|words| !words.is_empty());
    let started = programs.map(start).filter(|pid| *pid > 0).count();
    assert!(started > 0, "start a program");
    while let Some((tid, status)) = wait() {
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        let (request, signal) = match (status >> 16, signal) {
            (libc::PTRACE_EVENT_SECCOMP, _) => (libc::PTRACE_SYSCALL, 0),
            // The return of a call, another event, the first stop of a thread.
            (0, signal) if signal == libc::SIGTRAP | 0x80 => (libc::PTRACE_CONT, 0),
            (0, libc::SIGSTOP | libc::SIGTRAP) => (libc::PTRACE_CONT, 0),
            (0, signal) => (libc::PTRACE_CONT, signal),
            _ => (libc::PTRACE_CONT, 0),
        };
        // SAFETY: neither request has a pointer.
        unsafe { libc::ptrace(request, tid, 0, signal as usize) };
    }
    ExitCode::SUCCESS
}

/// Starts a traced program with the filter; its process id.
fn start(words: &[&str]) -> i32 {
    let words: Vec<CString> =
        words.iter().map(|it| CString::new(*it).expect("a word without NUL")).collect();
    let mut pointers: Vec<_> = words.iter().map(|it| it.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let mut filter = filter();
    // SAFETY: this process has one thread. The child makes only async-signal-safe calls, with
    // memory that was made before; the array of pointers ends with a null pointer.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_mut_ptr(),
            };
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            let mode = libc::SECCOMP_SET_MODE_FILTER;
            libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program);
            libc::execv(pointers[0], pointers.as_ptr());
            libc::_exit(127);
        }
        let mut status = 0;
        libc::waitpid(pid, &raw mut status, libc::__WALL);
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACESECCOMP
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_EXITKILL;
        libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0, options as usize);
        libc::ptrace(libc::PTRACE_CONT, pid, 0, 0);
        pid
    }
}

/// Stops at the calls that the programs of this measurement make about sockets.
fn filter() -> Vec<libc::sock_filter> {
    let calls = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_sendto,
        libc::SYS_recvfrom,
        libc::SYS_close,
        libc::SYS_socket,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        libc::SYS_connect,
        libc::SYS_setsockopt,
        libc::SYS_getsockopt,
    ];
    let step = |code: u32, jt: usize, k: u32| libc::sock_filter {
        code: code as u16,
        jt: jt as u8,
        jf: 0,
        k,
    };
    // The number of the call is the first word of `struct seccomp_data`.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (at, number) in calls.into_iter().enumerate() {
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(step(equal, calls.len() - at, number as u32));
    }
    let answer = libc::BPF_RET | libc::BPF_K;
    program.push(step(answer, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(answer, 0, libc::SECCOMP_RET_TRACE));
    program
}

/// The next stop or end of a traced thread; `None` when all have ended.
fn wait() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the pointer is to a local value.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
    (tid > 0).then_some((tid, status))
}

fn stay_on_this_processor() {
    // SAFETY: all zeroes is the empty set, and the set lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// The processor time of all children that have been waited for, and of theirs.
pub(super) fn processor_time_of_children() -> Duration {
    // SAFETY: all zeroes is a valid rusage, which the kernel fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |it: libc::timeval| {
        Duration::from_secs(it.tv_sec as u64) + Duration::from_micros(it.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}
