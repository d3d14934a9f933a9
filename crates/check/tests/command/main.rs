//! The command as its user sees it: what it prints, how it ends, and that a program that tries
//! to do harm does none.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends with a panic")]
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

mod batch;
mod clients;
mod course;
mod fairness;
mod fence;
mod refused;
mod reports;

const CHECK: &str = env!("CARGO_BIN_EXE_check");

/// Returns the path of the zoo, an example of this crate: programs that are wrong in the
/// way that their arguments say. `cargo test --test command` alone does not build it.
fn zoo() -> &'static str {
    static ZOO: LazyLock<String> = LazyLock::new(|| {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap());
        build.args(["build", "--quiet", "-p", "check", "--example", "zoo"]);
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "cargo build --example zoo: fix what it says above");
        let zoo = Path::new(CHECK).with_file_name("examples").join("zoo");
        zoo.to_str().unwrap().to_owned()
    });
    &ZOO
}

/// Runs the checker, with the `my/` of this checkout out of the way.
fn check(arguments: &[&str]) -> Output {
    let mut check = Command::new(CHECK);
    check
        .args(arguments)
        .env("CI", "true")
        .env("CHECK_MY", "/dev/null/my")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn right_program_passes() {
    let output = check(&["tcp-echo", "--", zoo(), "tcp-echo"]);
    let text = stdout(&output);
    assert!(text.contains("tcp-echo: 14 of 14 passed"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn first_failure_is_explained_and_the_others_take_a_line() {
    let output = check(&["tcp-echo", "--all", "--", zoo(), "tcp-echo", "no-prefix"]);
    let text = stdout(&output);
    for words in [
        "✗ tcp-echo/2 MUST it answers `Hello TCP Server`",
        "  expected      \"Echo: Hello TCP Server\"",
        "  got           \"Hello TCP Server\", then the end of the stream",
        "  likely cause  the six bytes `Echo: ` are missing",
        "  read          lessons/02-tcp-echo/README.md",
        "client 1  → \"Hello TCP Server\" (16 bytes)",
        "client 1  ← \"Hello TCP Server\" (16 bytes)",
        "stdout: Received: Hello TCP Server",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    assert_eq!(text.matches("likely cause").count(), 1, "{text}");
    assert_eq!(text.matches("✗").count(), 4, "{text}");
    assert_eq!(output.status.code(), Some(1));
}

/// The check waits three seconds for the end. A program that works for longer before it begins
/// its task, as any does on an overloaded machine, is not cut short.
#[test]
fn time_at_work_is_no_part_of_a_limit() {
    let work = "t=$(date +%s); while [ $(($(date +%s) - t)) -lt 5 ]; do :; done";
    let script = format!("{work}; echo 'nobody answers' >&2; exit 1");
    let output = check(&["udp-echo-client", "--only", "4", "--", "sh", "-c", &script]);
    let text = stdout(&output);
    assert!(text.contains("1 of 1 passed"), "{text}");
}

/// Without the setting, a program that cannot be started again at once passes now and then.
#[test]
fn time_wait_outlasts_a_reset_on_a_private_network() {
    let asks = "cat /proc/sys/net/ipv4/tcp_rfc1337";
    let text = stdout(&check(&["goodbye", "--only", "7", "--", "sh", "-c", asks]));
    assert!(text.contains("stdout: 1"), "{text}");
}

#[test]
fn should_is_told_and_counts_only_where_asked() {
    let raw = ["tcp-echo", "--only", "13", "--", zoo(), "tcp-echo", "raw"];
    let output = check(&raw);
    let text = stdout(&output);
    assert!(text.contains("! tcp-echo/13 SHOULD"), "{text}");
    assert!(text.contains("1 SHOULD failed"), "{text}");
    assert_eq!(output.status.code(), Some(0));
    let strict: Vec<&str> = ["--strict"].into_iter().chain(raw).collect();
    assert_eq!(check(&strict).status.code(), Some(1));
}

#[test]
fn only_takes_an_id_or_a_number() {
    let command = ["--", zoo(), "tcp-echo", "no-prefix"];
    let with = |only: &[&str]| check(&[&["tcp-echo"], only, &command].concat());
    let text = stdout(&with(&["--only", "tcp-echo/3", "--only", "1"]));
    assert!(text.contains("2 of 2 passed"), "{text}");
    for wrong in ["0", "15", "udp-echo/1", "x"] {
        let output = with(&["--only", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(stderr(&output).contains("tcp-echo/1 to tcp-echo/14"), "{wrong}");
    }
}

#[test]
fn wrong_command_line_is_told() {
    for (arguments, words) in [
        (&["framed", "--", "x"][..], "no such task; did you mean `framing`?"),
        (&["tcp-echo"], "no program to check"),
        (&["--", "x"], "no task given; try --list"),
        (&["2", "--", "x"], "the lesson has tcp-echo and tcp-echo-client; name one"),
        (&["tcp-echo", "--format", "yaml", "--", "x"], "invalid value 'yaml'"),
        (&["tcp-echo", "--jobs", "0", "--", "x"], "0 is not in 1..=64"),
    ] {
        let output = check(arguments);
        let text = stderr(&output);
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn list_has_every_check() {
    let text = stdout(&check(&["--list"]));
    for task in check::checks::all() {
        assert!(text.contains(&format!("{} (lesson {}", task.name, task.lesson)));
        for number in 1..=task.checks.len() {
            assert!(text.contains(&format!("  {}/{number} ", task.name)), "{text}");
        }
    }
    assert!(!stdout(&check(&["--list", "udp-echo"])).contains("tcp-echo"));
}

#[test]
fn reader_who_has_seen_enough_changes_no_verdict() {
    for (command, status) in [
        (&["--list"][..], 0),
        (&["tcp-echo", "--", zoo(), "tcp-echo", "no-prefix"], 1),
        (&["tcp-echo", "--format", "tap", "--", zoo(), "tcp-echo"], 0),
    ] {
        let mut check = Command::new(CHECK);
        check.args(command).env("CI", "true").stdout(testkit::pipe_without_reader());
        let output = check.output().unwrap();
        assert_eq!(stderr(&output), "", "{command:?}");
        assert_eq!(output.status.code(), Some(status), "{command:?}");
    }
}

#[test]
fn program_that_is_not_there_is_told() {
    for (program, reason) in [
        ("./no-such-program", "start ./no-such-program: No such file"),
        ("no-such-program", "start no-such-program: it is not on PATH"),
        ("./src", "start ./src: permission denied"),
        ("./Cargo.toml", "start ./Cargo.toml: permission denied"),
        ("", "start : it is not on PATH"),
    ] {
        let output = check(&["tcp-echo", "--", program]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(reason) && text.lines().count() == 1, "{program}: {text}");
        assert!(stdout(&output).is_empty(), "{program}");
        assert_eq!(output.status.code(), Some(2), "{program}");
    }
}

#[test]
fn interpreter_that_is_not_there_is_told() {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-interpreter");
    let text = script.with_extension("text");
    fs::write(&text, "#!/no/such/interpreter\n").unwrap();
    testkit::copy_program(&text, &script);
    let output = check(&["tcp-echo", "--only", "1", "--", script.to_str().unwrap()]);
    let text = stdout(&output);
    assert!(text.contains("No such"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn port_comes_through_the_command_too() {
    // Without PORT it would use 12345, which is right here as well: look at the timeline.
    let script = "test \"$1\" = \"$PORT\" && exec \"$0\" tcp-echo";
    let output =
        check(&["tcp-echo", "--only", "2", "--", "sh", "-c", script, zoo(), "{port}"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn without_private_networks_a_task_of_the_wire_is_skipped_and_not_passed() {
    let output = check(&["once-server", "--network", "host", "--", zoo(), "once-server"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(77), "{text}");
    assert!(text.contains("12 skipped") && !text.contains("What you know"), "{text}");
    assert!(text.contains("this check's wire needs private networks"), "{text}");
}

#[test]
fn hosts_network_serves_as_well() {
    let output = check(&["tcp-echo", "--network", "host", "--", zoo(), "tcp-echo"]);
    let text = stdout(&output);
    assert!(text.contains("14 of 14 passed"), "{text}");
    assert!(text.contains("host's network"), "{text}");
}

#[test]
fn signals_reach_the_program_in_the_background_of_a_script() {
    let command = "trap '' INT TERM HUP CHLD; exec \"$0\" \"$@\"";
    let mut check = Command::new("sh");
    check.args([
        "-c",
        command,
        CHECK,
        "udp-echo",
        "--only",
        "12",
        "--",
        zoo(),
        "udp-echo",
    ]);
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}
