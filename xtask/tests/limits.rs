//! Running out of processes, threads, descriptors, memory and room.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Two scenes side by side, with two terminals each.
const PAGE: &str = "```console one\n$ echo 1\n1\n```\n\n```console two\n$ echo 2\n2\n```\n\n\
                    ```console more/one\n$ echo 1\n1\n```\n\n```console more/two\n$ echo 2\n2\n```\n";

/// If no process or thread can be created, a one-line error says so, and nothing panics.
#[test]
fn few_processes() {
    let checkout = checkout();
    let user = Command::new("id").arg("-u").output().unwrap();
    let mut refused = 0;
    for most in 1.. {
        assert!(most < 200, "no run with {most} processes and threads");
        let mut command = Command::new("setpriv");
        command.env("CARGO_MANIFEST_DIR", checkout.path().join("xtask"));
        if user.stdout == b"0\n" {
            // The limit does not apply to root, so use a user that has no processes yet.
            let open =
                Command::new("chmod").args(["-R", "a+rX"]).arg(checkout.path()).status();
            assert!(open.unwrap().success());
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        } else {
            return skip("root alone can be another user, one without a process yet");
        }
        command.args([
            "prlimit",
            &format!("--nproc={most}"),
            env!("CARGO_BIN_EXE_xtask"),
        ]);
        command.args(["demo", "--all", "--scenes"]);
        let output = match command.output() {
            Ok(output) => output,
            Err(_) => return skip("setpriv is not installed"),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (status, out, err) =
            (output.status.code(), text(&output.stdout), text(&output.stderr));
        if err.contains("Permission denied") {
            return skip("another user cannot read this checkout's programs");
        }
        assert!(!err.contains("panicked") && !out.contains("panicked"), "{most}: {err}");
        assert!(status.is_some_and(|status| status != 101), "{most}: {out}{err}");
        refused += u32::from(status == Some(1));
        // That user may have other processes, so find out by trying how many are enough.
        if status == Some(0) {
            break;
        }
    }
    assert!(refused > 0, "the limit was never felt");
}

/// The commands that are tried.
const ALL: &[&str] = &[
    "demo",
    "flow",
    "wire",
    "check",
    "show",
    "tidy",
    "update",
    "new-lesson",
    "start",
    "next",
    "book",
];

/// What a shell does before it becomes the command, the commands that then fail, and words
/// that their one-line message must contain. Any of the others may fail or not.
type Place = (&'static str, &'static [&'static str], &'static str);

const PLACES: &[Place] = &[
    (":", &[], ""),
    ("ulimit -n 8", &["flow", "wire"], "ulimit -n 1024"),
    ("ulimit -n 4", &["flow", "wire", "book"], "ulimit -n 1024"),
    ("ulimit -s 64", ALL, "ulimit -s 8192"),
    ("ulimit -f 0", &["start", "book"], "ulimit -f unlimited"),
    ("ulimit -v 40000", ALL, "ulimit -v unlimited"),
    ("exec <&-", &[], ""),
    ("exec >&-", &[], ""),
    ("exec 2>&-", &[], ""),
    ("exec <&- >&- 2>&-", &[], ""),
    (
        "exec >/dev/full",
        &["demo", "flow", "wire", "check", "show", "start", "next", "new-lesson", "book"],
        "No space left on device",
    ),
    ("exec 2>/dev/full", &[], ""),
    ("unset HOME PATH TMPDIR LANG TERM", &[], ""),
    ("export HOME=/dev/null/none TMPDIR=/dev/null/none PATH=/dev/null/none", &[], ""),
    ("export LANG=C LC_ALL=C TERM=dumb COLUMNS=1 LINES=1", &[], ""),
    ("export COLUMNS=99999999999999999999 LINES=-1", &[], ""),
    (r#"mkdir "$GONE" && cd "$GONE" && rmdir "$GONE""#, &["check"], "working folder"),
];

/// In an absurd environment a command does what it can, and otherwise fails with a message:
/// none panics, overflows its stack or dies of a signal without a word.
#[test]
fn absurd_environments() {
    for (place, fail, words) in PLACES {
        for name in ALL {
            let checkout = checkout();
            let Some(output) = in_place(place, name, checkout.path()) else { return };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            let context = format!("{place}: {name}: {}\n{out}{err}", output.status);
            for bad in ["panicked", "overflowed", "RUST_BACKTRACE"] {
                assert!(!err.contains(bad) && !out.contains(bad), "{context}");
            }
            let status = output.status.code();
            assert!(status.is_some_and(|it| it < 101), "{context}");
            if fail.contains(name) {
                assert!(matches!(status, Some(1 | 77)), "{context}");
                assert_eq!(err.lines().count(), 1, "{context}");
                assert!(err.contains(words), "{context}");
            } else if status != Some(0) && !place.contains("&-") {
                assert!(err.lines().count() + out.lines().count() > 0, "{context}");
            }
        }
    }
}

/// Runs a command there, or returns `None` if its program is not built.
fn in_place(place: &str, name: &str, checkout: &Path) -> Option<Output> {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let program = xtask.with_file_name(match name {
        "flow" | "wire" | "show" => "flow",
        "check" | "start" | "next" => "check",
        "book" => "book",
        "tidy" | "update" | "new-lesson" => "maintain",
        _ => "xtask",
    });
    if !program.is_file() {
        skip(&format!("{} is not built: cargo build --workspace", program.display()));
        return None;
    }
    let log = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../lessons/02-tcp-echo/snapshots/flow.json");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{place}\nexec \"$0\" \"$@\"")]).arg(program);
    command.env("CI", "true").env("CHECK_MY", checkout.join("my"));
    match name {
        "demo" => command.args(["demo", "1"]),
        "flow" => command.args(["--", "/bin/true"]),
        "wire" => command.args(["--rule", "lose a>b data 1", "--", "/bin/true"]),
        "check" => command.args(["tcp-echo", "--only", "1", "--", "/bin/false"]),
        "show" => command.arg("show").arg(log),
        "tidy" | "next" => command.arg(name),
        "update" => command.arg(name).env("CI", "false"),
        "new-lesson" => command.args([name, "half-close"]),
        "start" => command.args([name, "tcp-echo"]),
        _ => command.arg("--root").arg(checkout).arg("--out").arg(checkout.join("book")),
    };
    command
        .env("CARGO_MANIFEST_DIR", checkout.join("xtask"))
        .env("GONE", checkout.join("gone"));
    Some(command.output().unwrap())
}

/// Makes a workspace with one page.
fn checkout() -> tempfile::TempDir {
    let checkout = tempfile::tempdir().unwrap();
    fs::create_dir_all(checkout.path().join("xtask")).unwrap();
    fs::create_dir_all(checkout.path().join("lessons/01-one")).unwrap();
    fs::write(checkout.path().join("lessons/01-one/README.md"), PAGE).unwrap();
    let table = "| # | lesson |\n|---|---|\n| 1 | [one](01-one/README.md) |\n";
    fs::write(checkout.path().join("lessons/README.md"), table).unwrap();
    let table = table.replace("(01", "(lessons/01");
    fs::write(checkout.path().join("README.md"), table).unwrap();
    let members = "[workspace]\nmembers = [\n    \"lessons/01-one\",\n]\n";
    fs::write(checkout.path().join("Cargo.toml"), members).unwrap();
    checkout
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
