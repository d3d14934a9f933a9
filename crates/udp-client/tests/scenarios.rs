//! The UDP client against every kind of server and network, with the server played by the
//! test.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::ffi::OsStr;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use testkit::Program;

testkit::standard_cases! {
    "udp-client":
    command_line_is_wrong(&["--port 65536", "--timeout-ms 0", "--nonsense 1"]),
    host_is_unknown("--host no-such-host.invalid"),
    stdout_is_a_pipe_that_nobody_reads("--timeout-ms 60000 --port PORT", Peer::Datagrams(b"Echo")),
    stdout_is_full("--timeout-ms 60000 --port PORT", Peer::Datagrams(b"Echo")),
}

/// A client that asks the server on `port` and is so patient that even on a loaded
/// machine it does not give up.
fn patient(port: u16, message: impl AsRef<OsStr>) -> Command {
    let mut command = testkit::command(
        PROGRAM,
        &["--timeout-ms", "60000", "--port", &port.to_string()],
    );
    command.arg("--message").arg(message);
    command
}

/// Receives the next datagram, and the address that it came from.
fn receive(server: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (length, sender) = server.recv_from(&mut buffer).expect("receive the datagram");
    buffer.truncate(length);
    (buffer, sender)
}

#[test]
fn one_datagram_one_reply() {
    let (server, port) = testkit::datagram_socket();
    let arguments = ["--timeout-ms", "60000", "--port", &port.to_string()];
    let program = Program::run(PROGRAM, &arguments);
    let (message, sender) = receive(&server);
    assert_eq!(message, b"Hello UDP Server");
    server.send_to(b"Echo: Hello UDP Server", sender).expect("send");
    program.finish().expect(0, "Server says: Echo: Hello UDP Server\n", "");
}

#[test]
fn datagram_is_empty_and_so_is_the_reply() {
    let (server, port) = testkit::datagram_socket();
    let program = Program::start(&mut patient(port, ""));
    let (message, sender) = receive(&server);
    assert_eq!(message, b"");
    server.send_to(b"", sender).expect("send");
    program.finish().expect(0, "Server says: \n", "");
}

/// Other systems may allow less: on macOS, 9,216 bytes unless configured otherwise.
#[cfg(target_os = "linux")]
#[test]
fn datagram_is_the_longest_and_so_is_the_reply() {
    let (server, port) = testkit::datagram_socket();
    let text = "x".repeat(65_507);
    let program = Program::start(&mut patient(port, &text));
    let (message, sender) = receive(&server);
    assert!(message == text.as_bytes(), "{} bytes", message.len());
    server.send_to(text.as_bytes(), sender).expect("send");
    program.finish().expect(0, &format!("Server says: {text}\n"), "");
}

#[cfg(not(windows))] // where no command line is that long
#[test]
fn datagram_is_one_byte_too_long() {
    let (_server, port) = testkit::datagram_socket();
    Program::start(&mut patient(port, "x".repeat(65_508))).finish().expect(
        1,
        "",
        &format!(
            "sendto 127.0.0.1:{port}: message too long (EMSGSIZE); \
             over IPv4 a datagram carries at most 65507 bytes\n"
        ),
    );
}

#[test]
fn reply_would_be_obeyed_by_a_terminal() {
    let (server, port) = testkit::datagram_socket();
    let program = Program::start(&mut patient(port, "Hello"));
    let (_, sender) = receive(&server);
    server.send_to(b"Echo: \x1b[2J\0\xff\n\\", sender).expect("send");
    program.finish().expect(0, "Server says: Echo: \\x1b[2J\\x00\\xff\\n\\\\\n", "");
}

#[test]
fn no_reply() {
    let (server, port) = testkit::datagram_socket();
    let arguments = ["--timeout-ms", "20", "--port", &port.to_string()];
    let program = Program::run(PROGRAM, &arguments);
    assert_eq!(receive(&server).0, b"Hello UDP Server");
    program.finish().expect(
        1,
        "",
        &format!(
            "recvfrom 127.0.0.1:{port}: no reply within 20 ms; \
             is the server running? a lost datagram looks the same\n"
        ),
    );
}

