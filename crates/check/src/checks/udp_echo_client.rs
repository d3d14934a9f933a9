//! Lesson 3: a client that sends one datagram and waits one second for the reply.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::servers::carries;
use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Finding, Outcome, Stop, fails};
use crate::patience::Patience;
use crate::peer::Datagrams;
use crate::subject::Subject;
use crate::task::{Role, Task, must, should};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "udp-echo-client",
    lesson: 3,
    optional: false,
    role: Role::UdpClient,
    statement: statement!("udp-echo-client"),
    learned: "Over UDP nobody says that a datagram was lost: a client needs a timeout, \
              and must look at who answers.",
    checks: &[
        must(
            "it sends one datagram `Hello UDP Server`, to the byte",
            "a newline was added, or the text differs, or it was sent twice",
            page::UDP,
            sends,
        ),
        must(
            "it prints `Server says: ` and the reply, and ends with status 0",
            "the words differ, or the exit status is not 0",
            page::UDP,
            prints,
        ),
        must(
            "when no reply comes, it gives up after a second, exits with a non-zero \
             status and says why",
            "there is no timeout: a datagram that is lost is lost in silence",
            page::UDP,
            no_reply,
        )
        .takes_long(),
        must(
            "when nobody has the port, it exits with a non-zero status and says why",
            "an error is ignored, or there is no timeout",
            page::UDP,
            nobody,
        ),
        must(
            "it does not take a third party's datagram for the reply",
            "the sender that recvfrom(2) reports is not checked, and the socket is not connected",
            page::UDP,
            third_party,
        ),
        must(
            "a reply of 65,507 bytes, the largest, is printed whole",
            "the buffer for recvfrom(2) is too small: the rest of a datagram is lost",
            page::UDP,
            long_reply,
        ),
        must(
            "an empty reply is a reply",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            empty_reply,
        ),
        should(
            "it prints no terminal control bytes",
            "what came from the network is printed raw; escape control bytes",
            page::UDP,
            prints_safely,
        ),
        must(
            "it waits for a reply that takes most of a second",
            "the timeout is too short: a second was asked for",
            page::UDP,
            slow_reply,
        )
        .takes_long(),
        must(
            "it does not send its datagram again",
            "what gets no reply is sent again: the server may have done its work already",
            page::UDP,
            sends_once,
        )
        .takes_long(),
        must(
            "it sends to whatever port PORT names",
            "the port is fixed in the program: read it from the environment",
            page::UDP,
            told_port,
        ),
    ],
};

/// One second for the reply, and one to allow for the start of a virtual machine's timers.
const AT_MOST: Duration = Duration::from_secs(2);
/// How long to wait for that on a busy machine.
const GIVES_UP: Duration = Duration::from_secs(3);

/// Starts the client and waits for its datagram. Returns the client, the server's socket,
/// and the client's address.
fn asked(
    arena: &mut Arena<'_>,
) -> Outcome<(Arc<Subject>, Datagrams, std::net::SocketAddr)> {
    let (client, server) = arena.start_udp_client()?;
    let (_, address) = server.expect_any()?;
    Ok((client, server, address))
}

fn sends(arena: &mut Arena<'_>) -> Outcome {
    let (_client, server) = arena.start_udp_client()?;
    let (bytes, address) = server.expect_any()?;
    if bytes != b"Hello UDP Server" {
        return fails("\"Hello UDP Server\"", quoted(&bytes));
    }
    server.expect_silence()?;
    server.send_to(b"Echo: Hello UDP Server", address)?;
    server.expect_silence()
}

fn prints(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    server.send_to(b"Echo: Hello UDP Server", address)?;
    client.expect_success()?;
    client.expect_line(b"Server says: Echo: Hello UDP Server")
}

/// No reply comes, but a stranger's datagrams do, and they are no reason to wait longer.
fn no_reply(arena: &mut Arena<'_>) -> Outcome {
    const NOW_AND_THEN: Duration = Duration::from_millis(300);
    let (client, _server, address) = asked(arena)?;
    let (asked, lateness) = (Instant::now(), Lateness::begin(&client));
    let stranger = arena.datagrams(&client)?;
    let over = AtomicBool::new(false);
    let (gave_up, took) = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                thread::park_timeout(NOW_AND_THEN);
                // Once the client has ended, the kernel reports that nobody is there.
                let _ = stranger.send_to(b"Echo: I am not your server", address);
            }
        });
        let gave_up = client.expect_failure_within(GIVES_UP);
        // The other thread may take its time until it has ended.
        let took = asked.elapsed();
        over.store(true, Ordering::Relaxed);
        sending.thread().unpark();
        (gave_up, took)
    });
    match gave_up {
        Ok(()) => lateness.at_most(AT_MOST, took, "the end a second after the datagram"),
        Err(Stop::Failed(finding)) if client.ended().is_none() => {
            let restarts = client.wait_end(Patience::with_deadline(&client, GIVES_UP));
            let diagnosis = restarts.is_ok().then_some(Diagnosis::Other(
                "timeout-begins-anew",
                "each datagram, whoever sent it, makes it wait for another second: the \
                 deadline is one moment, and what is left of the time until then is waited",
            ));
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        Err(Stop::Failed(finding)) if carries(&client.stdout(), b"not your server") => {
            let diagnosis = Some(Diagnosis::Other(
                "takes-any",
                "a stranger's datagram was taken for the reply: compare the sender that \
                 recvfrom(2) reports with the server, or connect(2) the socket",
            ));
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        failed => failed,
    }
}

fn nobody(arena: &mut Arena<'_>) -> Outcome {
    arena.start()?.expect_failure_within(GIVES_UP)
}

fn third_party(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    let stranger = arena.datagrams(&client)?;
    stranger.send_to(b"Echo: I am not your server", address)?;
    // Another host with the server's port.
    let host = Ipv4Addr::new(127, 0, 0, 2);
    let stranger = arena.stranger(host, server.local()?.port(), &client)?;
    stranger.send_to(b"Echo: I am not your server either", address)?;
    server.send_to(b"Echo: I am your server", address)?;
    client.expect_line(b"Server says: Echo: I am your server")
}

/// The server takes 700 ms to reply, and the client must still be waiting. A client that
/// gives up too early gives no sign of it beforehand, so this check has to wait by the
/// clock.
fn slow_reply(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    thread::park_timeout(Duration::from_millis(700));
    server.send_to(b"Echo: Hello UDP Server", address)?;
    client.expect_line(b"Server says: Echo: Hello UDP Server")
}

fn sends_once(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, _) = asked(arena)?;
    client.wait_end(Patience::with_deadline(&client, GIVES_UP))?;
    server.expect_silence()
}

fn told_port(arena: &mut Arena<'_>) -> Outcome {
    arena.move_port();
    let (_client, server) = arena.start_udp_client()?;
    server.expect_any().map(drop)
}

fn long_reply(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    let reply = servers::pattern(65_507);
    server.send_to(&reply, address)?;
    client.expect_line(&[b"Server says: ", reply.as_slice()].concat())
}

fn empty_reply(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    server.send_to(b"", address)?;
    client.expect_line(b"Server says: ")
}

fn prints_safely(arena: &mut Arena<'_>) -> Outcome {
    let (client, server, address) = asked(arena)?;
    server.send_to(b"\x1b[31mred\x07", address)?;
    client.wait_end(Patience::with_deadline(&client, GIVES_UP))?;
    client.expect_safe_output()
}
