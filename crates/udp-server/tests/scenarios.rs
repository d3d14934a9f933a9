//! The UDP server against every kind of datagram, the test playing the clients.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::net::UdpSocket;
use std::process::Command;

use testkit::Program;

const SERVER: &str = env!("CARGO_BIN_EXE_udp-server");

fn server(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER);
    command.args(arguments);
    command
}

/// A server on a free port that stops after `count` datagrams, and that port.
fn start(count: u32) -> (Program, u16) {
    let arguments = ["--port", "0", "--count", &count.to_string()];
    let mut program = Program::start(&mut server(&arguments));
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
    // It was the end of nothing.
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

/// Elsewhere the system itself may allow less: macOS, 9,216 bytes unless told otherwise.
#[cfg(target_os = "linux")]
#[test]
fn datagram_is_the_longest_that_can_be_echoed_and_the_longest() {
    let (program, port) = start(3);
    let (client, client_port) = client(port);
    let reply = ask(&client, &[b'x'; 65_501]);
    assert_eq!(reply.len(), 65_507);
    assert!(reply.starts_with(b"Echo: xxx"));

    // The server gets all of it and cannot reply, and goes on all the same.
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

#[test]
fn port_is_already_in_use() {
    let (_socket, port) = testkit::datagram_socket();
    let program = Program::start(&mut server(&["--port", &port.to_string()]));
    program.finish().expect(
        1,
        "",
        &format!(
            "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
             is another server running? try --port 0\n"
        ),
    );
}

/// A TCP and a UDP port of the same number are two ports. The address is for this test
/// alone: on 127.0.0.1 another test might hold the number over TCP.
#[cfg(target_os = "linux")]
#[test]
fn port_is_in_use_over_tcp() {
    let host = "127.77.12.35";
    let listener = std::net::TcpListener::bind((host, 0)).expect("bind");
    let port = listener.local_addr().expect("local address").port();
    let arguments = ["--host", host, "--port", &port.to_string(), "--count", "1"];
    let mut program = Program::start(&mut server(&arguments));
    assert_eq!(program.port(), port);
    let (client, _) = testkit::datagram_socket();
    client.connect((host, port)).expect("connect");
    assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
    let finished = program.finish();
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn address_is_not_ours() {
    let program = Program::start(&mut server(&["--host", "192.0.2.1", "--port", "0"]));
    program.finish().expect(
        1,
        "",
        "bind 192.0.2.1:0: address not available (EADDRNOTAVAIL); \
         no interface of this machine has it; try --host localhost\n",
    );
}

#[test]
fn host_is_unknown() {
    let finished =
        Program::start(&mut server(&["--host", "no-such-host.invalid"])).finish();
    // The reason is the resolver's own: with no DNS server at hand it says another.
    let stderr = &finished.stderr;
    assert!(stderr.starts_with("resolve no-such-host.invalid: "), "{stderr:?}");
    let advice = "; is the name right? 127.0.0.1 needs no look-up\n";
    assert!(stderr.ends_with(advice), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 1);
    finished.expect(1, "", stderr);
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--count", "0"], ["--nonsense", "1"]] {
        let finished = Program::start(&mut server(&arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn port_is_privileged() {
        let mut command = server(&["--port", "7"]);
        testkit::as_ordinary_user(&mut command);
        let skip = |why: &str| testkit::skip("port_is_privileged", why);
        let first =
            std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        if first
            .is_ok_and(|first| first.trim().parse::<u16>().is_ok_and(|port| port <= 7))
        {
            return skip("net.ipv4.ip_unprivileged_port_start lets everyone have port 7");
        }
        let program = match Program::try_start(&mut command, Stdio::piped()) {
            Ok(program) => program,
            Err(error) => return skip(&format!("cannot run as user nobody: {error}")),
        };
        program.finish().expect(
            1,
            "",
            "bind 127.0.0.1:7: permission denied (EACCES); \
             a port this low is for root; try --port 12345\n",
        );
    }

    #[test]
    fn stdout_is_a_pipe_that_nobody_reads() {
        let pipe = testkit::pipe_without_reader();
        let mut command = server(&["--port", "0"]);
        Program::start_with_stdout(&mut command, pipe.into()).finish().expect(
            1,
            "",
            "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn stdout_is_full() {
        let full =
            std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let mut command = server(&["--port", "0"]);
        Program::start_with_stdout(&mut command, full.into()).finish().expect(
            1,
            "",
            "write stdout: no space left on device (ENOSPC); \
             make room, or write elsewhere\n",
        );
    }

    #[test]
    fn signal_between_datagrams() {
        for signal in [SIGINT, SIGTERM] {
            let mut program = Program::start(&mut server(&["--port", "0"]));
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

    #[test]
    fn signal_at_any_moment() {
        for turn in 0..40 {
            let signal = [SIGINT, SIGTERM][turn % 2];
            let program = Program::start(&mut server(&["--port", "0"]));
            for _ in 0..turn * 50 {
                std::thread::yield_now();
            }
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
            assert_eq!(finished.stderr, "");
        }
    }

    /// As Ctrl-Z and `fg` do. The call may not fail with EINTR for it.
    #[cfg(target_os = "linux")]
    #[test]
    fn server_is_paused_in_recvfrom() {
        let (program, port) = start(1);
        program.wait_for_state('S');
        program.signal(testkit::SIGSTOP);
        program.wait_for_state('T');
        program.signal(testkit::SIGCONT);
        let (client, _) = client(port);
        assert_eq!(ask(&client, b"Hello"), b"Echo: Hello");
        let finished = program.finish();
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn help() {
    let finished = Program::start(&mut server(&["--help"])).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn version() {
    let version = concat!("udp-server ", env!("CARGO_PKG_VERSION"), "\n");
    Program::start(&mut server(&["--version"])).finish().expect(0, version, "");
}
