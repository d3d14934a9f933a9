//! Sends words to a peer that may be gone, and gives up after a limit of its own:
//! `TCP_USER_TIMEOUT`.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-words` first, then `cargo run -q --bin tcp-client-user-timeout`.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    // tcp(7), RFC 5482: data that stays unacknowledged for this long ends the connection.
    let limit = Duration::from_millis(arguments.timeout_ms);
    #[cfg(target_os = "linux")]
    client_socket
        .set_tcp_user_timeout(Some(limit))
        .during("setsockopt", "TCP_USER_TIMEOUT")?;
    client_socket.connect(&address.into()).during("connect", address)?;

    let mut buffer = [0; 1024];
    for word in ["one", "two"] {
        client_socket.write_all(word.as_bytes()).during("send", address)?;
        let start = Instant::now();
        let received = client_socket.read(&mut buffer);
        let elapsed = start.elapsed().as_secs_f64() * 1000.0;
        if received.is_err() {
            say!("{word}: given up after {elapsed:.1} ms; the limit was {limit:?}")?;
        }
        let length = received.during("recv", address)?;
        say!("{word}: {}", Escaped(&buffer[..length]))?;
    }
    Ok(())
}

/// Sends words to a TCP server, and gives up when they stay unacknowledged
#[derive(Parser)]
#[command(name = "tcp-client-user-timeout", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long a word may stay unacknowledged, in milliseconds
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-user-timeout                    give up after 500 ms
  tcp-client-user-timeout --timeout-ms 2000  give up after 2 s
Through cargo: cargo run -q --bin tcp-client-user-timeout

Exit status:
  0  every word came back
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
