//! Connects, shows both addresses of its socket, and stays until the server closes.
//!
//! It belongs to lesson 4, `lessons/04-who-is-on-the-port`. Start the server first, in
//! another terminal: `cargo run -q --bin tcp-server-addresses` and
//! `cargo run -q --bin tcp-client-addresses`.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(stay(&parse_arguments()))
}

fn stay(arguments: &Arguments) -> Result<(), Failure> {
    let server = arguments.address.resolve()?;
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // A client need not bind, and most do not. One that does chooses its port itself; the
    // address 0.0.0.0 leaves the rest of the choice to connect(2).
    if let Some(port) = arguments.local_port {
        #[cfg(unix)]
        socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        let own = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        socket.bind(&own.into()).during("bind", own)?;
    }

    // connect(2) gives the socket a peer, and what is still missing of a local address:
    // the address from which the route to the peer leads, and an ephemeral port.
    socket.connect(&server.into()).during("connect", server)?;

    // The server sends a byte when it has accepted us: now each end has its program.
    if socket.read(&mut [0; 1]).during("recv", server)? == 0 {
        let advice = "the server closed before it had accepted this client";
        return Err(Failure::new("recv", server, "end of stream", advice));
    }
    let local = socket.local_addr().during("getsockname", server)?;
    let peer = socket.peer_addr().during("getpeername", server)?;
    let local = PythonAddress(internet_address(&local)?);
    let peer = PythonAddress(internet_address(&peer)?);
    say!("client        local {local}, peer {peer}")?;

    // Stay until the server closes: recv(2) gives 0 then. What it sends before that is
    // ignored.
    while socket.read(&mut [0; 1024]).during("recv", server)? > 0 {}
    Ok(())
}

/// Connects to a TCP server, shows both addresses of its own socket, and stays until the
/// server closes the connection.
#[derive(Parser)]
#[command(name = "tcp-client-addresses", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// Our own port, for bind(2); without it the kernel picks one
    #[arg(long)]
    local_port: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-addresses                      from any port to localhost:12345
  tcp-client-addresses --local-port 12343   from a port of our choice
Start the server first, in another terminal: tcp-server-addresses

Exit status:
  0  the server accepted, and closed in the end
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It stays as long as the server does; Ctrl-C ends it.";
