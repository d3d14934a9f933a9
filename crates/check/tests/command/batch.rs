//! Checking a whole class with `--batch`.

use std::fs;
use std::path::Path;

use crate::{check, stderr, stdout, zoo};

/// Makes a folder of programs: each is a script that runs one of the zoo with a flaw.
fn class(programs: &[(&str, &str)]) -> tempfile::TempDir {
    let class = tempfile::tempdir().unwrap();
    for (name, flaw) in programs {
        let folder = class.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("flaw"), flaw).unwrap();
    }
    class
}

/// Runs in the folder of each program, and finds its flaw in a file there.
const COMMAND: &str = "exec \"$0\" tcp-echo \"$(cat flaw)\"";

fn batch(class: &Path, arguments: &[&str]) -> std::process::Output {
    let class = class.to_str().unwrap();
    let command = ["--", "sh", "-c", COMMAND, zoo()];
    check(&[&["tcp-echo", "--batch", class], arguments, &command].concat())
}

#[test]
fn every_folder_is_a_program_and_its_name_is_only_a_name() {
    let class =
        class(&[("anna", "none"), ("x;touch PWNED;y", "newline"), ("$(id)", "none")]);
    fs::create_dir(class.path().join(".git")).unwrap();
    fs::write(class.path().join("notes.txt"), "").unwrap();
    let output = batch(class.path(), &[]);
    let text = stdout(&output);
    assert!(text.contains("✓ anna "), "{text}{}", stderr(&output));
    assert!(text.contains("✓ $(id) "), "{text}");
    assert!(
        text.contains("✗ x;touch PWNED;y  failed at tcp-echo/2, passed 12"),
        "{text}"
    );
    assert!(text.contains("tcp-echo: 2 of 3 programs passed"), "{text}");
    assert!(stderr(&output).contains("3 of 3: "), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
    let walk = |folder: &Path| fs::read_dir(folder).unwrap().flatten().count();
    assert_eq!(walk(class.path()), 5, "a file was made");
    assert_eq!(walk(&class.path().join("anna")), 1, "a file was made");
}

#[test]
fn table_comes_in_other_forms() {
    let class = class(&[("anna", "none"), ("=1+1", "newline")]);
    let csv = stdout(&batch(class.path(), &["--format", "csv"]));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "name,status,passed,checks,first,message,cause");
    assert!(lines[1].starts_with("\"'=1+1\",fail,12,14,\"tcp-echo/2\","), "{csv}");
    assert_eq!(lines[2], "\"anna\",pass,14,14,\"\",\"\",\"\"");
    let json = batch(class.path(), &["--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows[0]["tests"][1]["status"], "fail");
    assert_eq!(rows[1]["status"], "pass");
    let junit = stdout(&batch(class.path(), &["--format", "junit"]));
    assert!(junit.contains("tests=\"28\" failures=\"2\" errors=\"0\""), "{junit}");
}

#[test]
fn what_is_known_is_not_checked_again() {
    let class = class(&[("anna", "none"), ("bert", "newline")]);
    let file = class.path().join("results.jsonl");
    let resume = ["--resume", file.to_str().unwrap()];
    batch(class.path(), &resume);
    // A run that was killed leaves half a line, and one program is new.
    let mut kept = fs::read_to_string(&file).unwrap();
    let cut = kept.len() - 30;
    kept.truncate(cut);
    fs::write(&file, kept).unwrap();
    fs::create_dir(class.path().join("carl")).unwrap();
    fs::write(class.path().join("carl/flaw"), "none").unwrap();
    let output = batch(class.path(), &resume);
    let progress = stderr(&output);
    assert!(progress.contains("1 of 3 have a result already"), "{progress}");
    assert!(progress.contains("2 of 3: bert: ") && progress.contains("3 of 3: carl"));
    assert!(stdout(&output).contains("2 of 3 programs passed"), "{}", stdout(&output));
    let again = batch(class.path(), &resume);
    assert!(
        stderr(&again).starts_with("3 of 3 have a result already"),
        "{}",
        stderr(&again)
    );
    assert_eq!(stdout(&again), stdout(&output));
}

#[test]
fn file_of_results_without_an_end_is_refused() {
    let class = class(&[("anna", "none")]);
    let output = batch(class.path(), &["--resume", "/dev/zero"]);
    let said = "check: read /dev/zero: it has more than 16 MiB; name a file that --resume \
                has written\n";
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(2), said));
}

#[test]
fn program_that_is_not_there_is_one_failure_of_the_class() {
    let class = class(&[("anna", "none")]);
    let output = check(&["tcp-echo", "--batch", class.path().to_str().unwrap()]);
    assert!(stdout(&output).contains("✗ anna  could not be started"), "{output:?}");
    let nothing = check(&["tcp-echo", "--batch", "/no/such/folder"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("--batch takes a folder of folders"));
}

#[test]
fn names_that_are_no_utf8_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let class = tempfile::tempdir().unwrap();
    for name in [b"\xff", b"\xfe"] {
        let folder = class.path().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("flaw"), "newline").unwrap();
    }
    let csv = stdout(&batch(class.path(), &["--format", "csv", "--only", "2"]));
    let rows: Vec<&str> = csv.lines().skip(1).collect();
    assert!(
        matches!(rows[..], [one, other] if one.contains("xfe") && other.contains("xff")),
        "{csv}"
    );
}

/// A name that a terminal would obey is shown once escaped, beside the reason.
#[test]
fn folder_without_a_program_says_so_beside_its_name() {
    let class = class(&[("red\x1b[31m", "none")]);
    let output = check(&["tcp-echo", "--batch", class.path().to_str().unwrap()]);
    let line = "✗ red\\x1b[31m  could not be started: it contains neither main.py nor Cargo.toml\n";
    assert!(stdout(&output).contains(line), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// What is for one program, and for its author, is refused for a class.
#[test]
fn options_of_one_program_are_refused() {
    let class = class(&[("anna", "none")]);
    for option in [&["--watch"][..], &["--hint"], &["--flow"], &["--lang", "rust"]] {
        let output = batch(class.path(), option);
        assert_eq!(output.status.code(), Some(2), "{option:?}: {}", stdout(&output));
        assert!(stderr(&output).contains("cannot be used with"), "{}", stderr(&output));
    }
    let command = ["tcp-echo", "--lang", "python", "--", "python3", "main.py"];
    assert_eq!(check(&command).status.code(), Some(2));
}
