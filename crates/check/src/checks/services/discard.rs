//! Discard, RFC 863, over TCP and over UDP.

use super::{tcp, udp};
use crate::arena::Arena;
use crate::checks::{page, servers, statement};
use crate::outcome::{Outcome, fails};
use crate::peer::settle;
use crate::task::{Task, must, should};

pub(in crate::checks) const TCP: Task = tcp(
    "rfc863",
    statement!("rfc863"),
    "A program that does not read makes the sender wait: a server that \
              discards must still receive.",
    &[
        must(
            "it sends nothing and stays connected",
            "it answers, or closes before the client does",
            page::TCP,
            discard_is_silent,
        ),
        must(
            "it takes ten megabytes",
            "it does not read: once the buffers are full, the client waits forever",
            page::TCP,
            discard_takes_all,
        ),
        must(
            "when the client's stream ends, it ends its own",
            "recv(2) returned 0 and that was ignored, or close(2) is missing",
            page::TCP,
            discard_ends,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error on one connection ends the program",
            page::TCP,
            discard_after_reset,
        ),
        should(
            "a silent client does not block the others",
            "it serves one client after another: the second waits for the first",
            page::TCP,
            discard_beside_silent,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
    ],
);

pub(in crate::checks) const UDP: Task = udp(
    "rfc863-udp",
    statement!("rfc863-udp"),
    "A program that does not read makes the sender wait: a server that \
              discards must still receive.",
    &[
        must("it sends nothing back", "it answers", page::UDP, udp_discard_is_silent),
        must(
            "it carries on, whatever arrives",
            "an empty datagram, or a large one, ended it",
            page::UDP,
            udp_discard_goes_on,
        ),
        servers::UDP_PORT,
    ],
);

fn discard_is_silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"is anybody there?\r\n")?;
    client.expect_silence()
}

fn discard_takes_all(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_all(10_000_000)
}

fn discard_ends(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"bye\r\n")?;
    client.finish_sending()?;
    client.drain_to_end()
}

fn discard_after_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"gone")?;
    client.reset()?;
    settle(&server);
    arena.connect(&server)?.send_all(10_000)
}

fn discard_beside_silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _silent = arena.connect(&server)?;
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(b"bye\r\n")?;
    client.finish_sending()?;
    client.drain_to_end()
}

fn udp_discard_is_silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"is anybody there?")?;
    client.expect_silence()
}

fn udp_discard_goes_on(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for datagram in [&b""[..], b"\0", &servers::pattern(65_507), b"", b"last"] {
        client.send(datagram)?;
        settle(&server);
    }
    match server.is_over() {
        false => Ok(()),
        true => fails("the server goes on", server.condition()),
    }
}
