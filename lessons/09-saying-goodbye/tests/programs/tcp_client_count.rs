//! The client against servers that answer, that say nothing, and that are not the right
//! one.

use std::io::{Read, Write};
use std::net::Shutdown;

use testkit::Program;

testkit::standard_cases! {
    "tcp-client-count":
    command_line_is_wrong(&[
        "--port 65536",
        "--port -1",
        "--nonsense 1",
        "--timeout-ms -1",
        "--timeout-ms 4294967296",
    ]),
    nobody_listens("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Server(b"Ready\n")),
    signal_while_the_server_stays_silent("--port PORT"),
    client_is_paused("--port PORT --timeout-ms 60000", b"Ready\n", b"late\n"),
}

fn start(port: u16, arguments: &[&str]) -> Program {
    Program::run(PROGRAM, &[&["--port", &port.to_string()], arguments].concat())
}

#[test]
fn message_ends_with_a_half_close_and_the_answer_comes_after() {
    let (listener, port) = testkit::listen();
    let program = start(port, &[]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(b"Ready\n").expect("send");
    let mut message = Vec::new();
    connection.read_to_end(&mut message).expect("receive to the end of the stream");
    assert_eq!(message, b"Hello TCP Server");
    connection.write_all(b"16 by").expect("send");
    connection.write_all(b"tes\x1b\n").expect("send");
    drop(connection);
    let shown = "Server says: Ready\nServer says: 16 bytes\\x1b\nEnd of stream\n";
    program.finish().expect(0, shown, "");
}

#[cfg(unix)]
#[test]
fn without_a_half_close_nothing_comes() {
    let (listener, port) = testkit::listen();
    let program = start(port, &["--keep-open", "--timeout-ms", "30"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(b"Ready\n").expect("send");
    let message = format!("recv 127.0.0.1:{port}: nothing came in time (EAGAIN)\n");
    program.finish().expect(1, "Server says: Ready\n", &message);
}

#[test]
fn answer_is_cut_short() {
    let (listener, port) = testkit::listen();
    let program = start(port, &[]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(b"Ready\n16 by").expect("send");
    connection.shutdown(Shutdown::Write).expect("half-close");
    program.finish().expect(
        1,
        "Server says: Ready\n",
        &format!(
            "recv 127.0.0.1:{port}: end of stream inside a message (5 bytes of it came); \
             is it tcp-server-count?\n"
        ),
    );
}

#[test]
fn server_resets() {
    let (listener, port) = testkit::listen();
    let program = start(port, &[]);
    testkit::reset(testkit::accept(&listener).0);
    let finished = program.finish();
    let message = format!(
        "recv 127.0.0.1:{port}: connection reset by peer (ECONNRESET); \
         the peer died, or closed before it had read everything\n"
    );
    finished.expect(1, "", &message);
}
