//! Receives a stream to its end, and confirms how many bytes came.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Run it:
//! `cargo run -q --bin tcp-server-sink`, then `tcp-client-pieces` in another terminal.

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

    let mut buffer = vec![0; 65536];
    let mut stream = Vec::new();
    loop {
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            break;
        }
        stream.extend_from_slice(&buffer[..length]);
    }
    // That send succeeded is no proof that anybody received anything: this is.
    let count = stream.len().to_string();
    connection.write_all(count.as_bytes()).during("send", client)?;
    let beginning = &stream[..stream.len().min(24)];
    say!("Received {count} bytes: {}", Escaped(beginning))
}

/// Receives a stream to its end, and answers with the number of its bytes
#[derive(Parser)]
#[command(name = "tcp-server-sink", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-sink                   listen on localhost, port 12345
  tcp-server-sink --host 10.77.0.2  listen on host b of a wire
Through cargo: cargo run -q --bin tcp-server-sink

Exit status:
  0  the stream came to its end
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
