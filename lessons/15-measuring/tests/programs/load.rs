//! `load` against servers that echo, that do not, and that go away.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;

use testkit::{Finished, Program};

const PROGRAM: &str = env!("CARGO_BIN_EXE_load");
const SERVER: &str = env!("CARGO_BIN_EXE_tcp-server-fast");

fn server() -> (Program, String) {
    let mut server = Program::start(Command::new(SERVER).args(["--port", "0"]));
    let port = server.port().to_string();
    (server, port)
}

fn run(port: &str, arguments: &[&str]) -> Finished {
    run_for("0.1", port, arguments)
}

fn run_for(seconds: &str, port: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(PROGRAM);
    command
        .args(["--port", port, "--seconds", seconds, "--warm-up-ms", "20"])
        .args(arguments);
    Program::start(&mut command).finish()
}

fn field(finished: &Finished, name: &str) -> f64 {
    let rest = finished.stdout.split_once(&format!("\"{name}\": "));
    let number = rest.and_then(|(_, rest)| rest.split([',', '}']).next());
    number.and_then(|number| number.parse().ok()).expect("a number of that name")
}

#[test]
fn every_kind_of_load_is_answered() {
    let (_server, port) = server();
    for arguments in [
        &["--connections", "1"][..],
        &["--connections", "20"],
        &["--connections", "3", "--bytes", "300000"],
        &["--connections", "1", "--bytes", "300000"],
        &["--connections", "5", "--churn"],
        &["--connections", "5", "--rate", "500"],
        &["--connections", "1", "--rate", "50"],
    ] {
        let finished = run(&port, &[arguments, &["--json"]].concat());
        assert_eq!(finished.status.code(), Some(0), "{arguments:?}: {finished:?}");
        // On a busy machine a window of a tenth of a second may have no answer in it.
        assert!(field(&finished, "answered_in_all") > 0.0, "{arguments:?}: {finished:?}");
        assert_eq!(field(&finished, "unanswered"), 0.0, "{arguments:?}: {finished:?}");
    }
}

/// 16 MiB fit into no buffer of the kernel: the answer has to be received while the request
/// is still being sent.
#[test]
fn request_of_one_connection_is_longer_than_all_buffers() {
    let (_server, port) = server();
    let finished = run(&port, &["--connections", "1", "--bytes", "16777216", "--json"]);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

#[test]
fn figures_are_for_a_person_too() {
    let (_server, port) = server();
    let finished = run(&port, &[]);
    assert!(finished.stdout.contains(" requests a second: "), "{finished:?}");
    assert!(finished.stdout.contains("all compared"), "{finished:?}");
    assert!(finished.stdout.contains("this program was "), "{finished:?}");
    finished.expect(0, &finished.stdout, "");
}

/// A rate is kept, whatever the server does: there are as many requests as times for
/// them.
#[test]
fn open_loop_asks_as_often_as_it_was_told() {
    let (_server, port) = server();
    let finished = run(&port, &["--rate", "1000", "--json"]);
    let answered = field(&finished, "answered");
    assert!((95.0..=105.0).contains(&answered), "{finished:?}");
}

#[test]
fn a_byte_that_is_another_is_found() {
    let (listener, port) = testkit::listen();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("accept");
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            buffer[length / 2] ^= 1;
            if client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    });
    let finished = run(&port.to_string(), &["--connections", "1"]);
    let message = format!("recv 127.0.0.1:{port}: not what was sent; is it an echo?\n");
    finished.expect(1, "", &message);
}

#[test]
fn a_server_that_closes_is_named() {
    let (listener, port) = testkit::listen();
    thread::spawn(move || close_all(&listener));
    for connections in ["1", "4"] {
        let finished = run(&port.to_string(), &["--connections", connections]);
        assert_eq!(finished.status.code(), Some(1), "{finished:?}");
        assert!(finished.stderr.contains(&format!("127.0.0.1:{port}: ")), "{finished:?}");
    }
}

fn close_all(listener: &TcpListener) {
    for client in listener.incoming() {
        drop(client);
    }
}

