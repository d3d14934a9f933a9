//! Tells each client both addresses of its connection. It knows one; the other is yours.

use std::io::{self, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (mut connection, _) = listener.accept()?;
        let local = connection.local_addr()?;
        // Your part: who is at the other end? And what has it sent in the meantime?
        let peer = local;
        connection.write_all(format!("local {local} peer {peer}\n").as_bytes())?;
    }
}
