//! Lesson 1: a client that receives to the end of the stream.

use super::servers::COUNTS_CHARACTERS;
use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Finding, Outcome, Stop, fails};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "first-client",
    lesson: 1,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("first-client"),
    learned: "recv returns what has come, and 0 bytes at the end of the stream: a program \
              that wants all of it must call it again and again.",
    checks: &[
        must(
            "it connects, and sends nothing",
            "something was sent",
            page::SOCKET,
            says_nothing,
        ),
        must(
            "it prints the number of bytes that came, and ends with status 0",
            "the words differ, the exit status is not 0, or recv(2) is not called",
            page::SOCKET,
            counts,
        ),
        must(
            "it counts the bytes of a stream that comes in pieces",
            "the result of one recv(2) was taken for everything",
            page::SOCKET,
            in_pieces,
        ),
        must(
            "it counts a stream that is longer than a buffer",
            "only one buffer of it was received",
            page::SOCKET,
            long,
        ),
        must(
            "when the stream ends before any byte, it prints `0 bytes`, and that is no error",
            "the end of the stream was taken for an error, or for nothing to print",
            page::SOCKET,
            empty,
        ),
        must(
            "when the server resets the connection, it exits by itself with a non-zero \
             status and says why",
            "an error from recv(2) is not handled",
            page::SOCKET,
            reset,
        ),
        must(
            "when nobody listens, it exits with a non-zero status and says why",
            "the error from connect(2), ECONNREFUSED, is ignored, or it retries forever",
            page::SOCKET,
            nobody,
        ),
        must(
            "it keeps its side of the stream open until the server's has ended",
            "shutdown(2) or close(2) came before recv(2) returned 0",
            page::SOCKET,
            stays_open,
        ),
        servers::CLIENT_PORT,
    ],
};

fn says_nothing(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send_if_it_can(b"Hello");
    server.finish_sending()?;
    let sent = server.read_to_any_end(1000)?;
    match sent.is_empty() {
        true => Ok(()),
        false => fails("nothing from the client", quoted(&sent)),
    }
}

fn counts(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send(b"Hello")?;
    server.finish_sending()?;
    client.expect_success()?;
    client.expect_line(b"5 bytes")
}

fn in_pieces(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send_in_pieces([&b"Hello"[..], b" TCP"])?;
    // 8 bytes, 7 characters.
    server.send_if_it_can(" Cli\u{eb}nt".as_bytes());
    server.finish_sending()?;
    let counted = client.expect_line(b"17 bytes");
    let characters = client.stdout().starts_with(b"16 ");
    match counted {
        Err(Stop::Failed(finding)) if characters => {
            Err(Stop::Failed(Finding { diagnosis: Some(COUNTS_CHARACTERS), ..finding }))
        }
        counted => counted,
    }
}

fn long(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send_all(100_000)?;
    server.finish_sending()?;
    client.expect_line(b"100000 bytes")
}

fn empty(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.finish_sending()?;
    client.expect_success()?;
    client.expect_line(b"0 bytes")
}

fn reset(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send(b"Hello")?;
    server.settle();
    server.reset()?;
    client.expect_failure()
}

fn nobody(arena: &mut Arena<'_>) -> Outcome {
    arena.start()?.expect_failure()
}

fn stays_open(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.send_if_it_can(b"Hello");
    server.expect_open()
}
