//! Echoes to each client in a thread of its own. A thousand threads are too many: serve all in
//! one. poll(2) says which of many sockets has something; see `rustix::event::poll`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, _client) = listener.accept()?;
        // Your part: no thread for each client.
        thread::Builder::new().spawn(move || echo(connection))?;
    }
}

fn echo(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        connection.write_all(&buffer[..length])?;
    }
}
