//! Lesson 10's client, which tells a dead peer from a slow one.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::{Flaw, port};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let limit = match flaw.is("fixed-limit") {
        true => 4,
        false => number("LIMIT").unwrap_or(10),
    };
    let limit = if flaw.is("doubles-limit") { 2 * limit } else { limit };
    let within = Duration::from_secs(limit);
    let host = std::env::var("HOST").ok().and_then(|it| it.parse::<IpAddr>().ok());
    let address = SocketAddr::new(host.unwrap_or([127, 0, 0, 1].into()), port(flaw));
    let mut stream = match flaw.is("waits-for-ever") || flaw.is("no-connect-timeout") {
        true => TcpStream::connect(address)?,
        false => TcpStream::connect_timeout(&address, within)?,
    };
    notice_death(flaw, &stream, within)?;
    stream.write_all(if flaw.is("other-words") { b"status\n" } else { b"status?\n" })?;
    let mut reply = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let length = match stream.read(&mut buffer) {
            Err(_) if flaw.is("error-is-end") => 0,
            result => result?,
        };
        reply.extend_from_slice(&buffer[..length]);
        if length == 0 || flaw.is("one-recv") {
            break;
        }
    }
    match flaw.is("lossy") {
        true => print!("{}", String::from_utf8_lossy(&reply)),
        false => io::stdout().write_all(&reply)?,
    }
    Ok(())
}

fn notice_death(flaw: &Flaw, stream: &TcpStream, within: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    if flaw.is("recv-timeout") {
        stream.set_read_timeout(Some(within))?;
    } else if !flaw.is("waits-for-ever") && !flaw.is("no-keepalive") {
        let third = Duration::from_secs((within.as_secs() / 3).max(1));
        let keepalive = TcpKeepalive::new().with_time(third).with_interval(third);
        #[cfg(target_os = "linux")]
        let keepalive = keepalive.with_retries(2);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if !flaw.is("waits-for-ever") && !flaw.is("no-user-timeout") {
        socket.set_tcp_user_timeout(Some(within))?;
    }
    Ok(())
}
