//! The processes of a measurement: a server on one core, `load` on another.
#![allow(unsafe_code, reason = "std has no clock of another process's processor time")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use netlab::process::{self, Signal};

use super::{Readiness, Server};
use xtask::workspace;

/// How long a program may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The machine that the figures were measured on.
#[derive(Debug)]
pub(super) struct Machine {
    /// The processor's model.
    pub(super) model: String,
    /// The cores that this process may use.
    pub(super) cores: Vec<usize>,
    /// The maximum number of file descriptors of a process.
    pub(super) descriptors: usize,
    pinned: bool,
}

impl Machine {
    pub(super) fn look() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name"));
        let model =
            model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
        let status = read("/proc/self/status");
        let list =
            status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let limits = read("/proc/self/limits");
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        // The line has the soft limit and then the hard one, up to which it can be raised.
        let hard = files.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let taskset =
            Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
        Self {
            model: model.unwrap_or("an unknown processor").to_owned(),
            cores: list.map(cores).unwrap_or_default(),
            descriptors: hard.unwrap_or(1024),
            pinned: taskset.is_ok_and(|status| status.success()),
        }
    }

    /// Returns whether server and load each have a core of their own.
    pub(super) fn apart(&self) -> bool {
        self.pinned && self.cores.len() > 1
    }

    /// Returns why something cannot be measured that needs this many open files.
    pub(super) fn too_few(&self, what: &str, needed: usize) -> String {
        let most = self.descriptors;
        format!(
            "{what}: needs {needed} open files, and a process may have {most} here \
             (`ulimit -Hn`)"
        )
    }

    /// Returns a command that runs on that core, with as many descriptors as are allowed.
    pub(super) fn command(&self, core: Option<&usize>) -> Command {
        let mut command = Command::new("sh");
        let raise = "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\"";
        command.args(["-c", raise]);
        if let Some(core) = core.filter(|_| self.pinned) {
            command.args(["taskset", "-c", &core.to_string()]);
        }
        process::isolate(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Parses a list of cores: `0-2,5` means 0, 1, 2, 5.
fn cores(list: &str) -> Vec<usize> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// A listening server. Dropping it ends it and everything that it started.
pub(super) struct RunningServer {
    child: Child,
    pub(super) port: u16,
}

impl RunningServer {
    /// Starts a server on the core with this index among those available, under `tracer` if
    /// that is not empty, and waits until it listens.
    pub(super) fn start(
        server: &Server,
        machine: &Machine,
        core: usize,
        tracer: &[&str],
    ) -> Result<Self, String> {
        let mut port = 0;
        if server.readiness == Readiness::Connects {
            // The kernel picks a free port, which is free again once the listener is
            // dropped.
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
            let address = listener.and_then(|listener| listener.local_addr());
            port = address.map_err(|error| format!("find a free port: {error}"))?.port();
        }
        let mut command = machine.command(machine.cores.get(core));
        command.args(tracer).arg(&server.program);
        for argument in &server.arguments {
            let word = argument.to_string_lossy();
            command.arg(word.replace("PORT", &port.to_string()));
        }
        command.stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("start: {error}"))?;
        let mut running = Self { child, port };
        match server.readiness {
            Readiness::Line => {
                let line = first_line(&mut running.child, PATIENCE)?;
                let word = line.trim_end().trim_end_matches('.').rsplit(' ').next();
                running.port = word.and_then(|word| word.parse().ok()).ok_or_else(
                    || match line {
                        line if line.is_empty() => "it ended before it listened".into(),
                        line => format!("it did not start: {line:?}"),
                    },
                )?;
            }
            Readiness::Connects => {
                let start = Instant::now();
                while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
                    if let Ok(Some(status)) = running.child.try_wait() {
                        return Err(format!("it did not start: {status}"));
                    }
                    if start.elapsed() > PATIENCE {
                        return Err(format!("it does not listen after {PATIENCE:?}"));
                    }
                    // Poll: nothing outside the server gets an event when it begins to
                    // listen.
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
        Ok(running)
    }

    /// Returns the processor time that all its threads have used, including those that
    /// ended.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let id = libc::pid_t::try_from(self.child.id()).ok()?;
        let mut clock = 0;
        // SAFETY: the pointer is to a clockid_t of ours.
        if unsafe { libc::clock_getcpuclockid(id, &raw mut clock) } != 0 {
            return None;
        }
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec of ours.
        if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
            return None;
        }
        Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
    }

    pub(super) fn resident_bytes(&self) -> Option<u64> {
        Some(process::resident_bytes(self.child.id())).filter(|&bytes| bytes > 0)
    }

    /// Returns the same, once it no longer changes: the server may still be accepting.
    pub(super) fn settled_bytes(&self) -> Option<u64> {
        let start = Instant::now();
        let mut last = self.resident_bytes()?;
        let mut same = 0;
        while same < 4 && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
            let now = self.resident_bytes()?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        Some(last)
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(mut self) {
        process::signal_group(self.child.id(), Signal::Terminate);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        process::signal_group(self.child.id(), Signal::Kill);
        let _ = self.child.wait();
    }
}

/// Waits for the first line of a child's standard output. The rest is discarded.
fn first_line(child: &mut Child, limit: Duration) -> Result<String, String> {
    let stdout = child.stdout.take().ok_or("no stdout")?;
    let (sender, line) = mpsc::channel();
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let _ = stdout.read_line(&mut line);
        let _ = sender.send(line);
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
    });
    line.recv_timeout(limit).map_err(|_| format!("no line within {limit:?}"))
}

