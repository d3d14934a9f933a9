//! Tells each client both addresses of its connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    // std sets SO_REUSEADDR on Unix: without it, the connections that we close first would
    // keep the port from the next server for a minute.
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        // The peer's address is the one that accept(2) returns. getpeername(2) would fail for
        // a client that is gone already.
        let (connection, peer) = listener.accept()?;
        let local = connection.local_addr()?;
        // One client's trouble must not affect the next.
        if let Err(error) = tell(connection, &format!("local {local} peer {peer}\n")) {
            let _ = writeln!(io::stderr(), "tell {peer}: {error}");
        }
    }
}

fn tell(mut connection: TcpStream, line: &str) -> io::Result<()> {
    connection.write_all(line.as_bytes())?;
    connection.shutdown(Shutdown::Write)?;
    // What the client sent must be read before close(2), or the kernel resets the
    // connection, and the line may be lost. Read only what has arrived: the client may stay.
    connection.set_nonblocking(true)?;
    let mut thrown_away = [0; 1024];
    while connection.read(&mut thrown_away).is_ok_and(|length| length > 0) {}
    Ok(())
}
