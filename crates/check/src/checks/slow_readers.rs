//! Lesson 12: clients that do not read, and clients that say nothing, hold up nobody.

use std::sync::Arc;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, fails};
use crate::peer::{Connection, rest, send_all_until_full, settle};
use crate::subject::Subject;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "slow-readers",
    lesson: 12,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("slow-readers"),
    learned: "What a client does not take must wait at the client: neither your memory nor \
              another client may pay for it.",
    checks: &[
        must(
            "it sends the bytes back at once, and ends its stream after the client's",
            "the words differ, or the end of the client's stream is not noticed",
            page::THREADS,
            |arena| {
                let server = arena.tcp_server()?;
                servers::echoes(arena, &server)
            },
        ),
        must(
            "a client that does not read does not hold up another",
            "one thread serves all and blocks in send(2)",
            page::THREADS,
            beside_one,
        ),
        must(
            "fifty clients that do not read do not hold up another",
            "a pool has a fixed number of threads, and each of them blocks in send(2)",
            page::THREADS,
            beside_fifty,
        ),
        must(
            "a hundred silent clients do not hold up another",
            "a pool has a fixed number of threads, and each of them blocks in recv(2)",
            page::THREADS,
            beside_silent,
        ),
        must(
            "two million bytes come back whole to a client that reads late",
            "what does not fit into one send(2) is dropped, or the end of the client's stream \
             ends the sending",
            page::THREADS,
            late,
        ),
        must(
            "ten clients that send and never read cost at most 32 MiB",
            "what cannot be sent is kept in memory, and more is read: stop reading from a \
             client that takes nothing",
            page::THREADS,
            memory,
        ),
        must(
            "a client that never reads and then resets its connection does not affect the others",
            "an error from send(2), EPIPE or ECONNRESET, ends the program",
            page::THREADS,
            reset,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
};

/// Expects that a client that connects now is served.
fn another(arena: &mut Arena<'_>, server: &Arc<Subject>) -> Outcome {
    let mut client = arena.connect(server)?;
    client.send(b"and I?")?;
    servers::with_own_cause(client.expect(b"and I?"))
}

/// Connects clients that send as much as the server takes, and read nothing.
fn full(
    arena: &mut Arena<'_>,
    server: &Arc<Subject>,
    count: usize,
) -> Outcome<Vec<Connection>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(arena.connect_narrow(server)?);
    }
    send_all_until_full(&mut clients, server)?;
    Ok(clients)
}

fn beside_one(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _full = full(arena, &server, 1)?;
    rest(&server, "its client read nothing");
    another(arena, &server)
}

fn beside_fifty(arena: &mut Arena<'_>) -> Outcome {
    arena.limits.each.open_files = 512;
    let server = arena.tcp_server()?;
    let _full = full(arena, &server, 50)?;
    another(arena, &server)
}

fn beside_silent(arena: &mut Arena<'_>) -> Outcome {
    // A program that has splice(2) copy has a pipe for each of them.
    arena.limits.each.open_files = 512;
    let server = arena.tcp_server()?;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(arena.connect(&server)?);
    }
    settle(&server);
    another(arena, &server)
}

fn late(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    servers::keeps_to_the_end(arena, &server)?;
    let mut client = arena.connect_narrow(&server)?;
    let bytes = servers::pattern(2_000_000);
    client.exchange_to_the_end(&bytes, &bytes)
}

fn memory(arena: &mut Arena<'_>) -> Outcome {
    const MOST_BYTES: u64 = 32 << 20;
    let server = arena.tcp_server()?;
    another(arena, &server)?;
    settle(&server);
    let before = server.memory_bytes();
    let _full = full(arena, &server, 10)?;
    let more = server.memory_bytes().saturating_sub(before);
    match more <= MOST_BYTES {
        true => Ok(()),
        false => fails("at most 32 MiB more", format!("{} MiB", more >> 20)),
    }
}

fn reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for client in full(arena, &server, 3)? {
        client.reset()?;
    }
    settle(&server);
    another(arena, &server)
}
