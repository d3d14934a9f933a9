//! A key-value server that speaks part of RESP. It answers every command with an error; the
//! commands are yours.

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
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        // Your part: this is one line of a command. Read all of its strings, and answer.
        // How long may a line be? Which bytes may a string contain?
        line.clear();
        connection.write_all(b"-ERR not written yet\r\n")?;
    }
    Ok(())
}
