//! Starts a program under the tracer. It forks by itself, because the filter must be
//! installed after the tracer has attached to the child and before the program's first
//! instruction.
#![allow(unsafe_code)] // fork(2) and what the child does before execve(2).

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{filter, sys};

/// A program to start.
#[derive(Debug, Default)]
pub struct Program {
    /// The program: a path, or a name to look for on `PATH`.
    pub program: OsString,
    /// Its arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The directory to run it in; `None` for our own.
    pub directory: Option<PathBuf>,
    /// A variable to set on top of our environment.
    pub variable: Option<(OsString, OsString)>,
    /// Its standard output; `None` for our own.
    pub stdout: Option<OwnedFd>,
    /// Its standard error; `None` for our own.
    pub stderr: Option<OwnedFd>,
    /// The network that it runs on, as a descriptor of the namespace; `None` for our own.
    pub network: Option<RawFd>,
}

impl Program {
    /// Creates a program from its command line, the program first.
    pub fn new<I: IntoIterator<Item = S>, S: Into<OsString>>(command: I) -> Program {
        let mut words = command.into_iter().map(Into::into);
        Program {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            ..Program::default()
        }
    }

    /// The command line as text.
    pub(super) fn words(&self) -> Vec<String> {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    /// Looks the program up on `PATH`, as a shell does.
    fn path(&self) -> io::Result<PathBuf> {
        let asked = Path::new(&self.program);
        if asked.components().count() != 1 {
            return Ok(asked.to_owned());
        }
        netlab::environment::on_path(asked)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
    }
}

/// Why a program did not start.
#[derive(Debug)]
pub enum SpawnError {
    /// The program itself: not found, or not executable.
    Program(io::Error),
    /// The kernel refuses tracing.
    Trace(io::Error),
    /// Something else.
    Other(io::Error),
}

/// Starts the program, traced by the calling thread, and returns its process id. It has
/// reached `execve(2)`, which the tracer sees as its first event. Its sleeps may be too
/// long by `timer_slack` nanoseconds.
pub(super) fn spawn(
    program: &Program,
    timer_slack: libc::c_ulong,
) -> Result<i32, SpawnError> {
    let path = program.path().map_err(SpawnError::Program)?;
    let mut prepared = Prepared::new(program, &path).map_err(SpawnError::Program)?;
    prepared.timer_slack = timer_slack;
    let (go_read, go_write) = pipe().map_err(SpawnError::Other)?;
    let (failure_read, failure_write) = pipe().map_err(SpawnError::Other)?;

    // However long it takes to copy a large process: the ticks of `sys::watch_signals` do not
    // make the kernel begin again. Since Linux 4.19, a signal for one process that comes in the
    // middle of a fork waits for its end.
    //
    // SAFETY: the child calls only async-signal-safe functions (see `Prepared::child`),
    // so it never touches the locks of other threads, which were copied in whatever
    // state.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(SpawnError::Other(io::Error::last_os_error()));
    }
    if pid == 0 {
        prepared.child(
            go_read.as_raw_fd(),
            go_write.as_raw_fd(),
            failure_write.as_raw_fd(),
        );
    }
    drop((go_read, failure_write));

    if let Err(error) = sys::seize(pid, true) {
        sys::kill(pid, libc::SIGKILL);
        reap(pid);
        return Err(SpawnError::Trace(error));
    }
    // It is traced now, and ends with us. This byte lets it go on. If the pipe ends
    // without it, we have ended first.
    if let Err(error) = std::fs::File::from(go_write).write_all(&[GO]) {
        sys::kill(pid, libc::SIGKILL);
        reap(pid);
        return Err(SpawnError::Other(error));
    }

    // The filter stops the child's own writes too, so a failure arrives, as two bytes in the
    // pipe, only after the tracer has let the child go on: do not wait for it here. What the
    // child reports before `execve` succeeded is found by `failure` below.
    FAILURES.with_borrow_mut(|failures| failures.push((pid, failure_read)));
    Ok(pid)
}

thread_local! {
    /// The pipes on which children that have not yet reached their program report why.
    static FAILURES: std::cell::RefCell<Vec<(i32, OwnedFd)>> =
        const { std::cell::RefCell::new(Vec::new()) };
}

/// Why a child did not reach its program, if it did not; to be called after its first
/// event or its end.
pub(super) fn failure(pid: i32) -> Option<SpawnError> {
    let found = FAILURES.with_borrow_mut(|failures| {
        let at = failures.iter().position(|(child, _)| *child == pid)?;
        Some(failures.swap_remove(at).1)
    })?;
    let mut report = Vec::new();
    std::fs::File::from(found).read_to_end(&mut report).ok()?;
    let [step, errno @ ..] = report.as_slice() else { return None };
    let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno.try_into().ok()?));
    Some(match *step {
        STEP_FILTER => SpawnError::Trace(error),
        STEP_EXEC => SpawnError::Program(error),
        _ => SpawnError::Other(error),
    })
}