#[test]
fn nobody_listens() {
    let (_held, port) = testkit::closed_port();
    let finished = run(&port.to_string(), &[]);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("ECONNREFUSED"), "{finished:?}");
}

/// A TCP server that does this with each of its clients, in a thread of its own.
fn tcp(serve: fn(TcpStream)) -> u16 {
    let (listener, port) = testkit::listen();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("accept");
            thread::spawn(move || serve(client));
        }
    });
    port
}

/// A UDP server that does this with each datagram.
fn udp(serve: fn(&UdpSocket, &[u8], std::net::SocketAddr)) -> u16 {
    let (socket, port) = testkit::datagram_socket();
    socket.set_read_timeout(None).expect("SO_RCVTIMEO");
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            serve(&socket, &buffer[..length], client);
        }
    });
    port
}

fn send(socket: &UdpSocket, bytes: &[u8], client: std::net::SocketAddr) {
    // The client may be gone.
    let _ = socket.send_to(bytes, client);
}

/// Echoes 64 bytes a few times, then does this with what came.
fn echo_and(mut client: TcpStream, last: fn(&mut TcpStream, &[u8])) {
    let mut buffer = [0; 64];
    for _ in 0..3 {
        if client.read_exact(&mut buffer).and(client.write_all(&buffer)).is_err() {
            return;
        }
    }
    if client.read_exact(&mut buffer).is_ok() {
        last(&mut client, &buffer);
        // It stays open until the client leaves.
        let _ = client.read_to_end(&mut Vec::new());
    }
}

/// Each is one line, and ends soon, with one connection and with several, as fast as it can
/// and at a rate.
#[test]
fn a_wrong_server_is_told_in_one_line() {
    let (held, _) = testkit::datagram_socket();
    // It receives from itself alone, so nobody is there for others.
    held.connect(held.local_addr().expect("local address")).expect("connect");
    let held = held.local_addr().expect("local address").port();
    let (_silent, silent) = testkit::datagram_socket();
    let (_full, full) = testkit::listen();
    let (no_answer, wrong) = (
        "no answer to any request; is it an echo server?",
        "not what was sent; is it an echo?",
    );
    let refused = "connection refused (ECONNREFUSED); nobody receives there; \
                   start the server first";
    let cases: &[(&str, u16, bool, &str)] = &[
        ("nobody is there", held, true, refused),
        ("silent", silent, true, no_answer),
        (
            "other bytes",
            udp(|it, came, from| {
                send(it, &came.iter().map(|it| it ^ 1).collect::<Vec<_>>(), from)
            }),
            true,
            wrong,
        ),
        ("too short", udp(|it, came, from| send(it, &came[1..], from)), true, wrong),
        (
            "too long",
            udp(|it, came, from| send(it, &[came, b"x"].concat(), from)),
            true,
            wrong,
        ),
        (
            "twice",
            udp(|it, came, from| (0..2).for_each(|_| send(it, came, from))),
            true,
            wrong,
        ),
        (
            "from another address",
            udp(|_, came, from| send(&testkit::datagram_socket().0, came, from)),
            true,
            no_answer,
        ),
        ("accepts nobody", full, false, no_answer),
        (
            "more than was asked",
            tcp(|client| {
                echo_and(client, |client, came| {
                    let _ = client.write_all(&[came, b"more"].concat());
                });
            }),
            false,
            wrong,
        ),
        (
            "ends in the middle",
            tcp(|client| {
                echo_and(client, |client, came| {
                    let _ = client.write_all(&came[..10]);
                    let _ = client.shutdown(std::net::Shutdown::Write);
                });
            }),
            false,
            "end of stream; is it an echo server? has it ended?",
        ),
    ];
    thread::scope(|scope| {
        for (case, port, udp, expected) in cases {
            scope.spawn(move || {
                for arguments in [
                    &["--connections", "5"][..],
                    &["--connections", "5", "--rate", "2000"],
                ] {
                    let udp: &[&str] = if *udp { &["--udp"] } else { &[] };
                    // It ends as soon as it sees what is wrong, if it sees anything.
                    let seen = *expected == wrong || expected.starts_with("end");
                    let seconds = if seen { "20" } else { "0.1" };
                    let words = [arguments, udp].concat();
                    let finished = run_for(seconds, &port.to_string(), &words);
                    let line = format!("recv 127.0.0.1:{port}: {expected}\n");
                    let came = (finished.status.code(), finished.stderr.as_str());
                    assert_eq!(came, (Some(1), line.as_str()), "{case}: {arguments:?}");
                    assert_eq!(finished.stdout, "", "{case}: {arguments:?}");
                }
            });
        }
    });
}

