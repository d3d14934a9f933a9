//! Runs the client and plays its server.

use std::io::Write;

use testkit::Program;

testkit::standard_cases! {
    "tcp-client-addresses":
    command_line_is_wrong(&["--local-port 65536", "--local-port ''", "--port x"]),
    nobody_listens("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Server(b".")),
    client_is_paused("--port PORT", b".", b""),
}

#[test]
fn server_closes() {
    let (listener, port) = testkit::listen();
    let program = Program::run(PROGRAM, &["--port", &port.to_string()]);
    let (mut connection, peer) = testkit::accept(&listener);
    connection.write_all(b".").expect("send");
    drop(connection);
    let own = peer.port();
    program.finish().expect(
        0,
        &format!(
            "client        local ('127.0.0.1', {own}), peer ('127.0.0.1', {port})\n"
        ),
        "",
    );
}

#[test]
fn server_sends_before_it_closes() {
    let (listener, port) = testkit::listen();
    let mut program = Program::run(PROGRAM, &["--port", &port.to_string()]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(&[b'x'; 100_000]).expect("send");
    program.line();
    drop(connection);
    assert!(program.finish().status.success());
}

#[test]
fn server_resets() {
    let (listener, port) = testkit::listen();
    let mut program = Program::run(PROGRAM, &["--port", &port.to_string()]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.write_all(b".").expect("send");
    let line = program.line();
    testkit::reset(connection);
    program.finish().expect(
        1,
        &format!("{line}\n"),
        &format!(
            "recv 127.0.0.1:{port}: connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    );
}

#[test]
fn server_closes_without_a_byte() {
    let (listener, port) = testkit::listen();
    let program = Program::run(PROGRAM, &["--port", &port.to_string()]);
    drop(testkit::accept(&listener));
    program.finish().expect(
        1,
        "",
        &format!(
            "recv 127.0.0.1:{port}: end of stream; \
             the server closed before it had accepted this client\n"
        ),
    );
}

/// A port that was free a moment ago, because this had it.
fn free_port() -> String {
    testkit::listen().1.to_string()
}

#[test]
fn client_chooses_its_port() {
    let (listener, port) = testkit::listen();
    let port = port.to_string();
    let served = std::thread::spawn(move || testkit::accept(&listener).1.port());
    // Before the client binds it, another test may take the port, or a child that a test
    // is starting may hold a copy of the socket that had it.
    let taken = |own: &String| {
        let arguments = ["--port", &port, "--local-port", own];
        let finished = Program::run(PROGRAM, &arguments).finish();
        finished.stderr.contains("EADDRINUSE")
    };
    let own = (0..10).map(|_| free_port()).find(|own| !taken(own)).expect("a free port");
    assert_eq!(served.join().expect("the server").to_string(), own);
}

#[test]
fn chosen_port_is_in_use() {
    let (_listener, port) = testkit::listen();
    let port = port.to_string();
    let program = Program::run(PROGRAM, &["--port", "1", "--local-port", &port]);
    program.finish().expect(
        1,
        "",
        &format!(
            "bind 0.0.0.0:{port}: address already in use (EADDRINUSE); \
             is another server running? try --port 0\n"
        ),
    );
}

#[cfg(unix)]
mod unix {
    use testkit::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn signal_while_it_stays() {
        for signal in [SIGINT, SIGTERM] {
            let (listener, port) = testkit::listen();
            let mut program = Program::run(PROGRAM, &["--port", &port.to_string()]);
            let (mut connection, _) = testkit::accept(&listener);
            connection.write_all(b".").expect("send");
            program.line();
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }
}
