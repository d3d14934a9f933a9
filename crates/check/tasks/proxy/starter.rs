//! A proxy that copies both ways. It copies one way, for one client; the rest is yours.

use std::io;
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let port = |name: &str, default: u16| {
        std::env::var(name).ok().and_then(|port| port.parse().ok()).unwrap_or(default)
    };
    let listener = TcpListener::bind(("127.0.0.1", port("PORT", 12345)))?;
    let (mut client, _address) = listener.accept()?;
    let mut server = TcpStream::connect(("127.0.0.1", port("UPSTREAM", 12346)))?;
    // Your part: the other direction, at the same time. And when one of the two ends?
    io::copy(&mut client, &mut server)?;
    Ok(())
}
