//! Receives a message with its hash before it, and asks for it again when they do not match.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-sealed`, then `tcp-client-sealed` in another terminal.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // As in lesson 2, up to the connection.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(128).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let port = internet_address(&local_address)?.port();
    say!("Server is listening on port {port}...")?;
    let (mut connection, client) = server_socket.accept().during("accept", address)?;
    let client = internet_address(&client)?;

    let mut buffer = [0; 1024];
    loop {
        // One recv is not one message (lesson 7). Here one message is in flight at a time,
        // and it fits into a segment; more would need a length before each.
        let length = connection.read(&mut buffer).during("recv", client)?;
        let Some((seal, message)) = buffer[..length].split_first_chunk::<8>() else {
            return say!("End of stream");
        };
        if u64::from_be_bytes(*seal) == hash(message) {
            say!("Whole: {}", Escaped(message))?;
            connection.write_all(b"whole").during("send", client)?;
        } else {
            say!("Damaged: {}", Escaped(message))?;
            connection.write_all(b"damaged").during("send", client)?;
        }
    }
}

/// FNV-1a: a hash in four lines. It finds damage; against forgery, use a keyed one.
fn hash(bytes: &[u8]) -> u64 {
    let step =
        |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Receives messages that carry their own hash
#[derive(Parser)]
#[command(name = "tcp-server-sealed", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-sealed                   listen on localhost, port 12345
  tcp-server-sealed --host 10.77.0.2  listen on host b of a wire
Through cargo: cargo run -q --bin tcp-server-sealed

Exit status:
  0  the client ended its stream
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
