//! Runs the program.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-both-ends-answers");

/// The lines without their times.
fn answers(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| Some(line.split_once(" after ")?.0)).collect()
}

/// How long a queue of length 0 is, and what becomes of a SYN that finds it full, differs by
/// system.
#[cfg(target_os = "linux")]
#[test]
fn refused_connected_and_no_answer() {
    for timeout in ["20", "100"] {
        let mut command = Command::new(PROGRAM);
        command.args(["--timeout-ms", timeout]);
        let finished = Program::start(&mut command).finish();
        assert_eq!(
            answers(&finished.stdout),
            [
                "bound, not listening: refused",
                "listening:            connected",
                "the queue is full:    no answer",
            ],
            "{finished:?}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn command_line_is_wrong() {
    for argument in ["--port", "::1", "", "--timeout-ms=0", "--timeout-ms=3600001"] {
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

#[test]
fn help() {
    let finished = Program::start(Command::new(PROGRAM).arg("--help")).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
