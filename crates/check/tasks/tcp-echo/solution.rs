//! A TCP echo server for one client, which sends one message.

use std::io::{self, Error, Read, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    // The standard library sets SO_REUSEADDR here, so that the server can start again at once.
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let (mut connection, _client) = listener.accept()?;

    let mut buffer = [0; 1024];
    let length = connection.read(&mut buffer)?;
    if length == 0 {
        return Err(Error::other("the client ended its stream before it sent anything"));
    }
    connection.write_all(&[b"Echo: ", &buffer[..length]].concat())
    // The connection closes here: the client reads the end of the stream.
}
