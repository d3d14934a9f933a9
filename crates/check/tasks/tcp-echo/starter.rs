//! A TCP echo server for one client. It listens and takes a message; the rest is yours.

use std::io::{self, Read};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let (mut connection, _client) = listener.accept()?;

    let mut buffer = [0; 1024];
    let length = connection.read(&mut buffer)?;
    let _message = &buffer[..length];

    // Your part: what if nothing came? Otherwise send the message back, after `Echo: `.
    Ok(())
}
