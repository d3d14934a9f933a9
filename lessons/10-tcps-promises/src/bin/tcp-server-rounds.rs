//! Receives a stream, and shows the portions in which it came: how many bytes in each round trip.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-rounds`, then `tcp-client-transfer` in another terminal.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // As in lesson 2, up to the connection.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(128).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let port = internet_address(&local_address)?.port();
    say!("Server is listening on port {port}...")?;
    let (mut connection, client) = server_socket.accept().during("accept", address)?;
    let client = internet_address(&client)?;

    let pause = Duration::from_millis(arguments.pause_ms);
    let mut buffer = vec![0; 1 << 20];
    let (mut round, mut portion, mut total) = (0, 0, 0);
    let mut last = Instant::now();
    loop {
        let length = connection.read(&mut buffer).during("recv", client)?;
        // Within a round the segments come one right after the other. Then the sender waits
        // for their ACKs: a pause.
        if length == 0 || last.elapsed() >= pause && portion > 0 {
            round += 1;
            say!("Round {round}: {portion} bytes, {} segments", portion / SEGMENT_BYTES)?;
            portion = 0;
        }
        if length == 0 {
            break;
        }
        portion += length;
        total += length;
        last = Instant::now();
    }
    connection.write_all(total.to_string().as_bytes()).during("send", client)
}

/// What a packet of 1500 bytes carries: less 20 for IP, 20 for TCP, 12 for its timestamps.
const SEGMENT_BYTES: usize = 1448;

/// Receives a stream, and shows how much of it came in each round trip
#[derive(Parser)]
#[command(name = "tcp-server-rounds", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What counts as a pause between two rounds, in milliseconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pause_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-rounds                   listen on localhost, port 12345
  tcp-server-rounds --host 10.77.0.2  listen on host b of a wire
Through cargo: cargo run -q --bin tcp-server-rounds

Exit status:
  0  the stream came to its end
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
