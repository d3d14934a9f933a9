//! `load` against servers that echo, that do not, and that go away.

use std::io::{Read, Write};
use std::net::TcpListener;
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
    let mut command = Command::new(PROGRAM);
    command
        .args(["--port", port, "--seconds", "0.1", "--warm-up-ms", "20"])
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
