//! Answers each client's line. It takes what one recv returns for the line; fix that, and the
//! rest.

use std::io::{self, Read, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (mut connection, _client) = listener.accept()?;
        // Your part: is this the whole line? What if the client is gone, or never ends?
        let mut buffer = [0; 100];
        let _length = connection.read(&mut buffer)?;
        connection.write_all(b"ok\n")?;
    }
}
