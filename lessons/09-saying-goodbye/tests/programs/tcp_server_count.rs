//! The server against clients that end well, that are killed, and that say nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-count":
    command_line_is_wrong(&["--port 65536", "--port -1", "--nonsense 1"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    signal_while_the_client_stays_silent(b"Ready\n"),
    client_resets(b"Ready\n", " (after 0 bytes)"),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

/// Starts a server on a free port, and connects to it until the greeting has been
/// received.
fn start() -> (Program, TcpStream, SocketAddr) {
    let mut program = Program::run(PROGRAM, &["--port", "0"]);
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
