//! client.py in Rust, call for call: connects, sends one message, shows the reply.
//!
//! It belongs to lesson 2, `lessons/02-tcp-echo`. Start the server first, in another
//! terminal: `cargo run -q -p tcp-server` and `cargo run -q -p tcp-client`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    let message = &arguments.message;
    if message.is_empty() {
        // Zero bytes put nothing into a stream: both sides would wait for each other.
        let reason = "TCP carries no empty message and the server would wait for ever";
        return Err(Failure::new("send", "0 bytes", reason, "give --message some text"));
    }
    let address = arguments.address.resolve()?;

    // socket(2): AF_INET is IPv4, SOCK_STREAM is TCP.
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // connect(2), not bind(2): the kernel picks our own port, shakes hands with the
    // server's kernel, and returns when that has answered. The server need not have
    // called accept.
    client_socket.connect(&address.into()).during("connect", address)?;

    // write_all is Python's sendall: it calls send(2) until the kernel has taken all of it.
    // That does not mean that the server has read it.
    client_socket.write_all(message).during("send", address)?;

    let expected = "Echo: ".len() + message.len();
    let mut reply = Vec::new();
    let whole = receive(&mut client_socket, address, expected, &mut reply);
    if !reply.is_empty() {
        say!("Server says: {}", Escaped(&reply))?;
    }

    // close(2) happens when the socket is dropped.
    drop(client_socket);
    whole
}

/// Receives until `expected` bytes are in `reply`; what arrived before a failure stays.
///
/// One recv(2) returns what has arrived so far, up to 1024 bytes; the rest of the reply may
/// still be on its way. So we count. EINTR cannot come: we set no handler and no timeout
/// (signal(7)).
fn receive(
    client_socket: &mut Socket,
    server: SocketAddr,
    expected: usize,
    reply: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut buffer = [0; 1024];
    while reply.len() < expected {
        let progress = format!("{server} ({} of {expected} bytes came)", reply.len());
        let length = client_socket.read(&mut buffer).during("recv", &progress)?;
        if length == 0 {
            let advice = "the server closed before its reply was whole";
            return Err(Failure::new("recv", progress, "end of stream", advice));
        }
        reply.extend_from_slice(&buffer[..length]);
    }
    Ok(())
}

/// Sends one message to a TCP server and shows the reply, which is the message with
/// "Echo: " before it.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send: one byte or more, of any value; need not be UTF-8
    #[arg(long, default_value = "Hello TCP Server", allow_hyphen_values = true)]
    message: Message,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client                          say hello to localhost, port 12345
  tcp-client --message 'Hello again'  say something else
  tcp-client --port 40123             ask a server that printed this port
Start the server first, in another terminal: tcp-server
Through cargo: cargo run -q -p tcp-client -- --message 'Hello again'

Exit status:
  0  the whole reply arrived
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Bytes that a terminal would obey are shown as \\x1b, a backslash as \\\\.
It waits for the reply as long as it takes; Ctrl-C ends it.";
