//! Lesson 2: a client that sends one message and shows the reply.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, fails};
use crate::peer::Connection;
use crate::task::{Role, Task, must, should};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "tcp-echo-client",
    lesson: 2,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("tcp-echo-client"),
    learned: "A reply may come in pieces, so a client reads until it has all of it, \
              and the end of the stream may come too early.",
    checks: &[
        must(
            "it connects and sends `Hello TCP Server`, to the byte, and nothing else",
            "a newline was added, or the text differs",
            page::TCP,
            sends,
        ),
        must(
            "it prints `Server says: ` and the reply, and ends with status 0",
            "the words differ, or the exit status is not 0",
            page::TCP,
            prints,
        ),
        must(
            "it waits for a reply that comes in pieces until it is complete",
            "the result of one recv(2) was taken for the whole reply",
            page::TCP,
            reply_in_pieces,
        ),
        must(
            "it exits when the reply is complete, even if the server keeps the connection open",
            "it reads to the end of the stream, and the server does not end it",
            page::TCP,
            server_stays,
        ),
        must(
            "when the server closes in the middle of the reply, it exits with a non-zero \
             status and says why",
            "recv(2) returned 0, the end of the stream, and that was ignored",
            page::TCP,
            half_a_reply,
        ),
        must(
            "when the server resets the connection, it exits by itself with a non-zero \
             status and says why",
            "an error from recv(2) is not handled",
            page::TCP,
            server_resets,
        ),
        must(
            "when nobody listens, it exits with a non-zero status and says why",
            "the error from connect(2), ECONNREFUSED, is ignored, or it retries forever",
            page::TCP,
            nobody,
        ),
        must(
            "it keeps its side of the stream open until the reply has come",
            "shutdown(2) before the reply: this server would take it for the client's end",
            page::TCP,
            stays_open,
        ),
        should(
            "it prints no terminal control bytes",
            "what came from the network is printed raw; escape control bytes",
            page::TCP,
            prints_safely,
        ),
        servers::CLIENT_PORT,
    ],
};

const MESSAGE: &[u8] = b"Hello TCP Server";
const REPLY: &[u8] = b"Echo: Hello TCP Server";
const LINE: &[u8] = b"Server says: Echo: Hello TCP Server";

/// Starts the client, and returns it with the server's side of its connection, on which the
/// message has arrived.
fn asked(
    arena: &mut Arena<'_>,
) -> Outcome<(std::sync::Arc<crate::subject::Subject>, Connection)> {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    // That the message has the right length is another check's concern.
    server.expect_bytes(MESSAGE.len())?;
    Ok((client, server))
}

fn sends(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.expect(MESSAGE)?;
    // This check looks at the bytes, not at whether the client reads the reply.
    server.send_if_it_can(REPLY);
    server.finish_sending()?;
    let more = server.read_to_any_end(1000)?;
    match more.is_empty() {
        true => Ok(()),
        false => fails("nothing after the message", quoted(&more)),
    }
}

fn prints(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(REPLY)?;
    server.finish_sending()?;
    client.expect_success()?;
    client.expect_line(LINE)
}

fn reply_in_pieces(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send_in_pieces([&REPLY[..1], &REPLY[1..9]])?;
    server.send_if_it_can(&REPLY[9..]);
    server.finish_sending()?;
    client.expect_line(LINE)
}

fn server_stays(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(REPLY)?;
    client.wait_end(crate::patience::Patience::new(&client)).map(drop)
}

fn half_a_reply(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(&REPLY[..9])?;
    server.close();
    client.expect_failure()
}

fn server_resets(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = asked(arena)?;
    server.settle();
    server.reset()?;
    client.expect_failure()
}

fn nobody(arena: &mut Arena<'_>) -> Outcome {
    arena.start()?.expect_failure()
}

fn stays_open(arena: &mut Arena<'_>) -> Outcome {
    let (_client, mut server) = asked(arena)?;
    server.expect_open()
}

fn prints_safely(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(b"Echo: \x1b[31mred\x07 Server!")?;
    server.finish_sending()?;
    client.wait_end(crate::patience::Patience::new(&client))?;
    client.expect_safe_output()
}
