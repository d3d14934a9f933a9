//! The server against clients that end well, are killed, and say nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_tcp-server-count")).args(arguments))
}

/// A server on a free port, and a connection to it that has received the greeting.
fn start() -> (Program, TcpStream, SocketAddr) {
    let mut program = run(&["--port", "0"]);
    let mut client = testkit::connect(program.port());
    let mut greeting = [0; 6];
    client.read_exact(&mut greeting).expect("receive");
    assert_eq!(&greeting, b"Ready\n");
    let address = client.local_addr().expect("local address");
    (program, client, address)
}

#[test]
fn bytes_are_counted_to_the_end_of_the_stream() {
    for bytes in [0, 1, 5000] {
        let (program, mut client, _) = start();
        client.write_all(&vec![0; bytes]).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("receive");
        assert_eq!(reply, format!("{bytes} bytes\n"));
        let finished = program.finish();
        let last = format!("Received {bytes} bytes, then end of stream\n");
        assert!(finished.stdout.ends_with(&last), "{finished:?}");
        finished.expect(0, &finished.stdout, "");
    }
}

#[test]
fn client_resets() {
    let (program, client, address) = start();
    testkit::reset(client);
    let finished = program.finish();
    let message = format!(
        "recv {address} (after 0 bytes): connection reset by peer (ECONNRESET); \
         the peer died, or closed before it had read everything\n"
    );
    finished.expect(1, &finished.stdout, &message);
}

#[cfg(unix)]
#[test]
fn signal_while_the_client_stays_silent() {
    use std::os::unix::process::ExitStatusExt;

    for signal in [testkit::SIGINT, testkit::SIGTERM] {
        let (program, mut client, _) = start();
        program.signal(signal);
        assert_eq!(program.finish().status.signal(), Some(signal));
        // The kernel closes for the dead.
        assert_eq!(client.read(&mut [0]).expect("receive"), 0);
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
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--port", "-1"], ["--nonsense", "1"]] {
        let finished = run(&arguments).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-server-count"));
    command.args(["--port", "0"]);
    Program::start_with_stdout(&mut command, pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
