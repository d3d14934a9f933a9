//! What every server of the ladder (lessons 12 to 15) must withstand: one list of
//! scenarios, run against each server. `testkit::tcp_rung!` and `testkit::udp_rung!` turn
//! each into a test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Program;

/// How many clients a server serves at a time, by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// One: the second client waits for the first.
    One,
    /// A few; the others wait.
    Few,
    /// As many as there are file descriptors.
    Many,
}

/// Makes a module of tests for a server: `testkit::tcp_rung!(tcp_server_poll,
/// "tcp-server-poll", Serves::Many);`. The calling package must have the program, and
/// insta.
#[macro_export]
macro_rules! tcp_rung {
    ($module:ident, $name:literal, $serves:expr) => {
        mod $module {
            use testkit::ladder::{self, Serves};
            const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $name));
            $crate::tcp_rung!(@tests $serves;
                stream_comes_back
                port_is_already_in_use
                clients_reset
                two_hundred_clients_at_once
            );
            #[cfg(unix)]
            $crate::tcp_rung!(@tests $serves;
                reader_begins_when_everything_is_full
                silent_clients_do_not_stop_the_next
                signal_lets_clients_finish
                signal_comes_while_answers_wait
                signal_has_a_deadline
                second_signal_ends_it_at_once
            );
            #[cfg(target_os = "linux")]
            $crate::tcp_rung!(@tests $serves;
                client_that_never_reads_costs_little_and_stops_nobody
                no_descriptor_is_left
                client_is_gone_before_it_is_accepted
                stopped_and_continued
                signal_comes_behind_clients_in_the_queue
            );
            #[test]
            fn help() {
                let finished = ladder::run(PROGRAM, &["--help"]).finish();
                insta::assert_snapshot!(finished.stdout);
                finished.expect(0, &finished.stdout, "");
            }
            #[test]
            fn word_is_not_for_a_terminal() {
                testkit::standard::word_is_not_for_a_terminal(PROGRAM);
            }
        }
    };
    (@tests $serves:expr; $($scenario:ident)*) => {
        $(#[test]
        fn $scenario() {
            if ladder::allowed(PROGRAM, stringify!($scenario)) {
                ladder::$scenario(PROGRAM, $serves);
            }
        })*
    };
}

/// Like [`tcp_rung!`], for a UDP server: `testkit::udp_rung!(udp_server_mmsg,
/// "udp-server-mmsg");`.
#[macro_export]
macro_rules! udp_rung {
    ($module:ident, $name:literal) => {
        mod $module {
            use testkit::ladder;
            const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $name));
            #[test]
            fn datagrams_come_back() {
                if ladder::allowed(PROGRAM, "datagrams_come_back") {
                    ladder::datagrams_come_back(PROGRAM);
                }
            }
            #[test]
            fn crowd_gets_its_own() {
                if ladder::allowed(PROGRAM, "crowd_gets_its_own") {
                    ladder::crowd_gets_its_own(PROGRAM);
                }
            }
            #[cfg(target_os = "linux")]
            #[test]
            fn crowd_waits_in_the_queue() {
                if ladder::allowed(PROGRAM, "crowd_waits_in_the_queue") {
                    ladder::crowd_waits_in_the_queue(PROGRAM);
                }
            }
            #[test]
            fn reply_finds_nobody() {
                if ladder::allowed(PROGRAM, "reply_finds_nobody") {
                    ladder::reply_finds_nobody(PROGRAM);
                }
            }
            #[test]
            fn help() {
                let finished = ladder::run(PROGRAM, &["--help"]).finish();
                insta::assert_snapshot!(finished.stdout);
                finished.expect(0, &finished.stdout, "");
            }
            #[test]
            fn word_is_not_for_a_terminal() {
                testkit::standard::word_is_not_for_a_terminal(PROGRAM);
            }
        }
    };
}

/// Whether the kernel lets the program have its ring: Docker, for one, forbids
/// io_uring(7). If not, reports the test as skipped. A program that needs no ring is
/// always allowed.
pub fn allowed(program: &str, test: &str) -> bool {
    if !program.contains("io-uring") {
        return true;
    }
    let mut server = run(program, &["--port", "0"]);
    if server.starts() {
        return true;
    }
    let said = server.finish().stderr;
    if !said.starts_with("io_uring_setup") {
        // Something else is wrong with it, and the test will show it.
        return true;
    }
    crate::skip(&format!("{program}: {test}"), said.trim_end());
    false
}

