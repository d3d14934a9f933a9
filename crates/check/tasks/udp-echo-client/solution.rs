//! A UDP echo client: it sends one datagram and waits one second for the reply.

use std::io::{self, Write};
use std::net::UdpSocket;
use std::time::Duration;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    // A connected socket accepts only the server's datagrams, and is told if nobody is there.
    socket.connect(("127.0.0.1", port.unwrap_or(12345)))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send(b"Hello UDP Server")?;

    let mut buffer = [0; 65_507];
    let length = socket.recv(&mut buffer)?;
    // Escape what a terminal would obey.
    writeln!(io::stdout(), "Server says: {}", buffer[..length].escape_ascii())
}
