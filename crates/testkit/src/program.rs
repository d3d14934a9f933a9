//! A child process whose output is read line by line.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use crate::DEADLINE;

/// A running program. It is killed and reaped when dropped.
pub struct Program {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
    exited: Receiver<()>,
}

/// How a program ended, and everything that it printed, including lines that were already
/// read.
#[derive(Debug)]
pub struct Finished {
    /// The exit status, or the signal that ended it.
    pub status: ExitStatus,
    /// All of its standard output; empty if that went elsewhere.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// Returns the command that runs the file `program` with these arguments.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

impl Program {
    /// Starts the file `program` with these arguments, as [`Program::start`] does.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn run(program: &str, arguments: &[&str]) -> Self {
        Self::start(&mut command(program, arguments))
    }

    /// Starts the command with an empty stdin, and reads its stdout and stderr.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with_stdout(command, Stdio::piped())
    }

    /// Like [`Program::start`], with stdout elsewhere: a full device, or a pipe that
    /// nobody reads.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start_with_stdout(command: &mut Command, stdout: Stdio) -> Self {
        Self::try_start(command, stdout).expect("start the program")
    }

    /// Like [`Program::start`], for a command that may not be allowed to start.
    ///
    /// # Errors
    /// Those of `Command::spawn`: the file does not exist, or we may not run it.
    pub fn try_start(command: &mut Command, stdout: Stdio) -> std::io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let name = name.rsplit(['/', '\\']).next().unwrap_or(&name).to_owned();
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        #[cfg(unix)]
        crate::unix::default_signals(command);
        let mut child = command.spawn()?;
        // Held by everything that shows that the program is alive; once all copies are
        // gone, it has ended.
        let (alive, exited) = mpsc::channel();
        let stdout = Output::of(child.stdout.take(), alive.clone());
        let stderr = Output::of(child.stderr.take(), alive.clone());
        #[cfg(unix)]
        crate::unix::watch_exit(&child, alive);
        Ok(Self { name, child, stdout, stderr, exited })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next line of its stdout, without the newline; `None` at the end of
    /// stdout or at the deadline.
    pub fn next_line(&mut self) -> Option<String> {
        self.stdout.next_line()
    }

    /// Returns the next line of its stdout, without the newline.
    ///
    /// # Panics
    /// At the deadline, or if stdout ends first.
    #[track_caller]
    pub fn line(&mut self) -> String {
        match self.stdout.next_line() {
            Some(line) => line,
            None => self.disappoint("a line on stdout"),
        }
    }

    /// Whether it prints a line on stdout before it ends or the deadline expires.
    pub fn starts(&mut self) -> bool {
        self.stdout.next_line().is_some()
    }

    /// Returns the next line of its stderr, without the newline.
    ///
    /// # Panics
    /// At the deadline, or if stderr ends first.
    #[track_caller]
    pub fn error_line(&mut self) -> String {
        match self.stderr.next_line() {
            Some(line) => line,
            None => self.disappoint("a line on stderr"),
        }
    }

    /// Reads the line in which the server says on which port it is waiting, and returns
    /// the port.
    ///
    /// # Panics
    /// At the deadline, or if it is a different line.
    #[track_caller]
    pub fn port(&mut self) -> u16 {
        let line = self.line();
        match port_in(&line) {
            Some(port) => port,
            None => panic!("{}: {line:?} tells no port", self.name),
        }
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// At the deadline, with what it has printed so far.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        if self.exited.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            self.disappoint("its end");
        }
        let status = self.child.wait().expect("wait for the program");
        self.stdout.read_to_end();
        self.stderr.read_to_end();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&self.stdout.seen), text(&self.stderr.seen));
        Finished { status, stdout, stderr }
    }

    #[track_caller]
    fn disappoint(&mut self, what: &str) -> ! {
        let end = self.child.try_wait();
        let (stdout, stderr) = (&self.stdout.seen, &self.stderr.seen);
        panic!(
            "{}: no sign of {what} (limit {DEADLINE:?}); exit: {end:?}\nstdout: {}\nstderr: {}",
            self.name,
            String::from_utf8_lossy(stdout),
            String::from_utf8_lossy(stderr),
        )
    }
}

/// Parses the port from the line in which a server says where it is waiting: `… on port
/// 40123...`.
pub(crate) fn port_in(line: &str) -> Option<u16> {
    line.rsplit(' ').next()?.strip_suffix("...")?.parse().ok()
}

impl Drop for Program {
    fn drop(&mut self) {
        // If `finish` has reaped the child, both do nothing but fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// Asserts how it ended, and exactly what it printed.
    ///
    /// # Panics
    /// If anything differs.
    #[track_caller]
    pub fn expect(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(
            (self.status.code(), self.stdout.as_str(), self.stderr.as_str()),
            (Some(code), stdout, stderr),
        );
    }

    /// Asserts that the signal ended it, and that it said nothing about it on stderr.
    ///
    /// # Panics
    /// If anything differs.
    #[cfg(unix)]
    #[track_caller]
    pub fn expect_end_by(&self, signal: i32) {
        use std::os::unix::process::ExitStatusExt;

        let end = (self.status.signal(), self.stderr.as_str());
        assert_eq!(end, (Some(signal), ""), "{self:?}");
    }
}

/// One of the child's two output pipes, read by a thread so that it never fills up.
struct Output {
    lines: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Output {
    /// Drops `alive` at the end of the pipe.
    fn of(pipe: Option<impl Read + Send + 'static>, alive: mpsc::Sender<()>) -> Self {
        let (sender, lines) = mpsc::channel();
        if let Some(pipe) = pipe {
            thread::spawn(move || {
                let _alive = alive;
                let mut pipe = BufReader::new(pipe);
                let mut line = Vec::new();
                while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                    if sender.send(std::mem::take(&mut line)).is_err() {
                        break;
                    }
                }
            });
        }
        Self { lines, seen: Vec::new() }
    }

    fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv_timeout(DEADLINE).ok()?;
        self.seen.extend_from_slice(&line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line).into_owned())
    }

    fn read_to_end(&mut self) {
        let end = Instant::now() + DEADLINE;
        while let Ok(line) = self.lines.recv_timeout(end - Instant::now().min(end)) {
            self.seen.extend_from_slice(&line);
        }
    }
}

/// Returns a command that runs `script`, a path from the root of the workspace, with
/// Python 3; `None` if there is no `python3`.
pub fn python(script: &str) -> Option<Command> {
    let mut version = Command::new("python3");
    let version = version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().ok().filter(ExitStatus::success)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("python3");
    command.arg(root.join(script));
    Some(command)
}

/// Returns the program `name` in the directory of `program`, where a build of the whole
/// workspace puts it; `None` if only one package was built.
pub fn sibling(program: &str, name: &str) -> Option<PathBuf> {
    let path = Path::new(program).with_file_name(name);
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    path.exists().then_some(path)
}
