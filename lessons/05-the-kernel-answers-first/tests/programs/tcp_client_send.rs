//! Runs the client and plays its server.

use std::io::{Read, Write};
use std::process::Command;

use testkit::Program;

const CLIENT: &str = env!("CARGO_BIN_EXE_tcp-client-send");

fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(CLIENT);
    command.args(arguments);
    command
}

/// What was printed, with N in place of the durations.
fn untimed(stdout: &str) -> String {
    let words = stdout.split_inclusive([' ', '\n']);
    let mut words = words.map(|word| {
        if word.trim().parse::<f64>().is_ok() && word.contains('.') { "N " } else { word }
    });
    words.by_ref().collect()
}

const SENT: &str =
    "connect  returned after N ms\nsend     16 bytes, returned after N ms\n";

#[test]
fn nobody_accepts() {
    let (listener, port) = testkit::listen();
    let finished = Program::start(&mut client(&["--port", &port.to_string()])).finish();
    assert_eq!(untimed(&finished.stdout), SENT);
    finished.expect(0, &finished.stdout, "");
    // Only now is it accepted, and all is there.
    let mut message = Vec::new();
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_to_end(&mut message).expect("receive");
    assert_eq!(message, b"Hello TCP Server");
}

#[test]
fn reply_comes() {
    let (listener, port) = testkit::listen();
    let arguments = ["--port", &port.to_string(), "--reply"];
    let program = Program::start(&mut client(&arguments));
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(b"\x1b\n").expect("send");
    let finished = program.finish();
    let expected = format!("{SENT}recv     2 bytes: \\x1b\\n\n");
    assert_eq!(untimed(&finished.stdout), expected);
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn server_goes_without_a_reply() {
    let (listener, port) = testkit::listen();
    let arguments = ["--port", &port.to_string(), "--reply"];
    let mut program = Program::start(&mut client(&arguments));
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_exact(&mut [0; 16]).expect("receive");
    drop(connection);
    assert!(program.line().starts_with("connect "));
    let finished = program.finish();
    assert!(finished.stdout.ends_with("recv     0 bytes: end of stream\n"));
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn server_goes_without_accept() {
    let (listener, port) = testkit::listen();
    let arguments = ["--port", &port.to_string(), "--reply"];
    let mut program = Program::start(&mut client(&arguments));
    program.line();
    program.line();
    drop(listener);
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv 127.0.0.1:{port}: connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    );
}

#[test]
fn nobody_listens() {
    let (_held, port) = testkit::closed_port();
    Program::start(&mut client(&["--port", &port.to_string()])).finish().expect(
        1,
        "",
        &format!(
            "connect 127.0.0.1:{port}: connection refused (ECONNREFUSED); \
             nobody listens there; start the server first\n"
        ),
    );
}

#[test]
fn message_is_empty() {
    Program::start(&mut client(&["--message", ""])).finish().expect(
        1,
        "",
        "send 0 bytes: TCP carries no empty message; give --message some text\n",
    );
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--reply", "yes"], ["--nonsense", "1"]] {
        let finished = Program::start(&mut client(&arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::process::ExitStatusExt;

    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_while_it_waits_for_a_reply() {
        for signal in [SIGINT, SIGTERM] {
            let (_listener, port) = testkit::listen();
            let arguments = ["--port", &port.to_string(), "--reply"];
            let mut program = Program::start(&mut client(&arguments));
            program.line();
            program.line();
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
            assert_eq!(finished.stderr, "");
        }
    }

    #[test]
    fn stdout_is_a_pipe_that_nobody_reads() {
        let (_listener, port) = testkit::listen();
        let pipe = testkit::pipe_without_reader();
        let mut command = client(&["--port", &port.to_string()]);
        Program::start_with_stdout(&mut command, pipe.into()).finish().expect(
            1,
            "",
            "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
        );
    }
}

#[test]
fn help() {
    let finished = Program::start(&mut client(&["--help"])).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
