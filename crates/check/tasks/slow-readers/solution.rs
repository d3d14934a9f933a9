//! Echoes to each client in a thread of its own, which may wait: for bytes, or for room.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, client) = listener.accept()?;
        // If no thread can be had, drop this one client; the others stay.
        let _ = thread::Builder::new().spawn(move || {
            if let Err(error) = echo(connection) {
                let _ = writeln!(io::stderr(), "serve {client}: {error}");
            }
        });
    }
}

fn echo(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        // It waits until all is sent. Nothing more is read in the meantime, so the kernel takes
        // nothing more either: what is left stays at the client.
        connection.write_all(&buffer[..length])?;
    }
}
