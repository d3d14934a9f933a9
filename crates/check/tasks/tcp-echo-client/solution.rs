//! A TCP echo client: it sends one message and shows the reply.

use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let mut connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;
    connection.write_all(b"Hello TCP Server")?;

    // The reply may come in pieces, and the server may keep the connection open: how long
    // it is, is known. An end of stream before that is the error UnexpectedEof.
    let mut reply = [0; 22];
    connection.read_exact(&mut reply)?;
    // What a terminal would obey is escaped.
    writeln!(io::stdout(), "Server says: {}", reply.escape_ascii())
}