/// Starts the server with these arguments, on a free port.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) -> Program {
    Program::start(Command::new(program).args(arguments))
}

/// Starts it on a free port.
#[track_caller]
fn start(program: &str, arguments: &[&str]) -> (Program, u16) {
    let mut server = run(program, &[&["--port", "0"], arguments].concat());
    let port = server.port();
    (server, port)
}

/// Bytes in which no two pieces look alike for long.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ at >> 8 ^ at >> 15).to_le_bytes()[0]).collect()
}

/// One exchange that leaves the connection open.
#[track_caller]
fn exchange(client: &mut TcpStream, words: &[u8]) {
    client.write_all(words).expect("send");
    expect(client, words);
}

#[track_caller]
fn expect(client: &mut TcpStream, words: &[u8]) {
    let mut came = vec![0; words.len()];
    client.read_exact(&mut came).expect("receive");
    assert!(came == words, "what came back is not what was sent");
}

/// A whole short conversation.
#[track_caller]
fn converse(port: u16, words: &[u8]) {
    let mut client = crate::connect(port);
    client.write_all(words).expect("send");
    finish(client, words);
}

/// Ends the stream and expects `words`, which are still to come, and nothing after them.
#[track_caller]
fn finish(client: TcpStream, words: &[u8]) {
    client.shutdown(Shutdown::Write).expect("half-close");
    expect_all(client, words);
}

/// Expects `words` and then the end of the stream.
#[track_caller]
fn expect_all(mut client: TcpStream, words: &[u8]) {
    let mut came = Vec::new();
    client.read_to_end(&mut came).expect("receive");
    assert!(came == words, "{} bytes of {}", came.len(), words.len());
}

/// No bytes, one byte, many bytes; one client after another.
pub fn stream_comes_back(program: &str, _: Serves) {
    let (_server, port) = start(program, &[]);
    for length in [0, 1, 100_000, 3] {
        converse(port, &pattern(length));
    }
    let mut client = crate::connect(port);
    for byte in pattern(50) {
        exchange(&mut client, &[byte]);
    }
}

/// The message is the same for every program of the course.
pub fn port_is_already_in_use(program: &str, _: Serves) {
    let (_listener, port) = crate::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    run(program, &["--port", &port.to_string()]).finish().expect(1, "", &message);
}

/// Clients reset before a byte, after one, and with bytes on the way in both directions.
pub fn clients_reset(program: &str, _: Serves) {
    let (_server, port) = start(program, &[]);
    for length in [0, 1, 100_000] {
        let mut client = crate::connect(port);
        client.write_all(&pattern(length)).expect("send");
        crate::reset(client);
        let mut client = crate::connect(port);
        exchange(&mut client, b"here");
        client.write_all(&pattern(length)).expect("send");
        crate::reset(client);
    }
    converse(port, b"hello");
}

/// All are connected before the first one sends anything.
pub fn two_hundred_clients_at_once(program: &str, _: Serves) {
    let (_server, port) = start(program, &[]);
    let mut clients: Vec<_> = (0..200).map(|_| crate::connect(port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&pattern(1000 + number)).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
    }
    for (number, client) in clients.into_iter().enumerate() {
        expect_all(client, &pattern(1000 + number));
    }
}

/// Sends pieces of [`pattern`] until nobody has taken anything for 200 ms, and returns how
/// many bytes were taken.
///
/// # Panics
/// If 128 MiB are taken: then the server stores what it cannot send.
#[track_caller]
fn fill(client: &mut TcpStream) -> usize {
    let piece = pattern(65536);
    let limit = client.write_timeout().expect("SO_SNDTIMEO");
    client.set_write_timeout(Some(Duration::from_millis(200))).expect("SO_SNDTIMEO");
    let mut taken = 0;
    loop {
        // The pieces continue the same pattern, wherever a send stopped.
        match client.write(&piece[taken % piece.len()..]) {
            Ok(length) => taken += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("send: {error}"),
        }
        assert!(taken < 128 << 20, "the server took {taken} bytes and sent none of them");
    }
    client.set_write_timeout(limit).expect("SO_SNDTIMEO");
    taken
}

/// Every buffer on the way is full before the client starts to receive, in small pieces;
/// it then goes on sending while it receives, at least 10 MB in all.
pub fn reader_begins_when_everything_is_full(program: &str, _: Serves) {
    let (_server, port) = start(program, &[]);
    let mut client = crate::connect(port);
    let mut sent = fill(&mut client);
    let mut sender = client.try_clone().expect("dup");
    let sending = thread::spawn(move || {
        let piece = pattern(65536);
        while sent < 10_000_000 {
            sent += sender.write(&piece[sent % piece.len()..]).expect("send");
        }
        sender.shutdown(Shutdown::Write).expect("half-close");
        sent
    });
    let came = receive_pieces(client);
    assert_eq!(came, sending.join().expect("the sender"));
}

