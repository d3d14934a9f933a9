//! Lesson 3's client.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::{Flaw, escaped, loopback, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let socket = UdpSocket::bind(loopback(0))?;
    let server = loopback(port(flaw));
    let message: &[u8] = match () {
        () if flaw.is("newline") => b"Hello UDP Server\n",
        () => b"Hello UDP Server",
    };
    if flaw.is("nobody-is-fine") {
        socket.connect(server)?;
    }
    let again = if flaw.is("sends-twice") { 2 } else { 1 };
    for _ in 0..again {
        socket.send_to(message, server)?;
    }
    let wait_ms = match () {
        () if flaw.is("hasty") => 300,
        () if flaw.is("patient") => 2500,
        () => 1000,
    };
    let until = Instant::now() + Duration::from_millis(wait_ms);
    if flaw.is("sends-again") {
        socket.set_read_timeout(Some(Duration::from_millis(300)))?;
        if socket.peek_from(&mut [0]).is_err() {
            socket.send_to(message, server)?;
        }
    }
    let size = match () {
        () if flaw.is("buffer-1024") => 1024,
        () if flaw.is("buffer-16k") => 16 * 1024,
        () => 65_536,
    };
    let mut buffer = vec![0; size];
    loop {
        let left = match flaw.is("begins-anew") {
            true => Duration::from_secs(1),
            false => until.saturating_duration_since(Instant::now()),
        };
        if !flaw.is("no-timeout") {
            socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        let (length, sender) = match socket.recv_from(&mut buffer) {
            Err(error) if flaw.is("nobody-is-fine") => {
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    return Ok(());
                }
                return Err(error);
            }
            Err(_) if flaw.is("silence-is-fine") => return Ok(()),
            received => received?,
        };
        let is_server = match () {
            () if flaw.is("takes-any") => true,
            () if flaw.is("same-port") => sender.port() == server.port(),
            () => sender == server,
        };
        if !is_server {
            continue;
        }
        let reply = &buffer[..length];
        if reply.is_empty() && flaw.is("skips-empty") {
            continue;
        }
        match () {
            () if flaw.is("raw") => {
                println!("Server says: {}", String::from_utf8_lossy(reply));
            }
            () if flaw.is("other-words") => println!("{}", escaped(reply)),
            () => println!("Server says: {}", escaped(reply)),
        }
        return Ok(());
    }
}
