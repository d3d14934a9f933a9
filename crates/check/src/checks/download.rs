//! Lesson 8: a server whose writes do not fit.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, fails};
use crate::peer::{Connection, rest, settle};
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "download",
    lesson: 8,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("download"),
    learned: "A write may take less than it is given, and a client that does not read \
              must not stop the others.",
    checks: &[
        must(
            "it sends exactly as many bytes as were asked for, a to w over and over, and ends the stream",
            "the letters or their number differ, or it keeps the connection open",
            page::WRITES,
            thirty,
        ),
        must(
            "asked for 0 bytes, it ends the stream and sends none",
            "0 was taken for a bad request, or for no limit",
            page::WRITES,
            zero,
        ),
        must(
            "it takes a request that comes in pieces",
            "the result of one recv(2) was taken for the line",
            page::WRITES,
            pieces,
        ),
        must(
            "ten million bytes come whole to a client that starts reading late",
            "one send(2) took only part of the data, and the rest was dropped",
            page::WRITES,
            late,
        ),
        must(
            "a client that ends its side after the request still gets everything",
            "the end of the client's stream was taken to mean that the client had gone",
            page::WRITES,
            half_closed,
        ),
        must(
            "a client that does not read does not block the others",
            "send(2) to that client blocks, and with it everyone else",
            page::WRITES,
            beside_one_that_does_not_read,
        ),
        must(
            "four clients that ask for 64,000,000 bytes and do not read cost little memory",
            "everything is prepared in memory before it is sent; produce it as the client takes it",
            page::WRITES,
            memory,
        ),
        must(
            "a client that leaves halfway does not end the server",
            "EPIPE, ECONNRESET or SIGPIPE ends the program",
            page::WRITES,
            goes_away,
        ),
        must(
            "a request that is not a number gets nothing, and the server goes on",
            "the number is not checked, or a bad one ends the program, or the end of the stream \
             was taken for the end of the line",
            page::WRITES,
            no_number,
        ),
        must(
            "a request that never ends is abandoned",
            "the line has no limit, so memory grows with whatever a stranger sends",
            page::WRITES,
            no_end,
        ),
        must(
            "a line with a sign, an underscore, or more than nine digits is not a number",
            "a function that parses numbers accepts more than digits: look at each byte",
            page::WRITES,
            digits_alone,
        ),
        must(
            "it gives up on a hundred thousand bytes without a newline",
            "the limit is checked only once the line has ended: check it after each recv(2)",
            page::WRITES,
            endless_line,
        ),
        must(
            "two clients at the same time get what each asked for",
            "one number is kept for all clients, or one send(2) goes to the other client",
            page::WRITES,
            two_clients,
        ),
        must(
            "it accepts a request for 100000000 bytes, the maximum",
            "the limit is one too low, or counts digits",
            page::WRITES,
            most,
        ),
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

/// Asks for `count` bytes.
fn ask(client: &mut Connection, count: usize) -> Outcome {
    client.send(format!("{count}\n").as_bytes())
}

fn gets(client: &mut Connection, count: usize) -> Outcome {
    client.expect(&servers::pattern(count))?;
    client.expect_end()
}

fn thirty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    ask(&mut client, 30)?;
    gets(&mut client, 30)
}

fn zero(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    ask(&mut client, 0)?;
    client.expect_end()?;
    ask_again(arena, &server)
}

/// Expects that another client is served.
fn ask_again(
    arena: &mut Arena<'_>,
    server: &std::sync::Arc<crate::subject::Subject>,
) -> Outcome {
    let mut client = arena.connect(server)?;
    ask(&mut client, 5)?;
    client.expect_bytes(5).map(drop)
}

fn pieces(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces([&b"3"[..], b"0"])?;
    rest(&server, "its client was silent");
    client.send(b"\n")?;
    client.expect(&servers::pattern(30))
}

fn late(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 10_000_000;
    let server = arena.tcp_server()?;
    let mut client = arena.connect_narrow(&server)?;
    ask(&mut client, COUNT)?;
    client.settle();
    client.expect(&servers::pattern(COUNT))
}

fn half_closed(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut client = arena.connect(&server)?;
    ask(&mut client, 100_000)?;
    client.finish_sending()?;
    server.thaw();
    client.expect(&servers::pattern(100_000))
}

fn beside_one_that_does_not_read(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut full = arena.connect_narrow(&server)?;
    ask(&mut full, 100_000_000)?;
    full.settle();
    ask_again(arena, &server)
}

fn memory(arena: &mut Arena<'_>) -> Outcome {
    const MOST_BYTES: u64 = 48 << 20;
    let server = arena.tcp_server()?;
    ask_again(arena, &server)?;
    settle(&server);
    let before = server.memory_bytes();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = arena.connect_narrow(&server)?;
        ask(&mut client, 64_000_000)?;
        clients.push(client);
    }
    settle(&server);
    let more = server.memory_bytes().saturating_sub(before);
    match more < MOST_BYTES {
        true => Ok(()),
        false => fails("less than 48 MiB for the four", format!("{} MiB", more >> 20)),
    }
}

fn goes_away(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect_narrow(&server)?;
    ask(&mut client, 100_000_000)?;
    client.expect_bytes(1000)?;
    client.reset()?;
    settle(&server);
    ask_again(arena, &server)
}

fn no_number(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for line in [&b"many\n"[..], b"-5\n", b"\n", b"100000001\n", b"5 5\n", b"\xff\n"] {
        let mut client = arena.connect(&server)?;
        client.send(line)?;
        client.expect_closed()?;
    }
    // The stream ends before the line does.
    let mut client = arena.connect(&server)?;
    client.send(b"5")?;
    client.finish_sending()?;
    client.expect_closed()?;
    ask_again(arena, &server)
}

fn no_end(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[b'1'; 100])?;
    client.expect_closed()
}

fn digits_alone(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for line in
        [&b"+5\n"[..], b"1_0\n", b"0000000000000005\n", b"0x5\n", b" 5\n", b"5.\n"]
    {
        let mut client = arena.connect(&server)?;
        client.send(line)?;
        client.expect_closed()?;
    }
    ask_again(arena, &server)
}

fn endless_line(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // The server may close at any moment, and then accepts no more bytes.
    for _ in 0..25 {
        client.send_if_it_can(&[b'7'; 4000]);
    }
    client.expect_closed()?;
    ask_again(arena, &server)
}

fn two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut first = arena.connect(&server)?;
    let mut second = arena.connect(&server)?;
    ask(&mut first, 30_000)?;
    ask(&mut second, 20)?;
    server.thaw();
    gets(&mut second, 20)?;
    gets(&mut first, 30_000)
}

fn most(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    ask(&mut client, 100_000_000)?;
    client.expect(&servers::pattern(1_000_000))
}
