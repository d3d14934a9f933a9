//! `tcp-server-rounds`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-rounds":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

#[test]
fn portions_add_up() {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    client.write_all(&[b'x'; 3000]).expect("send");
    client.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut count = String::new();
    client.read_to_string(&mut count).expect("receive");
    assert_eq!(count, "3000");
}
