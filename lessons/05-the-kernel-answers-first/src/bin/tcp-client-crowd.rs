//! Connects again and again, and keeps every connection: how many does a server's backlog
//! take, and what happens to the next?
//!
//! It belongs to lesson 5, `lessons/05-the-kernel-answers-first`. Start the server first, in
//! another terminal: `cargo run -q --bin tcp-server-late -- --backlog 1` and
//! `cargo run -q --bin tcp-client-crowd`.

use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{
    Address, During, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(crowd(&parse_arguments()))
}

fn crowd(arguments: &Arguments) -> Result<(), Failure> {
    let server = arguments.address.resolve()?;
    let timeout = Duration::from_millis(arguments.timeout_ms);

    // Whoever has connected stays connected until the program ends.
    let mut connected = Vec::new();
    for number in 1..=arguments.clients {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;

        // Where the queue is full, Linux drops the SYN and says nothing. Our kernel would
        // send it again after a second, and so on for two minutes; so we set a limit.
        match socket.connect_timeout(&server.into(), timeout) {
            Ok(()) => {
                let own = socket.local_addr().during("getsockname", server)?;
                let own = PythonAddress(internet_address(&own)?);
                say!("client {number}  connected from {own}")?;
                connected.push(socket);
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let timeout_ms = arguments.timeout_ms;
                say!("client {number}  no answer within {timeout_ms} ms")?;
            }
            Err(error) => return Err(error).during("connect", server),
        }
    }
    say!("{} of {} are connected", connected.len(), arguments.clients)
}

/// Connects to a TCP server as several clients, one after another, each with a time limit,
/// and keeps every connection until the last has tried.
#[derive(Parser)]
#[command(name = "tcp-client-crowd", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many clients to play
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,

    /// How long each may wait to be connected, in milliseconds
    #[arg(
        long,
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-crowd                 four clients of localhost, port 12345
  tcp-client-crowd --clients 130   one more than a backlog of 128 takes
Start the server first, in another terminal: tcp-server-late --backlog 1

Exit status:
  0  every client has tried, whatever came of it
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
