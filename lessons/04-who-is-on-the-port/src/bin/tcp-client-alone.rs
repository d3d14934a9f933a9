//! A client that connects to itself: from a port to the same port, with no server at all.
//!
//! It belongs to lesson 4, `lessons/04-who-is-on-the-port`. Run it:
//! `cargo run -q --bin tcp-client-alone`. It needs no second terminal.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use common::{
    During, Escaped, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(talk(&parse_arguments()))
}

fn talk(arguments: &Arguments) -> Result<(), Failure> {
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // No listen, no accept. bind(2) gives the socket the port that a client's socket may get
    // by chance, if it connects again and again to an ephemeral port where nobody listens.
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    socket.bind(&own.into()).during("bind", own)?;
    let own = socket.local_addr().during("getsockname", own)?;

    // Our SYN comes to a socket that is itself in SYN-SENT, and that counts: a simultaneous
    // open (RFC 9293 §3.5), with both sides played by one socket.
    let own_address = internet_address(&own)?;
    socket.connect(&own).during("connect", own_address)?;
    let peer = socket.peer_addr().during("getpeername", own_address)?;
    let (local, peer) = (PythonAddress(own_address), internet_address(&peer)?);
    say!("connected: local {local}, peer {}", PythonAddress(peer))?;

    // What we send is what we receive.
    socket.write_all(MESSAGE).during("send", peer)?;
    let mut buffer = [0; MESSAGE.len()];
    socket.read_exact(&mut buffer).during("recv", peer)?;
    say!("received: {}", Escaped(&buffer))
}

const MESSAGE: &[u8] = b"Is anybody there?";

/// Connects a TCP socket to itself, sends a message and receives it.
#[derive(Parser)]
#[command(name = "tcp-client-alone", version, after_help = EXAMPLES)]
struct Arguments {
    /// The port from which and to which to connect; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-alone                on any free port
  tcp-client-alone --port 12345   on this one

Exit status:
  0  it has talked to itself
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It was tried on Linux; other systems may refuse the connect.";
