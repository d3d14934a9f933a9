//! A TCP server for a small service: it accepts, and does nothing yet.

use std::io;
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (_connection, _client) = listener.accept()?;
        // Your part: the service. Here the connection is closed.
    }
}
