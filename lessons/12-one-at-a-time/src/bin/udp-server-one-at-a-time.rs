//! Sends back every datagram: one recvfrom(2), one sendto(2).
//!
//! It belongs to lesson 12, `lessons/12-one-at-a-time`, and is the first rung of UDP's ladder in
//! lesson 15. Run it: `cargo run -q --bin udp-server-one-at-a-time`.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::ExitCode;

use clap::Parser;
use common::{Address, During, Failure, exit_code, parse_arguments, say};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let socket = UdpSocket::bind(address).during("bind", address)?;
    let port = socket.local_addr().during("getsockname", address)?.port();
    say!("Server is listening on port {port}...")?;

    // The largest datagram of IPv4 has 65,507 bytes; the rest of a larger one would be lost.
    let mut buffer = vec![0; 65536];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            // On Windows, a reply that found nobody comes back as an error of a later call
            // (ECONNRESET): it is no failure of the server.
            Err(error) if is_passing(error.kind()) => continue,
            Err(error) => return Err(error).during("recvfrom", address),
        };
        // There is no connection, so nobody waits for anybody: all clients share the socket,
        // and its queue. A reply that the kernel has no room for is lost, as any datagram may
        // be (lesson 11).
        let _ = socket.send_to(&buffer[..length], client);
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, Interrupted};
    matches!(kind, ConnectionRefused | ConnectionReset | Interrupted)
}

/// Sends back every datagram that comes, one after another.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  udp-server-one-at-a-time            listen on localhost, port 12345, for this machine only
  udp-server-one-at-a-time --port 0   listen on any free port, and print which
Then, in another terminal: udp-client
Through cargo: cargo run -q --bin udp-server-one-at-a-time -- --port 0

Exit status:
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It runs until Ctrl-C ends it.";
