//! Echoes messages that begin with their length, wherever the stream is cut.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// The maximum length of a message.
const MOST: usize = 65_536;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let (mut connection, _client) = listener.accept()?;
    while let Some(message) = receive(&mut connection)? {
        let reply = [b"Echo: ", message.as_slice()].concat();
        let length = u32::try_from(reply.len()).map_err(Error::other)?;
        connection.write_all(&[&length.to_be_bytes()[..], &reply].concat())?;
    }
    Ok(())
}

/// Returns the next message, or `None` if the stream ends before one begins.
fn receive(connection: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    // The stream may end before the first byte of a message, and nowhere else.
    if connection.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    // read_exact puts pieces together, and takes nothing of the next message. At the end of
    // the stream it fails with UnexpectedEof.
    connection.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length) as usize;
    // Check this before allocating any memory.
    if length > MOST {
        let message = format!("a message of {length} bytes; {MOST} is the limit");
        return Err(Error::new(ErrorKind::InvalidData, message));
    }
    let mut message = vec![0; length];
    connection.read_exact(&mut message)?;
    Ok(Some(message))
}
