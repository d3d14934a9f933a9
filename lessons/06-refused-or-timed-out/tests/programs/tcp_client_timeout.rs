//! Runs the client against listeners that answer, refuse, or are full.

use testkit::{Finished, Program};

testkit::standard_cases! {
    "tcp-client-timeout":
    command_line_is_wrong(&[
        "--host localhost",
        "--host 127.0.0.1.1",
        "--host [::1]",
        "--port 65536",
        "--timeout-ms 0",
        "--timeout-ms 3600001",
    ]),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Listener),
}

/// Asserts everything but the duration, which is at the end of the line, before `ms`.
#[track_caller]
fn expect(finished: &Finished, code: i32, stdout: &str, stderr: &str) {
    let (words, duration) = finished.stdout.rsplit_once(" after ").expect("a duration");
    assert_eq!(words, stdout, "{finished:?}");
    let number = duration.strip_suffix(" ms\n").and_then(|text| text.parse().ok());
    let milliseconds: f64 = number.expect("milliseconds");
    assert!((0.0..60_000.0).contains(&milliseconds), "{finished:?}");
    finished.expect(code, &finished.stdout, stderr);
}

#[test]
fn somebody_listens() {
    let (_listener, port) = testkit::listen();
    let finished = Program::run(PROGRAM, &["--port", &port.to_string()]).finish();
    expect(&finished, 0, "connected", "");
}

#[test]
fn nobody_listens() {
    let (_held, port) = testkit::closed_port();
    let finished = Program::run(PROGRAM, &["--port", &port.to_string()]).finish();
    let stderr = format!(
        "connect 127.0.0.1:{port}: connection refused (ECONNREFUSED); \
         nobody listens there; start the server first\n"
    );
    expect(&finished, 1, "refused", &stderr);
}

#[test]
fn somebody_listens_over_ipv6() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        return testkit::skip("somebody_listens_over_ipv6", "no IPv6 on loopback");
    };
    let port = listener.local_addr().expect("local address").port().to_string();
    let arguments = ["--host", "::1", "--port", &port];
    let finished = Program::run(PROGRAM, &arguments).finish();
    expect(&finished, 0, "connected", "");
}

#[cfg(target_os = "linux")]
mod full {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::os::unix::process::ExitStatusExt;

    use socket2::{Domain, Socket, Type};
    use testkit::{SIGCONT, SIGINT};

    use super::*;

    /// A listener with a full queue, the connection in the queue, and the port.
    fn full() -> (Socket, std::net::TcpStream, String) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("bind");
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("local address");
        let port = address.as_socket().expect("an address").port();
        (listener, testkit::connect(port), port.to_string())
    }

    fn timed_out(port: &str) -> String {
        format!(
            "connect 127.0.0.1:{port}: no answer in time; \
             is the host up, or does a firewall drop the packets?\n"
        )
    }

    #[test]
    fn nobody_answers() {
        let (_listener, _first, port) = full();
        let arguments = ["--port", &port, "--timeout-ms", "50"];
        let finished = Program::run(PROGRAM, &arguments).finish();
        expect(&finished, 1, "gave up", &timed_out(&port));
    }

    #[test]
    fn client_is_paused_while_it_waits() {
        let (_listener, _first, port) = full();
        let arguments = ["--port", &port, "--timeout-ms", "500"];
        let program = Program::run(PROGRAM, &arguments);
        // If the machine stands still for half a second, it has ended already.
        if program.pause() {
            program.signal(SIGCONT);
        }
        expect(&program.finish(), 1, "gave up", &timed_out(&port));
    }

    #[test]
    fn signal_while_it_waits() {
        let (_listener, _first, port) = full();
        let program = Program::run(PROGRAM, &["--port", &port]);
        program.wait_for_state('S');
        program.signal(SIGINT);
        let finished = program.finish();
        assert_eq!(finished.status.signal(), Some(SIGINT), "{finished:?}");
        assert_eq!(finished.stderr, "");
    }
}
