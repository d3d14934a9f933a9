//! `udp-client-retry`: the test plays the server.

testkit::standard_cases! {
    "udp-client-retry":
    command_line_is_wrong(&["--port 65536", "--count 0", "--timeout-ms 0"]),
}

/// Runs the client against a server that the test plays, and returns what it asked, in
/// order. `stdout` leaves out the time that the reply took. A first attempt that is to be
/// answered has a second for it, so that a busy machine does not look like a loss.
fn against(replies: &[&[&[u8]]], status: i32, stdout: &str) -> Vec<String> {
    let (server, port) = testkit::datagram_socket();
    let port = port.to_string();
    let arguments = ["--host", "127.0.0.1", "--port", &port, "--timeout-ms", "1000"];
    let client = testkit::Program::run(PROGRAM, &arguments);
    let mut asked = Vec::new();
    let mut buffer = [0; 64];
    for answers in replies {
        let (length, from) = server.recv_from(&mut buffer).expect("receive");
        asked.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        for answer in *answers {
            server.send_to(answer, from).expect("send");
        }
    }
    let mut client = client.finish();
    client.stdout = without_time(&client.stdout);
    client.expect(status, stdout, "");
    asked
}

/// The lines without ` after 0.4 ms` at their end.
fn without_time(text: &str) -> String {
    let cut = |line: &str| format!("{}\n", line.split(" after ").next().unwrap_or(""));
    text.lines().map(cut).collect()
}

#[test]
fn a_request_without_a_reply_is_repeated_with_its_number() {
    let said = "No reply; again\nReply: 1 balance 100 (attempt 2)\n";
    let asked = against(&[&[], &[b"1 balance 100"]], 0, said);
    assert_eq!(asked, ["1 deposit 100", "1 deposit 100"]);
}

#[test]
fn a_reply_to_another_request_is_ignored() {
    let said = "Late, ignored: 0 balance 7\nReply: 1 balance 100 (attempt 1)\n";
    against(&[&[b"0 balance 7", b"1 balance 100"]], 0, said);
}
