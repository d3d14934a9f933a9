//! Runs the server and plays its clients.

use std::io::Read;

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-addresses":
    command_line_is_wrong(&["--clients 0", "--clients many", "--port 65536"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
}

/// Starts a server on a free port, and returns it with the port once it listens.
fn start(clients: &str) -> (Program, u16) {
    let mut program = Program::run(PROGRAM, &["--port", "0", "--clients", clients]);
    let line = program.line();
    let port = line.strip_prefix("listener      local ('127.0.0.1', ");
    let port = port.and_then(|rest| rest.strip_suffix("), no peer"));
    let port = port.and_then(|port| port.parse().ok()).expect("the listener's line");
    (program, port)
}

#[test]
fn every_connection_has_the_listeners_port() {
    let (program, port) = start("3");
    let mut clients = [(); 3].map(|()| testkit::connect(port));
    let mut lines = format!("listener      local ('127.0.0.1', {port}), no peer\n");
    for (number, client) in (1..).zip(&mut clients) {
        let own = client.local_addr().expect("local address").port();
        lines += &format!(
            "connection {number}  local ('127.0.0.1', {port}), peer ('127.0.0.1', {own})\n"
        );
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("receive to the end of the stream");
        assert_eq!(all, b".");
    }
    program.finish().expect(0, &lines, "");
}

#[test]
fn client_that_has_come_stays_until_the_last() {
    let (program, port) = start("2");
    let mut first = testkit::connect(port);
    first.read_exact(&mut [0; 1]).expect("receive the byte");
    first.set_nonblocking(true).expect("O_NONBLOCK");
    let error = (&first).read(&mut [0; 1]).expect_err("nothing to receive yet");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    let _second = testkit::connect(port);
    assert!(program.finish().status.success());
}

#[test]
fn client_is_gone_before_the_last_comes() {
    let (mut program, port) = start("2");
    testkit::reset(testkit::connect(port));
    assert!(program.line().starts_with("connection 1"));
    let _second = testkit::connect(port);
    // Nobody can say in advance whether the byte could still be sent.
    let finished = program.finish();
    finished.expect(0, &finished.stdout, &finished.stderr);
    let told = finished.stderr.starts_with("send 127.0.0.1:");
    assert!(finished.stderr.is_empty() || told, "{finished:?}");
}

#[test]
fn second_start_at_once() {
    let (program, port) = start("1");
    let mut client = testkit::connect(port);
    client.read_to_end(&mut Vec::new()).expect("receive");
    drop(client);
    program.finish();
    let port = port.to_string();
    let mut again = Program::run(PROGRAM, &["--port", &port, "--clients", "1"]);
    assert!(again.line().contains(&port));
}

#[cfg(unix)]
mod unix {
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_while_it_waits() {
        for signal in [SIGINT, SIGTERM] {
            let (mut program, port) = start("2");
            let mut first = testkit::connect(port);
            assert!(program.line().starts_with("connection 1"));
            program.signal(signal);
            program.finish().expect_end_by(signal);
            let mut all = Vec::new();
            first.read_to_end(&mut all).expect("receive to the end of the stream");
        }
    }

    /// The fourth socket is one too many. accept(2) takes the descriptor first, so it fails
    /// before the third client has come.
    #[cfg(target_os = "linux")]
    #[test]
    fn too_many_files_are_open() {
        let mut command = std::process::Command::new("sh");
        let script = format!("ulimit -n 6; exec '{PROGRAM}' --port 0 --clients 3");
        let mut program = Program::start(command.args(["-c", &script]));
        let line = program.line();
        let port =
            line.split([',', ')']).nth(1).and_then(|port| port.trim().parse().ok());
        let port: u16 = port.expect("a port");
        let _clients = [(); 2].map(|()| testkit::connect(port));
        let finished = program.finish();
        assert_eq!(
            finished.stderr,
            "accept 127.0.0.1:0: too many open files (EMFILE); see ulimit -n\n"
        );
        assert_eq!(finished.status.code(), Some(1));
    }
}
