//! `tcp-server-crash`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-crash":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

#[test]
fn the_connection_is_reset() {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    client.write_all(b"one").expect("send");
    let mut echo = [0; 3];
    client.read_exact(&mut echo).expect("receive");
    let error = client.read(&mut echo).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
