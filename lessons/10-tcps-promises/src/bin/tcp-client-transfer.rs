//! Sends many bytes at once, and says when the peer has confirmed them all.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-sink` first, then `cargo run -q --bin tcp-client-transfer` in another terminal.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;
use std::time::Instant;

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
    #[cfg(target_os = "linux")]
    if arguments.user_timeout_ms > 0 {
        let limit = std::time::Duration::from_millis(arguments.user_timeout_ms);
        client_socket
            .set_tcp_user_timeout(Some(limit))
            .during("setsockopt", "TCP_USER_TIMEOUT")?;
    }
    let start = Instant::now();
    let stream = vec![b'x'; arguments.bytes];
    client_socket.write_all(&stream).during("send", address)?;
    client_socket.shutdown(Shutdown::Write).during("shutdown", address)?;

    let mut buffer = [0; 64];
    let length = client_socket.read(&mut buffer).during("recv", address)?;
    let count = Escaped(&buffer[..length]);
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    say!("The server received {count} bytes; {elapsed:.1} ms")
}

/// Sends many bytes to a TCP server that confirms them
#[derive(Parser)]
#[command(name = "tcp-client-transfer", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many bytes to send
    #[arg(long, default_value_t = 100_000)]
    bytes: usize,

    /// How long what was sent may stay unacknowledged, in milliseconds; 0: the kernel's choice
    #[arg(long, default_value_t = 0)]
    user_timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-transfer                   100,000 bytes to localhost, port 12345
  tcp-client-transfer --host 10.77.0.2  the same to host b of a wire
Through cargo: cargo run -q --bin tcp-client-transfer

Exit status:
  0  the server confirmed
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