/// Receives what [`fill`] sent to the end of the stream, and returns how many bytes came.
#[track_caller]
fn receive_pieces(mut client: TcpStream) -> usize {
    let (piece, mut buffer, mut came) = (pattern(65536), [0; 1500], 0);
    loop {
        let length = client.read(&mut buffer).expect("receive");
        if length == 0 {
            return came;
        }
        for byte in &buffer[..length] {
            assert_eq!(*byte, piece[came % piece.len()], "byte {came}");
            came += 1;
        }
    }
}

/// Two clients that send nothing, and one that sends half.
pub fn silent_clients_do_not_stop_the_next(program: &str, serves: Serves) {
    let (_server, port) = start(program, &[]);
    let silent = [crate::connect(port), crate::connect(port)];
    let mut slow = crate::connect(port);
    if serves != Serves::One {
        exchange(&mut slow, b"ha");
        converse(port, b"hello");
    }
    drop(silent);
    exchange(&mut slow, b"lf");
    drop(slow);
    converse(port, b"hello");
}

/// Three clients send all they can and receive nothing. The others are still served, and
/// the server needs less than 8 MiB more memory for the three.
#[cfg(target_os = "linux")]
pub fn client_that_never_reads_costs_little_and_stops_nobody(
    program: &str,
    serves: Serves,
) {
    let (server, port) = start(program, &[]);
    converse(port, &pattern(1_000_000));
    let before = resident_kib(&server);
    let count = if serves == Serves::One { 1 } else { 3 };
    let mut full: Vec<_> = (0..count).map(|_| crate::connect(port)).collect();
    for client in &mut full {
        fill(client);
    }
    let after = resident_kib(&server);
    assert!(after < before + 8192, "{before} KiB, and with them {after} KiB");
    if serves != Serves::One {
        converse(port, &pattern(1_000_000));
    }
    // They leave without having received anything: a reset.
    drop(full);
    converse(port, b"hello");
}

#[cfg(target_os = "linux")]
#[track_caller]
fn resident_kib(server: &Program) -> u64 {
    let path = format!("/proc/{}/status", server.id());
    let status = std::fs::read_to_string(path).expect("/proc/PID/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse().ok()).expect("VmRSS")
}

/// The processor time that it has used, in clock ticks of 10 ms: proc_pid_stat(5).
#[cfg(target_os = "linux")]
#[track_caller]
fn ticks(server: &Program) -> u64 {
    let path = format!("/proc/{}/stat", server.id());
    let stat = std::fs::read_to_string(path).expect("/proc/PID/stat");
    let fields = stat.rsplit(") ").next().expect("the fields behind the name");
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().expect("a number");
    number(11) + number(12)
}

/// With 32 descriptors and 40 clients, the clients that it accepted are served, the
/// server waits without spinning, and a waiting client is served as soon as another
/// leaves.
#[cfg(target_os = "linux")]
pub fn no_descriptor_is_left(program: &str, serves: Serves) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 32; exec \"$0\" --port 0", program]);
    let mut server = Program::start(&mut shell);
    let port = server.port();
    // All of them are in the queue when the server looks.
    server.signal(crate::SIGSTOP);
    server.wait_for_state('T');
    let mut clients: Vec<_> = (0..40).map(|_| crate::connect(port)).collect();
    server.signal(crate::SIGCONT);
    if serves == Serves::Many {
        // It has certainly accepted the first ones, and serves them.
        exchange(&mut clients[0], b"first");
        exchange(&mut clients[9], b"tenth");
    }
    server.wait_for_state('S');
    let before = ticks(&server);
    // Something that must not happen causes no event: only the clock can tell.
    thread::sleep(Duration::from_millis(300));
    let spent = ticks(&server) - before;
    assert!(spent <= 8, "it spins: {spent} ticks of processor time in 300 ms");
    if serves == Serves::Many {
        exchange(&mut clients[0], b"still here");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&pattern(1000 + number)).expect("send");
        client.shutdown(Shutdown::Write).expect("half-close");
    }
    // In the order in which they came: each that finishes makes room for one that is
    // waiting.
    for (number, client) in clients.into_iter().enumerate() {
        expect_all(client, &pattern(1000 + number));
    }
    converse(port, b"hello");
}

