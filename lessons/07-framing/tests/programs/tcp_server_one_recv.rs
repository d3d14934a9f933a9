//! The server that is wrong on purpose is wrong in the way that its lesson shows.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use testkit::Program;

fn server(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-server-one-recv"));
    Program::start(command.args(arguments))
}

#[test]
fn each_recv_is_taken_for_a_message() {
    let mut program = server(&["--port", "0", "--recv-bytes", "6"]);
    let mut client = testkit::connect(program.port());
    client.write_all(b"one\ntwo\n").expect("send");
    client.shutdown(Shutdown::Write).expect("half-close");
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).expect("receive");
    assert_eq!(replies, b"Echo: one\ntwEcho: o\n");
    let finished = program.finish();
    assert!(
        finished.stdout.ends_with("Message: one\\ntw\nMessage: o\\n\n"),
        "{finished:?}"
    );
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn command_line_is_wrong() {
    let finished = server(&["--recv-bytes", "0"]).finish();
    assert_eq!(finished.status.code(), Some(2), "{finished:?}");
}

#[test]
fn help() {
    let finished = server(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
