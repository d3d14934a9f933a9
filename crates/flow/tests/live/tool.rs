//! Runs `flow` and reads what it prints.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use flow::event::{Event, Log};
use libtest_mimic::{Failed, Trial};

/// How long a run may take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A test that runs if all the programs that it needs are installed.
pub(crate) fn trial(
    name: &str,
    needs: &[&str],
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing: Vec<&str> =
        needs.iter().copied().filter(|it| find(it).is_none()).collect();
    let trial = Trial::test(name, test);
    if missing.is_empty() {
        trial
    } else {
        trial.with_kind(format!("needs {}", missing.join(", "))).with_ignored_flag(true)
    }
}

/// Finds a program on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file())
}

/// Makes every traced call that Python has, on sockets of all families.
pub(crate) const EVERY_CALL: &str = "import os, select, socket, tempfile\n\
    a, b = socket.socketpair()\n\
    a.send(b'send'); b.recv(9); a.sendmsg([b'send', b'msg']); b.recvmsg(99)\n\
    os.write(a.fileno(), b'write'); os.read(b.fileno(), 9)\n\
    os.writev(a.fileno(), [b'write', b'v']); os.readv(b.fileno(), [bytearray(9)])\n\
    a.send(b'!'); select.select([b], [a], [], 0)\n\
    poll = select.poll(); poll.register(b, select.POLLIN); poll.poll(0)\n\
    epoll = select.epoll(); epoll.register(b, select.EPOLLIN); epoll.poll(0)\n\
    four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); four.bind(('127.0.0.1', 0))\n\
    four.sendto(b'to', four.getsockname()); four.recvfrom(9)\n\
    six = socket.socket(socket.AF_INET6); six.setsockopt(41, 26, 1)\n\
    six.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    six.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)\n\
    six.bind(('::1', 0)); six.listen(7)\n\
    peer = socket.socket(socket.AF_INET6); peer.connect(six.getsockname()[:2])\n\
    end, _ = six.accept(); end.getpeername(); end.shutdown(socket.SHUT_WR)\n\
    assert peer.recv(9) == b''\n\
    unix = socket.socket(socket.AF_UNIX)\n\
    path = tempfile.mkdtemp(); unix.bind(path + '/name'); unix.listen()\n\
    os.unlink(path + '/name'); os.rmdir(path)\n\
    for each in (a, b, four, end, peer, six, unix): each.close()\n\
    try: socket.socket().connect(('127.0.0.1', 1))\n\
    except ConnectionRefusedError: pass\n";

/// Python itself, not a wrapper script that looks for it.
pub(crate) fn python() -> String {
    let script = "import sys; print(sys.executable)";
    let out = Command::new("python3").args(["-c", script]).output().expect("run python3");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// How a run ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn flow(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command to its end, within the deadline.
pub(crate) fn run(command: &mut Command) -> Run {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    finish(child.expect("start a program"))
}

/// Kills a child at the deadline, if what this returns is not dropped before.
pub(crate) fn watchdog(child: &Child) -> Sender<()> {
    let (watched, (alive, ends)) = (child.id().to_string(), mpsc::channel::<()>());
    std::thread::spawn(move || {
        if ends.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-9", &watched]).status();
        }
    });
    alive
}

/// Reads a child's output and waits for it, within the deadline.
pub(crate) fn finish(mut child: Child) -> Run {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = &mut err {
            pipe.read_to_end(&mut text).expect("read stderr");
        }
        text
    });
    let watchdog = watchdog(&child);
    let mut stdout = Vec::new();
    if let Some(pipe) = &mut out {
        pipe.read_to_end(&mut stdout).expect("read stdout");
    }
    let status = child.wait().expect("wait for the program").code();
    drop(watchdog);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { status, stdout: text(stdout), stderr: text(reader.join().expect("reader")) }
}

/// The log of a run of these sides, each a program with its arguments.
pub(crate) fn log(options: &[&str], sides: &[&[&str]]) -> Log {
    let file = scratch("log.json");
    let name = file.to_str().expect("a path in UTF-8");
    let mut args = vec!["--format", "json", "-o", name];
    args.extend(options);
    for side in sides {
        args.push("--");
        args.extend(*side);
    }
    let run = run(&mut flow(&args));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    read(&file)
}

pub(crate) fn read(file: &Path) -> Log {
    let text = std::fs::read(file).expect("read the log");
    flow::json::read(&mut text.as_slice()).expect("a log")
}

/// The path of a file in a folder of its own, which is removed when this is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

pub(crate) fn scratch(name: &str) -> Scratch {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    Scratch { path: folder.path().join(name), _folder: folder }
}

/// The names of the calls of one side, in order, with their results.
pub(crate) fn calls(log: &Log, side: usize) -> Vec<String> {
    let of_side = log.events.iter().filter_map(|event| match event {
        Event::Call(call) if call.side == side => Some(call),
        _ => None,
    });
    of_side.map(|call| call.name.clone()).collect()
}

/// Polls until a condition holds, within the deadline.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// Checks what the drawing says about how the programs ended.
pub(crate) fn says(run: &Run, what: &str) -> Result<(), Failed> {
    if run.stdout.contains(what) {
        Ok(())
    } else {
        Err(format!("nothing of {what:?} in:\n{}{}", run.stdout, run.stderr).into())
    }
}

/// Runs flow as an ordinary user, from a place that such a user may read.
pub(crate) fn as_nobody(args: &[&str]) -> Run {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
        .expect("let others in");
    let shared = folder.path().join("flow");
    testkit::copy_program(env!("CARGO_BIN_EXE_flow"), &shared);
    run(Command::new("setpriv")
        .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"])
        .arg(&shared)
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null()))
}

/// What the successful calls with this name returned, on one side.
pub(crate) fn results<'a>(
    log: &'a Log,
    side: usize,
    name: &str,
) -> impl Iterator<Item = i64> + 'a {
    let of_side = log.events.iter().filter_map(|event| match event {
        Event::Call(call) if call.side == side && call.name == name => Some(call.id),
        _ => None,
    });
    let ids: std::collections::HashSet<u64> = of_side.collect();
    log.events.iter().filter_map(move |event| match event {
        Event::Return(returned) if ids.contains(&returned.id) => returned.value,
        _ => None,
    })
}

/// Go's command, which uses no network and writes below `target/`.
pub(crate) fn go() -> Command {
    let mut go = Command::new("go");
    go.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"));
    go.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GO111MODULE", "auto");
    go
}

pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("my status");
    status.contains("Uid:\t0\t")
}
