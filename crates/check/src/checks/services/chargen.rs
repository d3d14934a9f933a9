//! Character generator, RFC 864, over TCP and over UDP.

use super::{printable, tcp, udp};
use crate::arena::Arena;
use crate::checks::{page, servers, statement};
use crate::outcome::{Outcome, fails};
use crate::peer::settle;
use crate::task::{Task, must, should};
use crate::text::quoted;

pub(in crate::checks) const TCP: Task = tcp(
    "rfc864",
    statement!("rfc864"),
    "A server that sends for ever meets EPIPE and ECONNRESET, and that is how \
              its clients say goodbye.",
    &[
        must(
            "it sends characters unprompted",
            "it waits for something to come first",
            page::TCP,
            chargen_unasked,
        ),
        must(
            "it goes on as long as the client reads: a megabyte",
            "it stops on its own, or one send(2) took only part of the data, and that was treated as an error",
            page::TCP,
            chargen_goes_on,
        ),
        must(
            "it discards what the client sends",
            "it does not read, so the client's send(2) blocks forever, or it stops",
            page::TCP,
            chargen_throws_away,
        ),
        must(
            "a client that leaves halfway does not end the server",
            "EPIPE, ECONNRESET or SIGPIPE ends the program",
            page::TCP,
            chargen_after_reset,
        ),
        should(
            "it sends the RFC's pattern: 72 from the ring of 95, each line one further, and CR LF",
            "the ring is not the 95 printable characters from space to ~, or the line ends \
             differ",
            page::TCP,
            chargen_pattern,
        ),
        should(
            "a client that does not read does not block the others",
            "send(2) to a client that does not read blocks, and with it everyone else",
            page::TCP,
            chargen_beside_one_that_does_not_read,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
);

pub(in crate::checks) const UDP: Task = udp(
    "rfc864-udp",
    statement!("rfc864-udp"),
    "A server that sends for ever meets EPIPE and ECONNRESET, and that is how \
              its clients say goodbye.",
    &[
        must(
            "it answers each datagram with one of 0 to 512 characters",
            "no answer, a longer one, or more than one",
            page::UDP,
            udp_chargen_answers,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
        should(
            "the characters are printable ASCII",
            "bytes outside of space to ~, CR and LF",
            page::UDP,
            udp_chargen_printable,
        ),
        servers::UDP_PORT,
    ],
);

fn chargen_unasked(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    arena.connect(&server)?.expect_bytes(740).map(drop)
}

fn chargen_goes_on(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    arena.connect(&server)?.expect_bytes(1_000_000).map(drop)
}

fn chargen_throws_away(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_while_draining(10_000_000)
}

fn chargen_after_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for _ in 0..3 {
        let mut client = arena.connect(&server)?;
        client.expect_bytes(1)?;
        client.reset()?;
        settle(&server);
    }
    arena.connect(&server)?.expect_bytes(1).map(drop)
}

fn chargen_pattern(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let bytes = arena.connect(&server)?.expect_bytes(74 * 200)?;
    let first = bytes[0].wrapping_sub(b' ');
    for (number, line) in bytes.chunks(74).enumerate() {
        let ring = |at: usize| b' ' + ((usize::from(first) + number + at) % 95) as u8;
        let expected: Vec<u8> = (0..72).map(ring).chain(*b"\r\n").collect();
        if line != expected {
            return fails(
                format!("line {}: {}", number + 1, quoted(&expected)),
                quoted(line),
            );
        }
    }
    Ok(())
}

fn chargen_beside_one_that_does_not_read(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _full = arena.connect(&server)?;
    settle(&server);
    arena.connect(&server)?.expect_bytes(100).map(drop)
}

fn udp_chargen_answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for _ in 0..3 {
        client.send(b"more")?;
        let (bytes, _) = client.expect_any()?;
        if bytes.len() > 512 {
            return fails("at most 512 characters", format!("{} bytes", bytes.len()));
        }
    }
    client.expect_silence()
}

fn udp_chargen_printable(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"more")?;
    printable(&client.expect_any()?.0)
}
