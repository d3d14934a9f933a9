//! Connects with a time limit, and says how long it took to get an answer, or to give up.
//!
//! It belongs to lesson 6, `lessons/06-refused-or-timed-out`. Run it:
//! `cargo run -q --bin tcp-client-timeout -- --timeout-ms 100`.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{During, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(connect(&parse_arguments()))
}

fn connect(arguments: &Arguments) -> Result<(), Failure> {
    let server = SocketAddr::new(arguments.host, arguments.port);
    let timeout = Duration::from_millis(arguments.timeout_ms);

    // socket(2): the family is that of the address, AF_INET or AF_INET6.
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)
        .during("socket", server)?;

    // connect(2) has no argument for a limit. This makes the socket non-blocking, so that
    // connect returns at once, and then waits in poll(2) with the limit.
    let start = Instant::now();
    let result = socket.connect_timeout(&server.into(), timeout);
    let elapsed = milliseconds(start.elapsed());
    match &result {
        Ok(()) => say!("connected after {elapsed}")?,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            say!("refused after {elapsed}")?;
        }
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            say!("gave up after {elapsed}")?;
        }
        // A router said so, or nobody on our own network has the address.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            ) =>
        {
            say!("unreachable after {elapsed}")?;
        }
        Err(_other) => {}
    }
    result.during("connect", server)
}

fn milliseconds(elapsed: Duration) -> String {
    format!("{:.2} ms", elapsed.as_secs_f64() * 1000.0)
}

/// Connects to a TCP server, says how long it took to be connected, to be refused, to learn that
/// it is unreachable, or to give up, and leaves.
#[derive(Parser)]
#[command(name = "tcp-client-timeout", version, after_help = EXAMPLES)]
struct Arguments {
    /// IPv4 or IPv6 address; a name is not looked up here
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,

    /// Port
    #[arg(long, default_value_t = 12345)]
    port: u16,

    /// How long to wait for an answer, in milliseconds
    #[arg(
        long,
        default_value_t = 5000,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-timeout                    connect to 127.0.0.1, port 12345
  tcp-client-timeout --host ::1         the same over IPv6
  tcp-client-timeout --timeout-ms 100   give up after a tenth of a second

Exit status:
  0  connected
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
