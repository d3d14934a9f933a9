//! `tcp-server-words`.

use std::io::{Read as _, Write as _};

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-words":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    address_is_not_ours(),
}

#[test]
fn each_piece_comes_back() {
    let mut server = Program::run(PROGRAM, &["--port", "0"]);
    let mut client = testkit::connect(server.port());
    for word in [b"one", b"two"] {
        client.write_all(word).expect("send");
        let mut echo = [0; 3];
        client.read_exact(&mut echo).expect("receive");
        assert_eq!(&echo, word);
    }
    drop(client);
    assert_eq!(server.line(), "Received: one");
    assert_eq!(server.line(), "Received: two");
    assert_eq!(server.line(), "End of stream");
}
