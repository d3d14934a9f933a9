//! The way through the course: starters, progress, hints, solutions.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::{CHECK, stderr, stdout, zoo};

/// A learner's folder for one test, which is removed at its end.
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
    // With a second program, and one that is not in Rust, the workspace must still be valid.
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
    let lesson = moved.path().join("lessons/07-framing");
    fs::create_dir_all(&lesson).unwrap();
    command.current_dir(&lesson);
    let output =
        command.env("CARGO_MANIFEST_DIR", moved.path().join("xtask")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // The paths are those of the folder in which the learner is.
    assert!(
        stdout(&output).contains(" ../../my/07-framing/main.py\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(moved.read("my/07-framing/main.py"), "# Of the moved one.");
}

#[test]
fn progress_is_kept_and_unlocks_the_solution() {
    let mine = Mine::new();
    let text = stdout(&mine.run(&["next"]));
    assert!(text.contains("\nNext: A first client\n"), "{text}");
    assert!(text.contains("cargo xtask start first-client"), "{text}");
    mine.run(&["first-client", "--", zoo(), "first-client"]);
    let text = stdout(&mine.run(&["next"]));
    assert!(text.contains("\nNext: A TCP echo server for one client\n"), "{text}");
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
    // A program that fails later takes nothing away.
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
fn hints_grow_and_the_last_names_the_page() {
    let mine = Mine::new();
    let hint =
        || stdout(&mine.run(&["tcp-echo", "--hint", "--", zoo(), "tcp-echo", "newline"]));
    let first = hint();
    assert!(first.contains("\nHint 1 of 3: the statement says:\n"), "{first}");
    assert!(first.contains("the six bytes `Echo: ` and then the message"), "{first}");
    let second = hint();
    assert!(second.contains("\nHint 2 of ") && second != first, "{second}");
    hint();
    let last = hint();
    assert!(
        last.contains("lessons/02-tcp-echo/README.md, and try its programs"),
        "{last}"
    );
    assert!(last.contains("cargo xtask solution tcp-echo"), "{last}");
}

#[test]
fn two_languages_side_by_side_are_told_apart() {
    let mine = Mine::new();
    assert!(mine.run(&["start", "udp-echo"]).status.success());
    assert!(mine.run(&["start", "udp-echo", "--lang", "python"]).status.success());
    let unclear = mine.run(&["udp-echo"]);
    assert_eq!(unclear.status.code(), Some(2));
    assert!(stderr(&unclear).contains("--lang rust, or --lang python"), "{unclear:?}");
    let output = mine.run(&["udp-echo", "--lang", "python", "--only", "1"]);
    if !stderr(&output).contains("start python3") {
        assert!(stdout(&output).contains("1 of 1 passed"), "{output:?}");
    }
    let none = mine.run(&["framing", "--lang", "rust"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn progress_counts_and_leads_on() {
    let mine = Mine::new();
    let text = stdout(&mine.run(&["first-client", "--", zoo(), "first-client"]));
    assert!(text.contains("You have passed 1 of "), "{text}");
    assert!(text.contains("Next: A TCP echo server for one client\n"), "{text}");
    assert!(text.contains("cargo xtask start tcp-echo"), "{text}");
    assert!(text.contains("cargo xtask solution first-client"), "{text}");
}

#[test]
fn checks_side_by_side_lose_no_line_of_progress() {
    let mine = Mine::new();
    std::thread::scope(|scope| {
        for task in ["queue", "whoami", "framing", "udp-echo"] {
            let mine = &mine;
            scope.spawn(move || mine.run(&[task, "--", zoo(), task]));
        }
    });
    let progress = mine.read("progress.txt");
    assert_eq!(progress.matches(" passed\n").count(), 4, "{progress}");
}

#[test]
fn link_in_the_place_of_a_file_of_ours_is_not_followed() {
    let (mine, other) = (Mine::new(), tempfile::tempdir().unwrap());
    let theirs = other.path().join("theirs");
    fs::write(&theirs, "precious").unwrap();
    for file in ["progress.txt", "Cargo.toml"] {
        std::os::unix::fs::symlink(&theirs, mine.path().join(file)).unwrap();
    }
    mine.run(&["tcp-echo", "--", zoo(), "tcp-echo"]);
    mine.run(&["start", "framing"]);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "precious");
    assert!(mine.read("progress.txt").contains("tcp-echo passed"));
}

#[test]
fn watch_checks_again_when_a_file_is_saved() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("server.sh");
    let save = |flaw: &str| {
        fs::write(&script, format!("exec {} tcp-echo {flaw}\n", zoo())).unwrap();
    };
    save("newline");
    let mut watch = Command::new(CHECK)
        .args(["tcp-echo", "--watch", "--", "sh"])
        .arg(&script)
        .env("CI", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut until = |words: &str| {
        let found = lines.by_ref().any(|line| line.unwrap().contains(words));
        assert!(found, "no `{words}`");
    };
    until("Fix tcp-echo/2");
    save("none");
    until("14 of 14 passed");
    watch.kill().unwrap();
    watch.wait().unwrap();
}
