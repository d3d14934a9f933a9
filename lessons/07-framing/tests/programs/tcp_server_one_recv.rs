//! The server that is wrong on purpose is wrong in the way that its lesson shows.

use std::io::{Read, Write};
use std::net::Shutdown;

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-one-recv":
    command_line_is_wrong(&["--recv-bytes 0"]),
    port_is_already_in_use("--port PORT"),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

#[test]
fn each_recv_is_taken_for_a_message() {
    let mut program = Program::run(PROGRAM, &["--port", "0", "--recv-bytes", "6"]);
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
