//! The TCP client against every kind of server, played by the test.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use testkit::Program;

testkit::standard_cases! {
    "tcp-client":
    command_line_is_wrong(&["--port 65536", "--port -1", "--nonsense 1"]),
    nobody_listens("--port PORT"),
    host_is_unknown("--host no-such-host.invalid"),
    host_would_be_obeyed_by_a_terminal("--host \u{1b}[2J"),
    host_has_ipv6_alone(),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Server(b"Echo: Hello TCP Server")),
    stdout_is_full("--port PORT", Peer::Server(b"Echo: Hello TCP Server")),
    signal_at_any_moment("--port PORT", Peer::Listener),
    signal_while_the_server_stays_silent("--port PORT"),
    client_is_paused("--port PORT", b"", b"Echo: Hello TCP Server"),
}

/// Starts a client that sends `message` to `port`.
fn start(port: u16, message: impl AsRef<OsStr>) -> Program {
    let mut command =
        testkit::command(PROGRAM, &["--port", &port.to_string(), "--message"]);
    Program::start(command.arg(message))
}

/// Accepts the client and receives its message of `message_bytes` bytes.
fn receive(listener: &TcpListener, message_bytes: usize) -> (TcpStream, Vec<u8>) {
    let (mut connection, _) = testkit::accept(listener);
    let mut message = vec![0; message_bytes];
    connection.read_exact(&mut message).expect("receive the message");
    (connection, message)
}

#[test]
fn one_message_one_reply() {
    let (listener, port) = testkit::listen();
    let program = Program::run(PROGRAM, &["--port", &port.to_string()]);
    let (mut connection, message) = receive(&listener, 16);
    assert_eq!(message, b"Hello TCP Server");
    connection.write_all(b"Echo: Hello TCP Server").expect("send");
    program.finish().expect(0, "Server says: Echo: Hello TCP Server\n", "");
    assert_eq!(connection.read(&mut [0; 1]).expect("end of stream"), 0);
}

#[test]
fn message_is_empty() {
    // Nobody accepts: a client that connected and waited for ever would be noticed here.
    let (_listener, port) = testkit::listen();
    start(port, "").finish().expect(
        1,
        "",
        "send 0 bytes: TCP carries no empty message and the server would wait for ever; \
         give --message some text\n",
    );
}

#[test]
fn message_begins_with_a_hyphen() {
    let (listener, port) = testkit::listen();
    let program = start(port, "--port");
    let (mut connection, message) = receive(&listener, 6);
    assert_eq!(message, b"--port");
    connection.write_all(b"Echo: --port").expect("send");
    program.finish().expect(0, "Server says: Echo: --port\n", "");
}

#[test]
fn server_accepts_and_closes() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    // Everything is read before the close, which makes it an end of stream and not a
    // reset.
    drop(receive(&listener, 5));
    program.finish().expect(
        1,
        "",
        &format!(
            "recv 127.0.0.1:{port} (0 of 11 bytes came): end of stream; \
             the server closed before its reply was whole\n"
        ),
    );
}

/// What the client meets first is a race; every outcome is one true line.
#[test]
fn server_accepts_and_closes_without_reading() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    drop(testkit::accept(&listener));
    let finished = program.finish();
    let at = format!("127.0.0.1:{port}");
    let outcomes = [
        format!(
            "send {at}: connection reset by peer (ECONNRESET); \
             the peer has closed the connection\n"
        ),
        format!("send {at}: broken pipe (EPIPE); the peer has closed the connection\n"),
        format!(
            "recv {at} (0 of 11 bytes came): end of stream; \
             the server closed before its reply was whole\n"
        ),
        format!(
            "recv {at} (0 of 11 bytes came): connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    ];
    assert!(outcomes.contains(&finished.stderr), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}

#[test]
fn server_closes_in_the_middle_of_its_reply() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    let (mut connection, _) = receive(&listener, 5);
    connection.write_all(b"Echo: He").expect("send");
    drop(connection);
    program.finish().expect(
        1,
        "Server says: Echo: He\n",
        &format!(
            "recv 127.0.0.1:{port} (8 of 11 bytes came): end of stream; \
             the server closed before its reply was whole\n"
        ),
    );
}

#[test]
fn server_closes_with_the_message_unread() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    let (connection, _) = testkit::accept(&listener);
    connection.peek(&mut [0; 1]).expect("the message is there");
    drop(connection);
    program.finish().expect(
        1,
        "",
        &format!(
            "recv 127.0.0.1:{port} (0 of 11 bytes came): connection reset by peer \
             (ECONNRESET); the peer died, or closed before it had read everything\n"
        ),
    );
}

