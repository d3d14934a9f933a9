//! Keeps one file for its clients, and never a damaged one.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

const MOST_BYTES: usize = 10_000_000;
const LONGEST_LINE: u64 = 64;

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind((host.as_str(), port.unwrap_or(12345)))?;
    let mut file = Vec::new();
    loop {
        let (connection, client) = listener.accept()?;
        if let Err(error) = serve(&connection, &mut file) {
            let _ = writeln!(io::stderr(), "serve {client}: {error}");
        }
    }
}

fn serve(mut connection: &TcpStream, file: &mut Vec<u8>) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line == b"get\n" {
            let head = format!("{} {:016x}\n", file.len(), seal(file));
            connection.write_all(&[head.as_bytes(), file].concat())?;
            continue;
        }
        let (length, wanted) = put(&line).ok_or(Error::from(ErrorKind::InvalidData))?;
        let mut bytes = vec![0; length];
        // Read all of them, or fail: the end of the stream is not the end of a file.
        reader.read_exact(&mut bytes)?;
        if seal(&bytes) == wanted {
            *file = bytes;
            connection.write_all(b"whole\n")?;
        } else {
            connection.write_all(b"damaged\n")?;
        }
    }
}

/// Parses `put 16 87e1…`: how many bytes, and their seal.
fn put(line: &[u8]) -> Option<(usize, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let (length, seal) =
        line.strip_prefix("put ")?.strip_suffix('\n')?.split_once(' ')?;
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|length| digits && *length <= MOST_BYTES)?;
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let right = seal.len() == 16 && seal.bytes().all(digit);
    Some((length, u64::from_str_radix(seal, 16).ok().filter(|_| right)?))
}

/// FNV-1a. It detects damage; to detect forgery it would take a keyed hash.
fn seal(bytes: &[u8]) -> u64 {
    let step =
        |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
