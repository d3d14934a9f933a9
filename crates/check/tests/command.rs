//! The command as its user has it: what it prints, how it ends, and that a program that
//! does harm does none.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends with a panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const CHECK: &str = env!("CARGO_BIN_EXE_check");

/// The program that is wrong in the way that its arguments say: an example of this crate,
/// which `cargo test --test command` alone does not build.
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

fn check(arguments: &[&str]) -> Output {
    Command::new(CHECK).args(arguments).env("CI", "true").output().unwrap()
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

/// The check waits three seconds for the end. A program that is at work for longer before it
/// comes to its task, as each is on a machine with too much to do, is not cut short.
#[test]
fn time_at_work_is_no_part_of_a_limit() {
    let work = "t=$(date +%s); while [ $(($(date +%s) - t)) -lt 5 ]; do :; done";
    let script = format!("{work}; echo 'nobody answers' >&2; exit 1");
    let output = check(&["udp-echo-client", "--only", "4", "--", "sh", "-c", &script]);
    let text = stdout(&output);
    assert!(text.contains("1 of 1 passed"), "{text}");
}

/// Without it a program that cannot be started again at once passes now and then.
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
        (&["--", "x"], "no task; try --list"),
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
        ("no-such-program", "start no-such-program: it is in no folder of PATH"),
        ("./src", "start ./src: permission denied"),
        ("./Cargo.toml", "start ./Cargo.toml: permission denied"),
        ("", "start : it is in no folder of PATH"),
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
fn failing_check_is_drawn() {
    if testkit::sibling(CHECK, "flow").is_none() {
        testkit::skip("failing_check_is_drawn", "no flow beside check");
        return;
    }
    let output = check(&["tcp-echo", "--flow", "--", zoo(), "tcp-echo", "no-prefix"]);
    let text = stdout(&output);
    assert!(text.contains("tcp-echo/2 once more, drawn: got \"Hello TCP"), "{text}");
    for words in [
        "bind(3, 127.0.0.1:12345)",
        "[LISTEN]",
        "SYN ACK",
        "accept(3) = 4",
        "main.rs:",
        "16 bytes \"Hello TCP Server\"",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    assert!(!text.contains("SIGCONT"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn check_that_is_named_is_drawn_though_it_passes() {
    if testkit::sibling(CHECK, "flow").is_none() {
        testkit::skip(
            "check_that_is_named_is_drawn_though_it_passes",
            "no flow beside check",
        );
        return;
    }
    // It stops the program for a while, which a tracer must not hide.
    let only = ["queue", "--flow", "--only", "3", "--", zoo(), "queue", "right"];
    let text = stdout(&check(&only));
    assert!(text.contains("queue/3 once more, drawn: it passed"), "{text}");
    assert!(text.contains("gets SIGSTOP"), "{text}");
    let text = stdout(&check(&["queue", "--flow", "--", zoo(), "queue", "right"]));
    assert!(text.contains("No check failed; --only ID names one to draw."), "{text}");
    let output = check(&[&["--format", "tap"], &only[..]].concat());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn port_comes_through_the_command_too() {
    // Without PORT it would take 12345, which is right here as well: ask the time line.
    let script = "test \"$1\" = \"$PORT\" && exec \"$0\" tcp-echo";
    let output =
        check(&["tcp-echo", "--only", "2", "--", "sh", "-c", script, zoo(), "{port}"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

/// A learner's folder for one test, gone with it.
struct Mine(tempfile::TempDir);

impl Mine {
    fn new() -> Self {
        Mine(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(CHECK);
        command.args(arguments).env("CHECK_MY", self.path()).env_remove("CI");
        command.output().unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap()
    }
}

#[test]
fn starter_is_put_down_once_and_never_overwritten() {
    let mine = Mine::new();
    let text = stdout(&mine.run(&["start", "framing"]));
    assert!(text.contains("cargo xtask check framing"), "{text}");
    assert!(mine.read("07-framing/README.md").contains("**Bad input**"));
    assert!(mine.read("07-framing/src/main.rs").contains("// Your part"));
    assert!(mine.read("Cargo.toml").contains("\"07-framing\""));
    fs::write(mine.path().join("07-framing/src/main.rs"), "// Mine.").unwrap();
    let again = mine.run(&["start", "framing"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("it is yours"), "{}", stderr(&again));
    assert_eq!(mine.read("07-framing/src/main.rs"), "// Mine.");
    // A second one, and one that is no Rust program: the workspace holds together.
    assert!(mine.run(&["start", "goodbye"]).status.success());
    assert!(mine.run(&["start", "udp-echo", "--lang", "python"]).status.success());
    let mut metadata = Command::new(std::env::var_os("CARGO").unwrap());
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata = metadata.current_dir(mine.path()).output().unwrap();
    assert!(metadata.status.success(), "{}", stderr(&metadata));
    let names = stdout(&metadata);
    assert!(names.contains("\"my-framing\"") && names.contains("\"my-goodbye\""));
}

#[test]
fn starter_comes_from_the_checkout_that_is_used_not_from_the_one_built() {
    let moved = Mine::new();
    let tasks = moved.path().join("crates/check/tasks/framing");
    fs::create_dir_all(&tasks).unwrap();
    fs::write(tasks.join("starter.py"), "# Of the moved one.").unwrap();
    let mut command = Command::new(CHECK);
    command.args(["start", "framing", "--lang", "python"]).env_remove("CHECK_MY");
    let output =
        command.env("CARGO_MANIFEST_DIR", moved.path().join("xtask")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(moved.read("my/07-framing/main.py"), "# Of the moved one.");
}

#[test]
fn progress_is_kept_and_unlocks_the_solution() {
    let mine = Mine::new();
    let text = stdout(&mine.run(&["next"]));
    assert!(text.contains("\nNext: A TCP echo server for one client\n"), "{text}");
    assert!(text.contains("cargo xtask start tcp-echo"), "{text}");
    let locked = mine.run(&["solution", "tcp-echo"]);
    assert_eq!(locked.status.code(), Some(1));
    assert!(stderr(&locked).contains("or insist with --anyway"), "{}", stderr(&locked));
    let shown = mine.run(&["solution", "whoami", "--lang", "python", "--anyway"]);
    assert!(stdout(&shown).starts_with("# crates/check/tasks/whoami/solution.py\n"));

    mine.run(&["tcp-echo", "--", zoo(), "tcp-echo", "lossy"]);
    assert!(mine.read("progress.txt").contains("\ntcp-echo failed at tcp-echo/4\n"));
    assert!(stdout(&mine.run(&["next"])).contains("failed at tcp-echo/4"));
    mine.run(&["tcp-echo", "--", zoo(), "tcp-echo"]);
    assert!(mine.read("progress.txt").contains("\ntcp-echo passed\n"));
    // One that fails later takes nothing away.
    mine.run(&["tcp-echo", "--", zoo(), "tcp-echo", "lossy"]);
    let text = stdout(&mine.run(&["next"]));
    assert!(text.contains("\nNext: A TCP echo client\n"), "{text}");
    assert!(
        stdout(&mine.run(&["solution", "tcp-echo"]))
            .contains("fn main() -> io::Result<()>")
    );
}

#[test]
fn own_program_needs_no_command() {
    let mine = Mine::new();
    mine.run(&["start", "udp-echo", "--lang", "python"]);
    let output = mine.run(&["udp-echo", "--only", "1"]);
    if stdout(&output).contains("start python3") {
        return testkit::skip("own_program_needs_no_command", "python3 is not installed");
    }
    assert!(stdout(&output).contains("udp-echo: 1 of 1 passed"), "{}", stdout(&output));
    assert!(!mine.path().join("progress.txt").exists(), "one check is no passed task");
}

#[test]
fn hosts_network_serves_as_well() {
    let output = check(&["tcp-echo", "--network", "host", "--", zoo(), "tcp-echo"]);
    let text = stdout(&output);
    assert!(text.contains("14 of 14 passed"), "{text}");
    assert!(text.contains("host's network"), "{text}");
}

#[test]
fn json_has_the_fields_of_the_interface() {
    let output =
        check(&["tcp-echo", "--format", "json", "--", zoo(), "tcp-echo", "no-prefix"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["format"], 2);
    assert_eq!(report["status"], "fail");
    assert_eq!(report["task"], "tcp-echo");
    let tests = report["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 14);
    assert_eq!(tests[0]["status"], "pass");
    let second = &tests[1];
    assert_eq!(second["id"], "tcp-echo/2");
    assert_eq!(second["status"], "fail");
    assert_eq!(second["level"], "MUST");
    assert_eq!(second["expected"], "\"Echo: Hello TCP Server\"");
    assert_eq!(second["page"], "lessons/02-tcp-echo/README.md");
    assert!(second["message"].as_str().unwrap().contains("expected: "));
    assert!(second["output"].as_str().unwrap().contains("Received: Hello"));
    let timeline = second["timeline"].as_array().unwrap();
    assert!(timeline.iter().any(|it| it["what"] == "sends" && it["length"] == 16));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn junit_names_failures_and_keeps_warnings_apart() {
    let output =
        check(&["tcp-echo", "--format", "junit", "--", zoo(), "tcp-echo", "raw"]);
    let text = stdout(&output);
    assert!(text.contains("tests=\"14\"") && text.contains("failures=\"0\""), "{text}");
    assert!(text.contains("<skipped message=\"SHOULD: expected: escapes"), "{text}");
    let output =
        check(&["tcp-echo", "--format", "junit", "--", zoo(), "tcp-echo", "newline"]);
    let text = stdout(&output);
    assert!(text.contains("failures=\"2\""), "{text}");
    assert!(
        text.contains("<failure message=\"expected: &quot;Echo of the stream"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn tap_has_a_plan_and_a_line_for_each() {
    let output = check(&["udp-echo", "--format", "tap", "--", zoo(), "udp-echo", "raw"]);
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("TAP version 13"));
    assert!(text.contains("\n1..17\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 16, "{text}");
    assert!(text.contains("\nnot ok 15 - udp-echo/15 it prints no byte that a terminal"));
    assert!(text.contains(" # TODO SHOULD\n  ---\n  severity: \"SHOULD\"\n"), "{text}");
}

static MARKS: AtomicU32 = AtomicU32::new(0);

/// Runs a program that does harm under a check; sees that it is stopped soon, for this
/// reason, and that nothing of it is left.
fn harm(what: &str, arguments: &[&str], reason: &str) -> String {
    let mark =
        format!("{}-{}", std::process::id(), MARKS.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let output = Command::new(CHECK)
        .args(["tcp-echo", "--only", "1", "--env", "ZOO_MARK"])
        .args(arguments)
        .args(["--", zoo(), "nasty", what])
        .env("ZOO_MARK", &mark)
        .env("CHECK_TEST_SECRET", "the password")
        .output()
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "{what}: {:?}", began.elapsed());
    let text = stdout(&output);
    assert!(text.contains(reason), "{what}: no `{reason}` in {text}{}", stderr(&output));
    let left = marked(&format!("ZOO_MARK={mark}"));
    assert!(left.is_empty(), "{what}: left behind: {left:?}");
    text
}

/// The processes that were started with the variable and have not ended.
fn marked(variable: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    pids.filter(has).collect()
}

#[test]
fn fork_bomb_is_stopped() {
    harm("fork-bomb", &["--processes", "64"], "made more than 64 processes");
}

#[test]
fn thread_bomb_is_stopped() {
    harm("thread-bomb", &["--processes", "64"], "tcp-echo/1");
}

#[test]
fn memory_hog_is_stopped() {
    let text = harm("memory-hog", &["--memory", "128"], "the program");
    assert!(
        text.contains("used more than 128 MiB") || text.contains("SIGABRT"),
        "{text}"
    );
}

#[test]
fn flood_is_stopped_and_not_kept() {
    let text = harm("flood", &["--output", "64"], "printed more than 64 KiB");
    assert!(text.len() < 10_000, "{} bytes", text.len());
}

#[test]
fn program_that_spins_is_stopped() {
    harm("spins", &["--time", "1"], "still ran after 1 s");
}

#[test]
fn program_that_ignores_termination_is_ended() {
    harm("ignores-term", &[], "1 of 1 passed");
}

#[test]
fn daemon_is_not_left_behind() {
    harm("daemon", &[], "has ended: exit status 0");
}

#[test]
fn nothing_outlives_a_checker_that_is_killed() {
    for network in ["private", "host"] {
        let mark = format!("{}-killed-{network}", std::process::id());
        let variable = format!("ZOO_MARK={mark}");
        let mut check = Command::new(CHECK)
            .args(["tcp-echo", "--only", "1", "--network", network, "--env", "ZOO_MARK"])
            .args(["--", "sleep", "60"])
            .env("ZOO_MARK", &mark)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let is_program = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(b"sleep\0")
        };
        wait_until("the program runs", || marked(&variable).iter().any(is_program));
        check.kill().unwrap();
        check.wait().unwrap();
        wait_until("all are gone", || marked(&variable).is_empty());
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within 30 s");
        std::thread::yield_now();
    }
}

#[test]
fn secrets_stay_outside() {
    let text = harm("reads-secrets", &["--verbose"], "has ended: exit status 0");
    assert!(text.contains("stdout: PORT=12345"), "{text}");
    assert!(!text.contains("CHECK_TEST_SECRET") && !text.contains("password"), "{text}");
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

#[test]
fn processes_outside_cannot_be_signalled() {
    let mut outside = Command::new("sleep").arg("60").spawn().unwrap();
    harm("kills", &[], "the program has ended");
    assert!(outside.try_wait().unwrap().is_none(), "it was killed");
    outside.kill().unwrap();
    outside.wait().unwrap();
}
