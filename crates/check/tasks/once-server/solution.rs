//! Deposits what it is asked to, once, however often it is asked.

use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind((host.as_str(), port.unwrap_or(12345)))?;
    let mut balance = 0_u64;
    // Each client's last number, and the reply to it: a client has one request in
    // progress, so there is nothing else that it can ask for again.
    let mut last_replies = HashMap::new();
    let mut buffer = [0; 2048];
    loop {
        // An error with one client does not end the server.
        let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
        let Some((number, amount)) = request(&buffer[..length]) else { continue };
        let reply = match last_replies.get(&client) {
            Some((last, reply)) if *last == number => String::clone(reply),
            Some((last, _)) if *last > number => continue,
            _ => {
                balance += amount;
                format!("{number} balance {balance}")
            }
        };
        // Anyone can forge the sender's address of a datagram: memory needs a limit.
        if last_replies.len() >= 100_000 {
            last_replies.clear();
        }
        last_replies.insert(client, (number, reply.clone()));
        let _ = socket.send_to(reply.as_bytes(), client);
    }
}

/// Parses `7 deposit 100`: the number, and the amount.
fn request(datagram: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(datagram).ok()?;
    let (number, amount) = text.split_once(" deposit ")?;
    Some((digits(number)?, digits(amount)?))
}

/// Parses one to nine digits, and nothing else: `parse` would accept a sign, too.
fn digits(word: &str) -> Option<u64> {
    let right = word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    if right { word.parse().ok() } else { None }
}
