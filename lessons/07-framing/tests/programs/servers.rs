//! The two servers that frame messages, against every way of cutting a stream, and
//! against streams that are wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use testkit::Program;

/// A server, and how it frames messages.
pub(crate) struct Server {
    pub(crate) program: &'static str,
    pub(crate) frame: fn(&[u8]) -> Vec<u8>,
    /// This many bytes of a frame with five bytes in it are only a part of it.
    pub(crate) part_bytes: usize,
    pub(crate) nine_bytes_where_eight_are_allowed: &'static str,
}

/// Starts a server on a free port and connects to it. Returns what it prints up to then,
/// and the client's address.
pub(crate) fn start(
    server: &Server,
    arguments: &[&str],
) -> (Program, TcpStream, String, SocketAddr) {
    let mut program =
        Program::run(server.program, &[&["--port", "0"], arguments].concat());
    let port = program.port();
    let client = testkit::connect(port);
    let address = client.local_addr().expect("local address");
    let transcript = format!(
        "Server is listening on port {port}...\nConnected by ('127.0.0.1', {})\n",
        address.port()
    );
    (program, client, transcript, address)
}

pub(crate) fn messages_are_echoed_for_every_recv_size(server: &Server) {
    let sent = [&b"one"[..], b"", b"\x1b[31m\xff", "é".as_bytes()];
    let stream: Vec<u8> =
        sent.iter().flat_map(|message| (server.frame)(message)).collect();
    let expected: Vec<u8> = sent
        .iter()
        .flat_map(|message| (server.frame)(&[b"Echo: ", *message].concat()))
        .collect();
    for recv_bytes in 1..=stream.len() {
        let (program, mut client, _, _) =
            start(server, &["--recv-bytes", &recv_bytes.to_string()]);
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

pub(crate) fn message_comes_byte_by_byte(server: &Server) {
    let (mut program, mut client, _, _) = start(server, &[]);
    assert!(program.line().starts_with("Connected by "));
    client.set_nodelay(true).expect("TCP_NODELAY");
    for byte in (server.frame)(b"Hello") {
        client.write_all(&[byte]).expect("send");
        // The server has taken it, so no recv can return two.
        assert!(program.line().starts_with("recv gave 1 bytes: "));
    }
    assert_eq!(program.line(), "Message: Hello");
    let mut reply = vec![0; (server.frame)(b"Echo: Hello").len()];
    client.read_exact(&mut reply).expect("receive");
    assert_eq!(reply, (server.frame)(b"Echo: Hello"));
    drop(client);
    let finished = program.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

pub(crate) fn client_sends_nothing(server: &Server) {
    let (program, client, transcript, _) = start(server, &[]);
    drop(client);
    program.finish().expect(0, &transcript, "");
}

pub(crate) fn stream_ends_inside_a_message(server: &Server) {
    let (program, mut client, _, address) = start(server, &[]);
    client.write_all(&(server.frame)(b"Hello")[..server.part_bytes]).expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(client.read(&mut [0; 9]).expect("receive"), 0, "no reply to a part");
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv {address}: end of stream inside a message ({} bytes of it came); \
             the connection is closed\n",
            server.part_bytes
        ),
    );
}

pub(crate) fn message_is_too_long(server: &Server) {
    for (length, fits) in [(8, true), (9, false)] {
        let (program, mut client, _, address) = start(server, &["--most-bytes", "8"]);
        client.write_all(&(server.frame)(&vec![b'x'; length])).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut replies = Vec::new();
        client.read_to_end(&mut replies).expect("receive");
        let finished = program.finish();
        if fits {
            assert_eq!(replies, (server.frame)(b"Echo: xxxxxxxx"));
            finished.expect(0, &finished.stdout, "");
        } else {
            assert_eq!(replies, b"");
            let message = format!(
                "recv {address}: {}; the connection is closed\n",
                server.nine_bytes_where_eight_are_allowed
            );
            finished.expect(1, &finished.stdout, &message);
        }
    }
}

#[cfg(unix)]
pub(crate) fn signal_inside_a_message(server: &Server) {
    testkit::signals(|| {
        let (mut program, mut client, _, _) = start(server, &[]);
        client.write_all(&(server.frame)(b"Hello")[..server.part_bytes]).expect("send");
        assert!(program.line().starts_with("Connected by "));
        let received = format!("recv gave {} bytes: ", server.part_bytes);
        assert!(program.line().starts_with(&received));
        (program, client)
    });
}
