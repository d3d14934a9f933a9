//! A project after lesson 9: a chat with names.

use std::sync::Arc;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::STRIPPED;
use crate::outcome::{Outcome, explained, fails, fails_because};
use crate::peer::{Connection, settle};
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "chat",
    lesson: 9,
    optional: true,
    role: Role::TcpServer,
    statement: statement!("chat"),
    learned: "A server that writes to many must not wait for one: each client needs a \
              queue of its own, and a limit for it.",
    checks: &[
        must(
            "it asks for a name, and says who is there",
            "the words differ, or it waits for something to come first",
            page::FRAMING,
            joins,
        ),
        must(
            "all others hear that somebody came, and the new one who is there already",
            "the new client is told about itself, or the others are not told",
            page::FRAMING,
            came,
        ),
        must(
            "what one says, all others read, with its name",
            "the line goes to the sender as well, or not to everyone",
            page::GOODBYE,
            talks,
        ),
        must(
            "a line that comes in pieces is passed on once it is whole",
            "the result of one recv(2) was taken for one line",
            page::FRAMING,
            pieces,
        ),
        must(
            "two lines that come at once are two lines",
            "the result of one recv(2) was taken for one line",
            page::FRAMING,
            two_at_once,
        ),
        must(
            "all others hear that somebody left, and the name is free again",
            "recv(2) returned 0, and the client was not taken off the list",
            page::GOODBYE,
            left,
        ),
        must(
            "a bad name gets an error and is closed, and nobody hears of it",
            "the name is not checked, or the others are told too early",
            page::FRAMING,
            bad_names,
        ),
        must(
            "a name that is taken gets an error, and whoever had it stays",
            "the name is not looked up, or the new client takes its place",
            page::FRAMING,
            taken,
        ),
        must(
            "a client that has not given a name hears nothing",
            "a client is on the list before it has a name",
            page::FRAMING,
            nameless,
        ),
        must(
            "a line that is too long ends that client, and no other",
            "there is no limit, so memory grows with whatever a stranger sends",
            page::FRAMING,
            too_long,
        ),
        must(
            "a client that resets its connection has left, like any other",
            "an error from recv(2) or send(2) ends the program, or leaves the name taken",
            page::GOODBYE,
            resets,
        ),
        must(
            "a client that does not read does not block the others",
            "send(2) to that client blocks, and with it everyone else",
            page::WRITES,
            does_not_read,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

/// Connects a client that gives its name and is told who is there.
fn member(
    arena: &mut Arena<'_>,
    server: &Arc<Subject>,
    name: &str,
    here: &str,
) -> Outcome<Connection> {
    let mut client = arena.connect(server)?;
    client.expect(b"name?\n")?;
    client.send(format!("{name}\n").as_bytes())?;
    client.expect(format!("* here:{here}\n").as_bytes())?;
    Ok(client)
}

/// Connects two clients that have been told of each other.
fn pair(arena: &mut Arena<'_>) -> Outcome<(Arc<Subject>, Connection, Connection)> {
    let server = arena.tcp_server()?;
    let mut anna = member(arena, &server, "anna", "")?;
    let bert = member(arena, &server, "bert", " anna")?;
    anna.expect(b"* bert came\n")?;
    Ok((server, anna, bert))
}

fn joins(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    member(arena, &server, "anna", "").map(drop)
}

fn came(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, mut bert) = pair(arena)?;
    let mut carl = member(arena, &server, "Carl9", " anna bert")?;
    anna.expect(b"* Carl9 came\n")?;
    bert.expect(b"* Carl9 came\n")?;
    carl.expect_silence()
}

fn talks(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, mut bert) = pair(arena)?;
    let mut carl = member(arena, &server, "carl", " anna bert")?;
    for client in [&mut anna, &mut bert] {
        client.expect(b"* carl came\n")?;
    }
    bert.send(b"hello \xff\xfe\n")?;
    anna.expect(b"[bert] hello \xff\xfe\n")?;
    carl.expect(b"[bert] hello \xff\xfe\n")?;
    bert.send(b"  two  \r\n")?;
    for client in [&mut anna, &mut carl] {
        let line: &[u8] = b"[bert]   two  \r\n";
        let got = client.expect_through(b"\n", 100)?;
        if got != line {
            return fails_because(quoted(line), quoted(&got), Some(STRIPPED));
        }
    }
    carl.send(b"\n")?;
    anna.expect(b"[carl] \n")?;
    bert.expect(b"[carl] \n")?;
    carl.expect_silence()
}

fn pieces(arena: &mut Arena<'_>) -> Outcome {
    let (_server, mut anna, mut bert) = pair(arena)?;
    bert.send_in_pieces([&b"hel"[..], b"lo"])?;
    anna.expect_silence()?;
    bert.send(b"\n")?;
    anna.expect(b"[bert] hello\n")
}

