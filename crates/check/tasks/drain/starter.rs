//! Replies to lines, and knows nothing of SIGTERM: what it has taken and not done is lost.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, _client) = listener.accept()?;
        // Your part: the signal. Who waits for it, while all others wait for clients? The
        // crates `signal-hook` and `rustix` (poll) are in Cargo.toml.
        thread::spawn(move || serve(&connection));
    }
}

fn serve(mut connection: &TcpStream) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(connection);
    while reader.read_line(&mut line)? > 0 {
        connection.write_all(format!("done {line}").as_bytes())?;
        line.clear();
    }
    Ok(())
}
