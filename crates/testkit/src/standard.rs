//! The scenarios that many programs share. The tests of a program list those that apply
//! to it:
//!
//! ```ignore
//! testkit::standard_cases! {
//!     "tcp-server-count":
//!     command_line_is_wrong(&["--port 65536", "--nonsense"]),
//!     port_is_already_in_use("--port PORT"),
//!     stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
//! }
//! ```
//!
//! Each becomes a test of that name; `help`, `version` and `word_is_not_for_a_terminal` are
//! tested for every program.
//!
//! A command line is a single string here, split at its spaces. `''` is an empty
//! argument, and `PORT` is the port that the scenario has prepared. A scenario that makes
//! no sense on a system, such as signals on Windows, is skipped there, visibly.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

#[cfg(unix)]
use crate::program::port_in;
use crate::{Program, command, skip};

/// Makes a test of each given case, and of those that hold for every program; see
/// [`standard`](crate::standard). The tests can refer to the program's file as `PROGRAM`.
#[macro_export]
macro_rules! standard_cases {
    ($program:literal: $($case:ident($($argument:expr),*)),* $(,)?) => {
        const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $program));

        #[test]
        fn help() {
            insta::assert_snapshot!($crate::standard::help(PROGRAM));
        }

        #[test]
        fn version() {
            let version = concat!($program, " ", env!("CARGO_PKG_VERSION"), "\n");
            $crate::Program::run(PROGRAM, &["--version"]).finish().expect(0, version, "");
        }

        #[test]
        fn word_is_not_for_a_terminal() {
            $crate::standard::word_is_not_for_a_terminal(PROGRAM);
        }

        $(
            #[test]
            fn $case() {
                #[allow(unused_imports, reason = "not every case has a peer")]
                use $crate::standard::Peer;
                $crate::standard::$case(PROGRAM, $($argument),*);
            }
        )*
    };
}

/// Makes a test of each scenario in a module that several programs of one lesson share:
/// `testkit::shared_cases! { servers(&SERVER): client_sends_nothing }` calls
/// `servers::client_sends_nothing(&SERVER)`.
#[macro_export]
macro_rules! shared_cases {
    ($module:ident($subject:expr): $($case:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                $module::$case($subject);
            }
        )*
    };
}

/// Who is at the other end, on the port that `PORT` stands for.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// Nobody, and the command line has no `PORT`.
    Nobody,
    /// A TCP listener that accepts nobody.
    Listener,
    /// A TCP server that sends these bytes to its first client, then receives.
    Server(&'static [u8]),
    /// A UDP server that answers its first datagram with these bytes.
    Datagrams(&'static [u8]),
}

impl Peer {
    /// Starts it, and returns its port, and the listener if it is only that.
    fn start(self) -> (Option<TcpListener>, u16) {
        match self {
            Self::Nobody => (None, 0),
            Self::Listener => {
                let (listener, port) = crate::listen();
                (Some(listener), port)
            }
            Self::Server(bytes) => {
                let (listener, port) = crate::listen();
                thread::spawn(move || {
                    let (mut connection, _) = crate::accept(&listener);
                    // The client may leave at any moment; that is up to the test.
                    let _ = connection.write_all(bytes);
                    let _ = connection.read_to_end(&mut Vec::new());
                });
                (None, port)
            }
            Self::Datagrams(bytes) => {
                let (socket, port) = crate::datagram_socket();
                thread::spawn(move || {
                    // Windows fails if the buffer is too short for the datagram.
                    let mut buffer = [0; 2048];
                    let (_, client) = socket.recv_from(&mut buffer).expect("a datagram");
                    socket.send_to(bytes, client).expect("send");
                });
                (None, port)
            }
        }
    }
}

/// Splits a command line into arguments, with `port` in place of `PORT`.
fn arguments(line: &str, port: u16) -> Vec<String> {
    let argument = |word: &str| match word {
        "PORT" => port.to_string(),
        "''" => String::new(),
        other => other.to_owned(),
    };
    line.split_ascii_whitespace().map(argument).collect()
}

fn run(program: &str, line: &str, port: u16) -> Program {
    Program::start(Command::new(program).args(arguments(line, port)))
}

/// What `--help` prints on a terminal of 80 columns, under the name that the program has
/// everywhere, without the `.exe` of Windows.
///
/// # Panics
/// If it fails, prints anything on stderr, or is wider than that.
#[track_caller]
pub fn help(program: &str) -> String {
    let mut command = command(program, &["--help"]);
    let finished = Program::start(command.env("COLUMNS", "80")).finish();
    finished.expect(0, &finished.stdout, "");
    let wide = finished.stdout.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "more than 80 columns");
    finished.stdout.replace(".exe", "")
}