fn load_command(machine: &Machine) -> Command {
    let mut command = machine.command(machine.cores.last());
    command.arg(workspace::root().join("target/release/load"));
    command
}

/// Runs `load` until it ends, and returns the line that it prints.
pub(super) fn load(
    machine: &Machine,
    words: &[&str],
    limit: Duration,
) -> Result<String, String> {
    let mut command = load_command(machine);
    let mut child =
        command.args(words).spawn().map_err(|error| format!("start load: {error}"))?;
    let mut stderr = child.stderr.take();
    let line = first_line(&mut child, limit);
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            _ if start.elapsed() > limit || line.is_err() => {
                process::signal_group(child.id(), Signal::Kill);
                let _ = child.wait();
                return Err(format!("load did not end within {limit:?}"));
            }
            _ => thread::sleep(Duration::from_millis(1)),
        }
    };
    if status.success() {
        return line;
    }
    let mut said = String::new();
    if let Some(stderr) = &mut stderr {
        let _ = stderr.read_to_string(&mut said);
    }
    Err(format!("load: {}", said.lines().next().unwrap_or("it failed")))
}

/// Open connections, which are held until this is dropped.
pub(super) struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        process::signal_group(self.0.id(), Signal::Kill);
        let _ = self.0.wait();
    }
}

/// Opens `count` connections, and holds them.
pub(super) fn hold(machine: &Machine, port: u16, count: usize) -> Result<Held, String> {
    let mut command = load_command(machine);
    command.args(["--port", &port.to_string(), "--hold"]);
    command.args(["--connections", &count.to_string()]).stdin(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("start load: {error}"))?;
    let mut held = Held(child);
    let line = first_line(&mut held.0, PATIENCE)?;
    if line.starts_with("Holding ") {
        return Ok(held);
    }
    let mut said = String::new();
    if let Some(mut stderr) = held.0.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    Err(format!("load: {}", said.lines().next().unwrap_or("it failed")))
}

/// Finds out whether strace(1) is here and may trace a program.
///
/// # Errors
/// Fails with the reason why it cannot.
pub(super) fn can_count_calls() -> Result<(), String> {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-o", "/dev/null", "true"]);
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match strace.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("system calls: strace(1) may not trace a program here".into()),
        Err(_) => Err("system calls: strace(1) is not installed".into()),
    }
}

/// Waits until the file contains the word, and returns its text.
pub(super) fn wait_for_text(file: &Path, word: &str) -> Result<String, String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.contains(word) {
            return Ok(text);
        }
        if start.elapsed() > Duration::from_secs(5) {
            return Err("strace(1) wrote no summary; is it installed?".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Returns a number from a line of JSON, by its name.
pub(super) fn field(line: &str, name: &str) -> Option<f64> {
    let rest = line.split_once(&format!("\"{name}\": "))?.1;
    rest.split([',', '}']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_of_a_line_is_found_by_its_whole_name() {
        let line = "{\"a_us\": 1.5, \"us\": -2, \"last\": 3}";
        assert_eq!(field(line, "us"), Some(-2.0));
        assert_eq!(field(line, "a_us"), Some(1.5));
        assert_eq!(field(line, "last"), Some(3.0));
        assert_eq!(field(line, "none"), None);
    }

    #[test]
    fn list_of_cores_is_understood() {
        assert_eq!(cores("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cores("3"), [3]);
        assert!(cores("").is_empty());
    }
}
