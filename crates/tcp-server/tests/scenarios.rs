//! The TCP server against every kind of client, the test playing the client.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use testkit::Program;

const SERVER: &str = env!("CARGO_BIN_EXE_tcp-server");

fn server(arguments: &[&str]) -> Command {
    let mut command = Command::new(SERVER);
    command.args(arguments);
    command
}

/// A server on a free port, which listens, and that port.
fn start() -> (Program, u16) {
    let mut program = Program::start(&mut server(&["--port", "0"]));
    let port = program.port();
    (program, port)
}

/// What the server prints up to the connection.
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
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
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
fn host_has_ipv6_alone() {
    let program = Program::start(&mut server(&["--host", "::1", "--port", "0"]));
    program.finish().expect(
        1,
        "",
        "resolve ::1: it has IPv6 addresses alone and this program speaks IPv4 (AF_INET); \
         try --host 127.0.0.1\n",
    );
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--port", "-1"], ["--nonsense", "1"]] {
        let finished = Program::start(&mut server(&arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
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
fn client_resets_before_its_message() {
    let (mut program, port) = start();
    let client = testkit::connect(port);
    let (transcript, address) = (transcript(port, &client), client.local_addr());
    let address = address.expect("local address");
    program.line();
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

/// Only Linux promises that what came before a reset can still be received.
#[cfg(target_os = "linux")]
#[test]
fn message_is_longer_than_one_recv() {
    let (program, port) = start();
    let mut client = testkit::connect(port);
    client.write_all(&[b'x'; 1500]).expect("send");
    let mut reply = Vec::new();
    // The server closes with 476 bytes unread: that is a reset, no end of stream.
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
        let program = Program::start_with_stdout(&mut command, pipe.into());
        program.finish().expect(
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
    fn signal_before_accept() {
        for signal in [SIGINT, SIGTERM] {
            let (program, _) = start();
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
            assert_eq!(finished.stderr, "");
        }
    }

    #[test]
    fn signal_while_the_client_stays_silent() {
        for signal in [SIGINT, SIGTERM] {
            let (mut program, port) = start();
            let mut client = testkit::connect(port);
            assert!(program.line().starts_with("Connected by "));
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");
            // The kernel closes for the dead: the client sees an end of stream.
            assert_eq!(client.read(&mut [0; 1]).expect("receive"), 0);
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

    #[cfg(target_os = "linux")]
    mod linux {
        use testkit::{SIGCONT, SIGSTOP};

        use super::*;

        fn pause_and_resume(program: &Program) {
            program.wait_for_state('S');
            program.signal(SIGSTOP);
            program.wait_for_state('T');
            program.signal(SIGCONT);
        }

        /// As Ctrl-Z and `fg` do. No call may fail with EINTR for it.
        #[test]
        fn server_is_paused_in_accept_and_in_recv() {
            let (mut program, port) = start();
            pause_and_resume(&program);
            let mut client = testkit::connect(port);
            assert!(program.line().starts_with("Connected by "));
            pause_and_resume(&program);
            client.write_all(b"Hello TCP Server").expect("send");
            let transcript = transcript(port, &client);
            let received = "Received: Hello TCP Server\n";
            program.finish().expect(0, &format!("{transcript}{received}"), "");
        }

        /// accept(2) gives the connection all the same, with the address of its peer.
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

        /// What came before the reset is received; it is the reply that cannot be sent.
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

        /// The server closes first, so its side of the connection stays in TIME_WAIT for a
        /// minute. The address is for this test alone: on 127.0.0.1 another test might take
        /// the port in between.
        #[test]
        fn second_start_at_once() {
            let host = "127.77.12.34";
            let mut program =
                Program::start(&mut server(&["--host", host, "--port", "0"]));
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
                program = Program::start(&mut server(again));
                assert_eq!(program.port().to_string(), port, "turn {turn}");
            }
        }
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
    let version = concat!("tcp-server ", env!("CARGO_PKG_VERSION"), "\n");
    Program::start(&mut server(&["--version"])).finish().expect(0, version, "");
}