/// Only Linux promises that what arrived before a reset can still be received.
#[cfg(target_os = "linux")]
#[test]
fn server_resets_in_the_middle_of_its_reply() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    let (mut connection, _) = receive(&listener, 5);
    connection.write_all(b"Echo: He").expect("send");
    testkit::reset(connection);
    program.finish().expect(
        1,
        "Server says: Echo: He\n",
        &format!(
            "recv 127.0.0.1:{port} (8 of 11 bytes came): connection reset by peer \
             (ECONNRESET); the peer died, or closed before it had read everything\n"
        ),
    );
}

/// What tcp-server does with a message of more than 1024 bytes.
#[cfg(target_os = "linux")]
#[test]
fn server_echoes_only_the_first_1024_bytes() {
    let (listener, port) = testkit::listen();
    let program = start(port, "x".repeat(5000));
    let (mut connection, message) = receive(&listener, 1024);
    connection.write_all(&[b"Echo: ", message.as_slice()].concat()).expect("send");
    connection.peek(&mut [0; 1]).expect("the rest of the message is there");
    drop(connection);
    program.finish().expect(
        1,
        &format!("Server says: Echo: {}\n", "x".repeat(1024)),
        &format!(
            "recv 127.0.0.1:{port} (1030 of 5006 bytes came): connection reset by peer \
             (ECONNRESET); the peer died, or closed before it had read everything\n"
        ),
    );
}

#[test]
fn reply_arrives_in_pieces() {
    let (listener, port) = testkit::listen();
    let program = start(port, "Hello");
    let (mut connection, _) = receive(&listener, 5);
    connection.set_nodelay(true).expect("TCP_NODELAY");
    for byte in b"Echo: Hello" {
        connection.write_all(&[*byte]).expect("send a byte");
    }
    program.finish().expect(0, "Server says: Echo: Hello\n", "");
}

/// As long as a single argument may be on Linux: a little less than 128 KiB.
#[test]
fn message_and_reply_are_long() {
    let (listener, port) = testkit::listen();
    let text = "x".repeat(if cfg!(windows) { 30_000 } else { 131_000 });
    let program = start(port, &text);
    let (mut connection, message) = receive(&listener, text.len());
    assert!(message == text.as_bytes());
    connection.write_all(&[b"Echo: ", message.as_slice()].concat()).expect("send");
    program.finish().expect(0, &format!("Server says: Echo: {text}\n"), "");
}

#[test]
fn reply_would_be_obeyed_by_a_terminal() {
    let (listener, port) = testkit::listen();
    let program = start(port, "12345678");
    let (mut connection, _) = receive(&listener, 8);
    connection.write_all(b"Echo: \x1b[2J\0\xff\n\\").expect("send");
    connection.shutdown(Shutdown::Write).expect("half-close");
    program.finish().expect(0, "Server says: Echo: \\x1b[2J\\x00\\xff\\n\\\\\n", "");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn message_is_sent_byte_for_byte() {
        let (listener, port) = testkit::listen();
        let program = start(port, OsStr::from_bytes(b"\x1b[31m\xff\n\xc3\xa9\\"));
        let (mut connection, message) = receive(&listener, 10);
        assert_eq!(message, b"\x1b[31m\xff\n\xc3\xa9\\");
        connection.write_all(&[b"Echo: ", message.as_slice()].concat()).expect("send");
        program.finish().expect(0, "Server says: Echo: \\x1b[31m\\xff\\né\\\\\n", "");
    }

    /// Not an error: if a descriptor from 0 to 2 is closed at the start, std opens
    /// /dev/null. Otherwise the client's socket would be descriptor 1, and the line would
    /// go to the server.
    #[test]
    fn stdout_is_closed_from_the_start() {
        let (listener, port) = testkit::listen();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "exec \"$0\" --port \"$1\" --message Hello >&-", PROGRAM]);
        let program = Program::start(shell.arg(port.to_string()));
        let (mut connection, _) = receive(&listener, 5);
        connection.write_all(b"Echo: Hello").expect("send");
        program.finish().expect(0, "", "");
        assert_eq!(connection.read(&mut [0; 1]).expect("end of stream"), 0);
    }
}
