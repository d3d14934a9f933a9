//! Deposits what it is asked to, each time it is asked. Dealing with a request that comes twice is
//! yours.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let socket = UdpSocket::bind((host.as_str(), port.unwrap_or(12345)))?;
    let mut balance = 0_u64;
    let mut buffer = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        let Some((number, amount)) = text.split_once(" deposit ") else { continue };
        // Your part: what is a good request? Has this one been here before?
        balance += amount.parse::<u64>().unwrap_or(0);
        socket.send_to(format!("{number} balance {balance}").as_bytes(), client)?;
    }
}
