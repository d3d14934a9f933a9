//! Two echo servers that were pointed at each other by one datagram: they never stop.
//!
//! It belongs to lesson 11, `lessons/11-what-udp-does-not-promise`. Run it:
//! `cargo run -q --bin udp-both-ends-loop`. It needs no second terminal.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;

use clap::Parser;
use common::{During, Failure, exit_code, parse_arguments, say};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).during("bind", "127.0.0.1:0");
    let (one, other) = (bind()?, bind()?);
    let (at_one, at_other) = (
        one.local_addr().during("getsockname", "127.0.0.1:0")?,
        other.local_addr().during("getsockname", "127.0.0.1:0")?,
    );
    // The forged datagram: it seems to come from the other server. No socket has to prove its
    // address; here we simply are that other server.
    other.send_to(b"hello", at_one).during("sendto", at_one)?;
    let mut echoes = 0;
    let mut buffer = [0; 64];
    while echoes < arguments.limit {
        for (server, peer) in [(&one, at_other), (&other, at_one)] {
            let (length, from) =
                server.recv_from(&mut buffer).during("recvfrom", peer)?;
            server.send_to(&buffer[..length], from).during("sendto", from)?;
            echoes += 1;
        }
    }
    say!("{echoes} echoes of one datagram; stopped by our own limit")
}

/// Lets two echo servers answer each other
#[derive(Parser)]
#[command(name = "udp-both-ends-loop", version, after_help = EXAMPLES)]
struct Arguments {
    /// Stop after this many echoes
    #[arg(long, default_value_t = 10_000)]
    limit: u64,
}

const EXAMPLES: &str = "\
Examples:
  udp-both-ends-loop             stop after 10,000 echoes
  udp-both-ends-loop --limit 10  stop after 10
Through cargo: cargo run -q --bin udp-both-ends-loop

Exit status:
  0  the limit was reached
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
