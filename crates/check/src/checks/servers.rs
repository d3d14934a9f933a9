//! What several servers are asked alike.

use crate::arena::Arena;
use crate::outcome::{Outcome, fails};
use crate::patience::Patience;
use crate::text::quoted;

/// Whether the message stands in the reply. What stands around it, other checks ask.
pub(super) fn carries(reply: &[u8], message: &[u8]) -> bool {
    message.is_empty() || reply.windows(message.len()).any(|window| window == message)
}

/// Letters in a row that repeats after 23.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 23) as u8).collect()
}

/// The server is ended while it has a client, so that its end of the connection stays in
/// TIME-WAIT, and is started again.
pub(super) fn starts_again(arena: &mut Arena<'_>) -> Outcome {
    let first = arena.tcp_server()?;
    let mut client = arena.connect(&first)?;
    client.settle();
    first.signal(netlab::process::Signal::Kill);
    first.wait_end(Patience::new(&first))?;
    client.drain()?;
    client.close();
    let second = arena.tcp_server()?;
    arena.connect(&second).map(drop)
}

pub(super) fn udp_from_its_port(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"Hello")?;
    let (_, sender) = client.expect_any()?;
    match server.address()? {
        address if address == sender => Ok(()),
        address => fails(format!("a reply from {address}"), format!("one from {sender}")),
    }
}

pub(super) fn udp_two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let first = arena.datagrams(&server)?;
    let second = arena.datagrams(&server)?;
    for (client, word) in
        [(&first, "one"), (&second, "two"), (&first, "three"), (&second, "four")]
    {
        client.send(word.as_bytes())?;
        let (bytes, _) = client.expect_any()?;
        if !carries(&bytes, word.as_bytes()) {
            return fails(quoted(word.as_bytes()), quoted(&bytes));
        }
    }
    Ok(())
}

pub(super) fn udp_answers_empty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for _ in 0..2 {
        client.send(b"")?;
        client.expect_any()?;
    }
    Ok(())
}

/// A second server on the port must not start.
pub(super) fn busy_port(arena: &mut Arena<'_>) -> Outcome {
    let _first = arena.tcp_server()?;
    arena.start()?.expect_failure()
}
