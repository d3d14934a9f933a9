//! The UDP server against every kind of datagram, with the clients played by the test.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::net::UdpSocket;

use testkit::Program;

testkit::standard_cases! {
    "udp-server":
    command_line_is_wrong(&["--port 65536", "--count 0", "--nonsense 1"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
    host_is_unknown("--host no-such-host.invalid"),
    port_is_privileged(),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    stdout_is_full("--port 0", Peer::Nobody),
    signal_at_any_moment("--port 0", Peer::Nobody),
}

/// Starts a server on a free port that stops after `count` datagrams, and returns it with
/// the port.
fn start(count: u32) -> (Program, u16) {
    let arguments = ["--port", "0", "--count", &count.to_string()];
    let mut program = Program::run(PROGRAM, &arguments);
    let port = program.port();
    (program, port)
}

/// A client of the server on `port`, and the client's own port.
fn client(port: u16) -> (UdpSocket, u16) {
    let (socket, client_port) = testkit::datagram_socket();
    socket.connect(("127.0.0.1", port)).expect("connect");
    (socket, client_port)
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = client.recv(&mut buffer).expect("receive the reply");
    buffer.truncate(length);
    buffer
}

fn ask(client: &UdpSocket, message: &[u8]) -> Vec<u8> {
    client.send(message).expect("send");
    receive(client)
}

#[test]
fn one_datagram_one_reply() {
    let (program, port) = start(1);
    let (client, client_port) = client(port);
    assert_eq!(ask(&client, b"Hello UDP Server"), b"Echo: Hello UDP Server");
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {client_port}): Hello UDP Server\n"
        ),
        "",
    );
}

#[test]
fn two_clients_take_turns() {
    let (program, port) = start(4);
    let (ada, ada_port) = client(port);
    let (bob, bob_port) = client(port);
    for (client, message) in [(&ada, "1"), (&bob, "2"), (&ada, "3"), (&bob, "4")] {
        assert_eq!(
            ask(client, message.as_bytes()),
            format!("Echo: {message}").as_bytes()
        );
    }
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {ada_port}): 1\n\
             Received from ('127.0.0.1', {bob_port}): 2\n\
             Received from ('127.0.0.1', {ada_port}): 3\n\
             Received from ('127.0.0.1', {bob_port}): 4\n"
        ),
        "",
    );
}

#[test]
fn datagram_is_empty() {
    let (program, port) = start(2);
    let (client, client_port) = client(port);
    assert_eq!(ask(&client, b""), b"Echo: ");
    // That was the end of nothing.
    assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {client_port}): \n\
             Received from ('127.0.0.1', {client_port}): Hello\n"
        ),
        "",
    );
}

#[test]
fn datagram_is_echoed_byte_for_byte_and_shown_escaped() {
    let (program, port) = start(1);
    let (client, client_port) = client(port);
    let reply = ask(&client, b"\x1b[31m\0\xff\n\xc3\xa9\\");
    assert_eq!(reply, b"Echo: \x1b[31m\0\xff\n\xc3\xa9\\");
    let shown = r"\x1b[31m\x00\xff\né\\";
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {client_port}): {shown}\n"
        ),
        "",
    );
}

/// Other systems may allow less: on macOS, 9,216 bytes unless configured otherwise.
#[cfg(target_os = "linux")]
#[test]
fn datagram_is_the_longest_that_can_be_echoed_and_the_longest() {
    let (program, port) = start(3);
    let (client, client_port) = client(port);
    let reply = ask(&client, &[b'x'; 65_501]);
    assert_eq!(reply.len(), 65_507);
    assert!(reply.starts_with(b"Echo: xxx"));

    // The server gets all of it, cannot reply, and goes on all the same.
    client.send(&[b'y'; 65_507]).expect("send");
    assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
    let (x, y) = ("x".repeat(65_501), "y".repeat(65_507));
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {client_port}): {x}\n\
             Received from ('127.0.0.1', {client_port}): {y}\n\
             Received from ('127.0.0.1', {client_port}): Hello\n"
        ),
        &format!(
            "sendto 127.0.0.1:{client_port}: message too long (EMSGSIZE); \
             over IPv4 a datagram carries at most 65507 bytes\n"
        ),
    );
}