fn two_at_once(arena: &mut Arena<'_>) -> Outcome {
    let (_server, mut anna, mut bert) = pair(arena)?;
    bert.send(b"one\ntwo\n")?;
    anna.expect(b"[bert] one\n[bert] two\n")
}

fn left(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, mut bert) = pair(arena)?;
    bert.send(b"not a whole line")?;
    bert.finish_sending()?;
    anna.expect(b"* bert left\n")?;
    bert.expect_closed()?;
    member(arena, &server, "bert", " anna").map(drop)
}

fn bad_names(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut anna = member(arena, &server, "anna", "")?;
    for name in
        [&b""[..], b"two words", b"\xc3\xa9", b"seventeen17letter", b"a\r", b"a_b"]
    {
        let mut client = arena.connect(&server)?;
        client.expect(b"name?\n")?;
        client.send(&[name, b"\n"].concat())?;
        let refused = is_refused(&mut client);
        if name.ends_with(b"\r") { explained(refused, STRIPPED)? } else { refused? }
    }
    anna.expect_silence()
}

/// Expects a line that begins with `error: `, and then the end of the connection.
fn is_refused(client: &mut Connection) -> Outcome {
    let answer = client.read_to_any_end(1000)?;
    match answer.starts_with(b"error: ") && answer.ends_with(b"\n") {
        true => Ok(()),
        false => fails("a line that begins with `error: `", quoted(&answer)),
    }
}

fn taken(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, mut bert) = pair(arena)?;
    let mut other = arena.connect(&server)?;
    other.expect(b"name?\n")?;
    other.send(b"anna\n")?;
    is_refused(&mut other)?;
    anna.send(b"still here\n")?;
    bert.expect(b"[anna] still here\n")
}

fn nameless(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut nameless = arena.connect(&server)?;
    nameless.expect(b"name?\n")?;
    let mut anna = member(arena, &server, "anna", "")?;
    anna.send(b"is anybody there?\n")?;
    nameless.expect_silence()?;
    nameless.close();
    anna.expect_silence()
}

fn too_long(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, mut bert) = pair(arena)?;
    let longest = [&[b'x'; 1000][..], b"\n"].concat();
    bert.send(&longest)?;
    anna.expect(&[b"[bert] ".as_slice(), &longest].concat())?;
    bert.expect_silence()?;
    bert.send_if_it_can(&[b'y'; 5000]);
    anna.expect(b"* bert left\n")?;
    bert.expect_closed()?;
    // A line that is whole, and too long by one byte.
    let mut carl = member(arena, &server, "carl", " anna")?;
    anna.expect(b"* carl came\n")?;
    carl.send_if_it_can(&[[b'z'; 1001].as_slice(), b"\n"].concat());
    servers::limits_whole_lines(anna.expect(b"* carl left\n"))
}

fn resets(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut anna, bert) = pair(arena)?;
    bert.settle();
    bert.reset()?;
    anna.expect(b"* bert left\n")?;
    member(arena, &server, "bert", " anna").map(drop)
}

fn does_not_read(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    // This client has a small receive buffer, and never reads again.
    let mut bert = arena.connect_narrow(&server)?;
    bert.expect(b"name?\n")?;
    bert.send(b"bert\n")?;
    bert.expect(b"* here:\n")?;
    let mut anna = member(arena, &server, "anna", " bert")?;
    let line = [&[b'x'; 999][..], b"\n"].concat();
    anna.send_while_taken(&line.repeat(400))?;
    settle(&server);
    let mut carl = arena.connect(&server)?;
    carl.expect(b"name?\n")?;
    carl.send(b"carl\n")?;
    // Whether bert is still connected is up to the server.
    let here = carl.expect_through(b"\n", 100)?;
    if !matches!(&here[..], b"* here: anna\n" | b"* here: bert anna\n") {
        return fails("`* here:` and who is there", quoted(&here));
    }
    // A server that waits until bert has room for one of these lines reads no other from carl.
    // The kernel may still have a little room for bert: where one line fits into a packet that
    // waits to be sent.
    const LINES: usize = 100;
    let told = [b"[carl] ", &line[..]].concat();
    for _ in 0..LINES {
        carl.send(&line)?;
        hears(&mut anna, &told)?;
    }
    Ok(())
}

/// Waits for this line. Before it, others may be told of those who came and left.
fn hears(client: &mut Connection, line: &[u8]) -> Outcome {
    loop {
        match client.expect_through(b"\n", line.len())? {
            got if got == line => return Ok(()),
            got if matches!(&got[..], b"* bert left\n" | b"* carl came\n") => {}
            got => return fails(quoted(line), quoted(&got)),
        }
    }
}
