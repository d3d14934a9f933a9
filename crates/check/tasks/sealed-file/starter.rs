//! Keeps one file for its clients, whatever happened to it on the way. Checking whether it
//! is whole is your part.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind((host.as_str(), port.unwrap_or(12345)))?;
    let mut file = Vec::new();
    loop {
        let (connection, _client) = listener.accept()?;
        let _ = serve(&connection, &mut file);
    }
}

fn serve(mut connection: &TcpStream, file: &mut Vec<u8>) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "get\n" {
            let head = format!("{} {:016x}\n", file.len(), seal(file));
            connection.write_all(&[head.as_bytes(), file].concat())?;
            continue;
        }
        // Your part: what is a good request, and how long may it be?
        let length = line.split(' ').nth(1).and_then(|length| length.parse().ok());
        let mut bytes = vec![0; length.ok_or(Error::from(ErrorKind::InvalidData))?];
        reader.read_exact(&mut bytes)?;
        // Your part: are these the bytes that were sent?
        *file = bytes;
        connection.write_all(b"whole\n")?;
    }
}

/// FNV-1a. It detects damage; to detect forgery it would take a keyed hash.
fn seal(bytes: &[u8]) -> u64 {
    let step =
        |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
