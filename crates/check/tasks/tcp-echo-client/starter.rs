//! A TCP echo client. It connects and sends; the reply is yours.

use std::io::{self, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let mut connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;
    connection.write_all(b"Hello TCP Server")?;

    // Your part: receive the reply, all of it, and print it after `Server says: `.
    Ok(())
}
