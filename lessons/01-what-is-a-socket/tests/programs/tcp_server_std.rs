//! The server with std alone: the same words as `tcp-server`.

use std::io::{Read, Write};
use std::process::Command;

use testkit::Program;

fn server(arguments: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_tcp-server-std")).args(arguments))
}

#[test]
fn one_client_one_message_one_reply() {
    let mut program = server(&["--port", "0"]);
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
    let mut program = server(&["--port", "0"]);
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

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); is another server \
         running? try --port 0\n"
    );
    server(&["--port", &port.to_string()]).finish().expect(1, "", &message);
}

#[test]
fn help() {
    let finished = server(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