fn reap(pid: i32) {
    let mut status = 0;
    // SAFETY: the status pointer is valid for the call.
    unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for the two descriptors.
    sys::check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: both descriptors are new and ours.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// What the tracer writes to a child that may go on.
const GO: u8 = 1;

const STEP_FILTER: u8 = 1;
const STEP_EXEC: u8 = 2;
const STEP_SETUP: u8 = 3;

/// Everything that the child needs, allocated before the fork.
struct Prepared {
    path: CString,
    directory: Option<CString>,
    /// The owners of what the arrays of pointers point to.
    _texts: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    stdout: Option<RawFd>,
    stderr: Option<RawFd>,
    network: Option<RawFd>,
    filter: Vec<libc::sock_filter>,
    timer_slack: libc::c_ulong,
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

impl Prepared {
    fn new(program: &Program, path: &Path) -> io::Result<Prepared> {
        let mut texts = Vec::new();
        let mut pointers = |text: CString| {
            let pointer = text.as_ptr();
            texts.push(text);
            pointer
        };
        let mut argv = vec![pointers(c_string(&program.program)?)];
        for arg in &program.args {
            argv.push(pointers(c_string(arg)?));
        }
        argv.push(std::ptr::null());
        let mut envp = Vec::new();
        let set = program.variable.clone();
        let ours = std::env::vars_os()
            .filter(|(name, _)| set.as_ref().is_none_or(|(set, _)| set != name));
        for (mut name, value) in ours.chain(set.clone()) {
            name.push("=");
            name.push(value);
            envp.push(pointers(c_string(&name)?));
        }
        envp.push(std::ptr::null());
        let directory = program.directory.as_ref();
        Ok(Prepared {
            path: c_string(path.as_os_str())?,
            directory: directory.map(|path| c_string(path.as_os_str())).transpose()?,
            _texts: texts,
            argv,
            envp,
            stdout: program.stdout.as_ref().map(AsRawFd::as_raw_fd),
            stderr: program.stderr.as_ref().map(AsRawFd::as_raw_fd),
            network: program.network,
            filter: filter::program(),
            timer_slack: 0,
        })
    }

    /// The child's part: waits for the tracer, restores what a process normally has,
    /// installs the filter, and runs the program. It reports a step that fails, and
    /// exits.
    fn child(&self, go: RawFd, go_write: RawFd, failure: RawFd) -> ! {
        // SAFETY: only async-signal-safe calls, on memory prepared before the fork; the
        // process is single-threaded from here on.
        unsafe {
            let fail = |step: u8| -> ! {
                let errno = (*libc::__errno_location()).to_ne_bytes();
                let report = [step, errno[0], errno[1], errno[2], errno[3]];
                libc::write(failure, report.as_ptr().cast(), report.len());
                libc::_exit(127)
            };
            // The fork copied the other end of the pipe as well: close it, or the end
            // that the tracer drops will never be the last one.
            libc::close(go_write);
            let mut word = 0_u8;
            if libc::read(go, (&raw mut word).cast(), 1) != 1 || word != GO {
                libc::_exit(127);
            }
            // 0 would mean the default.
            libc::prctl(libc::PR_SET_TIMERSLACK, self.timer_slack, 0, 0, 0);
            // Rust ignores SIGPIPE, we ignore SIGXFSZ, and signals may be blocked: programs
            // expect none of these.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            if let Some(network) = self.network
                && libc::setns(network, libc::CLONE_NEWNET) < 0
            {
                fail(STEP_SETUP);
            }
            for (from, to) in
                [(self.stdout, libc::STDOUT_FILENO), (self.stderr, libc::STDERR_FILENO)]
            {
                if let Some(from) = from
                    && libc::dup2(from, to) < 0
                {
                    fail(STEP_SETUP);
                }
            }
            if let Some(directory) = &self.directory
                && libc::chdir(directory.as_ptr()) < 0
            {
                fail(STEP_SETUP);
            }
            let program = libc::sock_fprog {
                len: self.filter.len() as u16,
                filter: self.filter.as_ptr().cast_mut(),
            };
            let set_filter = || {
                let mode = libc::SECCOMP_MODE_FILTER;
                libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program)
            };
            // Without privileges, a filter requires `no_new_privs`, and setuid programs
            // gain nothing. With privileges, everything stays as it is.
            if set_filter() < 0
                && (libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
                    || set_filter() < 0)
            {
                fail(STEP_FILTER);
            }
            libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
            fail(STEP_EXEC)
        }
    }
}
