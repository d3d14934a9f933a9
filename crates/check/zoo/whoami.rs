//! Lesson 4's server.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use crate::{Flaw, for_ever, keeps_something, tcp_listener};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = match tcp_listener(flaw) {
        Err(_) if flaw.is("ignores-busy") => return Ok(()),
        listener => listener?,
    };
    let mut first = None;
    loop {
        let (mut client, mut peer) = listener.accept()?;
        keeps_something(flaw)?;
        if flaw.is("asks-peer") {
            client.peer_addr()?;
        }
        if flaw.is("first-peer") {
            peer = *first.get_or_insert(peer);
        }
        let mut local = client.local_addr()?;
        if flaw.is("swaps") {
            (local, peer) = (peer, local);
        }
        if flaw.is("says-12345") {
            local.set_port(12345);
        }
        if flaw.is("byte-order") {
            peer.set_port(peer.port().swap_bytes());
        }
        if flaw.is("another-port") {
            local.set_port(local.port() + 1);
        }
        if flaw.is("waits") {
            client.read_exact(&mut [0])?;
        }
        let line = match () {
            () if flaw.is("python-form") => {
                format!("local {local:?} peer ('{}', {})\n", peer.ip(), peer.port())
            }
            () if flaw.is("returns") => format!("local {local} peer {peer}\r\n"),
            () if flaw.is("mapped-form") => {
                format!("local ::ffff:{local} peer ::ffff:{peer}\n")
            }
            () => format!("local {local} peer {peer}\n"),
        };
        // A client that is gone already is no reason to stop serving the others.
        if !flaw.is("unflushed") {
            let _ = client.write_all(line.as_bytes());
        }
        if flaw.is("keeps-open") {
            for_ever();
        }
        if !flaw.is("leaves-unread") {
            let _ = client.shutdown(Shutdown::Write);
            // Reads what has arrived already, without waiting for more.
            client.set_nonblocking(true)?;
            let mut buffer = [0; 1024];
            while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
        }
        if flaw.is("one-client") {
            return Ok(());
        }
    }
}
