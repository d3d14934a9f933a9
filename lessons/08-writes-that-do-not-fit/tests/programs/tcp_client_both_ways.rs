//! The client against servers that echo, that do not, and that go away.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(
        Command::new(env!("CARGO_BIN_EXE_tcp-client-both-ways")).args(arguments),
    )
}

fn start(port: u16, arguments: &[&str]) -> Program {
    run(&[&["--port", &port.to_string()], arguments].concat())
}

/// What the client sends: it ends by itself.
fn receive_all(connection: &mut std::net::TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    connection.read_to_end(&mut came).expect("receive to the end of the stream");
    came
}

#[test]
fn echo_comes_back() {
    for bytes in ["0", "1", "100000"] {
        let (listener, port) = testkit::listen();
        let program = start(port, &["--bytes", bytes]);
        let (mut connection, _) = testkit::accept(&listener);
        let came = receive_all(&mut connection);
        assert_eq!(came.len().to_string(), bytes);
        connection.write_all(&came).expect("send");
        drop(connection);
        let finished = program.finish();
        let shown = format!("Received {bytes} bytes, as they were sent\n");
        assert!(finished.stdout.ends_with(&shown), "{finished:?}");
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn echo_is_damaged_or_cut_short() {
    for (damage, message) in [
        (true, "(from byte 0): not what was sent; is it an echo?"),
        (
            false,
            "(999 of 1000 bytes came): end of stream; \
             the server closed before its reply was whole",
        ),
    ] {
        let (listener, port) = testkit::listen();
        let program = start(port, &["--bytes", "1000"]);
        let (mut connection, _) = testkit::accept(&listener);
        let mut came = receive_all(&mut connection);
        if damage {
            came[0] ^= 1;
        } else {
            came.pop();
        }
        connection.write_all(&came).expect("send");
        connection.shutdown(Shutdown::Write).expect("half-close");
        let finished = program.finish();
        let expected = format!("recv 127.0.0.1:{port} {message}\n");
        finished.expect(1, &finished.stdout, &expected);
    }
}

#[cfg(unix)]
#[test]
fn server_does_not_receive() {
    let (listener, port) = testkit::listen();
    let program = start(port, &["--timeout-ms", "30"]);
    let (_connection, _) = testkit::accept(&listener);
    let finished = program.finish();
    assert!(finished.stderr.contains("in time (EAGAIN)"), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}

#[test]
fn nobody_listens() {
    let (_held, port) = testkit::closed_port();
    let message = format!(
        "connect 127.0.0.1:{port}: connection refused (ECONNREFUSED); \
         nobody listens there; start the server first\n"
    );
    start(port, &[]).finish().expect(1, "", &message);
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--bytes", "-1"], ["--bytes", "x"], ["--timeout-ms", "-1"]] {
        assert_eq!(run(&arguments).finish().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
