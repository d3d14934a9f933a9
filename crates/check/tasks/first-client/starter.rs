//! A first client. It makes the calls socket(2) and connect(2); the rest is yours.

use std::io::{self, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;

    // Your part: `connection.read(&mut buffer)` again and again, until it returns 0, and count.
    // (It needs `use std::io::Read` and a connection that is `mut`.)
    let count = 0;
    drop(connection);
    writeln!(io::stdout(), "{count} bytes")
}
