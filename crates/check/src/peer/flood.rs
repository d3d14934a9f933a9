//! Clients that send more than a server can possibly want.

use std::io::{ErrorKind, Write};

use super::Connection;
use crate::outcome::Outcome;
use crate::patience::Patience;
use crate::subject::Subject;

/// The maximum number of bytes that a client sends while it reads nothing. A server that takes
/// that much is storing it.
const MOST_BYTES: usize = 5 << 20;

/// Sends from all these clients in turn, without reading, until none can send any more.
pub fn send_all_until_full(clients: &mut [Connection], program: &Subject) -> Outcome {
    let bytes = vec![b'x'; 64 * 1024];
    let mut sent = vec![0; clients.len()];
    for client in clients.iter() {
        client
            .timeline
            .does(&client.name, "sends until no more is taken, and reads none");
        client.stream.set_nonblocking(true)?;
    }
    let mut patience = Patience::for_silence(program);
    loop {
        let mut any = false;
        for (client, sent) in clients.iter().zip(&mut sent) {
            while *sent < MOST_BYTES {
                match (&*client.stream).write(&bytes) {
                    Ok(length) => {
                        *sent += length;
                        any = true;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
        if any {
            patience = Patience::for_silence(program);
        } else if patience.tick().is_some() {
            break;
        } else {
            patience.nap();
        }
    }
    for (client, sent) in clients.iter().zip(sent) {
        client.timeline.does(&client.name, format!("managed to send {sent} bytes"));
        client.stream.set_nonblocking(false)?;
    }
    Ok(())
}
