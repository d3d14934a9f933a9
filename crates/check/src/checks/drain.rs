//! Lesson 12: a server that loses nothing when it is told to end under load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::process::Signal;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::Patience;
use crate::peer::{Connection, rest, settle};
use crate::subject::{Exit, Subject};
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "drain",
    lesson: 12,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("drain"),
    learned: "What the kernel has taken for you, in a queue or in a buffer, is yours to finish; \
              and a connection with unread bytes must not be closed.",
    checks: &[
        must(
            "it replies to each line, and ends its stream after the client's",
            "the words differ, or one recv(2) is taken for one line",
            page::THREADS,
            replies,
        ),
        must(
            "on SIGTERM, it exits at once with status 0 if it has no clients",
            "SIGTERM is ignored, or what waits is not woken up by it",
            page::THREADS,
            servers::ends_without_clients,
        ),
        must(
            "a thousand lines that came before SIGTERM are all replied to, and then the \
             streams end",
            "it ends with requests in its receive buffers (read them until recv(2) says EAGAIN), or \
             waits for one client's end before it answers the next",
            page::THREADS,
            under_load,
        ),
        must(
            "clients that were still in the queue at SIGTERM are served",
            "close(2) of the listener resets those who have connected and were not accepted: \
             accept(2) until the queue is empty, and close then",
            page::THREADS,
            in_the_queue,
        ),
        must(
            "after SIGTERM, new clients are refused",
            "the listener stays open while the last clients are served",
            page::THREADS,
            refuses,
        ),
        must(
            "a client that keeps sending after SIGTERM gets no reset",
            "the connection is closed with bytes unread, or before the client's stream has ended",
            page::THREADS,
            no_reset,
        ),
        must(
            "with GRACE=1, a client that never ends its stream is cut off soon; status 0",
            "there is no deadline for the last clients, or GRACE is not read",
            page::THREADS,
            cuts_off,
        ),
        must(
            "it prints how many lines it has replied to",
            "clients or pieces are counted, or nothing is printed at the end",
            page::THREADS,
            counts,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
        must(
            "with GRACE=30, it waits for a client that takes two seconds",
            "the deadline for the last clients is not the one in GRACE",
            page::THREADS,
            waits_for_the_last,
        ),
    ],
};

/// A grace period, in seconds, that does not end before the checker is done, however slow
/// the machine is.
const AN_HOUR: u32 = 3600;
/// How long a program with a grace period of one second may take to end.
const BUSY: Duration = Duration::from_secs(5);
/// The end that "after one second" allows for, with a grace period of one second.
const AT_MOST: Duration = Duration::from_secs(2);
/// How long the last client takes.
const SLOW: Duration = Duration::from_secs(2);
const CLIENTS: usize = 20;
const LINES: usize = 50;

fn begin(arena: &mut Arena<'_>, grace: u32) -> Outcome<Arc<Subject>> {
    arena.tell("GRACE", &grace.to_string());
    arena.tcp_server()
}

fn lines(client: usize, count: usize) -> (Vec<u8>, Vec<u8>) {
    let words = |line: usize| format!("request {line} of client {client}\n");
    let requests: String = (0..count).map(words).collect();
    let replies: String =
        (0..count).map(|line| format!("done {}", words(line))).collect();
    (requests.into_bytes(), replies.into_bytes())
}

fn is_well(ended: Exit) -> Outcome {
    let diagnosis = (ended == Exit::Signal(15)).then_some(servers::NO_HANDLER);
    match ended {
        Exit::Status(0) => Ok(()),
        other => fails_because("exit status 0", other.to_string(), diagnosis),
    }
}

/// Expects it to end now, since all its clients are gone.
fn exits_well(server: &Subject) -> Outcome {
    is_well(server.wait_end(Patience::new(server))?)
}

/// Clients, each with the replies that it is waiting for.
type Waiting = Vec<(Connection, Vec<u8>)>;

/// Expects the replies and the end of the stream at every client, and then the end of the
/// server. No client ends its own stream before all have what they wait for: none of them
/// may have to wait for another.
fn lose_nothing(server: &Subject, mut clients: Waiting) -> Outcome {
    for (client, replies) in &mut clients {
        client.expect(replies)?;
        client.expect_end()?;
    }
    for (client, _) in clients {
        client.close();
    }
    exits_well(server)
}

fn replies(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, AN_HOUR)?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces([&b"on"[..], b"e\ntwo\nth", b"ree\n"])?;
    client.expect(b"done one\ndone two\ndone three\n")?;
    client.finish_sending()?;
    client.expect_end()
}