/// Every second accept(2) fails with ECONNABORTED, as on systems that take a client out of
/// the queue when it is gone (Linux does not). strace(1) makes it fail.
#[cfg(target_os = "linux")]
pub fn client_is_gone_before_it_is_accepted(program: &str, _: Serves) {
    let skip = |why: &str| {
        crate::skip(&format!("{program}: client_is_gone_before_it_is_accepted"), why);
    };
    if program.contains("io-uring") {
        return skip("its ring accepts, and strace(1) sees no call that could fail");
    }
    let mut strace = Command::new("strace");
    // The program is the child, and strace its grandchild (-D): signals reach the program.
    strace.args(["-D", "-f", "-qq", "-e", "trace=accept,accept4", "-e"]);
    strace.args(["inject=accept,accept4:error=ECONNABORTED:when=1+2", "--", program]);
    strace.args(["--port", "0", "--drain-ms", "60000"]);
    let mut server = match Program::try_start(&mut strace, std::process::Stdio::piped()) {
        Ok(server) => server,
        Err(error) => return skip(&format!("cannot run strace: {error}")),
    };
    let port = server.port();
    for number in 0..5 {
        converse(port, &pattern(1000 + number));
    }
    server.signal(crate::SIGTERM);
    let finished = server.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    if let Some(line) = finished.stderr.lines().find(|line| line.starts_with("strace: "))
    {
        // Where it may not trace, the program runs without it.
        return skip(line);
    }
    let failed = finished.stderr.matches("ECONNABORTED").count();
    assert!(failed >= 5, "no call failed: {finished:?}");
}

/// SIGSTOP, bytes in the meantime, SIGCONT.
#[cfg(target_os = "linux")]
pub fn stopped_and_continued(program: &str, _: Serves) {
    let (server, port) = start(program, &[]);
    let mut client = crate::connect(port);
    exchange(&mut client, b"before");
    for _ in 0..3 {
        server.signal(crate::SIGSTOP);
        server.wait_for_state('T');
        client.write_all(b"meanwhile").expect("send");
        server.signal(crate::SIGCONT);
        expect(&mut client, b"meanwhile");
        server.wait_for_state('S');
    }
    finish(client, b"");
}

/// SIGTERM in the middle of several streams: no byte is lost, no new client is accepted,
/// and the server exits with status 0.
#[cfg(unix)]
pub fn signal_lets_clients_finish(program: &str, serves: Serves) {
    let (mut server, port) = start(program, &["--drain-ms", "60000"]);
    let count = match serves {
        Serves::One => 1,
        Serves::Few => 3,
        Serves::Many => 20,
    };
    let mut clients: Vec<_> = (0..count).map(|_| crate::connect(port)).collect();
    for client in &mut clients {
        exchange(client, b"before");
    }
    server.signal(crate::SIGTERM);
    if serves != Serves::One {
        let expected = "Closing: no new clients; waiting for the others to finish";
        assert_eq!(server.line(), expected);
        let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = TcpStream::connect_timeout(&address, crate::DEADLINE);
        let refused = refused.expect_err("a new client was taken");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    for mut client in clients {
        client.write_all(&pattern(100_000)).expect("send");
        finish(client, &pattern(100_000));
    }
    let finished = server.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "");
}

