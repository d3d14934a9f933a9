//! Echoes messages that begin with their length, as long as each comes alone and whole. Fix
//! that.

use std::io::{self, Read, Write};
use std::net::TcpListener;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let (mut connection, _client) = listener.accept()?;
    let mut buffer = vec![0; 4 + 65_536];
    loop {
        let length = connection.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        // Your part: is this one message? Or half of one, or two and a half?
        let Some(message) = buffer[..length].get(4..) else { continue };
        let reply = [b"Echo: ", message].concat();
        let reply_length = u32::try_from(reply.len()).map_err(io::Error::other)?;
        connection.write_all(&[&reply_length.to_be_bytes()[..], &reply].concat())?;
    }
}
