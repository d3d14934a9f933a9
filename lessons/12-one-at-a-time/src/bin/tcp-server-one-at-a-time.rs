//! Echoes the stream of one client to its end, then the next client's.
//!
//! It belongs to lesson 12, `lessons/12-one-at-a-time`, and is the first rung of the ladder of
//! lesson 15. Run it: `cargo run -q --bin tcp-server-one-at-a-time`, and connect twice.

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
};
use one_at_a_time::knock_on_signal;
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    // As in lesson 2, up to the listener. The queue is longer: many clients may come at
    // once, and one that finds it full waits a second before it tries again.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    // A piece of an answer must not wait until the client has acknowledged the one before
    // (Nagle and delayed ACK: 40 ms, lesson 15). Connections inherit this from the listener.
    server_socket.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(1024).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let local_address = internet_address(&local_address)?;
    // With a known number of clients, it takes no signal to end.
    let knock = match arguments.clients {
        None => knock_on_signal(local_address, arguments.drain_ms)?,
        Some(_) => None,
    };
    say!("Server is listening on port {}...", local_address.port())?;

    let mut buffer = vec![0; 65536];
    let mut served = 0;
    while arguments.clients != Some(served) {
        let (connection, client) = match server_socket.accept() {
            Err(error) if is_passing(&error) => continue,
            accepted => accepted.during("accept", address)?,
        };
        if knock == Some(internet_address(&client)?) {
            return say!("Closing: all who came before have finished");
        }
        // Until this client ends its stream, nobody else is served. If it resets its
        // connection, or is gone, that is no failure of the server: the next one is served.
        let _ = echo(&connection, &mut buffer);
        served += 1;
    }
    Ok(())
}

/// Sends back what comes, piece by piece, until the client ends its stream.
fn echo(mut connection: &Socket, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let length = match connection.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // While this waits for room we do not receive: a client that does not read stops
        // itself (lesson 8). Here it stops everybody else as well.
        connection.write_all(&buffer[..length])?;
    }
}

/// A client was gone before accept(2) (Linux does not report that; other systems say
/// ECONNABORTED), or a signal came (EINTR): the listener is as good as before.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}

/// Sends back what its clients send. It serves one client at a time.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// End when this many clients have been served
    #[arg(long)]
    clients: Option<u32>,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-one-at-a-time               listen on localhost, port 12345, for this machine only
  tcp-server-one-at-a-time --port 0      listen on any free port, and print which
  tcp-server-one-at-a-time --clients 2   end after the second client
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-one-at-a-time -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished; or --clients were served
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