#[test]
fn datagram_from_a_third_party_is_not_the_reply() {
    let (server, port) = testkit::datagram_socket();
    let (stranger, stranger_port) = testkit::datagram_socket();
    let program = Program::start(&mut patient(port, "Hello"));
    let (_, sender) = receive(&server);
    stranger.send_to(b"Echo: Lies!", sender).expect("send");
    server.send_to(b"Echo: Hello", sender).expect("send");
    program.finish().expect(
        0,
        "Server says: Echo: Hello\n",
        &format!(
            "recvfrom 127.0.0.1:{stranger_port}: \
             a datagram from someone else than 127.0.0.1:{port}; ignored\n"
        ),
    );
}

/// A client that restarted its clock with each of them would wait for ever.
#[test]
fn third_party_never_stops_and_no_reply_comes() {
    let (server, port) = testkit::datagram_socket();
    let (stranger, _) = testkit::datagram_socket();
    let arguments = ["--timeout-ms", "50", "--port", &port.to_string()];
    let program = Program::run(PROGRAM, &arguments);
    let (_, sender) = receive(&server);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let over = std::sync::mpsc::TryRecvError::Disconnected;
        while stopped.try_recv() != Err(over) {
            // Once the client is gone, the kernel may report ECONNREFUSED.
            let _ = stranger.send_to(b"Echo: Lies!", sender);
        }
    });
    let finished = program.finish();
    drop(stop);
    flood.join().expect("the flood");
    let last = finished.stderr.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        format!(
            "recvfrom 127.0.0.1:{port}: no reply within 50 ms; \
             is the server running? a lost datagram looks the same"
        )
    );
    finished.expect(1, "", &finished.stderr);
}

/// Linux only: other systems refuse it with another error, or send it.
#[cfg(target_os = "linux")]
#[test]
fn port_is_0() {
    Program::run(PROGRAM, &["--port", "0"]).finish().expect(
        1,
        "",
        "sendto 127.0.0.1:0: invalid argument (EINVAL); \
         is the port 0? nobody can receive there\n",
    );
}

#[cfg(unix)]
mod unix {
    use std::os::unix::ffi::OsStrExt;
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn message_is_sent_byte_for_byte() {
        let (server, port) = testkit::datagram_socket();
        let message = OsStr::from_bytes(b"\x1b[31m\xff\n\xc3\xa9\\");
        let program = Program::start(&mut patient(port, message));
        let (message, sender) = receive(&server);
        assert_eq!(message, b"\x1b[31m\xff\n\xc3\xa9\\");
        let reply = [b"Echo: ", message.as_slice()].concat();
        server.send_to(&reply, sender).expect("send");
        program.finish().expect(0, "Server says: Echo: \\x1b[31m\\xff\\né\\\\\n", "");
    }

    #[test]
    fn signal_while_the_server_stays_silent() {
        for signal in [SIGINT, SIGTERM] {
            let (server, port) = testkit::datagram_socket();
            let program = Program::start(&mut patient(port, "Hello"));
            receive(&server);
            program.signal(signal);
            let finished = program.finish();
            finished.expect_end_by(signal);
            assert_eq!(finished.stdout, "");
        }
    }

    /// As Ctrl-Z and `fg` do. With a timeout set, this does make recvfrom(2) fail with
    /// EINTR, and the client calls it again.
    #[cfg(target_os = "linux")]
    #[test]
    fn client_is_paused_in_recvfrom() {
        let (server, port) = testkit::datagram_socket();
        let program = Program::start(&mut patient(port, "Hello"));
        let (_, sender) = receive(&server);
        program.pause_and_resume();
        server.send_to(b"Echo: Hello", sender).expect("send");
        program.finish().expect(0, "Server says: Echo: Hello\n", "");
    }
}
