//! Lesson 13: a server for a thousand clients at the same time, without a thread for each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, fails};
use crate::peer::{Connection, rest, settle};
use crate::subject::Subject;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "crowd",
    lesson: 13,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("crowd"),
    learned: "Readiness lets one thread serve a thousand clients: it costs each of them a \
              descriptor and a little memory, and nobody waits for anybody.",
    checks: &[
        must(
            "it sends the bytes back at once, and ends its stream after the client's",
            "the words differ, or the end of the client's stream is not noticed",
            page::READINESS,
            |arena| {
                let server = arena.tcp_server()?;
                reads_everything(arena, &server)?;
                servers::echoes(arena, &server)?;
                servers::keeps_to_the_end(arena, &server)
            },
        ),
        must(
            "a thousand clients at the same time each get back their own bytes",
            "open files run out, the backlog of listen(2) is short, or clients wait in turn",
            page::READINESS,
            thousand,
        ),
        must(
            "a thousand clients cost no thread and no process each",
            "each client has a thread: poll(2) or epoll_wait(2) waits for all in one",
            page::READINESS,
            threads,
        ),
        must(
            "a thousand silent clients cost at most 32 MiB more than one",
            "each connection has a buffer of its own, also while nothing is in it",
            page::READINESS,
            memory,
        ),
        must(
            "a client that sends and does not read does not hold up another",
            "send(2) to that client blocks: make it non-blocking, and wait for room",
            page::READINESS,
            beside_one_that_does_not_read,
        ),
        must(
            "a client that sends without a pause does not hold up another",
            "the loop stays with one client as long as that has something to read",
            page::READINESS,
            beside_one_that_floods,
        ),
        must(
            "a client that resets its connection ends nothing for the others",
            "an error of one connection ends the program",
            page::READINESS,
            reset,
        ),
        must(
            "after a thousand clients have left, a thousand others are served",
            "what a client that has left had is kept: its descriptor, or its memory",
            page::READINESS,
            another_thousand,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
};

const CLIENTS: usize = 1000;
/// So many connect before the first of them is served. The queue of `listen(2)` holds as many.
const TOGETHER: usize = 50;
/// How many files a server may open: for each client a socket, and a pipe if it has splice(2)
/// copy, and what it needs besides.
const FILES: u64 = 3 * CLIENTS as u64 + 300;
/// Descriptors that the checker needs for its own ends, and for what runs beside.
const OWN_FILES: u64 = 2 * CLIENTS as u64;

/// Starts a server that may open a file for each client.
fn begin(arena: &mut Arena<'_>) -> Outcome<Arc<Subject>> {
    arena.limits.each.open_files = FILES;
    arena.tcp_server()
}

/// Lets the checker open a file for each client. Only one such check runs at a time.
fn thousand_files() -> Outcome<MutexGuard<'static, ()>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    const NEEDED: u64 = if FILES > OWN_FILES { FILES } else { OWN_FILES };
    match netlab::process::open_files_at_most()? {
        most if most >= NEEDED => {
            Ok(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
        }
        most => Err(Stop::Skipped(format!(
            "this system allows a process {most} open files, and the checker needs {NEEDED}; \
             raise the hard limit (`ulimit -Hn`)"
        ))),
    }
}

/// Connects so many clients, each of which is served once, and stays.
fn crowd(
    arena: &mut Arena<'_>,
    server: &Arc<Subject>,
    count: usize,
) -> Outcome<Vec<Connection>> {
    let words = |number: usize| format!("I am number {number}");
    let mut clients = Vec::new();
    while clients.len() < count {
        let first = clients.len();
        for number in first..count.min(first + TOGETHER) {
            let mut client = arena.connect(server)?;
            client.send(words(number).as_bytes())?;
            clients.push(client);
        }
        for (number, client) in clients.iter_mut().enumerate().skip(first) {
            servers::with_own_cause(client.expect(words(number).as_bytes()))?;
        }
    }
    Ok(clients)
}

/// A client sends more than a server reads with one call.
fn reads_everything(arena: &mut Arena<'_>, server: &Arc<Subject>) -> Outcome {
    const LEFT: Diagnosis = Diagnosis::Other(
        "left-unread",
        "something that came is never read: an edge-triggered epoll (EPOLLET) tells once of what \
         comes, so read until recv(2) says EAGAIN",
    );
    let bytes = servers::pattern(1_000_000);
    match arena.connect(server)?.exchange_to_the_end(&bytes, &bytes) {
        Err(Stop::Failed(finding)) if finding.diagnosis.is_none() => {
            let waits = finding.got.contains("then nothing");
            let diagnosis = Some(if waits { LEFT } else { servers::DROPS });
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        exchanged => exchanged,
    }
}

fn thousand(arena: &mut Arena<'_>) -> Outcome {
    let _files = thousand_files()?;
    let server = begin(arena)?;
    crowd(arena, &server, CLIENTS).map(drop)
}

fn threads(arena: &mut Arena<'_>) -> Outcome {
    const MOST: usize = 32;
    const ENOUGH: usize = 200;
    let server = begin(arena)?;
    let _clients = crowd(arena, &server, ENOUGH)?;
    match server.threads() {
        threads if threads <= MOST => Ok(()),
        threads => fails(
            format!("at most {MOST} threads and processes for {ENOUGH} clients"),
            format!("{threads}"),
        ),
    }
}

fn memory(arena: &mut Arena<'_>) -> Outcome {
    const MOST_BYTES: u64 = 32 << 20;
    let _files = thousand_files()?;
    let server = begin(arena)?;
    let _first = crowd(arena, &server, 1)?;
    settle(&server);
    let before = server.memory_bytes();
    let _clients = crowd(arena, &server, CLIENTS)?;
    settle(&server);
    let more = server.memory_bytes().saturating_sub(before);
    match more <= MOST_BYTES {
        true => Ok(()),
        false => fails("at most 32 MiB more", format!("{} MiB", more >> 20)),
    }
}

fn beside_one_that_does_not_read(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena)?;
    let mut full = arena.connect_narrow(&server)?;
    full.send_until_full()?;
    rest(&server, "its client read nothing");
    crowd(arena, &server, 5).map(drop)
}

/// While the flood goes on, five others are served twenty times each.
fn beside_one_that_floods(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena)?;
    let flood = arena.connect(&server)?;
    let mut others = crowd(arena, &server, 5)?;
    flood.while_flooding(|flood| {
        for _ in 0..20 {
            for client in &mut others {
                client.send(b"and I?")?;
                client.expect_beside(b"and I?", flood)?;
            }
        }
        Ok(())
    })
}

