//! What `--help` says, of every task.
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
    let tasks = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let tasks = tasks
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|task| *task != "help");
    for task in tasks {
        insta::assert_snapshot!(task, help(&[task]));
    }
}
