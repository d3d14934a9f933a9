//! Runs the program.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-both-ends-window");

/// How much fits, and what becomes of a send that waited too long, differs by system.
#[cfg(target_os = "linux")]
#[test]
fn the_window_closes_and_opens_again() {
    for timeout in ["1", "100"] {
        let mut command = Command::new(PROGRAM);
        command.args(["--port", "0", "--timeout-ms", timeout]);
        let finished = Program::start(&mut command).finish();
        let (before, after) = finished.stdout.split_once(", after ").unwrap_or_default();
        assert_eq!(
            before, "The peer does not receive.\n  send: a part of 10000000 bytes",
            "{finished:?}"
        );
        assert!(
            after.ends_with(
                " ms\nThe peer receives.\n  recv: as it was sent\n  send: 1000 of 1000 bytes\n  \
                 recv: end of stream\n"
            ),
            "{finished:?}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    let mut command = Command::new(PROGRAM);
    command.args(["--port", &port.to_string()]);
    Program::start(&mut command).finish().expect(1, "", &message);
}

#[test]
fn command_line_is_wrong() {
    for argument in ["--port", "::1", "--timeout-ms=0", "--timeout-ms=3600001"] {
        let finished = Program::start(Command::new(PROGRAM).arg(argument)).finish();
        assert_eq!(finished.status.code(), Some(2), "{argument:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[test]
fn help() {
    let finished = Program::start(Command::new(PROGRAM).arg("--help")).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
