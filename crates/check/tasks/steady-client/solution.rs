//! Waits for the reply of its server as long as the server's machine is there.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let number = |name| std::env::var(name).ok().and_then(|it| it.parse::<u16>().ok());
    let port = number("PORT").unwrap_or(12345);
    let limit = number("LIMIT").unwrap_or(10);
    let within = Duration::from_secs(limit.into());

    // While it connects, it has a timeout.
    let address = (host.as_str(), port).to_socket_addrs()?.next();
    let address = address.ok_or(Error::from(ErrorKind::NotFound))?;
    let mut connection = TcpStream::connect_timeout(&address, within)?;
    notice_death(&connection, within)?;

    connection.write_all(b"status?\n")?;
    // There is no timeout here: a slow server is alive.
    let mut reply = Vec::new();
    connection.read_to_end(&mut reply)?;
    io::stdout().write_all(&reply)
}

fn notice_death(connection: &TcpStream, within: Duration) -> io::Result<()> {
    let socket = SockRef::from(connection);
    // While nothing is on its way, the kernel asks from time to time whether the other one is
    // still there. It takes whole seconds.
    let third = Duration::from_secs((within.as_secs() / 3).max(1));
    let keepalive = TcpKeepalive::new().with_time(third).with_interval(third);
    socket.set_tcp_keepalive(&keepalive)?;
    // While something is on its way, it repeats that, and does not ask. This is how long an
    // answer may be missing, to either.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(within))?;
    Ok(())
}