fn reset(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena)?;
    let mut others = crowd(arena, &server, 3)?;
    for _ in 0..20 {
        let mut client = arena.connect(&server)?;
        client.send(b"I am gone before you answer")?;
        client.reset()?;
    }
    settle(&server);
    for client in &mut others {
        client.send(b"still there")?;
        client.expect(b"still there")?;
    }
    Ok(())
}

fn another_thousand(arena: &mut Arena<'_>) -> Outcome {
    /// Allows for a garbage collector, which runs when it likes.
    const MOST_BYTES: u64 = 48 << 20;
    const MORE_SOCKETS: usize = CLIENTS / 4;
    let _files = thousand_files()?;
    let server = begin(arena)?;
    drop(crowd(arena, &server, 1)?);
    settle(&server);
    let (before, sockets) = (server.memory_bytes(), server.sockets());
    for (number, client) in crowd(arena, &server, CLIENTS)?.into_iter().enumerate() {
        match number % 2 {
            0 => client.close(),
            _ => client.reset()?,
        }
    }
    settle(&server);
    let more = server.memory_bytes().saturating_sub(before);
    if more > MOST_BYTES {
        return fails(
            "about as much memory as after the first client",
            format!("{} MiB more", more >> 20),
        );
    }
    match server.sockets().saturating_sub(sockets) {
        0..MORE_SOCKETS => crowd(arena, &server, CLIENTS).map(drop),
        more => fails(
            "as many sockets as after the first client",
            format!("{more} more: they are not closed"),
        ),
    }
}
