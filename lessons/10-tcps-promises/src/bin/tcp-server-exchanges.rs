//! Takes requests of 8 bytes and answers each with 4, client after client.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-exchanges`, then `tcp-client-exchanges` in another terminal.

use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;

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
    loop {
        let (mut connection, client) =
            server_socket.accept().during("accept", address)?;
        let client = internet_address(&client)?;
        // Only a whole request is answered: half of one gets no answer that an ACK could
        // travel with.
        let mut request = [0; 8];
        loop {
            match connection.read_exact(&mut request) {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                received => received.during("recv", client)?,
            }
            connection.write_all(b"done").during("send", client)?;
        }
    }
}

/// Answers requests of 8 bytes, client after client
#[derive(Parser)]
#[command(name = "tcp-server-exchanges", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-exchanges  listen on localhost, port 12345
Through cargo: cargo run -q --bin tcp-server-exchanges

Exit status:
  0  never: Ctrl-C ends it
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
