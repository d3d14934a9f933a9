//! Time, RFC 868, over TCP and over UDP.

use super::{now_s, one_resets, tcp, udp};
use crate::arena::Arena;
use crate::checks::{page, servers, statement};
use crate::outcome::{Outcome, fails};
use crate::task::{Task, must};
use crate::text::quoted;

pub(in crate::checks) const TCP: Task = tcp(
    "rfc868",
    statement!("rfc868"),
    "A number on the wire has a width and a byte order, and both are part of \
              the protocol.",
    &[
        must(
            "it sends four bytes unprompted and ends the stream",
            "it waits for something to come first, keeps the connection open, or sends text",
            page::TCP,
            time_four_bytes,
        ),
        must(
            "they are the seconds since 1900, most significant byte first",
            "seconds since 1970, or least significant byte first",
            page::TCP,
            time_is_right,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error on one connection ends the program",
            page::TCP,
            time_after_reset,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
);

pub(in crate::checks) const UDP: Task = udp(
    "rfc868-udp",
    statement!("rfc868-udp"),
    "A number on the wire has a width and a byte order, and both are part of \
              the protocol.",
    &[
        must(
            "it answers with one datagram of four bytes",
            "no answer, more than one, or text",
            page::UDP,
            udp_time_four_bytes,
        ),
        must(
            "they are the seconds since 1900, most significant byte first",
            "seconds since 1970, or least significant byte first",
            page::UDP,
            udp_time_is_right,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
        servers::UDP_PORT,
    ],
);

fn is_now(bytes: &[u8]) -> Outcome {
    const FROM_1900_TO_1970_S: u64 = 2_208_988_800;
    let now = (now_s() + FROM_1900_TO_1970_S) as u32;
    let Some(four) = bytes.first_chunk::<4>() else {
        return fails("four bytes", quoted(bytes));
    };
    let got = u32::from_be_bytes(*four);
    // Allow for a busy machine, on which the program or the checker is late.
    match now.wrapping_sub(got) < 5 || got.wrapping_sub(now) < 5 {
        true => Ok(()),
        false => fails(format!("about {now}"), format!("{got}: {}", quoted(bytes))),
    }
}

fn time_four_bytes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let bytes = arena.connect(&server)?.read_to_end(1000)?;
    match bytes.len() {
        4 => Ok(()),
        _ => fails("four bytes", quoted(&bytes)),
    }
}

fn time_is_right(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    is_now(&arena.connect(&server)?.expect_bytes(4)?)
}

fn time_after_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    one_resets(arena, &server)?;
    arena.connect(&server)?.expect_bytes(1).map(drop)
}

fn udp_time_four_bytes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"time?")?;
    match client.expect_any()?.0 {
        bytes if bytes.len() == 4 => client.expect_silence(),
        bytes => fails("four bytes", quoted(&bytes)),
    }
}

fn udp_time_is_right(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"time?")?;
    is_now(&client.expect_any()?.0)
}
