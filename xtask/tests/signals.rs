//! One Ctrl-C, SIGTERM or SIGHUP ends a command and all that it started, whether the whole
//! process group gets the signal, as from a terminal, or the command alone.
//!
//! What runs the scenes of a page is tested in `runner.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::time::{Duration, Instant};

/// A command, its program and words, and the name of the process that tells that it is at work.
type Case = (&'static str, &'static [&'static str], &'static str);

/// A program that may yet begin its task, as far as one can see. Of `sleep 1000` the checker
/// knows after half a second that it will not, and ends.
const NAPS: &str = "while sleep 5; do :; done";

const CASES: &[Case] = &[
    (
        "check",
        &["xtask", "check", "tcp-echo", "--env", "MARK", "--", "sh", "-c", NAPS],
        "sleep",
    ),
    (
        "check --watch",
        &[
            "xtask", "check", "tcp-echo", "--env", "MARK", "--watch", "--", "sh", "-c",
            NAPS,
        ],
        "sleep",
    ),
    (
        "check --batch",
        &[
            "xtask", "check", "tcp-echo", "--env", "MARK", "--batch", "DIR", "--", "sh",
            "-c", NAPS,
        ],
        "sleep",
    ),
    ("flow", &["xtask", "flow", "--", "sleep", "1000"], "sleep"),
    (
        "wire",
        &["xtask", "wire", "--rule", "lose a>b data 1", "--", "sleep", "1000"],
        "sleep",
    ),
    ("wire of a lesson", &["xtask", "wire", "10"], "flow"),
    // The browser is one that never ends.
    (
        "book --pdf",
        &["xtask", "book", "--out", "DIR/book", "--pdf", "DIR/book.pdf"],
        "chromium",
    ),
    ("book --open", &["xtask", "book", "--out", "DIR/book", "--open"], "xdg-open"),
    // So is the cargo that builds.
    ("a build for demo", &["xtask", "demo", "tcp-echo"], "cargo"),
    ("a build for update", &["xtask", "update", "tcp-echo"], "cargo"),
    ("a build of update", &["maintain", "update", "tcp-echo"], "cargo"),
    ("a build for flow", &["xtask", "flow", "tcp-echo"], "cargo"),
    ("a build for wire", &["xtask", "wire", "10"], "cargo"),
    ("a build for check", &["xtask", "check", "tcp-echo", "--", "true"], "cargo"),
    ("a build for next", &["xtask", "next"], "cargo"),
    ("a build for start", &["xtask", "start", "tcp-echo"], "cargo"),
    ("a build for solution", &["xtask", "solution", "tcp-echo"], "cargo"),
    ("a build for book", &["xtask", "book", "--out", "DIR/book"], "cargo"),
    ("a build of ci", &["maintain", "ci"], "cargo"),
    ("a build for bench", &["xtask", "bench", "flow"], "cargo"),
    ("a build of bench flow", &["bench", "flow"], "cargo"),
    ("a build of bench ladder", &["bench", "ladder", "--quick"], "cargo"),
    ("warm runs of bench", &["bench", "--builds", "0"], "cargo"),
];

/// The same, in a course of their own: its page runs what never ends, and its `load` is one
/// that never ends.
const IN_A_COURSE: &[Case] = &[
    ("demo", &["xtask", "demo", "1"], "sleep"),
    ("update", &["maintain", "update"], "sleep"),
    ("bench ladder", &["bench", "ladder", "--quick", "--only", "poll"], "load"),
    ("bench soak", &["bench", "soak"], "load"),
    ("cold builds of bench", &["bench", "--runs", "0"], "git"),
];

#[test]
fn one_signal_ends_all() {
    for case in CASES {
        if !ends(case, |_| None) {
            return;
        }
    }
}

#[test]
fn one_signal_ends_all_in_a_course() {
    for case in IN_A_COURSE {
        ends(case, |folder| Some(course(folder)));
    }
}

/// Makes a course with one page, and with the programs of `bench` in the folder where a build
/// would put them.
fn course(folder: &Path) -> PathBuf {
    let course = folder.join("course");
    for name in ["xtask", "lessons/01-one", "target/release"] {
        fs::create_dir_all(course.join(name)).unwrap();
    }
    let page = "```console one\n$ sleep 1000\n```\n";
    fs::write(course.join("lessons/01-one/README.md"), page).unwrap();
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::write(course.join(name), "").unwrap();
    }
    for server in ["tcp-server-poll", "tcp-server-fast"] {
        let script = "#!/bin/sh\necho it listens on port 1...\nexec sleep 1000\n";
        program(&course.join("target/release").join(server), script);
    }
    program(&course.join("target/release/load"), LASTS);
    course
}

