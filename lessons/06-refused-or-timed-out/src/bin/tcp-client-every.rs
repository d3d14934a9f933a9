//! Connects to a name: tries every address of the name, and does not wait long for any one of
//! them. RFC 8305 ("Happy Eyeballs") in miniature.
//!
//! It belongs to lesson 6, `lessons/06-refused-or-timed-out`. Run it:
//! `cargo run -q --bin tcp-client-every -- localhost`.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{During, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(connect(&parse_arguments()))
}

fn connect(arguments: &Arguments) -> Result<(), Failure> {
    let delay = Duration::from_millis(arguments.delay_ms);
    let timeout = Duration::from_millis(arguments.timeout_ms);
    let mut untried = VecDeque::from(families_in_turn(look_up(arguments)?));
    let number = untried.len();

    let start = Instant::now();
    let (sender, answers) = mpsc::channel();
    let mut open_attempts = 0;
    loop {
        if let Some(address) = untried.pop_front() {
            if !arguments.quiet {
                say!("at {}  try {address}", milliseconds(start))?;
            }
            attempt(address, timeout, sender.clone())?;
            open_attempts += 1;
        } else if open_attempts == 0 {
            let reason = match number {
                1 => "its only address did not connect".to_owned(),
                _ => format!("none of {number} addresses connected"),
            };
            let advice = "is the server running, and is it listening on one of them?";
            return Err(Failure::new("connect", arguments.names(), &reason, advice));
        }

        // The first to answer wins. If none has after the delay, we do not give up on it, but
        // try the next address beside it (RFC 8305 §5).
        let patience = if untried.is_empty() { timeout } else { delay };
        match answers.recv_timeout(patience) {
            Ok((address, Ok(_socket))) => {
                return say!("connected to {address} after {}", milliseconds(start));
            }
            Ok((address, Err(error))) => {
                open_attempts -= 1;
                let result: Result<(), _> = Err(error).during("connect", address);
                if let (Err(failure), false) = (result, arguments.quiet) {
                    say!("at {}  {failure}", milliseconds(start))?;
                }
            }
            Err(_nobody_yet) => {}
        }
    }
}

/// All addresses of all names: getaddrinfo(3), which gives them in the order of RFC 6724.
fn look_up(arguments: &Arguments) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = Vec::new();
    for host in &arguments.hosts {
        let found = (host.as_str(), arguments.port).to_socket_addrs();
        for address in found.during("resolve", host)? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    Ok(addresses)
}

/// Alternates the families, beginning with that of the first address (RFC 8305 §4): if one
/// family does not work here, only every second attempt is lost to it.
fn families_in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut in_turn = Vec::new();
    while !one.is_empty() || !other.is_empty() {
        in_turn.extend(one.pop_front());
        in_turn.extend(other.pop_front());
    }
    in_turn
}

/// Connects on a thread of its own, and sends the result to the loop above.
fn attempt(
    address: SocketAddr,
    timeout: Duration,
    answers: Sender<(SocketAddr, io::Result<Socket>)>,
) -> Result<(), Failure> {
    let connect = move || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.connect_timeout(&address.into(), timeout)?;
        Ok(socket)
    };
    // An answer that comes after the loop has ended does not matter: the program is about to
    // exit, and closes every socket.
    let run = move || drop(answers.send((address, connect())));
    thread::Builder::new().spawn(run).during("start a thread for", address)?;
    Ok(())
}

fn milliseconds(start: Instant) -> String {
    format!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0)
}

/// Connects over TCP to the first address that answers, out of all addresses of the names.
#[derive(Parser)]
#[command(name = "tcp-client-every", version, after_help = EXAMPLES)]
struct Arguments {
    /// Names or addresses, IPv4 or IPv6; several count as one name with all these addresses
    #[arg(default_value = "localhost")]
    hosts: Vec<String>,

    /// Port
    #[arg(long, default_value_t = 12345)]
    port: u16,

    /// How long to wait for one address before the next is tried beside it, in milliseconds
    #[arg(
        long,
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..=60_000)
    )]
    delay_ms: u64,

    /// How long each address may take, in milliseconds
    #[arg(
        long,
        default_value_t = 5000,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    timeout_ms: u64,

    /// Say which address answered, and nothing about the others
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    fn names(&self) -> String {
        self.hosts.join(", ")
    }
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-every                        all addresses of localhost, port 12345
  tcp-client-every 127.0.0.2 127.0.0.1    these two, in this order
  tcp-client-every ::1 --delay-ms 50      be less patient

Exit status:
  0  one address answered
  1  none did: one line on stderr says what, why and what to do next
  2  wrong command line";
