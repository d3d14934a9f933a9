//! A UDP echo client. It sends; waiting for the reply, but not for ever, is yours.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let server = ("127.0.0.1", port.unwrap_or(12345));
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.send_to(b"Hello UDP Server", server)?;

    // Your part: receive the reply and print it after `Server says: `. Who
    // sent it? And if none comes within a second?
    Ok(())
}
