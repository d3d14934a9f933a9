//! Lesson 5's server.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::{Flaw, for_ever, keeps_something, tcp_listener};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    loop {
        let (client, _) = listener.accept()?;
        keeps_something(flaw)?;
        let served = serve(flaw, client);
        if flaw.is("reset-ends") {
            served?;
        }
    }
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut line = Vec::new();
    let mut buffer = [0; 128];
    if flaw.is("reads-to-end") {
        client.read_to_end(&mut line)?;
    }
    while !line.contains(&b'\n') {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            if flaw.is("end-is-fine") || flaw.is("half-is-fine") && !line.is_empty() {
                break;
            }
            if flaw.is("end-ends") {
                std::process::exit(1);
            }
            return Ok(());
        }
        line.extend_from_slice(&buffer[..length]);
        if flaw.is("one-recv") {
            break;
        }
        let most = if flaw.is("low-limit") { 99 } else { 101 };
        if line.len() > most && flaw.is("too-long-ends") {
            std::process::exit(1);
        }
        if flaw.is("low-in-pieces") && line.len() > 99 && !line.contains(&b'\n') {
            return Ok(());
        }
        let is_limited = match flaw.is("limits-parts") {
            true => !line.contains(&b'\n'),
            false => !flaw.is("no-limit"),
        };
        if line.len() > most && is_limited {
            return Ok(());
        }
    }
    if flaw.is("end-cancels") {
        client.set_nonblocking(true)?;
        if client.read(&mut buffer).is_ok_and(|length| length == 0) {
            return Ok(());
        }
        client.set_nonblocking(false)?;
    }
    let answer: &[u8] = if flaw.is("no-newline") { b"ok" } else { b"ok\n" };
    client.write_all(answer)?;
    if flaw.is("keeps-open") {
        for_ever();
    }
    Ok(())
}
