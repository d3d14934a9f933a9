//! Lesson 2's server.

use std::io::{self, Read, Write};

use crate::{Flaw, escaped, for_ever, reset, tcp_listener};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = match tcp_listener(flaw) {
        Err(_) if flaw.is("ignores-busy") => return Ok(()),
        listener => listener?,
    };
    loop {
        let (mut connection, _) = listener.accept()?;
        let mut buffer = vec![0; if flaw.is("buffer-512") { 512 } else { 2048 }];
        let length = if flaw.is("waits-for-more") {
            connection.read_exact(&mut buffer[..2])?;
            2 + connection.read(&mut buffer[2..])?
        } else if flaw.is("reads-to-end") {
            let mut all = Vec::new();
            connection.read_to_end(&mut all)?;
            buffer[..all.len()].copy_from_slice(&all);
            all.len()
        } else {
            match connection.read(&mut buffer) {
                Err(_) if flaw.is("ignores-reset") => return Ok(()),
                length => length?,
            }
        };
        let mut message = buffer[..length].to_vec();
        if message.is_empty() && !flaw.is("end-is-message") {
            return Err(io::Error::other("end of stream before any byte"));
        }
        if flaw.is("lossy") {
            message = String::from_utf8_lossy(&message).into_owned().into_bytes();
        }
        if flaw.is("strict-text") {
            String::from_utf8(message.clone()).map_err(io::Error::other)?;
        }
        if flaw.is("strips") {
            message = message.trim_ascii_end().to_vec();
        }
        if flaw.is("raw") {
            println!("Received: {}", String::from_utf8_lossy(&message));
        } else {
            println!("Received: {}", escaped(&message));
        }
        let prefix: &[u8] = if flaw.is("no-prefix") { b"" } else { b"Echo: " };
        if flaw.is("unflushed") {
            return Ok(());
        }
        connection.write_all(&[prefix, &message].concat())?;
        if flaw.is("whole-buffer") {
            connection.write_all(&buffer[length..])?;
        }
        if flaw.is("newline") {
            connection.write_all(b"\n")?;
        }
        if flaw.is("twice") {
            connection.write_all(&[prefix, &message].concat())?;
        }
        if flaw.is("keeps-open") {
            for_ever();
        }
        if flaw.is("closes-with-reset") {
            return reset(connection);
        }
        if !flaw.is("goes-on") {
            return Ok(());
        }
    }
}
