//! The server against every way of cutting a stream, and against streams that are wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use testkit::Program;

fn server(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-server-lengths"));
    command.args(arguments);
    command
}

/// A server on a free port, and a connection to it: what it prints up to that, and the
/// client's address.
fn start(arguments: &[&str]) -> (Program, TcpStream, String, SocketAddr) {
    let mut program =
        Program::start(&mut server(&[&["--port", "0"], arguments].concat()));
    let port = program.port();
    let client = testkit::connect(port);
    let address = client.local_addr().expect("local address");
    let transcript = format!(
        "Server is listening on port {port}...\nConnected by ('127.0.0.1', {})\n",
        address.port()
    );
    (program, client, transcript, address)
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&length.to_be_bytes(), message].concat()
}

#[test]
fn messages_are_echoed_for_every_recv_size() {
    let sent = [&b"one"[..], b"", b"\x1b[31m\xff", "é".as_bytes()];
    let stream: Vec<u8> = sent.iter().flat_map(|message| frame(message)).collect();
    let expected: Vec<u8> =
        sent.iter().flat_map(|message| frame(&[b"Echo: ", *message].concat())).collect();
    for recv_bytes in 1..=stream.len() {
        let (program, mut client, _, _) =
            start(&["--recv-bytes", &recv_bytes.to_string()]);
        client.write_all(&stream).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut replies = Vec::new();
        client.read_to_end(&mut replies).expect("receive");
        assert_eq!(replies, expected, "{recv_bytes} bytes a recv");
        let finished = program.finish();
        let messages: Vec<&str> = finished
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("Message: "))
            .collect();
        assert_eq!(messages, ["one", "", r"\x1b[31m\xff", "é"]);
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn message_comes_byte_by_byte() {
    let (mut program, mut client, _, _) = start(&[]);
    assert!(program.line().starts_with("Connected by "));
    client.set_nodelay(true).expect("TCP_NODELAY");
    for byte in frame(b"Hello") {
        client.write_all(&[byte]).expect("send");
        // The server has taken it: no recv can give two.
        assert!(program.line().starts_with("recv gave 1 bytes: "));
    }
    assert_eq!(program.line(), "Message: Hello");
    let mut reply = vec![0; frame(b"Echo: Hello").len()];
    client.read_exact(&mut reply).expect("receive");
    assert_eq!(reply, frame(b"Echo: Hello"));
    drop(client);
    let finished = program.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

#[test]
fn client_sends_nothing() {
    let (program, client, transcript, _) = start(&[]);
    drop(client);
    program.finish().expect(0, &transcript, "");
}

#[test]
fn stream_ends_inside_a_message() {
    let (program, mut client, _, address) = start(&[]);
    client.write_all(&frame(b"Hello")[..6]).expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(client.read(&mut [0; 9]).expect("receive"), 0, "no reply to a part");
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv {address}: end of stream inside a message (6 bytes of it came); \
             the connection is closed\n"
        ),
    );
}

#[test]
fn message_is_too_long() {
    for (length, fits) in [(8, true), (9, false)] {
        let (program, mut client, _, address) = start(&["--most-bytes", "8"]);
        client.write_all(&frame(&vec![b'x'; length])).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut replies = Vec::new();
        client.read_to_end(&mut replies).expect("receive");
        let finished = program.finish();
        if fits {
            assert_eq!(replies, frame(b"Echo: xxxxxxxx"));
            finished.expect(0, &finished.stdout, "");
        } else {
            assert_eq!(replies, b"");
            let message = format!(
                "recv {address}: a message of 9 bytes, and 8 are allowed; the connection is closed\n"
            );
            finished.expect(1, &finished.stdout, &message);
        }
    }
}

#[test]
fn length_is_four_gibibytes() {
    let (program, mut client, _, address) = start(&[]);
    client.write_all(b"\xff\xff\xff\xff").expect("send");
    assert_eq!(client.read(&mut [0; 9]).expect("receive"), 0);
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv {address}: a message of 4294967295 bytes, and 65536 are allowed; \
             the connection is closed\n"
        ),
    );
}

#[test]
fn client_resets() {
    let (mut program, client, transcript, address) = start(&[]);
    assert!(program.line().starts_with("Connected by "));
    testkit::reset(client);
    program.finish().expect(
        1,
        &transcript,
        &format!(
            "recv {address}: connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    );
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    Program::start(&mut server(&["--port", &port.to_string()])).finish().expect(
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
    for arguments in [
        ["--recv-bytes", "0"],
        ["--recv-bytes", "65536"],
        ["--most-bytes", "-1"],
        ["--most-bytes", "4294967296"],
    ] {
        let finished = Program::start(&mut server(&arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
    }
}

#[cfg(unix)]
#[test]
fn signal_inside_a_message() {
    use std::os::unix::process::ExitStatusExt;

    for signal in [testkit::SIGINT, testkit::SIGTERM] {
        let (mut program, mut client, _, _) = start(&[]);
        client.write_all(&frame(b"Hello")[..6]).expect("send");
        assert!(program.line().starts_with("Connected by "));
        assert!(program.line().starts_with("recv gave 6 bytes: "));
        program.signal(signal);
        let finished = program.finish();
        assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
        assert_eq!(finished.stderr, "");
    }
}

#[test]
fn help() {
    let finished = Program::start(&mut server(&["--help"])).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
