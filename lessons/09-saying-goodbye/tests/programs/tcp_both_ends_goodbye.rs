//! Both ends in one program: the same words in every run.

use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(
        Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-goodbye")).args(arguments),
    )
}

/// What comes before a reset can still be received: Linux alone promises that.
#[cfg(target_os = "linux")]
#[test]
fn every_goodbye_is_seen_the_same_a_hundred_times() {
    let first = run(&["--port", "0"]).finish();
    insta::assert_snapshot!(first.stdout);
    for _ in 0..100 {
        run(&["--port", "0"]).finish().expect(0, &first.stdout, "");
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    run(&["--port", &port.to_string()]).finish().expect(1, "", &message);
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--port", "-1"], ["--nonsense", "1"]] {
        let finished = run(&arguments).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-goodbye"));
    command.args(["--port", "0"]);
    Program::start_with_stdout(&mut command, pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
