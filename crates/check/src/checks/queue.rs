//! Lesson 5: a server whose clients wait in the kernel's queue.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::Outcome;
use crate::peer::settle;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "queue",
    lesson: 5,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("queue"),
    learned: "The kernel accepts connections before your program does, and keeps them, \
              and their bytes, in a queue.",
    checks: &[
        must(
            "it answers a line with `ok\\n` and ends the stream",
            "the words differ, or it keeps the connection open",
            page::KERNEL,
            answers,
        ),
        must(
            "it answers a line that comes in pieces once it is whole",
            "the result of one recv(2) was taken for the line",
            page::KERNEL,
            pieces,
        ),
        must(
            "fifty clients that connected while it was not accepting are all answered",
            "the backlog passed to listen(2) is too small: the kernel turns clients away",
            page::KERNEL,
            fifty,
        ),
        must(
            "a client that has ended its side before it was accepted is answered",
            "the end of the client's stream was taken to mean that the client had gone",
            page::KERNEL,
            ended_in_the_queue,
        ),
        must(
            "a client that reset before it was accepted does not end the server",
            "getpeername(2) or recv(2) fails for that client, and the program ends",
            page::KERNEL,
            gone_in_the_queue,
        ),
        must(
            "a client that leaves without a word is not answered, and does not end the server",
            "recv(2) returned 0, the end of the stream, and that was ignored",
            page::KERNEL,
            silent,
        ),
        must(
            "a line that is too long is not answered, and its end is not awaited",
            "there is no limit: it reads on until a newline comes, or memory ends",
            page::KERNEL,
            too_long,
        ),
        must(
            "it answers a line of 100 bytes, the longest allowed",
            "the limit is too low, or counts the newline",
            page::KERNEL,
            longest,
        ),
        must(
            "after a line that is too long it serves the next client",
            "the line that is too long ends the program, not only the connection",
            page::KERNEL,
            after_too_long,
        ),
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

fn answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hello\n")?;
    client.expect(b"ok\n")?;
    client.expect_end()
}

fn pieces(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hel")?;
    client.expect_silence()?;
    client.send_in_pieces([&b"l"[..], b"o"])?;
    client.send(b"\n")?;
    client.expect(b"ok\n")
}

fn fifty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = arena.connect_at_once(&server)?;
        client.send(b"Hello\n")?;
        clients.push(client);
    }
    server.thaw();
    clients.iter_mut().try_for_each(|client| client.expect(b"ok\n"))
}

fn ended_in_the_queue(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hello\n")?;
    client.finish_sending()?;
    server.thaw();
    client.expect(b"ok\n")
}

fn gone_in_the_queue(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hel")?;
    client.reset()?;
    // Make sure that the reset has arrived before the server can look.
    settle(&server);
    server.thaw();
    settle(&server);
    let mut next = arena.connect(&server)?;
    next.send(b"Hello\n")?;
    next.expect(b"ok\n")
}

fn silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.finish_sending()?;
    client.expect_closed()?;
    let mut half = arena.connect(&server)?;
    half.send(b"Hel")?;
    half.finish_sending()?;
    half.expect_closed()?;
    let mut next = arena.connect(&server)?;
    next.send(b"Hello\n")?;
    next.expect(b"ok\n")
}

fn too_long(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[b'x'; 1000])?;
    client.expect_closed()?;
    settle(&server);
    if server.is_over() {
        // That it goes on is another check's concern.
        return Ok(());
    }
    // A line that is whole, and too long by one byte.
    let mut client = arena.connect(&server)?;
    client.send(&[[b'x'; 101].as_slice(), b"\n"].concat())?;
    servers::limits_whole_lines(client.expect_closed())
}

fn longest(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[[b'x'; 100].as_slice(), b"\n"].concat())?;
    client.expect(b"ok\n")?;
    // The same where its last byte comes alone: a hundred bytes are not too many yet.
    let mut client = arena.connect(&server)?;
    client.send_in_pieces([[b'x'; 100].as_slice()])?;
    client.send_if_it_can(b"\n");
    client.expect(b"ok\n")
}

fn after_too_long(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[b'x'; 1000])?;
    client.drain()?;
    client.close();
    let mut next = arena.connect(&server)?;
    next.send(b"Hello\n")?;
    next.expect(b"ok\n")
}
