//! The server that ends well, against clients that finish, that are slow, and that never
//! do.

#[cfg(unix)]
use testkit::Program;

testkit::standard_cases! {
    "tcp-server-drain":
    command_line_is_wrong(&["--drain-ms -1", "--drain-ms 4294967296"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
}

#[cfg(unix)]
mod unix {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::process::ExitStatusExt;

    use testkit::{SIGINT, SIGTERM};

    use super::*;

    /// Starts a server on a free port, and returns it with the port.
    fn start(arguments: &[&str]) -> (Program, u16) {
        let mut program = Program::run(PROGRAM, &[&["--port", "0"], arguments].concat());
        let port = program.port();
        (program, port)
    }

    /// A client of which the server has received half a message.
    fn client(program: &mut Program, port: u16) -> TcpStream {
        let mut client = testkit::connect(port);
        client.write_all(b"half a mess").expect("send");
        let mut answer = [0; 13];
        client.read_exact(&mut answer).expect("receive");
        assert_eq!(&answer, b"Got 11 bytes\n");
        let address = client.local_addr().expect("local address");
        assert_eq!(program.line(), format!("{address} says: half a mess"));
        client
    }

    #[test]
    fn nobody_is_there() {
        for (signal, host) in [(SIGINT, "127.0.0.1"), (SIGTERM, "0.0.0.0")] {
            let (program, port) = start(&["--host", host]);
            program.signal(signal);
            let expected = format!(
                "Server is listening on port {port}...\n\
                 Closing: no new clients, 0 to finish\nAll have finished\n"
            );
            program.finish().expect(0, &expected, "");
        }
    }

    #[test]
    fn clients_finish_after_the_goodbye() {
        let (mut program, port) = start(&["--drain-ms", "4294967295"]);
        let mut clients = [client(&mut program, port), client(&mut program, port)];
        program.signal(SIGINT);
        assert_eq!(program.line(), "Closing: no new clients, 2 to finish");
        for client in &mut clients {
            // The goodbye; what is sent after it is still received.
            assert_eq!(client.read(&mut [0]).expect("receive"), 0);
            client.write_all(b"age, whole").expect("send");
            let address = client.local_addr().expect("local address");
            assert_eq!(program.line(), format!("{address} says: age, whole"));
        }
        // New clients are refused meanwhile.
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        drop(clients);
        let finished = program.finish();
        assert!(finished.stdout.ends_with("All have finished\n"), "{finished:?}");
        finished.expect(0, &finished.stdout, "");
    }

    /// They are in the accept queue when the signal comes: their connect has succeeded.
    #[cfg(target_os = "linux")]
    #[test]
    fn clients_wait_in_the_queue_when_the_signal_comes() {
        let (mut program, port) = start(&["--drain-ms", "4294967295"]);
        program.wait_for_state('S');
        program.signal(testkit::SIGSTOP);
        program.wait_for_state('T');
        let clients: Vec<_> = (0..20).map(|_| testkit::connect(port)).collect();
        program.signal(SIGTERM);
        program.signal(testkit::SIGCONT);
        for mut client in clients {
            client.write_all(b"Hello").expect("send");
            client.shutdown(std::net::Shutdown::Write).expect("half-close");
            let mut rest = String::new();
            client.read_to_string(&mut rest).expect("no reset");
        }
        while program.line() != "All have finished" {}
        let finished = program.finish();
        assert_eq!(finished.stdout.matches(" says: Hello").count(), 20, "{finished:?}");
        finished.expect(0, &finished.stdout, "");
    }

    /// A server on a free port that may have 14 files open.
    #[cfg(target_os = "linux")]
    fn start_with_few_files() -> (Program, u16) {
        let mut command = std::process::Command::new("sh");
        let server = env!("CARGO_BIN_EXE_tcp-server-drain");
        let script = format!("ulimit -n 14; exec '{server}' --port 0");
        let mut program = Program::start(command.args(["-c", &script]));
        let port = program.port();
        (program, port)
    }

    /// How many of the server's 14 file descriptors are open.
    #[cfg(target_os = "linux")]
    fn files_below_limit(program: &Program) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", program.id()));
        let numbers = files.expect("/proc/PID/fd").filter_map(|file| {
            file.expect("entry").file_name().to_str()?.parse::<u32>().ok()
        });
        numbers.filter(|&number| number < 14).count()
    }

    /// accept(2) takes a file descriptor before it sleeps, here the last. The socket that
    /// wakes it was made before.
    #[cfg(target_os = "linux")]
    #[test]
    fn signal_comes_when_no_file_descriptor_is_left() {
        let (mut program, port) = start_with_few_files();
        let mut clients = Vec::new();
        while files_below_limit(&program) < 13 {
            clients.push(client(&mut program, port));
        }
        program.signal(SIGTERM);
        assert!(program.line().starts_with("Closing: no new clients, "));
        drop(clients);
        let finished = program.finish();
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    }

    /// Clients that are too many are turned away, with one line each and no loop that
    /// fails again and again. Those that are already there are served, and when one
    /// leaves, there is room for another.
    #[cfg(target_os = "linux")]
    #[test]
    fn more_clients_come_than_files_may_be_open() {
        let (mut program, port) = start_with_few_files();
        let mut served = vec![client(&mut program, port)];
        let mut turned_away = Vec::new();
        while turned_away.len() < 3 {
            let mut another = testkit::connect(port);
            another.write_all(b"half a mess").expect("send");
            let address = another.local_addr().expect("local address");
            // The server's answer, or the end of the stream, or a reset because it has
            // not read what we sent.
            match another.read(&mut [0; 13]) {
                Ok(13) => {
                    assert_eq!(program.line(), format!("{address} says: half a mess"));
                    assert_eq!(turned_away, [], "who comes later is served");
                    served.push(another);
                }
                _ => turned_away.push(address),
            }
        }
        for client in &mut served {
            client.write_all(b"age, whole").expect("send");
            client.read_exact(&mut [0; 13]).expect("the server's answer");
            assert!(program.line().ends_with(" says: age, whole"));
        }
        // It closes the socket of the last one that it turned away, and then gives up the
        // descriptor that it has in reserve: accept has taken the one that is left.
        let full = 13;
        testkit::until("the server waits with all descriptors in use", || {
            files_below_limit(&program) == full
        });
        drop(served.pop());
        assert!(program.line().ends_with(" has finished"));
        // The line comes first, and then the server closes its socket.
        testkit::until("the server closes the socket of the client that left", || {
            files_below_limit(&program) < full
        });
        served.push(client(&mut program, port));

        program.signal(SIGTERM);
        let closing = format!("Closing: no new clients, {} to finish", served.len());
        assert_eq!(program.line(), closing);
        drop(served);
        let finished = program.finish();
        let line = |address| {
            format!(
                "accept {address}: no file descriptor is left (EMFILE); \
                 this client is turned away\n"
            )
        };
        let lines: String = turned_away.into_iter().map(line).collect();
        assert!(finished.stdout.ends_with("All have finished\n"), "{finished:?}");
        finished.expect(0, &finished.stdout, &lines);
    }

    #[test]
    fn client_that_does_not_finish_is_cut_off() {
        let (mut program, port) = start(&["--drain-ms", "30"]);
        let _client = client(&mut program, port);
        let finished_one = client(&mut program, port);
        drop(finished_one);
        assert!(program.line().ends_with(" has finished"));
        program.signal(SIGTERM);
        let finished = program.finish();
        let message =
            "wait for clients (1 left): not finished within 30 ms; they are cut off\n";
        finished.expect(1, &finished.stdout, message);
    }

    #[test]
    fn second_signal_ends_it_at_once() {
        let (mut program, port) = start(&["--drain-ms", "4294967295"]);
        let _client = client(&mut program, port);
        program.signal(SIGINT);
        assert!(program.line().starts_with("Closing: "));
        program.signal(SIGINT);
        let finished = program.finish();
        assert_eq!(finished.status.signal(), Some(SIGINT), "{finished:?}");
    }

    #[test]
    fn client_that_resets_is_reported_and_the_others_go_on() {
        let (mut program, port) = start(&[]);
        let first = client(&mut program, port);
        let address = first.local_addr().expect("local address");
        testkit::reset(first);
        assert_eq!(
            program.error_line(),
            format!(
                "recv {address}: connection reset by peer (ECONNRESET); \
                 the peer died, or closed before it had read everything"
            )
        );
        drop(client(&mut program, port));
        assert!(program.line().ends_with(" has finished"));
        program.signal(SIGINT);
        let finished = program.finish();
        assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    }

    /// The signal may come at any moment, even just before accept: it is never lost.
    #[test]
    fn signal_at_any_moment() {
        for turn in 0..40 {
            let (program, _) = start(&[]);
            for _ in 0..turn * 50 {
                std::thread::yield_now();
            }
            program.signal([SIGINT, SIGTERM][turn % 2]);
            let finished = program.finish();
            assert_eq!(finished.status.code(), Some(0), "{finished:?}");
        }
    }
}
