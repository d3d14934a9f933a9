//! A chat with names. It asks for a name, and then talks to nobody; the rest is yours.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, _client) = listener.accept()?;
        thread::spawn(move || serve(connection));
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    connection.write_all(b"name?\n")?;
    let reader = BufReader::new(connection.try_clone()?);
    for line in reader.lines() {
        let _line = line?;
        // Your part: the first line is the name; every other one is for all the others.
        // Who writes to whom? And what if one of them does not read?
    }
    Ok(())
}
