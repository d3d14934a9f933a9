//! Tries every address in turn and takes the first that works.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// The kernel's own limit for connect(2) is about two minutes.
const WITHIN: Duration = Duration::from_millis(500);

fn main() -> io::Result<ExitCode> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let hosts = std::env::var("HOSTS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    for host in hosts.split(',') {
        match say_hello(host, port.unwrap_or(12345)) {
            Ok(()) => {
                writeln!(io::stdout(), "connected to {host}")?;
                return Ok(ExitCode::SUCCESS);
            }
            // Refused, timed out, no route, an address family that we do not have: whatever it
            // is, the next address may work.
            Err(error) => writeln!(io::stderr(), "connect {host}: {error}")?,
        }
    }
    Ok(ExitCode::FAILURE)
}

fn say_hello(host: &str, port: u16) -> io::Result<()> {
    let address: IpAddr = host.parse().map_err(io::Error::other)?;
    // The socket's address family is that of the address.
    let address = SocketAddr::new(address, port);
    let mut connection = TcpStream::connect_timeout(&address, WITHIN)?;
    connection.write_all(b"Hello\n")
}
