//! A UDP echo server. It receives datagrams; answering them is yours.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", port.unwrap_or(12345)))?;

    let mut buffer = [0; 1024];
    loop {
        let (length, _client) = socket.recv_from(&mut buffer)?;
        let _message = &buffer[..length];
        // Your part: send it back to its client, after `Echo: `. Is the buffer large
        // enough? What may fail without ending the server?
    }
}
