//! Sends back one word, and then forgets the connection, as a machine does when it loses
//! power and comes back.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-crash`, then `tcp-client-words` in another terminal.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, exit_code, internet_address, parse_arguments, say,
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

    let mut buffer = [0; 1024];
    let length = connection.read(&mut buffer).during("recv", client)?;
    say!("Received: {}", Escaped(&buffer[..length]))?;
    // close(2) with SO_LINGER of zero keeps nothing of the connection (lesson 9). The RST that
    // tells the peer is what a machine without power cannot send: the wire loses it.
    connection.set_linger(Some(Duration::ZERO)).during("setsockopt", "SO_LINGER")?;
    connection.write_all(&buffer[..length]).during("send", client)?;
    drop(connection);
    say!("The connection is forgotten")
}

/// Sends back one word, and then forgets the connection
#[derive(Parser)]
#[command(name = "tcp-server-crash", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-crash                   listen on localhost, port 12345
  tcp-server-crash --host 10.77.0.2  listen on host b of a wire
Through cargo: cargo run -q --bin tcp-server-crash

Exit status:
  0  the connection is forgotten
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
