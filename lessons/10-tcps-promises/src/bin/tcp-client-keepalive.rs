//! Waits for news from a peer that may be gone, and has its kernel ask: `SO_KEEPALIVE` with
//! its three numbers.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-words` first, then `cargo run -q --bin tcp-client-keepalive`.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, TcpKeepalive, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;
    // tcp(7): how long a silence must last before the first question (TCP_KEEPIDLE), how long
    // until the next (TCP_KEEPINTVL), and how many may go unanswered (TCP_KEEPCNT).
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(arguments.idle_s))
        .with_interval(Duration::from_secs(arguments.interval_s))
        .with_retries(arguments.count);
    client_socket.set_tcp_keepalive(&keepalive).during("setsockopt", "SO_KEEPALIVE")?;

    client_socket.write_all(b"subscribe").during("send", address)?;
    let mut buffer = [0; 1024];
    loop {
        let start = Instant::now();
        let received = client_socket.read(&mut buffer);
        let elapsed = start.elapsed().as_secs_f64();
        if received.is_err() {
            say!("Given up after {elapsed:.1} s without a word")?;
        }
        let length = received.during("recv", address)?;
        if length == 0 {
            return say!("End of stream");
        }
        say!("News: {}", Escaped(&buffer[..length]))?;
    }
}

/// Waits for what a TCP server sends, and notices when it is gone
#[derive(Parser)]
#[command(name = "tcp-client-keepalive", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// Seconds of silence before the first question
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=32_767))]
    idle_s: u64,

    /// Seconds between two questions
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=32_767))]
    interval_s: u64,

    /// How many questions may go unanswered
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=127))]
    count: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-keepalive                              1 s, then twice 1 s
  tcp-client-keepalive --idle-s 7200 --interval-s 75 --count 9   Linux's own numbers
Through cargo: cargo run -q --bin tcp-client-keepalive

Exit status:
  0  the server ended the stream
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
