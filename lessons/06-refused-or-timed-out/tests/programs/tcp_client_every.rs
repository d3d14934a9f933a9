//! Runs the client against addresses that answer, refuse, or say nothing.

use testkit::Program;

testkit::standard_cases! {
    "tcp-client-every":
    command_line_is_wrong(&[
        "--port 65536",
        "--delay-ms 9",
        "--delay-ms 60001",
        "--timeout-ms 0",
        "--timeout-ms x",
    ]),
    host_is_unknown("no-such-host.invalid"),
    host_would_be_obeyed_by_a_terminal("\u{1b}[2J"),
    stdout_is_a_pipe_that_nobody_reads("127.0.0.1", Peer::Nobody),
}

/// What was printed, with N in place of the durations.
fn untimed(stdout: &str) -> String {
    let words = stdout.split_inclusive([' ', '\n']).map(|word| {
        let number = word.trim().parse::<f64>().is_ok() && word.contains('.');
        if number { "N " } else { word }
    });
    words.collect()
}

#[test]
fn first_address_answers() {
    let (_listener, port) = testkit::listen();
    let port = port.to_string();
    let finished = Program::run(PROGRAM, &["127.0.0.1", "--port", &port]).finish();
    let expected = format!(
        "at N ms  try 127.0.0.1:{port}\nconnected to 127.0.0.1:{port} after N ms\n"
    );
    assert_eq!(untimed(&finished.stdout), expected);
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn localhost_is_found_whatever_the_hosts_file_says() {
    let (_listener, port) = testkit::listen();
    let port = port.to_string();
    let finished = Program::run(PROGRAM, &["--quiet", "--port", &port]).finish();
    let expected = format!("connected to 127.0.0.1:{port} after N ms\n");
    assert_eq!(untimed(&finished.stdout), expected);
    finished.expect(0, &finished.stdout, "");
}

/// On Linux, all of 127.0.0.0/8 is loopback.
#[cfg(target_os = "linux")]
mod linux {
    use socket2::{Domain, Socket, Type};
    use std::net::{Ipv4Addr, SocketAddr};
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn first_address_refuses() {
        let (_listener, port) = testkit::listen();
        let port = port.to_string();
        // A long delay: on a loaded machine the refusal itself may take a while.
        let hosts = ["127.0.0.2", "127.0.0.1", "127.0.0.2"];
        let options = ["--port", &port, "--delay-ms", "60000"];
        let arguments = [&hosts[..], &options].concat();
        let finished = Program::run(PROGRAM, &arguments).finish();
        let expected = format!(
            "at N ms  try 127.0.0.2:{port}\n\
             at N ms  connect 127.0.0.2:{port}: connection refused (ECONNREFUSED); \
             nobody listens there; start the server first\n\
             at N ms  try 127.0.0.1:{port}\n\
             connected to 127.0.0.1:{port} after N ms\n"
        );
        assert_eq!(untimed(&finished.stdout), expected);
        finished.expect(0, &finished.stdout, "");
    }

    #[test]
    fn families_take_turns() {
        let (_held, port) = testkit::closed_port();
        let port = port.to_string();
        let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"];
        let arguments = [&hosts[..], &["--port", &port]].concat();
        let finished = Program::run(PROGRAM, &arguments).finish();
        let tried = finished.stdout.lines().filter_map(|line| line.split_once("  try "));
        let tried: Vec<String> = tried.map(|(_, address)| address.to_owned()).collect();
        let order = ["127.0.0.1", "[::1]", "127.0.0.2", "127.0.0.3"];
        assert_eq!(tried, order.map(|host| format!("{host}:{port}")));
        finished.expect(
            1,
            &finished.stdout,
            "connect 127.0.0.1, 127.0.0.2, 127.0.0.3, ::1: none of 4 addresses connected; \
             is the server running, and is it listening on one of them?\n",
        );
    }

    /// A listener on 127.0.0.3 with a full queue, the connection in the queue, and the
    /// port.
    fn full(port: u16) -> (Socket, Socket, String) {
        let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let (listener, first) = (tcp(), tcp());
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), port));
        listener.bind(&address.into()).expect("bind");
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("local address");
        first.connect(&address).expect("connect");
        let port = address.as_socket().expect("an address").port();
        (listener, first, port.to_string())
    }

    #[test]
    fn first_address_does_not_answer() {
        let (_listener, port) = testkit::listen();
        let (_full, _first, port) = full(port);
        // The first address alone would take an hour.
        let hosts = ["127.0.0.3", "127.0.0.1"];
        let options = ["--port", &port, "--delay-ms", "10", "--timeout-ms", "3600000"];
        let arguments = [hosts.as_slice(), &options].concat();
        let finished = Program::run(PROGRAM, &arguments).finish();
        let expected = format!(
            "at N ms  try 127.0.0.3:{port}\n\
             at N ms  try 127.0.0.1:{port}\n\
             connected to 127.0.0.1:{port} after N ms\n"
        );
        assert_eq!(untimed(&finished.stdout), expected);
        finished.expect(0, &finished.stdout, "");
    }

    #[test]
    fn nobody_answers() {
        let (_full, _first, port) = full(0);
        let arguments = ["127.0.0.3", "--port", &port, "--timeout-ms", "50"];
        let finished = Program::run(PROGRAM, &arguments).finish();
        let expected = format!(
            "at N ms  try 127.0.0.3:{port}\n\
             at N ms  connect 127.0.0.3:{port}: no answer in time; \
             is the host up, or does a firewall drop the packets?\n"
        );
        assert_eq!(untimed(&finished.stdout), expected);
        finished.expect(
            1,
            &finished.stdout,
            "connect 127.0.0.3: its only address did not connect; \
             is the server running, and is it listening on one of them?\n",
        );
    }

    #[test]
    fn signal_while_it_waits() {
        for signal in [SIGINT, SIGTERM] {
            let (_full, _first, port) = full(0);
            let mut command = testkit::command(PROGRAM, &["127.0.0.3", "--port", &port]);
            let mut program = Program::start(&mut command);
            program.line();
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }
}
