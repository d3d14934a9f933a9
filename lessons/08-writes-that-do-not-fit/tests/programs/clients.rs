//! The two clients of an echo, against servers that echo, that do not, and that go away.

use std::io::{Read, Write};
use std::net::Shutdown;

use testkit::Program;

fn start(program: &str, port: u16, arguments: &[&str]) -> Program {
    Program::run(program, &[&["--port", &port.to_string()], arguments].concat())
}

/// Receives what the client sends; the client ends the stream by itself.
fn receive_all(connection: &mut std::net::TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    connection.read_to_end(&mut came).expect("receive to the end of the stream");
    came
}

pub(crate) fn echo_comes_back(program: &str) {
    for bytes in ["0", "1", "100000"] {
        let (listener, port) = testkit::listen();
        let program = start(program, port, &["--bytes", bytes]);
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

pub(crate) fn echo_is_damaged_or_cut_short(program: &str) {
    for (damage, message) in [
        (true, "(from byte 0): not what was sent; is it an echo?"),
        (
            false,
            "(999 of 1000 bytes came): end of stream; \
             the server closed before its reply was whole",
        ),
    ] {
        let (listener, port) = testkit::listen();
        let program = start(program, port, &["--bytes", "1000"]);
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
pub(crate) fn server_does_not_receive(program: &str) {
    let (listener, port) = testkit::listen();
    let program = start(program, port, &["--timeout-ms", "30"]);
    let (_connection, _) = testkit::accept(&listener);
    let finished = program.finish();
    assert!(finished.stderr.contains("in time (EAGAIN)"), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}