/// The clients send their lines while the server is stopped, and it gets SIGTERM before it
/// continues.
fn under_load(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, AN_HOUR)?;
    let mut clients = Waiting::new();
    for _ in 0..CLIENTS {
        let mut client = arena.connect(&server)?;
        client.send(b"first\n")?;
        client.expect(b"done first\n")?;
        clients.push((client, Vec::new()));
    }
    settle(&server);
    server.freeze()?;
    for (number, (client, waits_for)) in clients.iter_mut().enumerate() {
        let (requests, replies) = lines(number, LINES);
        client.send(&requests)?;
        *waits_for = replies;
    }
    server.signal(Signal::Terminate);
    server.thaw();
    lose_nothing(&server, clients)
}

/// Five clients fit into the shortest backlog in common use. With more of them, where there is
/// room, a server that accepts beside its handler does not get to the last of them in time.
fn in_the_queue(arena: &mut Arena<'_>) -> Outcome {
    const SHORTEST: usize = 5;
    const QUEUE: usize = 60;
    let server = begin(arena, AN_HOUR)?;
    settle(&server);
    server.freeze()?;
    let mut clients = Waiting::new();
    for number in 0..QUEUE {
        let client = match number {
            0..SHORTEST => Some(arena.connect_at_once(&server)?),
            _ => arena.connect_if_it_can(&server)?,
        };
        let Some(mut client) = client else { break };
        let (requests, replies) = lines(number, 5);
        client.send(&requests)?;
        clients.push((client, replies));
    }
    server.signal(Signal::Terminate);
    server.thaw();
    lose_nothing(&server, clients)
}

/// Starts a server and asks it to end while it has a client. Returns when it was asked.
fn asked_to_end(
    arena: &mut Arena<'_>,
    grace: u32,
) -> Outcome<(Arc<Subject>, Connection, Instant)> {
    let server = begin(arena, grace)?;
    let mut client = arena.connect(&server)?;
    client.send(b"hello\n")?;
    client.expect(b"done hello\n")?;
    rest(&server, "its client was silent");
    let asked = Instant::now();
    server.signal(Signal::Terminate);
    Ok((server, client, asked))
}

fn refuses(arena: &mut Arena<'_>) -> Outcome {
    let (server, _client, _) = asked_to_end(arena, AN_HOUR)?;
    server.waits_no_more(Patience::new(&server))?;
    arena.expect_refusal(&server)
}

fn no_reset(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut client, _) = asked_to_end(arena, AN_HOUR)?;
    client.expect_end()?;
    for _ in 0..3 {
        client.send(b"one more\n")?;
        client.expect_no_reset()?;
        client.settle();
    }
    client.finish_sending()?;
    exits_well(&server)?;
    client.expect_no_reset()
}

fn cuts_off(arena: &mut Arena<'_>) -> Outcome {
    const ALMOST: Duration = Duration::from_millis(980);
    const TOO_SHORT: Diagnosis = Diagnosis::Other(
        "short-grace",
        "it ends without its clients before the time in GRACE is over",
    );
    let (server, _client, asked) = asked_to_end(arena, 1)?;
    let lateness = Lateness::begin(&server);
    is_well(server.wait_end(Patience::with_deadline(&server, BUSY))?)?;
    let took = asked.elapsed();
    if took < ALMOST {
        let got = format!("it ended after {:.2} s", took.as_secs_f64());
        return fails_because("it waits a second for its client", got, Some(TOO_SHORT));
    }
    lateness.at_most(AT_MOST, asked.elapsed(), "the end soon after one second")
}

fn counts(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, AN_HOUR)?;
    for number in 0..3 {
        let mut client = arena.connect(&server)?;
        let (requests, replies) = lines(number, 4);
        client.send(&requests)?;
        client.expect(&replies)?;
        client.finish_sending()?;
        client.expect_end()?;
    }
    settle(&server);
    server.signal(Signal::Terminate);
    exits_well(&server)?;
    server.expect_line(b"served 12")
}

fn waits_for_the_last(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut client, _) = asked_to_end(arena, 30)?;
    let mut patience = Patience::with_deadline(&server, SLOW);
    while patience.tick().is_none() {
        patience.nap();
    }
    if let Some(ended) = server.ended() {
        is_well(ended)?;
        return fails("it waits for its client", "it has ended, with status 0");
    }
    client.finish_sending()?;
    client.expect_end()?;
    exits_well(&server)
}
