//! The other half of the cure: answers a repeated request with the reply that it remembers,
//! and does not do it twice.
//!
//! It belongs to lesson 11, `lessons/11-what-udp-does-not-promise`. Run it, then
//! `udp-client-retry` in another terminal: `cargo run -q --bin udp-server-once`.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let server_socket =
        Socket::new(Domain::IPV4, Type::DGRAM, None).during("socket", "UDP over IPv4")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    let server_socket = UdpSocket::from(server_socket);
    let port = server_socket.local_addr().during("getsockname", address)?.port();
    say!("Server is waiting for datagrams on port {port}...")?;

    let mut balance: u64 = 0;
    let mut remembered: HashMap<SocketAddr, (u32, String)> = HashMap::new();
    let mut buffer = [0; 1024];
    loop {
        let (length, client) =
            server_socket.recv_from(&mut buffer).during("recvfrom", address)?;
        let Some((number, amount)) = request(&buffer[..length]) else {
            say!("Not understood: {}", Escaped(&buffer[..length]))?;
            continue;
        };
        let reply = match remembered.get(&client) {
            // A client has one request under way: the last one is all that it can repeat.
            Some((last, reply)) if *last == number => {
                say!("Request {number} again: the same reply")?;
                reply.clone()
            }
            _ => {
                balance = balance.saturating_add(amount);
                say!("Request {number}: deposited {amount}, balance {balance}")?;
                format!("{number} balance {balance}")
            }
        };
        // Anyone may write any sender's address into a datagram: memory needs a limit.
        if remembered.len() >= MOST_CLIENTS {
            remembered.clear();
        }
        remembered.insert(client, (number, reply.clone()));
        server_socket.send_to(reply.as_bytes(), client).during("sendto", client)?;
    }
}

/// How many clients are remembered at most.
const MOST_CLIENTS: usize = 10_000;

/// `7 deposit 100`: the request's number, and the amount.
fn request(datagram: &[u8]) -> Option<(u32, u64)> {
    let text = std::str::from_utf8(datagram).ok()?;
    let (number, amount) = text.split_once(" deposit ")?;
    Some((number.parse().ok()?, amount.parse().ok()?))
}

/// Deposits what it is asked to, once, however often it is asked
#[derive(Parser)]
#[command(name = "udp-server-once", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  udp-server-once                   listen on localhost, port 12345
  udp-server-once --host 10.77.0.2  listen on host b of a wire
Then, in another terminal: udp-client-retry
Through cargo: cargo run -q --bin udp-server-once

Exit status:
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Ctrl-C ends it.";
