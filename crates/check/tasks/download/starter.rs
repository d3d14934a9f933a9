//! Sends as many bytes as a client asks for, to one client at a time. Fix that, and what it
//! costs.

use std::io::{self, Read, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (mut connection, _client) = listener.accept()?;
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") && connection.read(&mut byte)? > 0 {
            line.extend_from_slice(&byte);
        }
        let Ok(count) = String::from_utf8_lossy(&line).trim_end().parse::<usize>() else {
            continue;
        };
        // Your part: where are all these bytes while the client does not read?
        let bytes: Vec<u8> = (0..count).map(|at| b'a' + (at % 23) as u8).collect();
        connection.write_all(&bytes)?;
    }
}
