//! Lesson 7: a server that finds the messages in a stream.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, explained, fails_because};
use crate::peer::rest;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "framing",
    lesson: 7,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("framing"),
    learned: "A stream has no messages: a length before each message finds them, and a \
              limit keeps strangers from filling your memory.",
    checks: &[
        must(
            "it answers a message with one of the same form",
            "the length is missing, or does not count the six bytes `Echo: `, or its bytes \
             are in another order",
            page::FRAMING,
            one,
        ),
        must(
            "it answers two messages that come at once",
            "whatever came after the first message was thrown away",
            page::FRAMING,
            two_at_once,
        ),
        must(
            "it answers a message that comes byte by byte",
            "the result of one recv(2) was taken for one message",
            page::FRAMING,
            byte_by_byte,
        ),
        must(
            "it answers messages no matter where the stream is cut",
            "a length that arrives in two parts is not put together again",
            page::FRAMING,
            cut_anywhere,
        ),
        must(
            "it answers an empty message",
            "a length of 0 was taken for the end",
            page::FRAMING,
            empty,
        ),
        must(
            "it answers a message as soon as it is whole",
            "it waits for more messages, or for the end of the stream",
            page::FRAMING,
            at_once,
        ),
        must(
            "it answers a message of 65,536 bytes",
            "a buffer is too small, or the limit is off by one",
            page::FRAMING,
            largest,
        ),
        must(
            "it answers bytes of any value",
            "the message is decoded as text, or cut at a zero byte or a newline",
            page::FRAMING,
            any_bytes,
        ),
        must(
            "it answers a thousand messages that come without a pause",
            "messages are lost, or leftover bytes are not kept",
            page::FRAMING,
            thousand,
        ),
        must(
            "its answers are complete even for a client that starts reading late",
            "one send(2) took only part of the data, and the rest was dropped",
            page::FRAMING,
            late,
        ),
        must(
            "after the client's end of stream it ends its own, and itself with status 0",
            "it does not end, or takes the end between two messages for an error",
            page::FRAMING,
            ends_well,
        ),
        must(
            "an end of stream in the middle of a message is an error, and is not answered",
            "half a message was answered, or the early end was taken for a normal one",
            page::FRAMING,
            cut_short,
        ),
        must(
            "an end of stream in the middle of a length is an error too",
            "the two bytes that had come were forgotten",
            page::FRAMING,
            cut_in_the_length,
        ),
        must(
            "a length of 65,537 is refused as soon as the length is known",
            "there is no limit, or it is one too high, and so it waits for the message",
            page::FRAMING,
            too_long,
        ),
        must(
            "a length of 4,294,967,295 costs no memory",
            "memory for the message is allocated before it comes, or the length is taken for negative",
            page::FRAMING,
            far_too_long,
        ),
        must(
            "when the connection is reset it exits with a non-zero status and says why",
            "an error from recv(2) is not handled",
            page::FRAMING,
            reset,
        ),
        servers::TCP_PORT,
    ],
};

/// Returns a message in its frame: its length, then its bytes.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

/// Returns the answer that a message must get, in its frame.
fn answer(message: &[u8]) -> Vec<u8> {
    framed(&[b"Echo: ", message].concat())
}

/// Sends one whole message and waits for its answer.
fn whole(arena: &mut Arena<'_>, message: &[u8]) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&framed(message))?;
    client.finish_sending()?;
    client.expect(&answer(message))
}

fn one(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&framed(b"one"))?;
    client.finish_sending()?;
    let answer = answer(b"one");
    client.expect(&answer)?;
    client.expect_no_more(&answer)
}

fn two_at_once(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[framed(b"one"), framed(b"two")].concat())?;
    client.finish_sending()?;
    client.expect(&[answer(b"one"), answer(b"two")].concat())
}

fn byte_by_byte(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces(framed(b"one").chunks(1))?;
    client.finish_sending()?;
    client.expect(&answer(b"one"))
}

