//! A TCP echo client: it sends one message and shows the reply.

use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let mut connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;
    connection.write_all(b"Hello TCP Server")?;

    // The reply may come in pieces, and the server may keep the connection open, but
    // its length is known. If the stream ends before that, this fails with UnexpectedEof.
    let mut reply = [0; 22];
    connection.read_exact(&mut reply)?;
    // Escape what a terminal would obey.
    writeln!(io::stdout(), "Server says: {}", reply.escape_ascii())
}
