//! Runs the server, plays its clients, and rings.

use std::io::Write;

use testkit::Program;

testkit::standard_cases! {
    "tcp-server-late":
    command_line_is_wrong(&[
        "--backlog -1",
        "--backlog 2147483648",
        "--clients -1",
        "--bell-port 65536",
    ]),
    port_is_already_in_use("--port PORT --bell-port 0"),
    stdout_is_a_pipe_that_nobody_reads("--port 0 --bell-port 0", Peer::Nobody),
}

/// Starts a server and returns it once it listens, with its port and its bell's.
fn start(arguments: &[&str]) -> (Program, u16, u16) {
    let free = ["--port", "0", "--bell-port", "0"];
    let mut program = Program::run(PROGRAM, &[&free, arguments].concat());
    let mut number = |before: &str, after: &str| {
        let line = program.line();
        let rest = line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        rest.and_then(|port| port.parse().ok()).expect("a port")
    };
    let port = number("Server is listening on port ", ", and accepts nobody");
    let bell = number("until somebody rings at port ", "");
    (program, port, bell)
}

fn told(port: u16, bell: u16, rest: &str) -> String {
    format!(
        "Server is listening on port {port}, and accepts nobody\n\
         until somebody rings at port {bell}\nSomebody has rung\n{rest}"
    )
}

#[test]
fn client_is_gone_before_accept() {
    let (program, port, bell) = start(&[]);
    let mut client = testkit::connect(port);
    client.write_all(b"Hello \x1b").expect("send");
    let own = client.local_addr().expect("local address").port();
    drop(client);
    let _ring = testkit::connect(bell);
    let rest = format!(
        "accept   ('127.0.0.1', {own})\n\
         recv     7 bytes: Hello \\x1b\n\
         recv     0 bytes: end of stream\n"
    );
    program.finish().expect(0, &told(port, bell, &rest), "");
}

#[test]
fn clients_are_accepted_in_the_order_in_which_they_came() {
    let (program, port, bell) = start(&["--clients", "3"]);
    let clients = [(); 3].map(|()| testkit::connect(port));
    let ports = clients.map(|client| client.local_addr().expect("local address").port());
    let _ring = testkit::connect(bell);
    let rest = ports.map(|own| {
        format!("accept   ('127.0.0.1', {own})\nrecv     0 bytes: end of stream\n")
    });
    program.finish().expect(0, &told(port, bell, &rest.concat()), "");
}

/// Linux returns the connection all the same, with the address of its peer.
#[cfg(target_os = "linux")]
#[test]
fn client_resets_before_accept() {
    let (program, port, bell) = start(&["--clients", "2"]);
    let first = testkit::connect(port);
    let first_port = first.local_addr().expect("local address").port();
    testkit::reset(first);
    let second = testkit::connect(port);
    let second_port = second.local_addr().expect("local address").port();
    drop(second);
    let _ring = testkit::connect(bell);
    let rest = format!(
        "accept   ('127.0.0.1', {first_port})\n\
         accept   ('127.0.0.1', {second_port})\n\
         recv     0 bytes: end of stream\n"
    );
    program.finish().expect(
        0,
        &told(port, bell, &rest),
        &format!(
            "recv 127.0.0.1:{first_port}: connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    );
}

#[test]
fn nobody_is_accepted() {
    let (program, port, bell) = start(&["--clients", "0"]);
    let mut client = testkit::connect(port);
    client.write_all(b"Hello").expect("send");
    let _ring = testkit::connect(bell);
    program.finish().expect(0, &told(port, bell, ""), "");
    let error = std::io::Read::read(&mut client, &mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn ports_are_already_in_use() {
    let (_listener, port) = testkit::listen();
    let port = port.to_string();
    for arguments in
        [["--port", &port, "--bell-port", "0"], ["--port", "0", "--bell-port", &port]]
    {
        Program::run(PROGRAM, &arguments).finish().expect(
            1,
            "",
            &format!(
                "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
                 is another server running? try --port 0\n"
            ),
        );
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::process::ExitStatusExt;

    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_before_the_bell_and_after() {
        for signal in [SIGINT, SIGTERM] {
            let (program, port, _) = start(&[]);
            let _client = testkit::connect(port);
            program.signal(signal);
            let finished = program.finish();
            assert_eq!(finished.status.signal(), Some(signal), "{finished:?}");

            let (mut program, port, bell) = start(&[]);
            let _client = testkit::connect(port);
            let _ring = testkit::connect(bell);
            assert!(program.line().starts_with("Somebody has rung"));
            assert!(program.line().starts_with("accept "));
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }
}
