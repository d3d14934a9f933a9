//! `tcp-server-sink`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-sink":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

#[test]
fn the_count_is_sent_back() {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    client.write_all(b"one two three").expect("send");
    client.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut count = String::new();
    client.read_to_string(&mut count).expect("receive");
    assert_eq!(count, "13");
    assert_eq!(server.line(), "Received 13 bytes: one two three");
}
