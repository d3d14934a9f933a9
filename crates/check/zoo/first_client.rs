//! Lesson 1's client.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::{Flaw, loopback, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let mut stream = loop {
        match TcpStream::connect(loopback(port(flaw))) {
            Err(_) if flaw.is("tries-for-ever") => std::thread::yield_now(),
            stream => break stream?,
        }
    };
    if flaw.is("says-hello") {
        stream.write_all(b"Hello")?;
    }
    if flaw.is("half-closes") {
        stream.shutdown(Shutdown::Write)?;
    }
    let mut buffer = [0; 1024];
    let mut count = 0;
    loop {
        let length = match stream.read(&mut buffer) {
            Err(_) if flaw.is("ignores-reset") => 0,
            length => length?,
        };
        count += match flaw.is("characters") {
            true => String::from_utf8_lossy(&buffer[..length]).chars().count(),
            false => length,
        };
        if length == 0 && count == 0 && flaw.is("end-is-error") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length == 0 || flaw.is("one-recv") {
            break;
        }
    }
    match flaw.is("other-words") {
        true => println!("{count}"),
        false if flaw.is("no-newline") => print!("{count} bytes"),
        false => println!("{count} bytes"),
    }
    Ok(())
}
