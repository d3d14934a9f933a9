//! The help texts of all tasks.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::process::Command;

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .expect("start xtask");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_task_answers_help() {
    let all = help(&[]);
    insta::assert_snapshot!("xtask", all);
    fits_80_columns(&all);
    let tasks = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let tasks = tasks
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|task| *task != "help");
    for task in tasks {
        let help = help(&[task]);
        // These tasks pass on the checker's help, which is the checker's concern.
        if !["check", "start", "next", "solution"].contains(&task) {
            fits_80_columns(&help);
        }
        insta::assert_snapshot!(task, help);
    }
}

#[test]
fn a_lesson_and_programs_are_a_wrong_command_line() {
    for task in ["flow", "wire"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output =
            command.args([task, "10", "--", "true"]).output().expect("start xtask");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.starts_with(&format!("{task}: give a lesson or programs")),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn wire_writes_no_file_for_all_scenes_of_a_lesson() {
    for options in
        [["--pcap", "bad.pcapng"], ["-o", "drawing.txt"], ["--log", "log.json"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let output =
            command.args(["wire", "10"]).args(options).output().expect("start xtask");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("wire {}: ", options[0])), "{said}");
        assert!(said.ends_with("name one scene, such as tcps-promises/main\n"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// A word that contains what a terminal would obey: ESC, a C1 control, a change of
/// direction.
#[test]
fn a_wrong_word_is_quoted_without_what_a_terminal_obeys() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("x\u{1b}[31m\u{9b}2J\u{202e}")
        .output()
        .expect("start xtask");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("\\xc2\\x9b2J\\xe2\\x80\\xae"), "{said:?}");
    let obeyed = ['\u{1b}', '\u{9b}', '\u{202e}'];
    assert!(!said.contains(obeyed), "{said:?}");
}

fn fits_80_columns(help: &str) {
    let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(long.is_empty(), "more than 80 columns: {long:#?}");
}
