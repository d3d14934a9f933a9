//! Runs the program.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-both-ends-time-wait");

/// What SO_REUSEADDR allows differs by system: this is Linux's answer.
#[cfg(target_os = "linux")]
#[test]
fn five_cases_a_hundred_times() {
    for _ in 0..100 {
        Program::start(&mut Command::new(PROGRAM)).finish().expect(
            0,
            "closes first   old listener   new listener   bind again\n\
             server         -              -              EADDRINUSE\n\
             server         -              SO_REUSEADDR   EADDRINUSE\n\
             server         SO_REUSEADDR   -              EADDRINUSE\n\
             server         SO_REUSEADDR   SO_REUSEADDR   succeeds\n\
             client         -              -              succeeds\n",
            "",
        );
    }
}

#[test]
fn command_line_is_wrong() {
    for argument in ["--port", "x", ""] {
        let finished = Program::start(Command::new(PROGRAM).arg(argument)).finish();
        assert_eq!(finished.status.code(), Some(2), "{argument:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    Program::start_with_stdout(&mut Command::new(PROGRAM), pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_files_may_be_open() {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 4; exec '{PROGRAM}'");
    let finished = Program::start(command.args(["-c", &script])).finish();
    assert_eq!(
        finished.stderr,
        "socket TCP over IPv4: too many open files (EMFILE); see ulimit -n\n"
    );
    assert_eq!(finished.status.code(), Some(1));
}

#[test]
fn help() {
    let finished = Program::start(Command::new(PROGRAM).arg("--help")).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
