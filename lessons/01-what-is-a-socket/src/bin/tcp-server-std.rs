//! `tcp-server` written with `std::net`: the same calls to the kernel, fewer in view.
//!
//! It belongs to lesson 1, `lessons/01-what-is-a-socket`. Run it, then `tcp-client` in another
//! terminal: `cargo run -q --bin tcp-server-std` and `cargo run -q -p tcp-client`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, parse_arguments, say,
};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;

    // Four calls: socket(2), setsockopt(2) with SO_REUSEADDR (on Unix), bind(2), listen(2).
    // When one fails, the error does not say which: most often it was bind.
    let listener = TcpListener::bind(address).during("bind", address)?;
    let port = listener.local_addr().during("getsockname", address)?.port();
    say!("Server is listening on port {port}...")?;

    let (mut connection, client) = listener.accept().during("accept", address)?;
    say!("Connected by {}", PythonAddress(client))?;

    let mut buffer = [0; 1024];
    let length = connection.read(&mut buffer).during("recv", client)?;
    let message = &buffer[..length];
    if message.is_empty() {
        let reason = "end of stream before any byte";
        return Err(Failure::new("recv", client, reason, "the client sent no message"));
    }
    say!("Received: {}", Escaped(message))?;
    connection.write_all(&[b"Echo: ", message].concat()).during("send", client)
}

/// Waits for one TCP client, takes one message of up to 1024 bytes, and sends it back with
/// "Echo: " before it; written with `std::net` alone.
#[derive(Parser)]
#[command(name = "tcp-server-std", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-std                  on localhost:12345, for this machine only
  tcp-server-std --port 0         on any free port, and print which
  tcp-server-std --host 0.0.0.0   on every IPv4 address, for the whole network
Then, in another terminal: tcp-client

Exit status:
  0  one message was received and sent back
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It waits as long as it takes; Ctrl-C ends it.";
