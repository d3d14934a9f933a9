//! A first client: it receives to the end of the stream, and counts.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let mut connection = TcpStream::connect(("127.0.0.1", port.unwrap_or(12345)))?;

    let mut buffer = [0; 1024];
    let mut count = 0;
    loop {
        // recv(2) returns what has come. 0 bytes means the end of the stream.
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => count += length,
            // A signal interrupted the call: nothing is wrong.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    writeln!(io::stdout(), "{count} bytes")
}
