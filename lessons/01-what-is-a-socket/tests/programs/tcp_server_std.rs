//! The server that uses only std: it prints the same as `tcp-server`.

use std::io::{Read, Write};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-std":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    signal_while_the_client_stays_silent(b""),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

#[test]
fn one_client_one_message_one_reply() {
    let mut program = Program::run(PROGRAM, &["--port", "0"]);
    let port = program.port();
    let mut client = testkit::connect(port);
    let client_port = client.local_addr().expect("local address").port();
    client.write_all(b"Hello TCP Server").expect("send");
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("receive to the end of the stream");

    assert_eq!(reply, b"Echo: Hello TCP Server");
    let transcript = format!(
        "Server is listening on port {port}...\nConnected by ('127.0.0.1', {client_port})\n\
         Received: Hello TCP Server\n"
    );
    program.finish().expect(0, &transcript, "");
}

#[test]
fn client_that_says_nothing() {
    let mut program = Program::run(PROGRAM, &["--port", "0"]);
    let port = program.port();
    let client = testkit::connect(port);
    let client_port = client.local_addr().expect("local address").port();
    drop(client);
    let finished = program.finish();
    let message = format!(
        "recv 127.0.0.1:{client_port}: end of stream before any byte; the client sent no \
         message\n"
    );
    finished.expect(1, &finished.stdout, &message);
}
