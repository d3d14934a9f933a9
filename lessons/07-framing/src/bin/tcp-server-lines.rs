//! Echoes messages that a newline ends, however the stream is cut.
//!
//! It belongs to lesson 7, `lessons/07-framing`. Run it, then the client in another
//! terminal: `cargo run -q --bin tcp-server-lines` and `cargo run -q --bin tcp-client-lines`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use framing::{Fault, Lines, with_newline};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
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
    say!("Connected by {}", PythonAddress(client))?;

    let mut lines = Lines::new(arguments.most_bytes as usize);
    let mut buffer = vec![0; usize::from(arguments.recv_bytes)];
    loop {
        // Read on a socket is recv(2): it returns what has arrived, wherever the stream was cut.
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            // The end of the stream, as it should be: between two messages.
            return lines.end().map_err(|fault| broken(client, &fault));
        }
        say!("recv gave {length} bytes: {}", Escaped(&buffer[..length]))?;
        lines.push(&buffer[..length]);

        // By now none, one or several messages are whole.
        while let Some(message) =
            lines.next_message().map_err(|fault| broken(client, &fault))?
        {
            say!("Message: {}", Escaped(&message))?;
            let reply = [b"Echo: ", message.as_slice()].concat();
            let reply = with_newline(&reply).map_err(|fault| broken(client, &fault))?;
            connection.write_all(&reply).during("send", client)?;
        }
    }
}

/// After a fault nobody knows where the next message begins: the connection is useless.
fn broken(client: SocketAddr, fault: &Fault) -> Failure {
    Failure::new("recv", client, &fault.to_string(), "the connection is closed")
}

/// Takes messages that a newline ends from one client, and sends each back with "Echo: "
/// before it, until the client closes.
#[derive(Parser)]
#[command(name = "tcp-server-lines", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many bytes one recv may return; a small number cuts the stream into pieces
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    recv_bytes: u16,

    /// How long a message may be, in bytes
    #[arg(long, default_value_t = 65536)]
    most_bytes: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-lines                   on localhost:12345, for this machine only
  tcp-server-lines --recv-bytes 6    let each recv return 6 bytes at most
  tcp-server-lines --most-bytes 64   refuse a message of more than 64 bytes
  tcp-server-lines --port 0          on any free port, and print which
Then, in another terminal: tcp-client-lines
Through cargo: cargo run -q --bin tcp-server-lines -- --recv-bytes 6

Exit status:
  0  the client has closed after its last message
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It serves one client and waits as long as it takes; Ctrl-C ends it.";
