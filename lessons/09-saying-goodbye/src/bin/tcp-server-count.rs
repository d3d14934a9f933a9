//! Counts the bytes that a client sends until the client says that it is done, and tells it
//! the number.
//!
//! It belongs to lesson 9, `lessons/09-saying-goodbye`. Run it, then the client in another
//! terminal: `cargo run -q --bin tcp-server-count` and `cargo run -q --bin tcp-client-count`.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
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

    // As servers of SMTP and FTP do, this one speaks first.
    connection.write_all(b"Ready\n").during("send", client)?;

    let mut buffer = [0; 1024];
    let mut count = 0;
    loop {
        let progress = format!("{client} (after {count} bytes)");
        let length = connection.read(&mut buffer).during("recv", progress)?;
        if length == 0 {
            break;
        }
        count += length;
    }

    // The client sends nothing more. We cannot tell whether it still receives: it may have
    // closed one direction, or both, or be dead.
    say!("Received {count} bytes, then end of stream")?;
    connection.write_all(format!("{count} bytes\n").as_bytes()).during("send", client)
}

/// Greets one client, counts the bytes that it sends until it ends its stream, and tells it
/// the number.
#[derive(Parser)]
#[command(name = "tcp-server-count", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-count            on localhost:12345, for this machine only
  tcp-server-count --port 0   on any free port, and print which
Then, in another terminal: tcp-client-count
Through cargo: cargo run -q --bin tcp-server-count -- --port 0

Exit status:
  0  the stream ended, and the kernel took the number
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It waits as long as it takes; Ctrl-C ends it.";
