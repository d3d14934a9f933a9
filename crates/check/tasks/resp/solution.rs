//! A key-value server that speaks part of RESP, one thread per client.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

type Values = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

/// The maximum number of strings in a command, and of bytes in a string.
const MOST_STRINGS: usize = 100;
const MOST_BYTES: usize = 1_000_000;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let values = Values::default();
    loop {
        let (connection, client) = listener.accept()?;
        let values = Arc::clone(&values);
        thread::spawn(move || {
            if let Err(error) = serve(connection, &values) {
                let _ = writeln!(io::stderr(), "serve {client}: {error}");
            }
        });
    }
}

fn serve(mut connection: TcpStream, values: &Values) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(command) = receive(&mut reader)? {
        connection.write_all(&answer(&command, values))?;
    }
    Ok(())
}

fn answer(command: &[Vec<u8>], values: &Values) -> Vec<u8> {
    let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    match (name.as_slice(), command.get(1..).unwrap_or_default()) {
        (b"PING", []) => b"+PONG\r\n".to_vec(),
        (b"ECHO", [text]) => string(text),
        (b"SET", [name, value]) => {
            values.insert(name.clone(), value.clone());
            b"+OK\r\n".to_vec()
        }
        (b"GET", [name]) => match values.get(name) {
            Some(value) => string(value),
            None => b"$-1\r\n".to_vec(),
        },
        _ => b"-ERR unknown command, or wrong number of arguments\r\n".to_vec(),
    }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Returns the next command, or `None` if the stream ends before one begins.
fn receive(reader: &mut impl BufRead) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(count) = number(reader, b'*', MOST_STRINGS)? else { return Ok(None) };
    let mut command = Vec::new();
    for _ in 0..count {
        let length = number(reader, b'$', MOST_BYTES)?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut bytes = vec![0; length + 2];
        reader.read_exact(&mut bytes)?;
        if bytes.split_off(length) != b"\r\n" {
            return Err(bad("a string is longer than it says"));
        }
        command.push(bytes);
    }
    Ok(Some(command))
}

/// Returns the number in a line that begins with `sign`, or `None` at the end of the stream.
fn number(reader: &mut impl BufRead, sign: u8, most: usize) -> io::Result<Option<usize>> {
    let mut line = Vec::new();
    // A line that is not short is wrong: no client may fill the memory with one.
    reader.take(20).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let digits = line.strip_prefix(&[sign]).and_then(|line| line.strip_suffix(b"\r\n"));
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match number {
        Some(number) if number <= most => Ok(Some(number)),
        _ => Err(bad("not a number, or one that is too large")),
    }
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}
