//! `tcp-server-exchanges`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-exchanges":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

#[test]
fn half_a_request_gets_no_answer() {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    client.write_all(b"headbodyhalf").expect("send");
    client.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("receive");
    assert_eq!(answer, "done");
}
