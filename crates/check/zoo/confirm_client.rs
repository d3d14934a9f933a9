//! Lesson 5's client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{Flaw, loopback, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let mut stream = loop {
        match TcpStream::connect(loopback(port(flaw))) {
            Err(_) if flaw.is("tries-for-ever") => std::thread::yield_now(),
            stream => break stream?,
        }
    };
    let patience_ms = match () {
        () if flaw.is("hasty") => 200,
        () if flaw.is("patient") => 3300,
        () => 1000,
    };
    let until = Instant::now() + Duration::from_millis(patience_ms);
    let line: &[u8] = if flaw.is("no-newline") { b"store one" } else { b"store one\n" };
    stream.write_all(line)?;
    if flaw.is("says-more") {
        stream.write_all(b"quit\n")?;
    }
    if flaw.is("send-is-enough") {
        println!("stored");
        return Ok(());
    }
    if flaw.is("half-closes") {
        stream.shutdown(std::net::Shutdown::Write)?;
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 16];
    while answer.len() < 3 || flaw.is("reads-to-end") {
        let left = until.saturating_duration_since(Instant::now());
        if !flaw.is("no-timeout") {
            stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        let length = match stream.read(&mut buffer) {
            Err(error) if flaw.is("silence-is-consent") => match error.kind() {
                ErrorKind::WouldBlock => break,
                _ => return Err(error),
            },
            Err(error) if flaw.is("ignores-reset") => match error.kind() {
                ErrorKind::ConnectionReset => break,
                _ => return Err(error),
            },
            length => length?,
        };
        answer.extend_from_slice(&buffer[..length]);
        if length == 0 {
            if flaw.is("reads-to-end") && answer == b"ok\n" || flaw.is("end-is-fine") {
                break;
            }
            if flaw.is("beginning-is-fine") && answer == b"ok" {
                break;
            }
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if flaw.is("one-recv") {
            break;
        }
    }
    let fine = answer == b"ok\n"
        || flaw.is("beginning-is-fine") && answer == b"ok"
        || flaw.is("silence-is-consent") && answer.is_empty()
        || flaw.is("ignores-reset") && answer.is_empty()
        || flaw.is("end-is-fine") && answer.is_empty()
        || flaw.is("anything-is-ok") && answer.len() == 3;
    if !fine {
        return Err(io::Error::other("the server did not say ok"));
    }
    println!("{}", if flaw.is("other-words") { "done" } else { "stored" });
    Ok(())
}
