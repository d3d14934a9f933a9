//! A UDP echo server: it sends every datagram back.

use std::io::{self, Write};
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", port.unwrap_or(12345)))?;

    // Room for the largest datagram: what does not fit is lost.
    let mut buffer = [0; 65_507];
    loop {
        // Either call may report that an earlier client has gone. No client ends the server.
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let reply = [b"Echo: ", &buffer[..length]].concat();
        if let Err(error) = socket.send_to(&reply, client) {
            let _ = writeln!(io::stderr(), "reply to {client}: {error}");
        }
    }
}
