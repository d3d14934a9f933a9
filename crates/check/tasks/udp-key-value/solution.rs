//! A key-value store over UDP.

use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;

type Values = HashMap<Vec<u8>, Vec<u8>>;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let mut values = Values::new();
    // Room for the largest datagram: one that is cut might look like a good request.
    let mut buffer = [0; 65_507];
    loop {
        // Either call may report that an earlier client has gone. No client ends the server.
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let reply = answer(&buffer[..length], &mut values).unwrap_or(b"bad".to_vec());
        let _ = socket.send_to(&reply, client);
    }
}

/// Returns the reply, or `None` for a bad request.
fn answer(request: &[u8], values: &mut Values) -> Option<Vec<u8>> {
    if let Some(name) = request.strip_prefix(b"get ") {
        let name = checked(name)?;
        return Some(match values.get(name) {
            Some(value) => [b"is ", name, b"\n", value].concat(),
            None => [b"no ", name].concat(),
        });
    }
    let rest = request.strip_prefix(b"put ")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (name, value) = (checked(&rest[..end])?, &rest[end + 1..]);
    if value.len() > 1000 {
        return None;
    }
    values.insert(name.to_vec(), value.to_vec());
    Some([b"ok ", name].concat())
}

/// Returns the name, if it is valid.
fn checked(name: &[u8]) -> Option<&[u8]> {
    let letters = name.iter().all(u8::is_ascii_lowercase);
    (letters && (1..=32).contains(&name.len())).then_some(name)
}
