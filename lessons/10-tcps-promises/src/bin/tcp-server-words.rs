//! Sends back each word that a client sends, and shows it, until the stream ends.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-words`, then `tcp-client-words` in another terminal.

use std::io::{Read, Write};
use std::process::ExitCode;

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
    loop {
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            return say!("End of stream");
        }
        say!("Received: {}", Escaped(&buffer[..length]))?;
        connection.write_all(&buffer[..length]).during("send", client)?;
    }
}

/// Sends back what a client sends, piece by piece, and shows it
#[derive(Parser)]
#[command(name = "tcp-server-words", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-words                   listen on localhost, port 12345
  tcp-server-words --host 10.77.0.2  listen on host b of a wire
Through cargo: cargo run -q --bin tcp-server-words

Exit status:
  0  the client ended its stream
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
