//! The TCP server against every kind of client, played by the test.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server":
    command_line_is_wrong(&["--port 65536", "--port -1", "--nonsense 1"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
    host_is_unknown("--host no-such-host.invalid"),
    host_has_ipv6_alone(),
    port_is_privileged(),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    stdout_is_full("--port 0", Peer::Nobody),
    signal_at_any_moment("--port 0", Peer::Nobody),
    signal_while_the_client_stays_silent(b""),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

/// Starts a server on a free port, and returns it with the port once it listens.
fn start() -> (Program, u16) {
    let mut program = Program::run(PROGRAM, &["--port", "0"]);
    let port = program.port();
    (program, port)
}

/// What the server prints, up to and including the connection.
fn transcript(port: u16, client: &TcpStream) -> String {
    let client_port = client.local_addr().expect("local address").port();
    format!(
        "Server is listening on port {port}...\nConnected by ('127.0.0.1', {client_port})\n"
    )
}

#[test]
fn one_client_one_message_one_reply() {
    let (program, port) = start();
    let mut client = testkit::connect(port);
    client.write_all(b"Hello TCP Server").expect("send");
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("receive to the end of the stream");

    assert_eq!(reply, b"Echo: Hello TCP Server");
    let transcript = transcript(port, &client);
    program.finish().expect(0, &format!("{transcript}Received: Hello TCP Server\n"), "");
}

#[test]
fn client_closes_without_a_message() {
    let (program, port) = start();
    let client = testkit::connect(port);
    client.shutdown(Shutdown::Write).expect("half-close");
    let address = client.local_addr().expect("local address");
    program.finish().expect(
        1,
        &transcript(port, &client),
        &format!(
            "recv {address}: end of stream before any byte; the client sent no message\n"
        ),
    );
}

#[test]
fn message_is_echoed_byte_for_byte_and_shown_escaped() {
    let (program, port) = start();
    let mut client = testkit::connect(port);
    client.write_all(b"\x1b[31m\0\xff\n\xc3\xa9 \xe2\x80\xae\\").expect("send");
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("receive to the end of the stream");

    assert_eq!(reply, b"Echo: \x1b[31m\0\xff\n\xc3\xa9 \xe2\x80\xae\\");
    let transcript = transcript(port, &client);
    let shown = r"Received: \x1b[31m\x00\xff\né \xe2\x80\xae\\";
    program.finish().expect(0, &format!("{transcript}{shown}\n"), "");
}

/// Only Linux promises that what arrived before a reset can still be received.
#[cfg(target_os = "linux")]
#[test]
fn message_is_longer_than_one_recv() {
    let (program, port) = start();
    let mut client = testkit::connect(port);
    client.write_all(&[b'x'; 1500]).expect("send");
    let mut reply = Vec::new();
    // The server closes with 476 bytes unread, which is a reset and not an end of stream.
    let error = client.read_to_end(&mut reply).expect_err("a reset");

    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let echoed = "x".repeat(1024);
    assert_eq!(String::from_utf8_lossy(&reply), format!("Echo: {echoed}"));
    let address = client.local_addr().expect("local address");
    program.finish().expect(
        0,
        &format!("{}Received: {echoed}\n", transcript(port, &client)),
        &format!(
            "recv {address}: one recv gave 1024 bytes, all that its buffer holds; \
             what more was sent stays unread\n"
        ),
    );
}

#[cfg(unix)]
mod unix {
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_before_accept() {
        for signal in [SIGINT, SIGTERM] {
            let (program, _) = start();
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }

    #[cfg(target_os = "linux")]
    mod linux {
        use testkit::{SIGCONT, SIGSTOP};

        use super::*;

        /// As Ctrl-Z and `fg` do. No call may fail with EINTR because of it.
        #[test]
        fn server_is_paused_in_accept_and_in_recv() {
            let (mut program, port) = start();
            program.pause_and_resume();
            let mut client = testkit::connect(port);
            assert!(program.line().starts_with("Connected by "));
            program.pause_and_resume();
            client.write_all(b"Hello TCP Server").expect("send");
            let transcript = transcript(port, &client);
            let received = "Received: Hello TCP Server\n";
            program.finish().expect(0, &format!("{transcript}{received}"), "");
        }

        /// accept(2) returns the connection all the same, with the address of its peer.
        #[test]
        fn client_resets_before_accept() {
            let (program, port) = start();
            program.wait_for_state('S');
            program.signal(SIGSTOP);
            program.wait_for_state('T');
            let client = testkit::connect(port);
            let address = client.local_addr().expect("local address");
            let transcript = transcript(port, &client);
            testkit::reset(client);
            program.signal(SIGCONT);
            program.finish().expect(
                1,
                &transcript,
                &format!(
                    "recv {address}: connection reset by peer (ECONNRESET); \
                     the peer died, or closed before it had read everything\n"
                ),
            );
        }

        /// What arrived before the reset is received; the reply is what cannot be sent.
        #[test]
        fn client_resets_after_its_message() {
            let (program, port) = start();
            program.wait_for_state('S');
            program.signal(SIGSTOP);
            program.wait_for_state('T');
            let mut client = testkit::connect(port);
            let address = client.local_addr().expect("local address");
            let transcript = transcript(port, &client);
            client.write_all(b"Hello").expect("send");
            testkit::reset(client);
            program.signal(SIGCONT);
            program.finish().expect(
                1,
                &format!("{transcript}Received: Hello\n"),
                &format!(
                    "send {address}: connection reset by peer (ECONNRESET); \
                     the peer has closed the connection\n"
                ),
            );
        }

        /// The server closes first, so its side of the connection stays in TIME-WAIT for
        /// a minute. The address is used by this test alone: on 127.0.0.1 another test
        /// might take the port in between.
        #[test]
        fn second_start_at_once() {
            let host = "127.77.12.34";
            let mut program = Program::run(PROGRAM, &["--host", host, "--port", "0"]);
            let port = program.port();
            for turn in 0..2 {
                let mut client = TcpStream::connect((host, port)).expect("connect");
                client.write_all(b"Hello").expect("send");
                let mut reply = Vec::new();
                client.read_to_end(&mut reply).expect("receive");
                assert_eq!(reply, b"Echo: Hello");
                let finished = program.finish();
                finished.expect(0, &finished.stdout, "");
                let port = port.to_string();
                let again = &["--host", host, "--port", &port];
                program = Program::run(PROGRAM, again);
                assert_eq!(program.port().to_string(), port, "turn {turn}");
            }
        }
    }
}
