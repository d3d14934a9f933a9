//! The client against servers that answer in pieces, too little, too much, or not at all.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use testkit::Program;

fn client(port: u16, arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-client-lines"));
    Program::start(command.args(["--port", &port.to_string()]).args(arguments))
}

fn frame(message: &[u8]) -> Vec<u8> {
    [message, b"\n"].concat()
}

#[test]
fn messages_go_out_framed_and_replies_come_in_pieces() {
    let (listener, port) = testkit::listen();
    let program = client(port, &["one", "", "three"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.set_nodelay(true).expect("TCP_NODELAY");
    let sent = [frame(b"one"), frame(b""), frame(b"three")].concat();
    let mut came = vec![0; sent.len()];
    connection.read_exact(&mut came).expect("receive");
    assert_eq!(came, sent);
    for byte in [frame(b"Echo: one"), frame(b"Echo: "), frame(b"\x1b[2J")].concat() {
        connection.write_all(&[byte]).expect("send");
    }
    assert_eq!(connection.read(&mut [0]).expect("receive"), 0, "it closes in order");
    let shown = "Server says: Echo: one\nServer says: Echo: \nServer says: \\x1b[2J\n";
    program.finish().expect(0, shown, "");
}

#[test]
fn server_of_this_workspace_cuts_the_stream() {
    let this = env!("CARGO_BIN_EXE_tcp-client-lines");
    let Some(server) = testkit::sibling(this, "tcp-server-lines") else {
        return testkit::skip("server_of_this_workspace_cuts_the_stream", "not built");
    };
    let mut server =
        Program::start(Command::new(server).args(["--port", "0", "--recv-bytes", "3"]));
    let shown =
        "Server says: Echo: one\nServer says: Echo: two\nServer says: Echo: three\n";
    client(server.port(), &[]).finish().expect(0, shown, "");
    let finished = server.finish();
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn server_closes_before_the_last_reply() {
    let (listener, port) = testkit::listen();
    let program = client(port, &["one", "two"]);
    let (mut connection, _) = testkit::accept(&listener);
    let sent = [frame(b"one"), frame(b"two")].concat();
    connection.read_exact(&mut vec![0; sent.len()]).expect("receive");
    connection.write_all(&frame(b"Echo: one")).expect("send");
    connection.shutdown(Shutdown::Write).expect("half-close");
    program.finish().expect(
        1,
        "Server says: Echo: one\n",
        &format!(
            "recv 127.0.0.1:{port} (1 of 2 replies came): end of stream; \
             the server closed before its last reply; what does it say?\n"
        ),
    );
}

#[test]
fn reply_is_longer_than_any_that_was_asked_for() {
    let (listener, port) = testkit::listen();
    let program = client(port, &["one"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_exact(&mut vec![0; frame(b"one").len()]).expect("receive");
    connection.write_all(&frame(b"Echo: one, two")).expect("send");
    program.finish().expect(
        1,
        "",
        &format!(
            "recv 127.0.0.1:{port} (0 of 1 replies came): no end of the message within 9 bytes; \
             is it tcp-server-lines?\n"
        ),
    );
}

#[test]
fn server_resets() {
    let (listener, port) = testkit::listen();
    let program = client(port, &["one"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_exact(&mut vec![0; frame(b"one").len()]).expect("receive");
    testkit::reset(connection);
    let finished = program.finish();
    let expected = "connection reset by peer (ECONNRESET)";
    assert!(finished.stderr.contains(expected), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}

#[test]
fn message_holds_a_newline() {
    client(1, &["one\ntwo"]).finish().expect(
        1,
        "",
        "send 7 bytes: the message holds a newline; \
         send it with tcp-client-lengths, or without\n",
    );
}

#[test]
fn nobody_listens() {
    let (_held, port) = testkit::closed_port();
    let message = format!(
        "connect 127.0.0.1:{port}: connection refused (ECONNREFUSED); \
         nobody listens there; start the server first\n"
    );
    client(port, &[]).finish().expect(1, "", &message);
}

#[cfg(unix)]
#[test]
fn signal_while_the_server_stays_silent() {
    use std::os::unix::process::ExitStatusExt;

    for signal in [testkit::SIGINT, testkit::SIGTERM] {
        let (listener, port) = testkit::listen();
        let program = client(port, &["one"]);
        let (mut connection, _) = testkit::accept(&listener);
        connection.read_exact(&mut vec![0; frame(b"one").len()]).expect("receive");
        program.signal(signal);
        let finished = program.finish();
        assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
        assert_eq!(finished.stderr, "");
    }
}

#[test]
fn help() {
    let finished = client(1, &["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
