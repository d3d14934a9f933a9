//! Lesson 11's server, which does it once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::{Flaw, port};

/// The last number of each client, and the reply to it.
type Memory = HashMap<SocketAddr, (u64, String)>;

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let host = std::env::var("HOST").ok().and_then(|it| it.parse::<IpAddr>().ok());
    let host = match flaw.is("ignores-host") {
        true => None,
        false => host,
    };
    let port = port(flaw);
    let address = SocketAddr::new(host.unwrap_or([127, 0, 0, 1].into()), port);
    let socket = UdpSocket::bind(address)?;
    let other = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    let mut balance = 0;
    let mut memory = Memory::new();
    let mut buffer = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let datagram = &buffer[..length];
        if flaw.is("strict-text") && std::str::from_utf8(datagram).is_err() {
            return Err(io::Error::other("not UTF-8"));
        }
        let Some((number, amount)) = request(flaw, datagram) else {
            if flaw.is("says-bad") {
                socket.send_to(b"bad", client)?;
            }
            continue;
        };
        let known = match flaw.is("one-memory") {
            true => SocketAddr::from(([0, 0, 0, 0], 0)),
            false => client,
        };
        let reply = match memory.get(&known) {
            _ if flaw.is("always-new") => None,
            Some((last, _)) if *last == number && flaw.is("drops-copies") => continue,
            Some((last, reply)) if *last == number && flaw.is("compares-all") => {
                reply.ends_with(&format!("+{amount}")).then(|| reply.clone())
            }
            Some((last, _)) if *last == number && flaw.is("anew") => {
                Some(format!("{number} balance {balance}"))
            }
            Some((last, reply)) if *last == number => Some(reply.clone()),
            Some((last, _)) if flaw.is("compares-text") => {
                match last.to_string() > number.to_string() {
                    true => continue,
                    false => None,
                }
            }
            Some((last, _)) if *last > number && !flaw.is("takes-older") => continue,
            _ => None,
        };
        let reply = reply.unwrap_or_else(|| {
            balance += amount;
            match flaw.is("compares-all") {
                true => format!("{number} balance {balance}+{amount}"),
                false => format!("{number} balance {balance}"),
            }
        });
        if flaw.is("small-memory") && memory.len() >= 100 {
            memory.clear();
        }
        memory.insert(known, (number, reply.clone()));
        let mut sent = reply.split('+').next().unwrap_or_default().to_owned();
        if flaw.is("newline") {
            sent.push('\n');
        }
        let from = if flaw.is("other-port") { &other } else { &socket };
        from.send_to(sent.as_bytes(), client)?;
    }
}

fn request(flaw: &Flaw, datagram: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(datagram).ok()?;
    let text = if flaw.is("strips") { text.trim() } else { text };
    let (number, amount) = text.split_once(" deposit ")?;
    let digits = |word: &str| match flaw.is("any-number") {
        true => word.parse().ok(),
        false => {
            let right = word.bytes().all(|it| it.is_ascii_digit())
                && (1..=9).contains(&word.len());
            if right { word.parse().ok() } else { None }
        }
    };
    Some((digits(number)?, digits(amount)?))
}
