//! While events follow each other closely, the server looks for the next before it sleeps.
//! Newcomers are heard all the same, and so are signals and what does not fit; and with nothing
//! to do it sleeps.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use testkit::Program;

fn server() -> (Program, u16) {
    let program = env!("CARGO_BIN_EXE_tcp-server-fast");
    let mut server = Program::start(Command::new(program).args(["--port", "0"]));
    let port = server.port();
    (server, port)
}

fn exchange(client: &mut TcpStream, words: &[u8]) {
    client.write_all(words).expect("send");
    let mut came = vec![0; words.len()];
    client.read_exact(&mut came).expect("receive");
    assert!(came == words, "what came back is not what was sent");
}

/// A client that talks without a pause.
fn talker(port: u16) -> TcpStream {
    let mut client = testkit::connect(port);
    (0..200_u8).for_each(|byte| exchange(&mut client, &[byte]));
    client
}

#[test]
fn newcomer_is_served_beside_one_that_fell_silent() {
    let (_server, port) = server();
    let mut first = talker(port);
    let mut second = testkit::connect(port);
    exchange(&mut second, b"hello");
    exchange(&mut first, b"still here");
}

#[test]
fn newcomers_are_served_beside_one_that_talks_without_end() {
    let (_server, port) = server();
    let mut first = talker(port);
    let newcomers = thread::spawn(move || {
        (0..5).for_each(|_| exchange(&mut testkit::connect(port), b"hello"));
    });
    while !newcomers.is_finished() {
        exchange(&mut first, b"and so on");
    }
    newcomers.join().expect("the newcomers are served");
}

#[test]
fn signal_is_heard() {
    let (mut server, port) = server();
    let mut first = talker(port);
    server.signal(testkit::SIGTERM);
    assert!(server.line().starts_with("Closing"), "no farewell");
    exchange(&mut first, b"last words");
    first.shutdown(Shutdown::Write).expect("half-close");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).expect("receive");
    assert_eq!(rest, b"");
    assert_eq!(server.finish().status.code(), Some(0));
}

#[test]
fn what_does_not_fit_is_kept() {
    let (_server, port) = server();
    let mut first = talker(port);
    let long: Vec<u8> = (0..8_000_000_u32).map(|at| (at >> 7).to_le_bytes()[0]).collect();
    thread::scope(|scope| {
        // It reads nothing while it can still send: everything in between fills up.
        let mut sender = first.try_clone().expect("dup");
        let long = &long;
        scope.spawn(move || {
            sender.write_all(long).expect("send");
            sender.shutdown(Shutdown::Write).expect("half-close");
        });
        let mut came = Vec::new();
        first.read_to_end(&mut came).expect("receive");
        assert!(came == *long, "{} bytes of {}", came.len(), long.len());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn quiet_server_sleeps() {
    let (server, port) = server();
    let _silent_now = talker(port);
    // Asleep each time we look (`S`, proc(5)), for much longer than it may look for an event.
    let file = format!("/proc/{}/stat", server.id());
    let mut since = Instant::now();
    testkit::until("it sleeps", || {
        let now = std::fs::read_to_string(&file).expect("read /proc");
        if !now.contains(") S ") {
            since = Instant::now();
        }
        since.elapsed() > Duration::from_millis(100)
    });
}
