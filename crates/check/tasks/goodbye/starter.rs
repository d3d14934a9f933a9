//! Echoes what comes from each client, and says no goodbye: neither to its clients, nor when
//! it is asked to end. Both are yours.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    // Your part: SIGTERM. The crate `signal-hook` is in Cargo.toml.
    loop {
        let (connection, _client) = listener.accept()?;
        thread::spawn(move || serve(connection));
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            // Your part: the client's stream has ended. May we still say something?
            return Ok(());
        }
        connection.write_all(&buffer[..length])?;
    }
}
