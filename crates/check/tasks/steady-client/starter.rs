//! Waits for the reply of its server, whatever has become of the server's machine.

use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    // Your part: how long may each of these three calls wait, and for what? The crate `socket2`
    // is in Cargo.toml; see its TcpKeepalive.
    let mut connection = TcpStream::connect((host.as_str(), port.unwrap_or(12345)))?;
    connection.write_all(b"status?\n")?;
    let mut reply = Vec::new();
    connection.read_to_end(&mut reply)?;
    io::stdout().write_all(&reply)
}
