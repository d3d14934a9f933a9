//! Connects to the first address that it was given. The others are yours.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let hosts = std::env::var("HOSTS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let host = hosts.split(',').next().unwrap_or_default();

    // Your part: if this one does not work, or does not answer, there are others.
    let address: IpAddr = host.parse().map_err(io::Error::other)?;
    let address = SocketAddr::new(address, port.unwrap_or(12345));
    let mut connection = TcpStream::connect(address)?;
    connection.write_all(b"Hello\n")?;
    writeln!(io::stdout(), "connected to {host}")?;
    Ok(())
}
