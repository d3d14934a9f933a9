//! Echoes a stream piece by piece: it never holds more than one piece.
//!
//! It belongs to lesson 8, `lessons/08-writes-that-do-not-fit`. Run it, then the client in
//! another terminal: `cargo run -q --bin tcp-server-stream` and `cargo run -q --bin tcp-client-both-ways`.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{
    Address, During, Failure, PeakMemory, PythonAddress, exit_code, internet_address,
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

    // SO_SNDTIMEO, socket(7): a send that finds no room for that long fails with EAGAIN.
    connection
        .set_write_timeout(arguments.timeout())
        .during("setsockopt", "SO_SNDTIMEO")?;

    let mut buffer = [0; 65536];
    let mut echoed = 0;
    loop {
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            break;
        }
        // While send waits for room, we do not receive. So the client's bytes pile up: in
        // our kernel, in the client's kernel, and then the client's send waits too. This is
        // backpressure. It costs us one piece of memory, however much the client has.
        connection.write_all(&buffer[..length]).during("send", client)?;
        echoed += length;
    }
    say!("Echoed {echoed} bytes; peak memory: {}", PeakMemory::now())
}

/// Sends back what a client sends, piece by piece, until the client ends the stream.
#[derive(Parser)]
#[command(name = "tcp-server-stream", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long a send may wait for the client to receive, in milliseconds; 0: no limit
    #[arg(long, default_value_t = 0)]
    timeout_ms: u32,
}

impl Arguments {
    fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms.into()))
    }
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-stream                    on localhost:12345, for this machine only
  tcp-server-stream --timeout-ms 100   give up on a deaf client after 100 ms
  tcp-server-stream --port 0           on any free port, and print which
Then, in another terminal: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-stream -- --timeout-ms 100

Exit status:
  0  the whole stream was sent back
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It serves one client; Ctrl-C ends it.";
