//! A UDP server for a small service: it takes one datagram, and does nothing yet.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let mut buffer = [0; 1024];
    let (_length, client) = socket.recv_from(&mut buffer)?;
    // Your part: the service, and a loop.
    socket.send_to(b"not written yet", client)?;
    Ok(())
}
