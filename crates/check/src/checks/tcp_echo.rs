//! Lesson 2: a server that serves one client, one message.

use std::sync::Arc;

use netlab::sockets::Transport;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, explained, fails};
use crate::patience::Patience;
use crate::peer::rest;
use crate::subject::Subject;
use crate::task::{Role, Task, must, should};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "tcp-echo",
    lesson: 2,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("tcp-echo"),
    learned: "A server is socket, bind, listen, accept; a client that leaves without a \
              word is recv returning 0, not an error.",
    checks: &[
        must(
            "it listens for TCP clients on its port",
            "bind(2) and listen(2) were not called, or with another port than PORT",
            page::TCP,
            listens,
        ),
        must(
            "it answers `Hello TCP Server` with `Echo: Hello TCP Server`, to the byte",
            "the six bytes `Echo: ` are missing or differ, or a newline was added",
            page::TCP,
            answers,
        ),
        must(
            "after the reply it ends the stream",
            "close(2) or shutdown(2) is not called, or more than the reply is sent",
            page::TCP,
            ends_the_stream,
        ),
        must(
            "it sends bytes back as they came, including invalid UTF-8",
            "the message is decoded as text along the way; keep it as bytes",
            page::TCP,
            keeps_bytes,
        ),
        must(
            "it echoes a message of 1024 bytes whole",
            "the buffer for recv(2) is too small, or one send(2) was not completed",
            page::TCP,
            long_message,
        ),
        must(
            "it echoes a message of one byte",
            "it waits for more than was sent: recv(2) returns what is there",
            page::TCP,
            short_message,
        ),
        must(
            "it exits with status 0 once its client is served",
            "it waits for another client, or for the client to close",
            page::TCP,
            ends_well,
        ),
        must(
            "when the client closes without sending anything, it exits with a non-zero status and says why",
            "recv(2) returned 0, the end of the stream, and that was taken for a message",
            page::TCP,
            silent_client,
        ),
        must(
            "when the client resets the connection, it exits by itself with a non-zero \
             status and says why",
            "an error from recv(2) is not handled, or a signal (SIGPIPE) ended the program",
            page::TCP,
            client_resets,
        ),
        must(
            "it can be started again at once on the same port",
            "SO_REUSEADDR is not set before bind(2): the old connection holds the port in \
             TIME-WAIT",
            page::TCP,
            starts_again,
        ),
        must(
            "when the port is in use, it exits with a non-zero status and says why",
            "the error from bind(2) is ignored, or SO_REUSEPORT shares the port",
            page::TCP,
            servers::busy_port,
        ),
        should(
            "it listens on 127.0.0.1 only",
            "it is bound to 0.0.0.0 or ::, where the whole network can connect",
            page::TCP,
            loopback_alone,
        ),
        should(
            "it prints no terminal control bytes",
            "what came from the network is printed raw; escape control bytes",
            page::TCP,
            prints_safely,
        ),
        servers::TCP_PORT,
    ],
};

fn listens(arena: &mut Arena<'_>) -> Outcome {
    arena.tcp_server().map(drop)
}

/// Sends `message` and waits for its echo.
fn echo(arena: &mut Arena<'_>, message: &[u8]) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(message)?;
    client.expect(&[b"Echo: ", message].concat())
}

fn answers(arena: &mut Arena<'_>) -> Outcome {
    const REPLY: &[u8] = b"Echo: Hello TCP Server";
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hello TCP Server")?;
    let answered = client.expect(REPLY);
    match client.said_nothing() {
        true => explained(answered, servers::SAID_NOTHING)?,
        false => answered?,
    }
    client.expect_no_more(REPLY)
}

fn ends_the_stream(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hello")?;
    // Any reply will do: other checks look at what it is.
    client.expect_bytes(5)?;
    let rest = client.read_to_end(100)?;
    if rest.len() > 6 {
        return fails("the end of the stream after the reply", quoted(&rest));
    }
    Ok(())
}

fn keeps_bytes(arena: &mut Arena<'_>) -> Outcome {
    echo(arena, b" red \x1b[31m \xff\xfe \0 \xc3\x28\r\n")
}

fn long_message(arena: &mut Arena<'_>) -> Outcome {
    let message: Vec<u8> = (0..1024).map(|at| b'a' + (at % 23) as u8).collect();
    echo(arena, &message)
}

fn short_message(arena: &mut Arena<'_>) -> Outcome {
    echo(arena, b"x")
}

fn ends_well(arena: &mut Arena<'_>) -> Outcome {
    let server = serve_one(arena)?;
    server.expect_success()
}

/// Starts a server that serves one client.
fn serve_one(arena: &mut Arena<'_>) -> Outcome<Arc<Subject>> {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"Hello")?;
    client.expect_bytes(5)?;
    client.drain()?;
    client.close();
    Ok(server)
}

fn silent_client(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.finish_sending()?;
    client.expect_closed()?;
    server.expect_failure()
}

fn client_resets(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let client = arena.connect(&server)?;
    rest(&server, "its client was silent");
    client.reset()?;
    server.expect_failure()
}

fn starts_again(arena: &mut Arena<'_>) -> Outcome {
    let first = arena.tcp_server()?;
    let mut client = arena.connect(&first)?;
    client.send(b"Hello")?;
    client.expect_bytes(5)?;
    client.drain()?;
    // The server closed first, so its end of the connection stays in TIME-WAIT.
    client.close();
    first.wait_end(Patience::new(&first))?;
    let second = arena.tcp_server()?;
    arena.connect(&second).map(drop)
}

fn loopback_alone(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let waits = server.waits_at(Transport::TcpListener);
    match waits.iter().find(|address| !address.ip().is_loopback()) {
        None => Ok(()),
        Some(address) => fails("a listener on 127.0.0.1", format!("one on {address}")),
    }
}

fn prints_safely(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"\x1b[31mred\x07")?;
    client.expect_bytes(8)?;
    client.settle();
    server.expect_safe_output()
}
