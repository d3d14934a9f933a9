//! Makes deposits, and waits for each reply for ever: whatever the network loses stops it.

use std::io::{self, Write};
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let count = std::env::var("COUNT").ok().and_then(|count| count.parse().ok());
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((host.as_str(), port.unwrap_or(12345)))?;
    let mut buffer = [0; 1024];
    for number in 1..=count.unwrap_or(3) {
        socket.send(format!("{number} deposit 100").as_bytes())?;
        // Your part: how long do you wait, for what, and what then? See set_read_timeout.
        let length = socket.recv(&mut buffer)?;
        writeln!(io::stdout(), "{}", String::from_utf8_lossy(&buffer[..length]))?;
    }
    Ok(())
}
