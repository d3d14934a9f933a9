//! Sends numbered datagrams one right after the other, and shows which echoes come back.
//!
//! It belongs to lesson 11, `lessons/11-what-udp-does-not-promise`. Start `udp-server` first,
//! then `cargo run -q --bin udp-client-numbers` in another terminal.

use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

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
    // connect(2) sends nothing. From here on the kernel lets in datagrams from this peer only,
    // and reports the ICMP errors that ours cause: udp(7).
    client_socket.connect(&address.into()).during("connect", address)?;
    for number in 1..=arguments.count {
        let mut datagram = number.to_string().into_bytes();
        datagram.resize(datagram.len().max(arguments.bytes), b'.');
        client_socket.write_all(&datagram).during("send", address)?;
    }
    say!("Sent {}", arguments.count)?;

    // Nobody says that no more will come: only a silence that lasts long enough does.
    let silence = Duration::from_millis(arguments.timeout_ms);
    client_socket.set_read_timeout(Some(silence)).during("setsockopt", "SO_RCVTIMEO")?;
    let mut buffer = vec![0; 65_535];
    loop {
        match client_socket.read(&mut buffer) {
            Ok(length) => {
                let shown = &buffer[..length.min(12)];
                say!("Echo of {length} bytes: {}", Escaped(shown))?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return say!("Nothing more");
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).during("recv", address),
        }
    }
}

/// Sends numbered datagrams to a UDP server, and shows which of them come back
#[derive(Parser)]
#[command(name = "udp-client-numbers", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many datagrams
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,

    /// How many bytes each has: its number, then dots
    #[arg(long, default_value_t = 1)]
    bytes: usize,

    /// How long a silence must last before it stops, in milliseconds
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  udp-client-numbers                    three datagrams to localhost, port 12345
  udp-client-numbers --host 10.77.0.2   the same to host b of a wire
Through cargo: cargo run -q --bin udp-client-numbers

Exit status:
  0  all were sent, whatever came back
  1  a call failed: one line on stderr says what, why and what to do next
  2  wrong command line";
