//! A key-value store over UDP. It calls every request bad; the store is yours.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let mut buffer = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let _request = &buffer[..length];
        // Your part: `put NAME\nVALUE` and `get NAME`. What is a name, and what is not?
        socket.send_to(b"bad", client)?;
    }
}