fn cut_anywhere(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // The first piece is the first message and half of the second's length, and so on.
    let stream = [framed(b"one"), framed(b"two"), framed(b"three")].concat();
    client.send_in_pieces([
        &stream[..9],
        &stream[9..15],
        &stream[15..17],
        &stream[17..],
    ])?;
    client.finish_sending()?;
    client.expect(&[answer(b"one"), answer(b"two"), answer(b"three")].concat())
}

fn empty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&[framed(b""), framed(b"two")].concat())?;
    client.finish_sending()?;
    client.expect(&answer(b""))
}

fn at_once(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for message in [b"one", b"two"] {
        client.send(&framed(message))?;
        client.expect(&answer(message))?;
    }
    // One and a half.
    let next = framed(b"next");
    client.send(&[&next, &next[..2]].concat())?;
    servers::at_once(client.expect(&answer(b"next")))?;
    client.send(&next[2..])?;
    client.expect(&answer(b"next"))
}

fn largest(arena: &mut Arena<'_>) -> Outcome {
    let message = servers::pattern(65_536);
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.exchange(&framed(&message), &answer(&message))
}

fn any_bytes(arena: &mut Arena<'_>) -> Outcome {
    whole(arena, b"\0\xff\xfe\n\r\x1b[31m\xc3\x28\n\0")
}

fn thousand(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let messages = (0..1000).map(|number| format!("message {number}"));
    let messages: Vec<String> = messages.collect();
    let sent = messages.iter().flat_map(|it| framed(it.as_bytes()));
    let expected = messages.iter().flat_map(|it| answer(it.as_bytes()));
    client.exchange(&sent.collect::<Vec<u8>>(), &expected.collect::<Vec<u8>>())
}

fn late(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect_narrow(&server)?;
    let message = servers::pattern(60_000);
    let (sent, expected) = (framed(&message).repeat(6), answer(&message).repeat(6));
    client.exchange(&sent, &expected)
}

fn ends_well(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&framed(b"last"))?;
    client.finish_sending()?;
    client.expect_bytes(8)?;
    client.drain_to_end()?;
    client.close();
    server.expect_success()
}

/// Sends bytes that are not a message, followed by an end of stream if `ends`. Expects that
/// nothing comes back and that the server ends with an error.
fn broken(arena: &mut Arena<'_>, bytes: &[u8], ends: bool) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(bytes)?;
    if ends {
        client.finish_sending()?;
    }
    client.expect_closed()?;
    server.expect_failure()
}

fn cut_short(arena: &mut Arena<'_>) -> Outcome {
    broken(arena, &framed(b"half a message")[..8], true)
}

fn cut_in_the_length(arena: &mut Arena<'_>) -> Outcome {
    broken(arena, &[0, 0], true)
}

fn too_long(arena: &mut Arena<'_>) -> Outcome {
    broken(arena, &65_537_u32.to_be_bytes(), false)
}

fn far_too_long(arena: &mut Arena<'_>) -> Outcome {
    const SIGNED: Diagnosis = Diagnosis::Other(
        "signed-length",
        "the length is read as a number with a sign: 4,294,967,295 is then -1, which is not \
         above any limit",
    );
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&u32::MAX.to_be_bytes())?;
    match client.expect_closed() {
        Err(stop) if client.heard() => explained(Err(stop), SIGNED)?,
        closed => closed?,
    }
    server.expect_failure()?;
    // The memory limit may have ended it too, rather than a check of the length.
    let words = arena.last_words();
    match Diagnosis::of_words(words.as_deref()) {
        Some(Diagnosis::AsksForMemory) => fails_because(
            "a line that says that the length is too large",
            words.unwrap_or_default(),
            Some(Diagnosis::AsksForMemory),
        ),
        _ => Ok(()),
    }
}

fn reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let client = arena.connect(&server)?;
    rest(&server, "its client was silent");
    client.reset()?;
    server.expect_failure()
}
