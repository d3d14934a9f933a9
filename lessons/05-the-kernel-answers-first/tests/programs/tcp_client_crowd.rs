//! Runs the crowd against listeners with a backlog of the test's choice.

testkit::standard_cases! {
    "tcp-client-crowd":
    command_line_is_wrong(&[
        "--clients 0",
        "--timeout-ms 0",
        "--timeout-ms 3600001",
        "--timeout-ms 1.5",
        "--port 65536",
    ]),
    nobody_listens("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port PORT", Peer::Listener),
}

/// Linux takes one more than the backlog, and leaves the rest without an answer.
#[cfg(target_os = "linux")]
#[test]
fn backlog_takes_one_more() {
    use std::net::{Ipv4Addr, SocketAddr};

    use socket2::{Domain, Socket, Type};

    for backlog in [0, 1, 2, 128] {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any.into()).expect("bind");
        listener.listen(backlog).expect("listen");
        let address = listener.local_addr().expect("local address");
        let port = address.as_socket().expect("an address").port().to_string();

        let clients = (backlog + 2).to_string();
        let arguments = ["--port", &port, "--clients", &clients, "--timeout-ms", "100"];
        let finished = testkit::Program::run(PROGRAM, &arguments).finish();
        let connected = finished.stdout.matches("  connected from ('127.0.0.1', ");
        assert_eq!(connected.count(), usize::try_from(backlog + 1).expect("a count"));
        let end = format!(
            "client {clients}  no answer within 100 ms\n{} of {clients} are connected\n",
            backlog + 1
        );
        assert!(finished.stdout.ends_with(&end), "{finished:?}");
        finished.expect(0, &finished.stdout, "");
    }
}

#[cfg(unix)]
mod unix {
    use super::*;

    #[test]
    fn too_many_files_are_open() {
        let (_listener, port) = testkit::listen();
        let mut command = std::process::Command::new("sh");
        let script = format!("ulimit -n 10; exec '{PROGRAM}' --clients 20 --port {port}");
        let finished = testkit::Program::start(command.args(["-c", &script])).finish();
        assert_eq!(
            finished.stderr,
            "socket TCP over IPv4: too many open files (EMFILE); see ulimit -n\n"
        );
        assert_eq!(finished.status.code(), Some(1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signal_while_it_waits_for_an_answer() {
        use testkit::{SIGINT, SIGTERM};

        for signal in [SIGINT, SIGTERM] {
            let (_listener, port) = testkit::listen();
            let port = port.to_string();
            let arguments =
                ["--port", &port, "--clients", "130", "--timeout-ms", "60000"];
            let mut program = testkit::Program::run(PROGRAM, &arguments);
            for _ in 0..129 {
                assert!(program.line().contains("  connected from "));
            }
            program.signal(signal);
            program.finish().expect_end_by(signal);
        }
    }

    /// As Ctrl-Z and `fg` do: the time limit keeps running, and no call fails with EINTR.
    #[cfg(target_os = "linux")]
    #[test]
    fn crowd_is_paused_while_it_waits() {
        let (_listener, port) = testkit::listen();
        let port = port.to_string();
        let arguments = ["--port", &port, "--clients", "130", "--timeout-ms", "500"];
        let mut program = testkit::Program::run(PROGRAM, &arguments);
        for _ in 0..129 {
            program.line();
        }
        // If the machine stands still for half a second, it has ended already.
        if program.pause() {
            program.signal(testkit::SIGCONT);
        }
        let finished = program.finish();
        assert!(finished.stdout.ends_with("\n129 of 130 are connected\n"));
        finished.expect(0, &finished.stdout, "");
    }
}
