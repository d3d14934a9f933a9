//! A key-value server that speaks a part of RESP.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use crate::{Flaw, serve_each};

type Values = HashMap<Vec<u8>, Vec<u8>>;

static VALUES: Mutex<Option<Values>> = Mutex::new(None);

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    serve_each(flaw, "bad-ends", serve)
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut own = Values::new();
    let (mut held, mut answers) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return match held.is_empty() {
                true => Ok(()),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        held.extend_from_slice(&buffer[..length]);
        while let Some((command, used)) = parse(flaw, &held)? {
            held.drain(..used);
            let mut values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
            let values = match flaw.is("own-values") {
                true => &mut own,
                false => values.get_or_insert_default(),
            };
            let Some(answer) = answer(flaw, &command, values) else { return Ok(()) };
            answers.extend(answer);
            if !flaw.is("holds-back") {
                client.write_all(&std::mem::take(&mut answers))?;
            }
            if flaw.is("drops-rest") {
                held.clear();
            }
        }
        if held.is_empty() {
            client.write_all(&std::mem::take(&mut answers))?;
        }
        if flaw.is("one-recv") {
            held.clear();
        }
    }
}

type Command = Vec<Vec<u8>>;

/// Returns the command at the beginning, if it is whole, and its length in bytes.
fn parse(flaw: &Flaw, bytes: &[u8]) -> io::Result<Option<(Command, usize)>> {
    let Some((count, mut at)) = number(flaw, bytes, 0, b'*', 100)? else {
        return Ok(None);
    };
    let mut command = Vec::new();
    for _ in 0..count {
        let most = if flaw.is("low-limit") { 65_536 } else { 1_000_000 };
        let Some((length, begin)) = number(flaw, bytes, at, b'$', most)? else {
            return Ok(None);
        };
        let length = match flaw.is("up-to-newline") {
            true => {
                let rest = &bytes[begin..];
                match rest.windows(2).position(|it| it == b"\r\n") {
                    Some(length) => length,
                    None => return Ok(None),
                }
            }
            false => length,
        };
        let Some(string) = bytes.get(begin..begin + length + 2) else { return Ok(None) };
        command.push(string[..length].to_vec());
        at = begin + length + 2;
    }
    Ok(Some((command, at)))
}

fn number(
    flaw: &Flaw,
    bytes: &[u8],
    from: usize,
    sign: u8,
    most: usize,
) -> io::Result<Option<(usize, usize)>> {
    let rest = &bytes[from..];
    let Some(length) = rest.windows(2).position(|it| it == b"\r\n") else {
        return match rest.len() > 20 && !flaw.is("no-limit") {
            true => Err(io::ErrorKind::InvalidData.into()),
            false => Ok(None),
        };
    };
    // What Redis itself allows.
    let of_redis = |number| flaw.is("limit-of-redis") && number <= 512 << 20;
    let text = String::from_utf8_lossy(&rest[..length]).into_owned();
    let number = text.strip_prefix(char::from(sign)).and_then(|it| it.parse().ok());
    match number {
        Some(number) if number <= most || flaw.is("no-limit") || of_redis(number) => {
            Ok(Some((number, from + length + 2)))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn answer(flaw: &Flaw, command: &[Vec<u8>], values: &mut Values) -> Option<Vec<u8>> {
    let name = command.first().cloned().unwrap_or_default();
    let name = if flaw.is("upper-case") { name } else { name.to_ascii_uppercase() };
    let end: &[u8] = if flaw.is("newline") { b"\n" } else { b"\r\n" };
    let string = |bytes: &[u8]| {
        let more = if flaw.is("counts-end") { 2 } else { 0 };
        [format!("${}\r\n", bytes.len() + more).as_bytes(), bytes, b"\r\n"].concat()
    };
    Some(match (name.as_slice(), command.get(1..).unwrap_or_default()) {
        (b"PING", []) => [b"+PONG", end].concat(),
        (b"ECHO", [text]) => string(text),
        (b"SET", [name, value]) => {
            let name = if flaw.is("one-value") { Vec::new() } else { name.clone() };
            values.insert(name, value.clone());
            b"+OK\r\n".to_vec()
        }
        (b"GET", [name]) => {
            let name = if flaw.is("one-value") { &Vec::new() } else { name };
            match values.get(name) {
                Some(value) => string(value),
                None if flaw.is("empty-for-none") => b"$0\r\n\r\n".to_vec(),
                None => b"$-1\r\n".to_vec(),
            }
        }
        _ if flaw.is("unknown-closes") => return None,
        _ => b"-ERR unknown command\r\n".to_vec(),
    })
}
