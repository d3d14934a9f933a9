//! One Ctrl-C, SIGTERM or SIGHUP ends a command and all that it started, whether the whole
//! process group gets the signal, as from a terminal, or the command alone.
//!
//! What runs the scenes of a page is tested in `runner.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command, its words, and the name of the process that tells that it is at work.
type Case = (&'static str, &'static [&'static str], &'static str);

const CASES: &[Case] = &[
    ("check", &["check", "tcp-echo", "--env", "MARK", "--", "sleep", "1000"], "sleep"),
    (
        "check --watch",
        &["check", "tcp-echo", "--env", "MARK", "--watch", "--", "sleep", "1000"],
        "sleep",
    ),
    (
        "check --batch",
        &["check", "tcp-echo", "--env", "MARK", "--batch", "DIR", "--", "sleep", "1000"],
        "sleep",
    ),
    ("flow", &["flow", "--", "sleep", "1000"], "sleep"),
    ("wire", &["wire", "--rule", "lose a>b data 1", "--", "sleep", "1000"], "sleep"),
    ("wire of a lesson", &["wire", "10"], "flow"),
    // The browser is one that never ends.
    ("book --pdf", &["book", "--out", "DIR/book", "--pdf", "DIR/book.pdf"], "chromium"),
    ("book --open", &["book", "--out", "DIR/book", "--open"], "xdg-open"),
    // So is the cargo that builds.
    ("a build for demo", &["demo", "tcp-echo"], "cargo"),
    ("a build for check", &["check", "tcp-echo", "--", "true"], "cargo"),
    ("a build for next", &["next"], "cargo"),
    ("a build for ci", &["ci"], "cargo"),
];

#[test]
fn one_signal_ends_all() {
    // From a terminal; from who ends a service; from a terminal that is gone.
    let ways = [(libc::SIGINT, true), (libc::SIGTERM, false), (libc::SIGHUP, false)];
    for case in CASES {
        // A book takes a second or two before it is printed or opened.
        let ways = if case.0.starts_with("book") { &ways[1..2] } else { &ways[..] };
        for (signal, group) in ways {
            if !ends(case, *signal, *group) {
                return;
            }
        }
    }
}

/// Whether it could be tried here.
fn ends((name, words, at_work): &Case, signal: i32, group: bool) -> bool {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    if let Some(missing) = ["flow", "check", "book", "tcp-server", "tcp-client"]
        .into_iter()
        .find(|name| !xtask.with_file_name(name).is_file())
    {
        skip(&format!("{missing} is not built: cargo build --workspace"));
        return false;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for name in ["a", "b", "bin"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let lasting = |name: &str| {
        let path = folder.join("bin").join(name);
        fs::write(&path, "#!/bin/sh\nsleep 1000 & sleep 1000\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    lasting("chromium");
    lasting("xdg-open");
    let cargo = if *at_work == "cargo" { lasting("cargo") } else { "true".into() };
    let path = std::env::var("PATH").unwrap();
    let mark = folder.to_str().unwrap();
    let mut command = Command::new(xtask);
    command
        .args(words.iter().map(|word| word.replace("DIR", mark)))
        .env("PATH", format!("{mark}/bin:{path}"))
        .env("CARGO", cargo)
        .env("CHECK_MY", "/nonexistent")
        .env("MARK", mark)
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
        return true;
    }
    let asked = Instant::now();
    send(&child, signal, group);
    until(&context, || {
        let left = marked(mark);
        // Half a second, and what a busy machine adds to it. By itself it would last for a
        // thousand seconds.
        assert!(asked.elapsed() < Duration::from_secs(10), "{context}: left {left:?}");
        child.try_wait().unwrap().is_some() && left.is_empty()
    });
    assert!(!child.wait().unwrap().success(), "{context}");
    true
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
    let told = |path: std::path::PathBuf| {
        (path.display().to_string(), name(&path).trim().to_owned())
    };
    processes.filter(|path| has(path)).map(told).collect()
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
