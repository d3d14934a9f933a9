//! A key-value store over UDP.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use crate::{Flaw, loopback, udp_socket};

type Values = HashMap<(Option<SocketAddr>, Vec<u8>), Vec<u8>>;

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let socket = udp_socket(flaw)?;
    let mut values = Values::new();
    let size = match () {
        () if flaw.is("buffer-512") => 512,
        () if flaw.is("buffer-1024") => 1024,
        // As long as the longest request, so a longer datagram is cut to a good one.
        () if flaw.is("buffer-1037") => 1037,
        () => 65_536,
    };
    let mut buffer = vec![0; size];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        if length == 0 && flaw.is("empty-is-the-end") {
            return Ok(());
        }
        let reply = answer(flaw, &buffer[..length], client, &mut values);
        let mut reply = reply.unwrap_or(b"bad".to_vec());
        if flaw.is("newline") {
            reply.push(b'\n');
        }
        let _ = match flaw.is("other-port") {
            true => UdpSocket::bind(loopback(0))?.send_to(&reply, client),
            false => socket.send_to(&reply, client),
        };
    }
}

fn answer(
    flaw: &Flaw,
    request: &[u8],
    client: SocketAddr,
    values: &mut Values,
) -> Option<Vec<u8>> {
    let key = |name: &[u8]| (flaw.is("own-values").then_some(client), name.to_vec());
    if let Some(name) = request.strip_prefix(b"get ") {
        let name = checked(flaw, name)?;
        return Some(match values.get(&key(name)) {
            Some(value) => [b"is ", name, b"\n", value].concat(),
            None if flaw.is("empty-for-none") => [b"is ", name, b"\n"].concat(),
            None => [b"no ", name].concat(),
        });
    }
    let rest = request.strip_prefix(b"put ")?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (name, value) = (checked(flaw, &rest[..end])?, &rest[end + 1..]);
    if value.len() > 1000 && !flaw.is("too-long-stored") {
        return None;
    }
    let value = match flaw.is("one-line") {
        true => value.split(|byte| *byte == b'\n').next().unwrap_or_default(),
        false => value,
    };
    let value = match flaw.is("lossy") {
        true => String::from_utf8_lossy(value).into_owned().into_bytes(),
        false => value.to_vec(),
    };
    if !(flaw.is("first-stays") && values.contains_key(&key(name))) {
        values.insert(key(name), value);
    }
    Some([b"ok ", name].concat())
}

fn checked<'a>(flaw: &Flaw, name: &'a [u8]) -> Option<&'a [u8]> {
    let letters = name.iter().all(u8::is_ascii_lowercase) || flaw.is("any-name");
    (letters && (1..=32).contains(&name.len())).then_some(name)
}
