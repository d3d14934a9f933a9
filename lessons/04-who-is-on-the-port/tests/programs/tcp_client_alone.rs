//! Runs the program.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-client-alone");

fn alone(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn it_talks_to_itself() {
    for _ in 0..50 {
        let finished = Program::start(&mut alone(&[])).finish();
        let port = finished.stdout.split([',', ')']).nth(1).expect("a port").trim();
        let expected = format!(
            "connected: local ('127.0.0.1', {port}), peer ('127.0.0.1', {port})\n\
             received: Is anybody there?\n"
        );
        finished.expect(0, &expected, "");
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    Program::start(&mut alone(&["--port", &port.to_string()])).finish().expect(
        1,
        "",
        &format!(
            "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
             is another server running? try --port 0\n"
        ),
    );
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--port", "-1"], ["--host", "::1"]] {
        let finished = Program::start(&mut alone(&arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    Program::start_with_stdout(&mut alone(&[]), pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

#[test]
fn help() {
    let finished = Program::start(&mut alone(&["--help"])).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
