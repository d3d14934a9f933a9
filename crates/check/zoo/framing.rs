//! Lesson 7's server.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::{Flaw, for_ever, tcp_listener};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    let (mut client, _) = listener.accept()?;
    let mut held = Vec::new();
    let mut answers = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = match client.read(&mut buffer) {
            Err(_) if flaw.is("ignores-reset") => return Ok(()),
            length => length?,
        };
        if length == 0 {
            client.write_all(&answers)?;
            return end(flaw, &mut client, &held);
        }
        held.extend_from_slice(&buffer[..length]);
        while let Some(message) = next(flaw, &mut held)? {
            let answer = answer(flaw, &message)?;
            match () {
                () if flaw.is("at-the-end") || flaw.is("holds-back") => {
                    answers.extend(answer)
                }
                () if flaw.is("short-writes") => {
                    client.set_nonblocking(true)?;
                    let _ = client.write(&answer);
                    client.set_nonblocking(false)?;
                }
                () => client.write_all(&answer)?,
            }
            if flaw.is("drops-rest") {
                held.clear();
            }
        }
        if flaw.is("holds-back") && held.is_empty() {
            client.write_all(&std::mem::take(&mut answers))?;
        }
        if flaw.is("one-recv") {
            held.clear();
        }
    }
}

/// Takes the next message, if it is whole.
fn next(flaw: &Flaw, held: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = held.first_chunk::<4>() else {
        if flaw.is("cut-length") {
            // Forgets the leftover bytes, the beginning of the next message.
            held.clear();
        }
        return Ok(None);
    };
    let length = match flaw.is("little-endian") {
        true => u32::from_le_bytes(*length),
        false => u32::from_be_bytes(*length),
    } as usize;
    let most = match () {
        () if flaw.is("no-limit") => usize::MAX - 4,
        () if flaw.is("signed-limit") && length > i32::MAX as usize => usize::MAX - 4,
        () if flaw.is("limit-65535") => 65_535,
        () => 65_536,
    };
    let length = match flaw.is("signed-is-empty") && length > i32::MAX as usize {
        true => 0,
        false => length,
    };
    if flaw.is("allocates") && length > most {
        let memory = vec![1_u8; length];
        drop(std::hint::black_box(memory));
    }
    if length > most {
        return Err(io::Error::new(ErrorKind::InvalidData, "a message is too long"));
    }
    if length == 0 && flaw.is("empty-is-the-end") {
        std::process::exit(0);
    }
    if held.len() - 4 < length {
        return Ok(None);
    }
    let rest = held.split_off(4 + length);
    let message = std::mem::replace(held, rest);
    Ok(Some(message[4..].to_vec()))
}

fn answer(flaw: &Flaw, message: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = [b"Echo: ", message].concat();
    if flaw.is("lossy") {
        answer = String::from_utf8_lossy(&answer).into_owned().into_bytes();
    }
    let counted = if flaw.is("counts-less") { message.len() } else { answer.len() };
    let length = u32::try_from(counted).map_err(io::Error::other)?;
    let length = match flaw.is("little-endian") {
        true => length.to_le_bytes(),
        false => length.to_be_bytes(),
    };
    Ok([&length[..], &answer].concat())
}

fn end(flaw: &Flaw, client: &mut TcpStream, held: &[u8]) -> io::Result<()> {
    if flaw.is("last-words") {
        client.write_all(&[0; 4])?;
    }
    if flaw.is("never-ends") {
        for_ever();
    }
    if flaw.is("end-is-error") && held.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if held.is_empty() || flaw.is("ignores-rest") {
        return Ok(());
    }
    if flaw.is("ignores-cut-length") && held.len() < 4 {
        return Ok(());
    }
    if flaw.is("answers-half") && held.len() > 4 {
        client.write_all(&answer(flaw, &held[4..])?)?;
    }
    Err(ErrorKind::UnexpectedEof.into())
}
