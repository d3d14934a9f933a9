//! Calls one port three times: while it is bound, while it listens, and when its queue is full.
//! The calls are refused, connected, and left without an answer.
//!
//! It belongs to lesson 6, `lessons/06-refused-or-timed-out`. Run it:
//! `cargo run -q --bin tcp-both-ends-answers`. It needs no second terminal.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{During, Failure, exit_code, internet_address, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let timeout = Duration::from_millis(arguments.timeout_ms);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener =
        Socket::new(Domain::IPV4, Type::STREAM, None).during("socket", address)?;
    listener.bind(&address.into()).during("bind", address)?;
    let local = listener.local_addr().during("getsockname", "listener")?;
    let server = internet_address(&local)?;

    say!("bound, not listening: {}", call(server, timeout)?.1)?;

    // A queue of length 0 has room for one connection on Linux.
    listener.listen(0).during("listen", server)?;
    let (_waits, answer) = call(server, timeout)?;
    say!("listening:            {answer}")?;
    // That connection is open still, and nobody accepts it.
    say!("the queue is full:    {}", call(server, timeout)?.1)?;

    // The listener goes first; the client that nobody accepted is reset.
    drop(listener);
    Ok(())
}

/// Connects. Returns the client's socket, the answer, and how long it took.
fn call(server: SocketAddr, timeout: Duration) -> Result<(Socket, String), Failure> {
    let client =
        Socket::new(Domain::IPV4, Type::STREAM, None).during("socket", server)?;
    let start = Instant::now();
    let answer = match client.connect_timeout(&server.into(), timeout) {
        Ok(()) => "connected",
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => "refused",
        Err(error) if error.kind() == ErrorKind::TimedOut => "no answer",
        Err(error) => return Err(error).during("connect", server),
    };
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    Ok((client, format!("{answer} after {elapsed:.1} ms")))
}

/// Calls a port of its own while it is bound, while it listens, and when its queue is full, and
/// shows the answer to each.
#[derive(Parser)]
#[command(name = "tcp-both-ends-answers", version, after_help = EXAMPLES)]
struct Arguments {
    /// How long to wait for an answer, in milliseconds
    #[arg(
        long,
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-answers                     call a free port three times
  tcp-both-ends-answers --timeout-ms 5000   let the kernel ask more often

Exit status:
  0  each call was answered, or its time ran out
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
