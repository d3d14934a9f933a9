//! What several servers are asked alike.

use crate::outcome::{Outcome, fault};
use crate::patience::Patience;
use crate::stage::Stage;
use crate::stranger::quoted;

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
pub(super) fn starts_again(stage: &mut Stage<'_>) -> Outcome {
    let first = stage.tcp_server()?;
    let mut client = stage.connect(&first)?;
    client.settle();
    first.signal(netlab::process::Signal::Kill);
    first.wait_end(Patience::new(&first))?;
    client.drain()?;
    client.close();
    let second = stage.tcp_server()?;
    stage.connect(&second).map(drop)
}

pub(super) fn udp_from_its_port(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"Hello")?;
    let (_, sender) = client.expect_any()?;
    match server.address()? {
        address if address == sender => Ok(()),
        address => fault(format!("a reply from {address}"), format!("one from {sender}")),
    }
}

pub(super) fn udp_two_clients(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let first = stage.datagrams(&server)?;
    let second = stage.datagrams(&server)?;
    for (client, word) in
        [(&first, "one"), (&second, "two"), (&first, "three"), (&second, "four")]
    {
        client.send(word.as_bytes())?;
        let (bytes, _) = client.expect_any()?;
        if !carries(&bytes, word.as_bytes()) {
            return fault(quoted(word.as_bytes()), quoted(&bytes));
        }
    }
    Ok(())
}

pub(super) fn udp_answers_empty(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    for _ in 0..2 {
        client.send(b"")?;
        client.expect_any()?;
    }
    Ok(())
}

/// A second server on the port must not start.
pub(super) fn busy_port(stage: &mut Stage<'_>) -> Outcome {
    let _first = stage.tcp_server()?;
    stage.start()?.expect_failure()
}
