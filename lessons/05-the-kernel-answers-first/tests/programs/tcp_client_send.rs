//! Runs the client and plays its server.

use std::io::{Read, Write};

use testkit::Program;

testkit::standard_cases! {
    "tcp-client-send":
    command_line_is_wrong(&["--port 65536", "--reply yes", "--nonsense 1"]),
    nobody_listens("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Listener),
    client_is_paused("--port PORT --reply", b"", b"."),
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
    let finished = Program::run(PROGRAM, &["--port", &port.to_string()]).finish();
    assert_eq!(untimed(&finished.stdout), SENT);
    finished.expect(0, &finished.stdout, "");
    // Only now is it accepted, and everything is there.
    let mut message = Vec::new();
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_to_end(&mut message).expect("receive");
    assert_eq!(message, b"Hello TCP Server");
}

#[test]
fn reply_comes() {
    let (listener, port) = testkit::listen();
    let arguments = ["--port", &port.to_string(), "--reply"];
    let program = Program::run(PROGRAM, &arguments);
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
    let mut program = Program::run(PROGRAM, &arguments);
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
    let mut program = Program::run(PROGRAM, &arguments);
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
fn message_is_empty() {
    Program::run(PROGRAM, &["--message", ""]).finish().expect(
        1,
        "",
        "send 0 bytes: TCP carries no empty message; give --message some text\n",
    );
}

#[cfg(unix)]
mod unix {
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_while_it_waits_for_a_reply() {
        for signal in [SIGINT, SIGTERM] {
            let (_listener, port) = testkit::listen();
            let arguments = ["--port", &port.to_string(), "--reply"];
            let mut program = Program::run(PROGRAM, &arguments);
            program.line();
            program.line();
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }
}
