//! Lesson 2's client.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::{Flaw, escaped, loopback, port};

const WHOLE: usize = 22;

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let mut stream = loop {
        match TcpStream::connect(loopback(port(flaw))) {
            Err(_) if flaw.is("tries-for-ever") => std::thread::yield_now(),
            stream => break stream?,
        }
    };
    let message: &[u8] = match flaw.is("other-words") {
        true => b"Hello UDP Server",
        false => b"Hello TCP Server",
    };
    stream.write_all(message)?;
    if flaw.is("newline") {
        stream.write_all(b"\n")?;
    }
    if flaw.is("half-closes") {
        stream.shutdown(Shutdown::Write)?;
    }
    if flaw.is("unread") {
        // Closes with bytes in the buffer, which resets the connection.
        return stream.peek(&mut [0]).map(drop);
    }
    let mut reply = Vec::new();
    let mut buffer = [0; WHOLE];
    while reply.len() < WHOLE || flaw.is("reads-to-end") {
        let length = match stream.read(&mut buffer) {
            Err(_) if flaw.is("ignores-reset") => return Ok(()),
            length => length?,
        };
        reply.extend_from_slice(&buffer[..length]);
        if length == 0 {
            if flaw.is("end-is-fine") || (flaw.is("reads-to-end") && reply.len() == WHOLE)
            {
                break;
            }
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if flaw.is("one-recv") {
            break;
        }
    }
    if flaw.is("raw") {
        println!("Server says: {}", String::from_utf8_lossy(&reply));
    } else if flaw.is("prints-bytes") {
        println!("Server says: {reply:?}");
    } else {
        println!("Server says: {}", escaped(&reply));
    }
    if flaw.is("says-more") {
        stream.write_all(b"bye")?;
    }
    Ok(())
}
