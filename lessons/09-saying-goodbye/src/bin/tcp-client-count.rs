//! Sends a message, says that this was all (a half-close), and receives until the end of the
//! stream.
//!
//! It belongs to lesson 9, `lessons/09-saying-goodbye`. Start the server first, in another
//! terminal: `cargo run -q --bin tcp-server-count` and `cargo run -q --bin tcp-client-count`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, say,
};
use framing::{Fault, Lines};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;

    // The server speaks first.
    let mut lines = Lines::new(1024);
    receive(&mut client_socket, address, &mut lines)?;

    client_socket.write_all(&arguments.message).during("send", address)?;

    let timeout = arguments.timeout();
    client_socket.set_read_timeout(timeout).during("setsockopt", "SO_RCVTIMEO")?;

    // shutdown(2) with SHUT_WR ends our stream (FIN). The server's stream goes on. Without
    // it the server waits for more, and we wait for the server.
    if !arguments.keep_open {
        client_socket.shutdown(Shutdown::Write).during("shutdown", address)?;
    }

    while receive(&mut client_socket, address, &mut lines)? {}
    say!("End of stream")
}

/// Receives until at least one line is whole, and shows it; false at the end of the stream.
fn receive(
    client_socket: &mut Socket,
    server: SocketAddr,
    lines: &mut Lines,
) -> Result<bool, Failure> {
    let broken = |fault: Fault| {
        Failure::new("recv", server, &fault.to_string(), "is it tcp-server-count?")
    };
    let mut buffer = [0; 1024];
    loop {
        let length = match client_socket.read(&mut buffer) {
            // With a timeout set, a pause (Ctrl-Z) ends the call: signal(7).
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            received => received.during("recv", server)?,
        };
        if length == 0 {
            return lines.end().map(|()| false).map_err(broken);
        }
        lines.push(&buffer[..length]);
        let mut whole = false;
        while let Some(line) = lines.next_message().map_err(broken)? {
            say!("Server says: {}", Escaped(&line))?;
            whole = true;
        }
        if whole {
            return Ok(true);
        }
    }
}

/// Sends a message to a TCP server, half-closes, and shows all that the server says.
#[derive(Parser)]
#[command(name = "tcp-client-count", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send
    #[arg(long, default_value = "Hello TCP Server", allow_hyphen_values = true)]
    message: Message,

    /// Do not say that the message was all: the lesson's mistake
    #[arg(long)]
    keep_open: bool,

    /// How long a recv may wait for the number, in milliseconds; 0: no limit
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
  tcp-client-count                     send a message and half-close
  tcp-client-count --keep-open         do not half-close, and wait for ever
  tcp-client-count --timeout-ms 1000   give up when nothing comes for a second
Start the server first, in another terminal: tcp-server-count
Through cargo: cargo run -q --bin tcp-client-count -- --keep-open

Exit status:
  0  the server has ended its stream
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Ctrl-C ends it.";
