//! Answers each client's line, one client after another. Those who wait are in the kernel's
//! queue: std asks for a backlog of 128 (listen(2)).

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

const MOST_BYTES: usize = 100;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, client) = listener.accept()?;
        // A client that reset while it was in the queue is accepted all the same; then its
        // first call fails. That is no reason to stop serving the others.
        if let Err(error) = serve(connection) {
            let _ = writeln!(io::stderr(), "serve {client}: {error}");
        }
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut line = Vec::new();
    let mut buffer = [0; MOST_BYTES + 1];
    while !line.contains(&b'\n') {
        let length = connection.read(&mut buffer)?;
        line.extend_from_slice(&buffer[..length]);
        if length == 0 || line.len() > MOST_BYTES + 1 {
            return Ok(());
        }
    }
    connection.write_all(b"ok\n")
}