#[test]
fn client_is_gone_before_the_reply() {
    let (program, port) = start(2);
    let (gone, gone_port) = client(port);
    gone.send(b"Good-bye").expect("send");
    drop(gone);
    let (client, client_port) = client(port);
    assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
    program.finish().expect(
        0,
        &format!(
            "Server is waiting for datagrams on port {port}...\n\
             Received from ('127.0.0.1', {gone_port}): Good-bye\n\
             Received from ('127.0.0.1', {client_port}): Hello\n"
        ),
        "",
    );
}

/// A connected socket accepts datagrams only from the address to which it is connected.
/// On Linux, all of 127.0.0.0/8 belongs to this machine.
#[cfg(target_os = "linux")]
#[test]
fn server_on_every_address_answers_from_the_one_that_was_asked() {
    let arguments = ["--host", "0.0.0.0", "--port", "0", "--count", "4"];
    let mut program = Program::run(PROGRAM, &arguments);
    let port = program.port();
    for host in ["127.0.0.1", "127.0.0.2", "127.77.12.36"] {
        let (client, client_port) = testkit::datagram_socket();
        client.connect((host, port)).expect("connect");
        assert_eq!(ask(&client, b"Hello"), b"Echo: Hello", "{host}");
        let line = format!("Received from ('127.0.0.1', {client_port}): Hello");
        assert_eq!(program.line(), line);
    }
    let (client, client_port) = client(port);
    client.send(&[b'y'; 65_507]).expect("send");
    let finished = program.finish();
    let too_long = format!(
        "sendmsg 127.0.0.1:{client_port}: message too long (EMSGSIZE); \
         over IPv4 a datagram carries at most 65507 bytes\n"
    );
    finished.expect(0, &finished.stdout, &too_long);
}

/// A TCP port and a UDP port with the same number are two ports. The address is used by
/// this test alone: on 127.0.0.1 another test might hold the number over TCP.
#[cfg(target_os = "linux")]
#[test]
fn port_is_in_use_over_tcp() {
    let host = "127.77.12.35";
    let listener = std::net::TcpListener::bind((host, 0)).expect("bind");
    let port = listener.local_addr().expect("local address").port();
    let arguments = ["--host", host, "--port", &port.to_string(), "--count", "1"];
    let mut program = Program::run(PROGRAM, &arguments);
    assert_eq!(program.port(), port);
    let (client, _) = testkit::datagram_socket();
    client.connect((host, port)).expect("connect");
    assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
    let finished = program.finish();
    finished.expect(0, &finished.stdout, "");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::process::ExitStatusExt;

    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_between_datagrams() {
        for signal in [SIGINT, SIGTERM] {
            let mut program = Program::run(PROGRAM, &["--port", "0"]);
            let port = program.port();
            let (client, client_port) = client(port);
            for _ in 0..3 {
                assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
            }
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
            let received = format!("Received from ('127.0.0.1', {client_port}): Hello\n");
            let listening =
                format!("Server is waiting for datagrams on port {port}...\n");
            assert_eq!(finished.stdout, listening + &received.repeat(3));
            assert_eq!(finished.stderr, "");
        }
    }

    /// As Ctrl-Z and `fg` do. The call may not fail with EINTR because of it.
    #[cfg(target_os = "linux")]
    #[test]
    fn server_is_paused_in_recvfrom() {
        let (program, port) = start(1);
        program.pause_and_resume();
        let (client, _) = client(port);
        assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
        let finished = program.finish();
        finished.expect(0, &finished.stdout, "");
    }
}