/// The server is stopped. Two hundred clients connect and send; then comes SIGTERM. It finds all
/// of them in the queue when it continues, and they were there before the signal.
#[cfg(target_os = "linux")]
pub fn signal_comes_behind_clients_in_the_queue(program: &str, _: Serves) {
    let (server, port) = start(program, &["--drain-ms", "60000"]);
    server.signal(crate::SIGSTOP);
    server.wait_for_state('T');
    let mut clients: Vec<_> = (0..200).map(|_| crate::connect(port)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(&pattern(1000 + number)).expect("send");
    }
    server.signal(crate::SIGTERM);
    server.signal(crate::SIGCONT);
    for (number, client) in clients.into_iter().enumerate() {
        finish(client, &pattern(1000 + number));
    }
    let finished = server.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

/// SIGTERM while every buffer on the way is full: whatever the server has received goes
/// back.
#[cfg(unix)]
pub fn signal_comes_while_answers_wait(program: &str, serves: Serves) {
    let (mut server, port) = start(program, &["--drain-ms", "60000"]);
    let mut client = crate::connect(port);
    let sent = fill(&mut client);
    server.signal(crate::SIGTERM);
    if serves != Serves::One {
        assert!(server.line().starts_with("Closing"));
    }
    client.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(receive_pieces(client), sent);
    let finished = server.finish();
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
}

/// A client that does not finish is cut off, and the exit status says so.
#[cfg(unix)]
pub fn signal_has_a_deadline(program: &str, _: Serves) {
    let (server, port) = start(program, &["--drain-ms", "30"]);
    let mut client = crate::connect(port);
    exchange(&mut client, b"here");
    server.signal(crate::SIGINT);
    let finished = server.finish();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    let line = finished.stderr.strip_prefix("wait for clients").unwrap_or_default();
    assert!(line.ends_with(": not finished within 30 ms; they are cut off\n"), "{line}");
}

/// A second signal ends it, as if there were no handler.
#[cfg(unix)]
pub fn second_signal_ends_it_at_once(program: &str, serves: Serves) {
    use std::os::unix::process::ExitStatusExt;

    let (mut server, port) = start(program, &["--drain-ms", "600000"]);
    let mut client = crate::connect(port);
    exchange(&mut client, b"here");
    server.signal(crate::SIGTERM);
    if serves == Serves::One {
        // It prints nothing before the client has finished, but it takes the signal.
        #[cfg(target_os = "linux")]
        wait_until_taken(&server);
        #[cfg(not(target_os = "linux"))]
        return;
    } else {
        assert!(server.line().starts_with("Closing"));
    }
    server.signal(crate::SIGTERM);
    assert_eq!(server.finish().status.signal(), Some(crate::SIGTERM));
}

/// Waits until the server's connection to itself is on the way: the process then has a
/// third socket. There is no event for it.
#[cfg(target_os = "linux")]
fn wait_until_taken(server: &Program) {
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.id()));
    // The main thread, the one for signals, and then the one for the deadline.
    crate::until("the signal is taken", || {
        threads().map_or(true, |threads| threads.count() >= 3)
    });
}

#[track_caller]
fn ask(client: &UdpSocket, words: &[u8]) {
    client.send(words).expect("send");
    let mut came = vec![0; 65536];
    let length = client.recv(&mut came).expect("receive");
    assert!(came[..length] == *words, "{length} bytes of {}", words.len());
}

#[track_caller]
fn udp_client(port: u16) -> UdpSocket {
    let (client, _) = crate::datagram_socket();
    client.connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    client
}

/// An empty datagram, and the largest possible one.
pub fn datagrams_come_back(program: &str) {
    let (_server, port) = start(program, &[]);
    let client = udp_client(port);
    for length in [5, 0, 1, 1472, 65507, 3] {
        ask(&client, &pattern(length));
    }
}

/// Many at once, each of a different length: every client gets its own, in order.
pub fn crowd_gets_its_own(program: &str) {
    let (_server, port) = start(program, &[]);
    let clients: Vec<_> = (0..40).map(|_| udp_client(port)).collect();
    for round in 0..3 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&pattern(10 * number + round)).expect("send");
        }
        for (number, client) in clients.iter().enumerate() {
            let mut came = [0; 2000];
            let length = client.recv(&mut came).expect("receive");
            assert!(came[..length] == pattern(10 * number + round), "client {number}");
        }
    }
}

/// A hundred datagrams, more than any of the servers takes with one call, are in the queue
/// when it continues after SIGSTOP.
#[cfg(target_os = "linux")]
pub fn crowd_waits_in_the_queue(program: &str) {
    let (server, port) = start(program, &[]);
    ask(&udp_client(port), b"before");
    for _ in 0..3 {
        server.signal(crate::SIGSTOP);
        server.wait_for_state('T');
        let clients: Vec<_> = (0..100).map(|_| udp_client(port)).collect();
        for (number, client) in clients.iter().enumerate() {
            client.send(&pattern(number)).expect("send");
        }
        server.signal(crate::SIGCONT);
        for (number, client) in clients.iter().enumerate() {
            let mut came = [0; 2000];
            let length = client.recv(&mut came).expect("receive");
            assert!(came[..length] == pattern(number), "client {number}");
        }
        server.wait_for_state('S');
    }
}

/// The client is gone before its reply arrives; the next one is served.
pub fn reply_finds_nobody(program: &str) {
    let (_server, port) = start(program, &[]);
    for _ in 0..20 {
        udp_client(port).send(b"I am gone before you answer").expect("send");
    }
    ask(&udp_client(port), b"hello");
}
