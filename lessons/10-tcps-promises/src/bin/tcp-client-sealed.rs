//! Sends a message with its hash before it, so that the peer notices damage below TCP's
//! checksum.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-sealed` first, then `cargo run -q --bin tcp-client-sealed`.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;
    let message: &[u8] = &arguments.message;
    let mut sealed = hash(message).to_be_bytes().to_vec();
    sealed.extend(message);
    let mut buffer = [0; 64];
    // Asked to send it again, we do so: what the stream cannot repair, the program can.
    for attempt in 1..=3 {
        client_socket.write_all(&sealed).during("send", address)?;
        let length = client_socket.read(&mut buffer).during("recv", address)?;
        say!("Attempt {attempt}: {}", Escaped(&buffer[..length]))?;
        if &buffer[..length] == b"whole" {
            return Ok(());
        }
    }
    Err(Failure::new("send", address, "damaged three times", "is the wire broken?"))
}

/// FNV-1a: a hash in four lines. It finds damage; against forgery, use a keyed one.
fn hash(bytes: &[u8]) -> u64 {
    let step =
        |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Sends a message that carries its own hash
#[derive(Parser)]
#[command(name = "tcp-client-sealed", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send
    #[arg(default_value = "pay 100 to 0042.")]
    message: Message,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-sealed                     send to localhost, port 12345
  tcp-client-sealed 'pay 100 to 0042.'  send this
Through cargo: cargo run -q --bin tcp-client-sealed

Exit status:
  0  the message arrived whole
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
