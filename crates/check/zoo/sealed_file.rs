//! Lesson 10's server, which notices damage.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::{Flaw, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let host = std::env::var("HOST").ok().and_then(|it| it.parse::<IpAddr>().ok());
    let host = host.unwrap_or([127, 0, 0, 1].into());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(host, port(flaw)).into())?;
    socket.listen(128)?;
    let listener = std::net::TcpListener::from(socket);
    let mut file = Vec::new();
    loop {
        let (client, _) = listener.accept()?;
        let result = serve(flaw, &client, &mut file);
        if flaw.is("bad-ends") {
            result?;
        }
    }
}

fn serve(flaw: &Flaw, mut client: &TcpStream, file: &mut Vec<u8>) -> io::Result<()> {
    let bad = || io::Error::new(ErrorKind::InvalidData, "no such request");
    while let Some(line) = read_line(flaw, client)? {
        if line == "get" {
            let seal = match flaw.is("empty-is-zero") && file.is_empty() {
                true => 0,
                false => hash(flaw, file),
            };
            let mut reply = format!("{} {seal:016x}\n", file.len()).into_bytes();
            reply.extend_from_slice(file);
            client.write_all(&reply)?;
            continue;
        }
        let mut words = line.split(' ');
        let (Some("put"), Some(length), Some(seal), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad());
        };
        let digits = length.bytes().all(|it| it.is_ascii_digit());
        let length: usize = length.parse().map_err(|_| bad())?;
        let right = digits && seal.len() == 16 && length <= 10_000_000;
        if !right && !flaw.is("no-limits") {
            return Err(bad());
        }
        let wanted = u64::from_str_radix(seal, 16).map_err(|_| bad())?;
        let mut bytes = vec![0; length.min(10_000_000)];
        let mut got = 0;
        while got < bytes.len() {
            // With a buffer of the usual size, one recv(2) is taken for the whole file.
            let end = bytes.len().min(if flaw.is("one-recv") { 4096 } else { length });
            let more = client.read(&mut bytes[got..end])?;
            if more == 0 && flaw.is("part-is-all") {
                bytes.truncate(got);
                *file = bytes;
                return Ok(());
            }
            if more == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            got += more;
            if flaw.is("one-recv") {
                bytes.truncate(got);
            }
        }
        let whole = match () {
            () if flaw.is("trusts") => true,
            () if flaw.is("head-only") && length > 1000 => true,
            () => hash(flaw, &bytes) == wanted,
        };
        if whole || flaw.is("stores-first") {
            *file = bytes;
        }
        client.write_all(if whole { b"whole\n" } else { b"damaged\n" })?;
        if !whole && flaw.is("closes") {
            return Ok(());
        }
    }
    Ok(())
}

fn read_line(flaw: &Flaw, mut client: &TcpStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        if byte == [b'\n'] {
            let text = String::from_utf8(line);
            return text.map(Some).map_err(|_| ErrorKind::InvalidData.into());
        }
        line.push(byte[0]);
        if line.len() > 64 && !flaw.is("endless") {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}

fn hash(flaw: &Flaw, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x100_0000_01b3;
    let first = 0xcbf2_9ce4_8422_2325;
    // FNV-1 multiplies first.
    let step = |hash: u64, byte: &u8| match flaw.is("fnv-1") {
        true => hash.wrapping_mul(PRIME) ^ u64::from(*byte),
        false => (hash ^ u64::from(*byte)).wrapping_mul(PRIME),
    };
    bytes.iter().fold(first, step)
}
