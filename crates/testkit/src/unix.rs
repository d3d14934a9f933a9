//! Signals, exits and users on Unix.
#![allow(unsafe_code, reason = "std has no kill(2), waitid(2) or signal(2)")]

use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::Sender;
use std::thread;

use crate::{DEADLINE, Finished, Program};

pub use libc::{SIGCONT, SIGINT, SIGSTOP, SIGTERM};

impl Program {
    /// Sends the program a signal: kill(2).
    ///
    /// # Panics
    /// If the kernel refuses.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        let id = self.id().cast_signed();
        // SAFETY: a call without pointers. The child is not reaped while `self` lives, so
        // its id still belongs to it.
        let result = unsafe { libc::kill(id, signal) };
        assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
    }

    /// Stops it in the call in which it is sleeping and continues it, as Ctrl-Z and `fg`
    /// do.
    ///
    /// # Panics
    /// At the deadline, or when the process has ended.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn pause_and_resume(&self) {
        self.wait_for_state('S');
        assert!(self.pause(), "the program has ended");
        self.signal(SIGCONT);
    }

    /// Stops it, wherever it is; returns false if it has ended.
    ///
    /// # Panics
    /// At the deadline.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn pause(&self) -> bool {
        self.signal(SIGSTOP);
        self.wait_for_one_of("TZ") == 'T'
    }

    /// Waits until the kernel shows the process in this state, in the letters of
    /// proc_pid_stat(5): `S` is sleeping in a call, `T` is stopped. There is no event for
    /// this, so it polls.
    ///
    /// # Panics
    /// At the deadline, or when the process has ended.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn wait_for_state(&self, state: char) {
        let ended = self.wait_for_one_of(&format!("{state}Z")) != state;
        assert!(!ended, "the program has ended");
    }

    /// Waits until it is in one of these states, and returns which.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn wait_for_one_of(&self, states: &str) -> char {
        let start = std::time::Instant::now();
        loop {
            let path = format!("/proc/{}/stat", self.id());
            let stat = std::fs::read_to_string(path).expect("/proc/PID/stat");
            // The state follows the name, which is in parentheses and may contain
            // parentheses.
            let now = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            if let Some(state) = now.filter(|now| states.contains(*now)) {
                return state;
            }
            assert!(start.elapsed() < DEADLINE, "still {now:?}, not one of {states:?}");
            thread::yield_now();
        }
    }
}

/// Starts a program twice, ends it once with SIGINT and once with SIGTERM, and returns
/// how it finished, together with what `start` returned beside the program.
///
/// # Panics
/// If the signal does not end it, or if it says something on stderr.
#[track_caller]
pub fn signals<T>(start: impl Fn() -> (Program, T)) -> [(Finished, T); 2] {
    [SIGINT, SIGTERM].map(|signal| {
        let (program, beside) = start();
        program.signal(signal);
        let finished = program.finish();
        finished.expect_end_by(signal);
        (finished, beside)
    })
}

/// Gives the child the default action for signals that may end it: a shell that starts a
/// job in the background ignores SIGINT in it, and the child would inherit that.
pub(crate) fn default_signals(command: &mut Command) {
    let defaults = || {
        for signal in [SIGINT, SIGTERM] {
            // SAFETY: signal(2) is async-signal-safe and takes no pointer here.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure allocates nothing and takes no lock between fork and exec.
    unsafe { command.pre_exec(defaults) };
}

/// Drops `alive` once the child has ended, without reaping it, so that its id is not
/// reused.
pub(crate) fn watch_exit(child: &Child, alive: Sender<()>) {
    let id = child.id();
    thread::spawn(move || {
        let _alive = alive;
        loop {
            // SAFETY: siginfo_t is plain data, for which zero is a valid value.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            let options = libc::WEXITED | libc::WNOWAIT;
            // SAFETY: the pointer is to a live siginfo_t of ours.
            let result = unsafe { libc::waitid(libc::P_PID, id, &mut info, options) };
            let interrupted =
                || io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
            if result == 0 || !interrupted() {
                return;
            }
        }
    });
}

/// Makes the command run as a user without privileges: as `nobody`, if we are root.
pub fn as_ordinary_user(command: &mut Command) {
    // SAFETY: a call without pointers that cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        const NOBODY: u32 = 65534;
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Copies a program, or a file that is to become one, and makes the copy executable:
/// install(1).
///
/// A file that this process has written itself may not be ready to run: a child that
/// another test is starting holds it open for writing until its exec(3), and running it
/// fails with ETXTBSY.
///
/// # Panics
/// If it cannot be copied.
#[track_caller]
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let mut install = Command::new("install");
    install.args(["-m", "755"]).args([from.as_ref(), to.as_ref()]);
    let status = install.status().expect("install");
    assert!(status.success(), "install: {status}");
}

/// Returns a pipe that nobody can read from any more: writing to it fails with EPIPE.
///
/// Dropping the reader is not enough: a child that another test is starting holds a copy
/// of it until its exec(3). poll(2) says when the last copy is gone.
///
/// # Panics
/// At the deadline.
pub fn pipe_without_reader() -> PipeWriter {
    let (reader, writer) = io::pipe().expect("pipe");
    drop(reader);
    let mut poll = libc::pollfd { fd: writer.as_raw_fd(), events: 0, revents: 0 };
    let limit =
        i32::try_from(DEADLINE.as_millis()).expect("a deadline of less than 24 days");
    // SAFETY: the pointer is to one live pollfd of ours.
    let ready = unsafe { libc::poll(&mut poll, 1, limit) };
    assert_eq!(ready, 1, "the pipe still has a reader: {}", io::Error::last_os_error());
    writer
}