/// Each of the command lines is rejected: exit status 2, and nothing on stdout.
#[track_caller]
pub fn command_line_is_wrong(program: &str, lines: &[&str]) {
    for line in lines {
        let finished = run(program, line, 0).finish();
        assert_eq!(finished.status.code(), Some(2), "{line:?}: {finished:?}");
        assert_eq!(finished.stdout, "", "{line:?}");
        assert!(finished.stderr.starts_with("error: "), "{line:?}: {finished:?}");
    }
}

/// A wrong word in the command line would be obeyed by a terminal if it were shown as it is:
/// it has a control of each kind, and a character that turns the line around.
#[track_caller]
pub fn word_is_not_for_a_terminal(program: &str) {
    for option in ["--port=", "--no-such-option-"] {
        let word = format!("{option}\u{1b}[31m\u{9b}31m\u{202e}word");
        let finished = Program::run(program, &[&word]).finish();
        assert_eq!(finished.status.code(), Some(2), "{finished:?}");
        assert_eq!(finished.stdout, "", "{finished:?}");
        assert!(finished.stderr.starts_with("error: "), "{finished:?}");
        let is_obeyed =
            |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
        assert!(!finished.stderr.contains(is_obeyed), "{finished:?}");
    }
}

/// Another socket has the port on 127.0.0.1, both over TCP and over UDP.
#[track_caller]
pub fn port_is_already_in_use(program: &str, line: &str) {
    let (_socket, _listener, port) = crate::port_of_both();
    run(program, line, port).finish().expect(
        1,
        "",
        &format!(
            "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
             is another server running? try --port 0\n"
        ),
    );
}

/// `--host` is an address that no interface of this machine has.
#[track_caller]
pub fn address_is_not_ours(program: &str) {
    run(program, "--host 192.0.2.1 --port 0", 0).finish().expect(
        1,
        "",
        "bind 192.0.2.1:0: address not available (EADDRNOTAVAIL); \
         no interface of this machine has it; try --host localhost\n",
    );
}

/// The name in the command line, `no-such-host.invalid`, has no address.
#[track_caller]
pub fn host_is_unknown(program: &str, line: &str) {
    let finished = run(program, line, 0).finish();
    // The reason is the resolver's own, and is different where no DNS server can be
    // reached.
    let stderr = &finished.stderr;
    assert!(stderr.starts_with("resolve no-such-host.invalid: "), "{stderr:?}");
    let advice = "; is the name right? 127.0.0.1 needs no look-up\n";
    assert!(stderr.ends_with(advice), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 1);
    finished.expect(1, "", stderr);
}

