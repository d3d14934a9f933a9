//! `tcp-server-sealed`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-sealed":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

/// FNV-1a of "hello", computed independently of the program.
const SEAL_OF_HELLO: u64 = 0xa430_d846_80aa_bd0b;

fn answer_to(seal: u64) -> String {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    client.write_all(&[&seal.to_be_bytes()[..], b"hello"].concat()).expect("send");
    client.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("receive");
    answer
}

#[test]
fn a_message_that_fits_its_hash_is_whole() {
    assert_eq!(answer_to(SEAL_OF_HELLO), "whole");
}

#[test]
fn a_message_that_does_not_fit_is_damaged() {
    assert_eq!(answer_to(SEAL_OF_HELLO ^ 1), "damaged");
}