#[test]
fn no_descriptor_is_left() {
    let (_server, port) = server();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 20; exec \"$0\" --port \"$1\"", PROGRAM, &port]);
    let message = "socket IPv4: too many open files (EMFILE); see ulimit -n\n";
    Program::start(&mut shell).finish().expect(1, "", message);
}

/// No server answers ten million requests a second. It ends two seconds after its time, and
/// says how many have had no answer, whether they were sent or not.
#[test]
fn rate_is_out_of_reach() {
    let (_server, port) = server();
    let finished = run_for("0.5", &port, &["--rate", "10000000", "--json"]);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let all = field(&finished, "answered_in_all") + field(&finished, "unanswered");
    assert!(field(&finished, "unanswered") > 0.0, "{finished:?}");
    // Half a second, and 20 ms to warm up.
    assert!((1_000_000.0..=5_200_000.0).contains(&all), "{finished:?}");
}

/// Every tenth datagram is lost, and the one after it comes late, behind its successor. At
/// a rate, several are under way: the others are not to blame.
#[test]
fn datagrams_are_lost_and_late() {
    let (socket, port) = testkit::datagram_socket();
    socket.set_read_timeout(None).expect("SO_RCVTIMEO");
    thread::spawn(move || {
        let (mut buffer, mut late) = ([0; 65536], None);
        for number in 0_u64.. {
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { return };
            match number % 10 {
                0 => {}
                1 => late = Some(buffer[..length].to_vec()),
                _ => {
                    send(&socket, &buffer[..length], client);
                    if let Some(late) = late.take() {
                        send(&socket, &late, client);
                    }
                }
            }
        }
    });
    let arguments = ["--udp", "--connections", "1", "--rate", "2000", "--json"];
    let finished = run(&port.to_string(), &arguments);
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert!(field(&finished, "lost") > 0.0, "{finished:?}");
    assert!(field(&finished, "answered_in_all") > 0.0, "{finished:?}");
}

#[test]
fn connections_are_held_until_the_input_ends() {
    let (_server, port) = server();
    let mut command = Command::new(PROGRAM);
    command.args(["--port", &port, "--hold", "--connections", "30"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start load");
    let mut line = [0; 23];
    let stdout = child.stdout.as_mut().expect("stdout");
    stdout.read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"Holding 30 connections\n");
    assert!(child.try_wait().expect("wait").is_none(), "it has ended already");
    drop(child.stdin.take());
    assert!(
        testkit::within("the end of load", move || child.wait()).expect("wait").success()
    );
}

#[test]
fn command_line_is_wrong() {
    for arguments in [
        &["--connections", "0"][..],
        &["--connections", "65536"],
        &["--connections", "-1"],
        &["--rate", "nan"],
        &["--rate", "10000001"],
        &["--seconds", "inf"],
        &["--bytes", "16777217"],
        &["--bytes", "0"],
        &["--rate", "-1"],
        &["--rate", "1e-320"],
        &["--seconds", "0"],
        &["--churn", "--udp"],
    ] {
        let mut command = Command::new(PROGRAM);
        let finished = Program::start(command.args(arguments)).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
    }
}

#[test]
fn help() {
    let finished = Program::start(Command::new(PROGRAM).arg("--help")).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn word_is_not_for_a_terminal() {
    testkit::standard::word_is_not_for_a_terminal(PROGRAM);
}
