//! `udp-client-numbers`.

testkit::standard_cases! {
    "udp-client-numbers":
    command_line_is_wrong(&["--port 65536", "--count 0", "--timeout-ms 0"]),
}

#[test]
fn each_echo_is_shown_also_twice() {
    let (server, port) = testkit::datagram_socket();
    let arguments = ["--host", "127.0.0.1", "--port", &port.to_string(), "--count", "2"];
    let client = testkit::Program::run(PROGRAM, &arguments);
    let mut buffer = [0; 16];
    let (_, from) = server.recv_from(&mut buffer).expect("receive");
    for echo in [b"2", b"1", b"1"] {
        server.send_to(echo, from).expect("send");
    }
    let said = "Sent 2\nEcho of 1 bytes: 2\nEcho of 1 bytes: 1\nEcho of 1 bytes: 1\nNothing more\n";
    client.finish().expect(0, said, "");
}
