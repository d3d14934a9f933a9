//! A project after lesson 9: a proxy that copies both ways.

use std::sync::Arc;
use std::thread;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, explained};
use crate::peer::{Connection, Listener, settle};
use crate::subject::Subject;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "proxy",
    lesson: 9,
    optional: true,
    role: Role::TcpServer,
    statement: statement!("proxy"),
    learned: "A connection has two directions, and each ends by itself: what a proxy passes on \
              is bytes, and the end of bytes.",
    checks: &[
        must(
            "what a client sends arrives at the other server, unchanged",
            "no connection to UPSTREAM is made, or the bytes are decoded along the way",
            page::GOODBYE,
            there,
        ),
        must(
            "what the other server sends arrives at the client, even if it speaks first",
            "one direction waits for the other: both must be copied at the same time",
            page::GOODBYE,
            back,
        ),
        must(
            "they may talk in turn, in small pieces",
            "bytes are held back until there are more of them, or the stream ends",
            page::WRITES,
            in_turn,
        ),
        must(
            "the client's half-close is passed on, and the answer still comes back",
            "the end is not passed on (shutdown(2)), or both directions are closed at once",
            page::GOODBYE,
            client_ends,
        ),
        must(
            "the other server's half-close is passed on, and the client may go on sending",
            "the end is not passed on (shutdown(2)), or both directions are closed at once",
            page::GOODBYE,
            server_ends,
        ),
        must(
            "two clients have a connection each, and a silent one does not block the others",
            "all clients share one connection, or one client is served at a time",
            page::GOODBYE,
            two_clients,
        ),
        must(
            "megabytes come through to a server, and to a client, that starts reading late",
            "one send(2) took only part of the data, and the rest was dropped",
            page::WRITES,
            late,
        ),
        must(
            "a client that resets its connection ends the one to the other server, and nothing else",
            "an error in one direction is not passed on, or it ends the program",
            page::GOODBYE,
            client_resets,
        ),
        must(
            "when the other server is not there, the client's connection is closed",
            "the error from connect(2) ends the program, or leaves the client waiting",
            page::REFUSED,
            no_server,
        ),
        must(
            "when both directions have ended, both connections are closed",
            "a socket or a thread is left over for each client",
            page::GOODBYE,
            leaves_nothing,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
};

/// Starts a proxy, and listens as the server behind it.
fn proxy(arena: &mut Arena<'_>) -> Outcome<(Arc<Subject>, Listener)> {
    let upstream = arena.listen_beside("UPSTREAM")?;
    Ok((arena.tcp_server()?, upstream))
}

/// Connects a client, and accepts the connection that the proxy makes for it.
fn pair(
    arena: &mut Arena<'_>,
    proxy: &Arc<Subject>,
    upstream: &mut Listener,
) -> Outcome<(Connection, Connection)> {
    let client = arena.connect(proxy)?;
    Ok((client, upstream.accept(proxy)?))
}

const BYTES: &[u8] = b"\0\xff\xfe one\r\n\xc3";

fn there(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let mut client = arena.connect(&proxy)?;
    client.send(BYTES)?;
    let mut server = upstream.accept(&proxy)?;
    server.expect(BYTES)?;
    server.expect_silence()
}

fn back(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    server.send(BYTES)?;
    client.expect(BYTES)?;
    client.expect_silence()
}

fn in_turn(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    for _ in 0..3 {
        client.send(b"?")?;
        server.expect(b"?")?;
        server.send(b"!")?;
        client.expect(b"!")?;
    }
    Ok(())
}

const CLOSES_BOTH: Diagnosis = Diagnosis::Other(
    "closes-both",
    "when one direction ends, the other is closed with it: end only the stream that you send \
     (shutdown(2) with SHUT_WR), and copy the other direction until it ends",
);
const GIVES_UP: Diagnosis = Diagnosis::Other(
    "gives-up",
    "some time after one direction has ended, the other is closed as well: there may be silence \
     for as long as that side likes",
);

fn client_ends(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    client.send(b"the last words")?;
    client.finish_sending()?;
    server.expect(b"the last words")?;
    server.expect_end()?;
    server.send(b"an ")?;
    explained(client.expect(b"an "), CLOSES_BOTH)?;
    thread::park_timeout(servers::SILENCE);
    server.send(b"answer")?;
    explained(client.expect(b"answer"), GIVES_UP)?;
    server.finish_sending()?;
    client.expect_end()
}

fn server_ends(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    server.send(b"that is all")?;
    server.finish_sending()?;
    client.expect(b"that is all")?;
    client.expect_end()?;
    client.send(b"thank you")?;
    explained(server.expect(b"thank you"), CLOSES_BOTH)?;
    client.finish_sending()?;
    server.expect_end()
}

fn two_clients(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let _silent = pair(arena, &proxy, &mut upstream)?;
    let (mut first, mut one) = pair(arena, &proxy, &mut upstream)?;
    let (mut second, mut other) = pair(arena, &proxy, &mut upstream)?;
    first.send(b"first")?;
    second.send(b"second")?;
    one.expect(b"first")?;
    other.expect(b"second")?;
    other.send(b"to the second")?;
    second.expect(b"to the second")?;
    first.expect_silence()
}

fn late(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    let bytes = servers::pattern(8_000_000);
    client.send_to(&bytes, &mut server)?;
    client.close();
    server.close();
    let mut client = arena.connect_narrow(&proxy)?;
    let mut server = upstream.accept(&proxy)?;
    server.send_to(&bytes[..2_000_000], &mut client)
}

fn client_resets(arena: &mut Arena<'_>) -> Outcome {
    let (proxy, mut upstream) = proxy(arena)?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    client.send(b"and gone")?;
    server.expect(b"and gone")?;
    client.settle();
    client.reset()?;
    server.expect_closed()?;
    let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
    client.send(b"hello")?;
    server.expect(b"hello")
}

fn no_server(arena: &mut Arena<'_>) -> Outcome {
    let _nobody = arena.nobody_beside("UPSTREAM")?;
    let proxy = arena.tcp_server()?;
    arena.connect(&proxy)?.expect_closed()?;
    // If this has ended the program, it may still be on its way out.
    settle(&proxy);
    arena.connect(&proxy)?.expect_closed()
}

fn leaves_nothing(arena: &mut Arena<'_>) -> Outcome {
    arena.limits.each.open_files = 64;
    let (proxy, mut upstream) = proxy(arena)?;
    for _ in 0..60 {
        let (mut client, mut server) = pair(arena, &proxy, &mut upstream)?;
        client.finish_sending()?;
        server.expect_end()?;
        server.finish_sending()?;
        client.expect_end()?;
    }
    settle(&proxy);
    Ok(())
}
