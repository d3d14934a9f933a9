//! The cure: numbers its requests, waits, and repeats with a timeout that grows and that comes
//! from measured round trips: RFC 6298, RFC 8085 §3.1.
//!
//! It belongs to lesson 11, `lessons/11-what-udp-does-not-promise`. Start `udp-server-once`
//! first, then `cargo run -q --bin udp-client-retry` in another terminal.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket =
        Socket::new(Domain::IPV4, Type::DGRAM, None).during("socket", "UDP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;
    let mut clock = Clock::new(Duration::from_millis(arguments.timeout_ms));
    for number in 1..=arguments.count {
        exchange(&mut client_socket, address, number, &mut clock)?;
    }
    Ok(())
}

/// How many attempts are made before the peer is given up.
const ATTEMPTS: u32 = 5;

/// One request, repeated until its own reply comes.
fn exchange(
    socket: &mut Socket,
    server: SocketAddr,
    number: u32,
    clock: &mut Clock,
) -> Result<(), Failure> {
    let request = format!("{number} deposit 100");
    let mut buffer = [0; 1024];
    let first_sent = Instant::now();
    for attempt in 1..=ATTEMPTS {
        let sent = Instant::now();
        socket.write_all(request.as_bytes()).during("send", server)?;
        let deadline = sent + clock.timeout;
        loop {
            // SO_RCVTIMEO of zero would mean no limit at all.
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            socket.set_read_timeout(Some(left)).during("setsockopt", "SO_RCVTIMEO")?;
            let length = match socket.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.during("recv", server)?,
            };
            let reply = Escaped(&buffer[..length]);
            // A late reply belongs to an earlier request, as its number shows.
            if !buffer[..length].starts_with(format!("{number} ").as_bytes()) {
                say!("Late, ignored: {reply}")?;
                continue;
            }
            // If a request was repeated, nobody knows which of them is answered: its time is
            // no measurement (Karn's algorithm, RFC 6298 §3).
            if attempt == 1 {
                clock.measured(sent.elapsed());
            }
            let took = first_sent.elapsed().as_secs_f64() * 1000.0;
            return say!("Reply: {reply} (attempt {attempt}) after {took:.1} ms");
        }
        clock.back_off();
        say!("No reply; again")?;
    }
    let reason = format!("no reply to {ATTEMPTS} requests");
    Err(Failure::new("recv", server, &reason, "is a server running there?"))
}

/// How long to wait for a reply: RFC 6298, in a few lines.
struct Clock {
    smoothed: Option<Duration>,
    variation: Duration,
    timeout: Duration,
}

impl Clock {
    fn new(timeout: Duration) -> Clock {
        Clock { smoothed: None, variation: Duration::ZERO, timeout }
    }

    fn measured(&mut self, round_trip: Duration) {
        let smoothed = match self.smoothed {
            None => {
                self.variation = round_trip / 2;
                round_trip
            }
            Some(before) => {
                self.variation = (self.variation * 3 + before.abs_diff(round_trip)) / 4;
                (before * 7 + round_trip) / 8
            }
        };
        self.smoothed = Some(smoothed);
        let timeout = smoothed + 4 * self.variation;
        // Never less than this, or a busy machine would look like a loss.
        self.timeout = timeout.max(Duration::from_millis(200));
    }

    /// Whoever loses packets may be overloaded: the next wait is twice as long.
    fn back_off(&mut self) {
        self.timeout = (self.timeout * 2).min(Duration::from_secs(60));
    }
}

/// Deposits 100 at a UDP server, again and again until it is sure that it was done
#[derive(Parser)]
#[command(name = "udp-client-retry", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many deposits, one after another
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,

    /// How long to wait for the first reply, in milliseconds; RFC 6298 says 1000
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  udp-client-retry                   one deposit, at localhost, port 12345
  udp-client-retry --host 10.77.0.2  the same at host b of a wire
Through cargo: cargo run -q --bin udp-client-retry

Exit status:
  0  every deposit was confirmed
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