const LASTS: &str = "#!/bin/sh\nsleep 1000 & sleep 1000\n";

/// Another process writes it: a child that a test beside this one has just forked would keep
/// a file open that is written here, and a file open for writing cannot be run.
fn program(path: &Path, script: &str) {
    let text = path.with_extension("text");
    fs::write(&text, script).unwrap();
    testkit::copy_program(text, path);
}

/// Expects that the command ends by one signal, however it is sent, with all that it started.
/// Returns whether it could be tried here.
fn ends(case: &Case, course: impl Fn(&Path) -> Option<PathBuf>) -> bool {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    const PROGRAMS: [&str; 7] =
        ["flow", "check", "book", "bench", "maintain", "tcp-server", "tcp-client"];
    if let Some(missing) =
        PROGRAMS.into_iter().find(|name| !xtask.with_file_name(name).is_file())
    {
        skip(&format!("{missing} is not built: cargo build --workspace"));
        return false;
    }
    // From a terminal; from who ends a service; from a terminal that is gone.
    let ways = [(libc::SIGINT, true), (libc::SIGTERM, false), (libc::SIGHUP, false)];
    // A book takes a second or two before it is printed or opened.
    let ways = if case.0.starts_with("book") { &ways[1..2] } else { &ways[..] };
    for (signal, group) in ways {
        let scratch = tempfile::tempdir().unwrap();
        ends_by(case, scratch.path(), course(scratch.path()), *signal, *group);
    }
    true
}

