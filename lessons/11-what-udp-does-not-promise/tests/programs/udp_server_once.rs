//! `udp-server-once`.

use std::net::UdpSocket;

use testkit::Program;

testkit::standard_cases! {
    "udp-server-once":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    address_is_not_ours(),
}

fn ask(client: &UdpSocket, port: u16, request: &[u8]) -> String {
    client.send_to(request, ("127.0.0.1", port)).expect("send");
    let mut buffer = [0; 64];
    let length = client.recv(&mut buffer).expect("receive");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn a_request_that_comes_again() {
    let mut server = Program::run(PROGRAM, &["--host", "127.0.0.1", "--port", "0"]);
    let port = server.port();
    let (client, _) = testkit::datagram_socket();
    assert_eq!(ask(&client, port, b"1 deposit 100"), "1 balance 100");
    assert_eq!(ask(&client, port, b"1 deposit 100"), "1 balance 100");
    client.send_to(b"nonsense", ("127.0.0.1", port)).expect("send");
    assert_eq!(ask(&client, port, b"2 deposit 5"), "2 balance 105");
}
