//! Sends three pieces without waiting, each in a segment of its own, and then asks how many
//! bytes came.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-sink` first, then `cargo run -q --bin tcp-client-pieces` in another terminal.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;
    // Without it the second piece would wait for the ACK of the first: lesson 7.
    client_socket.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
    for piece in ["one ", "two ", "three"] {
        client_socket.write_all(piece.as_bytes()).during("send", address)?;
    }
    client_socket.shutdown(Shutdown::Write).during("shutdown", address)?;

    let mut buffer = [0; 64];
    let length = client_socket.read(&mut buffer).during("recv", address)?;
    say!("The server received {} bytes", Escaped(&buffer[..length]))
}

/// Sends three pieces to a TCP server, one right after the other
#[derive(Parser)]
#[command(name = "tcp-client-pieces", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-pieces                   send to localhost, port 12345
  tcp-client-pieces --host 10.77.0.2  send to host b of a wire
Through cargo: cargo run -q --bin tcp-client-pieces

Exit status:
  0  the server confirmed
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