fn ends_by(
    (name, words, at_work): &Case,
    folder: &Path,
    course: Option<PathBuf>,
    signal: i32,
    group: bool,
) {
    for name in ["a", "b", "bin", "tmp"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    let mark = folder.to_str().unwrap();
    let bin = folder.join("bin");
    for name in ["chromium", "xdg-open", at_work] {
        if !["sleep", "flow", "load"].contains(&name) {
            program(&bin.join(name), LASTS);
        }
    }
    if *at_work != "cargo" {
        program(&bin.join("cargo"), "#!/bin/sh\n");
    }
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let mut command = Command::new(xtask.with_file_name(words[0]));
    if let Some(course) = &course {
        command.env("CARGO_MANIFEST_DIR", course.join("xtask"));
    }
    command
        .args(words[1..].iter().map(|word| word.replace("DIR", mark)))
        .env("PATH", format!("{mark}/bin:{path}"))
        .env("CARGO", bin.join("cargo"))
        .env("CHECK_MY", "/dev/null/my")
        .env("TMPDIR", folder.join("tmp"))
        .env("MARK", mark)
        .env_remove("CI")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    netlab::process::isolate(&mut command);
    let mut child = command.spawn().unwrap();
    let context = format!("{name}, signal {signal}, the group: {group}");
    let works = || marked(mark).iter().any(|(_, comm)| comm == at_work);
    let mut ended = None;
    until(&context, || {
        ended = child.try_wait().unwrap();
        works() || ended.is_some()
    });
    if let Some(status) = ended {
        // 77: there are no networks here, or no tracing.
        assert_eq!(status.code(), Some(77), "{context}: it ended by itself");
        return;
    }
    let asked = Instant::now();
    send(&child, signal, group);
    until(&context, || {
        let left = marked(mark);
        // Half a second, and what a busy machine adds to it. By itself it would last for a
        // thousand seconds.
        assert!(asked.elapsed() < Duration::from_secs(30), "{context}: left {left:?}");
        child.try_wait().unwrap().is_some() && left.is_empty()
    });
    let status = child.wait().unwrap();
    assert!(!status.success(), "{context}");
    // `check` gives up by itself, too, but does not end by a signal then.
    if at_work == &"sleep" && words[1] == "check" {
        assert_eq!(status.signal(), Some(signal), "{context}: {status}");
    }
    let files = fs::read_dir(folder.join("tmp")).unwrap();
    let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(files.is_empty(), "{context}: left {files:?}");
    let builds = course.map(|course| course.join("target/bench/builds"));
    assert!(builds.is_none_or(|builds| !builds.exists()), "{context}: left its builds");
}

/// `demo --slow` shows nothing more, although it has all lines of the run.
#[test]
fn one_signal_ends_slow() {
    for (signal, group) in [(libc::SIGINT, true), (libc::SIGTERM, false)] {
        let scratch = tempfile::tempdir().unwrap();
        let course = course(scratch.path());
        let page = "```console one\n$ seq 300\n```\n";
        fs::write(course.join("lessons/01-one/README.md"), page).unwrap();
        // The keys are read from a terminal.
        let (keyboard, terminal) = terminal();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["demo", "1", "--slow"]).process_group(0);
        command.env("CARGO_MANIFEST_DIR", course.join("xtask"));
        command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped());
        netlab::process::isolate(&mut command);
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let shown = testkit::within("the first lines", move || {
            let mut line = String::new();
            // The line of the command, and the first that it printed.
            while !line.ends_with("│ 1\n") {
                assert!(output.read_line(&mut line).unwrap() > 0, "{line}");
            }
            output
        });
        send(&child, signal, group);
        let (rest, output) = testkit::within("the end", move || {
            let (mut output, mut rest) = (shown, String::new());
            output.read_to_string(&mut rest).unwrap();
            (rest, child.wait_with_output().unwrap())
        });
        assert!(!output.status.success(), "{rest}");
        assert!(!rest.contains("│ 300"), "{rest}");
        drop(keyboard);
    }
}

/// The two sides of a terminal: its keyboard and screen, and what a program gets.
#[allow(unsafe_code, reason = "openpty(3) has no form in std")]
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut keyboard, mut program) = (-1, -1);
    let (name, mode, size) = (ptr::null_mut(), ptr::null(), ptr::null());
    // SAFETY: openpty writes two live numbers; null is allowed for the others.
    let made =
        unsafe { libc::openpty(&raw mut keyboard, &raw mut program, name, mode, size) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: both descriptors are new, and nobody else's.
    unsafe { (OwnedFd::from_raw_fd(keyboard), OwnedFd::from_raw_fd(program)) }
}

fn send(child: &Child, signal: i32, group: bool) {
    let pid = child.id();
    let target = if group { format!("-{pid}") } else { pid.to_string() };
    let kill = Command::new("kill").args([&format!("-{signal}"), "--", &target]).status();
    assert!(kill.unwrap().success());
}

/// As [`testkit::until`], without a processor of its own: to look through `/proc` is work.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    testkit::until(what, || {
        let met = condition();
        if !met {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        met
    });
}

/// The processes that have the mark in their environment, and their names.
fn marked(mark: &str) -> Vec<(String, String)> {
    let entry = format!("MARK={mark}").into_bytes();
    let has = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == entry)
    };
    let processes = fs::read_dir("/proc").unwrap().map(|it| it.unwrap().path());
    let name = |path: &Path| fs::read_to_string(path.join("comm")).unwrap_or_default();
    let told =
        |path: PathBuf| (path.display().to_string(), name(&path).trim().to_owned());
    processes.filter(|path| has(path)).map(told).collect()
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