/// The name would clear a terminal if it were shown as it is.
#[track_caller]
pub fn host_would_be_obeyed_by_a_terminal(program: &str, line: &str) {
    let finished = run(program, line, 0).finish();
    assert!(finished.stderr.starts_with(r"resolve \x1b[2J: "), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}

/// `--host ::1` for a program that supports only IPv4.
#[track_caller]
pub fn host_has_ipv6_alone(program: &str) {
    run(program, "--host ::1", 0).finish().expect(
        1,
        "",
        "resolve ::1: it has only IPv6 addresses, and this program speaks IPv4 (AF_INET); \
         try --host 127.0.0.1\n",
    );
}

/// A client's server is not running: connect is refused.
#[track_caller]
pub fn nobody_listens(program: &str, line: &str) {
    let (_held, port) = crate::closed_port();
    run(program, line, port).finish().expect(
        1,
        "",
        &format!(
            "connect 127.0.0.1:{port}: connection refused (ECONNREFUSED); \
             nobody listens there; start the server first\n"
        ),
    );
}

/// The port is reserved for root, and the program runs as an ordinary user.
#[track_caller]
pub fn port_is_privileged(program: &str) {
    let skip = |why: &str| skip("port_is_privileged", why);
    #[cfg(not(unix))]
    skip(&format!("{program}: no port is for root alone here"));
    #[cfg(unix)]
    {
        let mut command = command(program, &["--port", "7"]);
        crate::as_ordinary_user(&mut command);
        let first = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        let first = std::fs::read_to_string(first).ok();
        if first
            .and_then(|first| first.trim().parse().ok())
            .is_some_and(|port: u16| port <= 7)
        {
            return skip("net.ipv4.ip_unprivileged_port_start lets everyone have port 7");
        }
        let program = match Program::try_start(&mut command, std::process::Stdio::piped())
        {
            Ok(program) => program,
            Err(error) => return skip(&format!("cannot run as user nobody: {error}")),
        };
        program.finish().expect(
            1,
            "",
            "bind 127.0.0.1:7: permission denied (EACCES); \
             a port this low is for root; try --port 12345\n",
        );
    }
}

/// Whoever read the program's output is gone, as after `| head -0`.
#[track_caller]
pub fn stdout_is_a_pipe_that_nobody_reads(program: &str, line: &str, peer: Peer) {
    #[cfg(not(unix))]
    let _ = (
        program,
        line,
        peer,
        skip("stdout_is_a_pipe_that_nobody_reads", "no EPIPE here"),
    );
    #[cfg(unix)]
    {
        let (_listener, port) = peer.start();
        let mut command = Command::new(program);
        command.args(arguments(line, port));
        let pipe = crate::pipe_without_reader().into();
        Program::start_with_stdout(&mut command, pipe).finish().expect(
            1,
            "",
            "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
        );
    }
}

/// The device that stdout goes to has no room left.
#[track_caller]
pub fn stdout_is_full(program: &str, line: &str, peer: Peer) {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
        return skip("stdout_is_full", "this system has no /dev/full");
    };
    let (_listener, port) = peer.start();
    let mut command = Command::new(program);
    command.args(arguments(line, port));
    Program::start_with_stdout(&mut command, full.into()).finish().expect(
        1,
        "",
        "write stdout: no space left on device (ENOSPC); make room, or write elsewhere\n",
    );
}

/// SIGINT and SIGTERM, sooner or later in the program's life, end it without a word.
#[track_caller]
pub fn signal_at_any_moment(program: &str, line: &str, peer: Peer) {
    #[cfg(not(unix))]
    let _ = (program, line, peer, skip("signal_at_any_moment", "no signals here"));
    #[cfg(unix)]
    for turn in 0..40 {
        let (_listener, port) = peer.start();
        let signal = [crate::SIGINT, crate::SIGTERM][turn % 2];
        let program = run(program, line, port);
        for _ in 0..turn * 50 {
            thread::yield_now();
        }
        program.signal(signal);
        program.finish().expect_end_by(signal);
    }
}

/// A server's client connects and stays silent, and the server is sent a signal.
/// `greeting` is what the server sends first.
#[track_caller]
pub fn signal_while_the_client_stays_silent(program: &str, greeting: &[u8]) {
    #[cfg(not(unix))]
    let _ = (
        program,
        greeting,
        skip("signal_while_the_client_stays_silent", "no signals here"),
    );
    #[cfg(unix)]
    for (_, mut client) in crate::signals(|| start_and_connect(program, greeting)) {
        // The kernel closes a dead process's sockets: the client sees an end of stream.
        assert_eq!(client.read(&mut [0; 1]).expect("receive"), 0);
    }
}

/// A client's server accepts and stays silent, and the client is sent a signal.
#[track_caller]
pub fn signal_while_the_server_stays_silent(program: &str, line: &str) {
    #[cfg(not(unix))]
    let _ =
        (program, line, skip("signal_while_the_server_stays_silent", "no signals here"));
    #[cfg(unix)]
    {
        let start = || {
            let (listener, port) = crate::listen();
            let program = run(program, line, port);
            (program, crate::accept(&listener).0)
        };
        for (_, mut connection) in crate::signals(start) {
            // The kernel closes a dead process's sockets: the server sees an end of
            // stream.
            connection.read_to_end(&mut Vec::new()).expect("receive");
        }
    }
}

