//! The server against clients that send much, nothing, and never receive.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_tcp-server-hoard")).args(arguments))
}

fn start(arguments: &[&str]) -> (Program, TcpStream, SocketAddr) {
    let mut program = run(&[&["--port", "0"], arguments].concat());
    let client = testkit::connect(program.port());
    let address = client.local_addr().expect("local address");
    assert!(program.line().starts_with("Connected by "));
    (program, client, address)
}

#[test]
fn stream_comes_back() {
    for bytes in [0, 1, 100_000] {
        let (program, mut client, _) = start(&[]);
        let sent: Vec<u8> = (0..=255).cycle().take(bytes).collect();
        client.write_all(&sent).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut came = Vec::new();
        client.read_to_end(&mut came).expect("receive");
        assert!(came == sent, "{bytes} bytes");
        let finished = program.finish();
        let last = finished.stdout.lines().last().expect("a line").to_owned();
        assert!(
            last.starts_with(&format!("Echoed {bytes} bytes; peak memory: ")),
            "{last}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn client_resets() {
    let (program, client, address) = start(&[]);
    testkit::reset(client);
    let finished = program.finish();
    let message = format!(
        "recv {address}: connection reset by peer (ECONNRESET); \
         the peer died, or closed before it had read everything\n"
    );
    finished.expect(1, &finished.stdout, &message);
}

#[test]
fn command_line_is_wrong() {
    for arguments in [["--timeout-ms", "-1"], ["--timeout-ms", "4294967296"]] {
        assert_eq!(run(&arguments).finish().status.code(), Some(2), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn signal_while_the_client_stays_silent() {
    use std::os::unix::process::ExitStatusExt;

    for signal in [testkit::SIGINT, testkit::SIGTERM] {
        let (program, _client, _) = start(&[]);
        program.signal(signal);
        assert_eq!(program.finish().status.signal(), Some(signal));
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    run(&["--port", &port.to_string()]).finish().expect(1, "", &message);
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