/// The client is stopped and continued, as with Ctrl-Z and `fg`, while it waits for its
/// server. No call fails with EINTR, as it would if a timeout were set (signal(7)). The
/// server sends `first` at once and `last` at the end, and closes; the client then exits
/// with status 0.
#[track_caller]
pub fn client_is_paused(program: &str, line: &str, first: &[u8], last: &[u8]) {
    #[cfg(not(target_os = "linux"))]
    let _ =
        (program, line, first, last, skip("client_is_paused", "no /proc/PID/stat here"));
    #[cfg(target_os = "linux")]
    {
        let (listener, port) = crate::listen();
        let program = run(program, line, port);
        let (mut connection, _) = crate::accept(&listener);
        connection.write_all(first).expect("send");
        for _ in 0..5 {
            program.pause_and_resume();
        }
        connection.write_all(last).expect("send");
        connection.shutdown(std::net::Shutdown::Write).expect("half-close");
        connection
            .read_to_end(&mut Vec::new())
            .expect("receive to the end of the stream");
        let finished = program.finish();
        finished.expect(0, &finished.stdout, "");
    }
}

/// A program that needs no peer is stopped and continued up to fifty times, in whatever
/// call it is sleeping: except for numbers, it prints the same as when undisturbed.
#[track_caller]
pub fn paused_at_any_moment(program: &str, line: &str) {
    #[cfg(not(target_os = "linux"))]
    let _ = (program, line, skip("paused_at_any_moment", "no /proc/PID/stat here"));
    #[cfg(target_os = "linux")]
    {
        let undisturbed = run(program, line, 0).finish();
        undisturbed.expect(0, &undisturbed.stdout, "");
        let program = run(program, line, 0);
        for _ in 0..50 {
            if program.wait_for_one_of("SZ") == 'Z' || !program.pause() {
                break;
            }
            program.signal(crate::SIGCONT);
        }
        let finished = program.finish();
        finished.expect(0, &finished.stdout, "");
        let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        assert_eq!(words(&finished.stdout), words(&undisturbed.stdout));
    }
}

/// The program may open fewer files than it needs. With any limit it either does its work
/// or ends with one line that says EMFILE; it neither panics nor goes on for ever.
///
/// A program with `--port 0` in its command line is a server, whose client connects and
/// leaves.
///
/// # Panics
/// If that is not so, or if no limit was too low, or every one was.
#[track_caller]
pub fn too_few_files_may_be_open(program: &str, line: &str, peer: Peer) {
    #[cfg(not(unix))]
    let _ = (program, line, peer, skip("too_few_files_may_be_open", "no ulimit here"));
    #[cfg(unix)]
    {
        // With fewer than four, the program cannot even be loaded.
        let refused = (4..=16).map(|files| {
            let (_listener, port) = peer.start();
            let mut command = Command::new("sh");
            let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
            command.args(["-c", &script, program]).args(arguments(line, port));
            let mut program = Program::start(&mut command);
            if line.contains("--port 0") {
                let port = program.next_line().and_then(|line| port_in(&line));
                // The server may be gone by now; then this is refused.
                port.map(|port| std::net::TcpStream::connect(("127.0.0.1", port)));
            }
            let finished = program.finish();
            let refused = finished.stderr.contains("too many open files (EMFILE)");
            assert_eq!(
                finished.status.code().filter(|code| *code > 1),
                None,
                "{finished:?}"
            );
            if refused {
                assert_eq!(
                    finished.status.code(),
                    Some(1),
                    "{files} files: {finished:?}"
                );
                assert_eq!(
                    finished.stderr.lines().count(),
                    1,
                    "{files} files: {finished:?}"
                );
            }
            refused
        });
        let refused: Vec<bool> = refused.collect();
        assert!(refused[0], "four are too few: {refused:?}");
        assert!(!refused[12], "sixteen are enough: {refused:?}");
    }
}

/// A server's client connects, stays silent, and resets the connection. `greeting` is
/// what the server sends first, and `progress` is what follows the client's address in
/// its message.
#[track_caller]
pub fn client_resets(program: &str, greeting: &[u8], progress: &str) {
    let (program, client) = start_and_connect(program, greeting);
    let address = client.local_addr().expect("local address");
    crate::reset(client);
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv {address}{progress}: connection reset by peer (ECONNRESET); \
             the peer died, or closed before it had read everything\n"
        ),
    );
}

/// Starts a server on a free port, and a client that it has accepted and greeted.
#[track_caller]
fn start_and_connect(program: &str, greeting: &[u8]) -> (Program, std::net::TcpStream) {
    let mut program = Program::run(program, &["--port", "0"]);
    let mut client = crate::connect(program.port());
    let line = program.line();
    assert!(line.starts_with("Connected by "), "{line:?}");
    let mut bytes = vec![0; greeting.len()];
    client.read_exact(&mut bytes).expect("receive the greeting");
    assert_eq!(bytes, greeting);
    (program, client)
}
