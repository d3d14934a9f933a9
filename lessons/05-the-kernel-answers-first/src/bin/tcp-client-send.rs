//! Connects, sends, says when each call returned, and leaves without waiting for anybody.
//!
//! It belongs to lesson 5, `lessons/05-the-kernel-answers-first`. Start the server first, in
//! another terminal: `cargo run -q --bin tcp-server-late` and
//! `cargo run -q --bin tcp-client-send`.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(send(&parse_arguments()))
}

fn send(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.message.is_empty() {
        let reason = "TCP carries no empty message";
        return Err(Failure::new("send", "0 bytes", reason, "give --message some text"));
    }
    let server = arguments.address.resolve()?;
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // connect(2) returns when the server's kernel has answered. All that the server's program
    // has had to do is to call listen.
    let start = Instant::now();
    socket.connect(&server.into()).during("connect", server)?;
    say!("connect  returned after {}", milliseconds(start.elapsed()))?;

    // send(2) returns when our own kernel has the bytes. write_all calls it until the kernel has
    // all of them: it may wait, if there are many and nobody reads (lesson 8).
    let start = Instant::now();
    socket.write_all(&arguments.message).during("send", server)?;
    let (length, elapsed) = (arguments.message.len(), start.elapsed());
    say!("send     {length} bytes, returned after {}", milliseconds(elapsed))?;

    if arguments.reply {
        // Only this call depends on the server's program.
        let mut buffer = [0; 1024];
        match socket.read(&mut buffer).during("recv", server)? {
            0 => say!("recv     0 bytes: end of stream")?,
            length => say!("recv     {length} bytes: {}", Escaped(&buffer[..length]))?,
        }
    }
    Ok(())
}

fn milliseconds(elapsed: Duration) -> String {
    format!("{:.2} ms", elapsed.as_secs_f64() * 1000.0)
}

/// Connects to a TCP server, sends one message, says how long each call took, and leaves.
#[derive(Parser)]
#[command(name = "tcp-client-send", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send: one byte or more, of any value; need not be UTF-8
    #[arg(long, default_value = "Hello TCP Server", allow_hyphen_values = true)]
    message: Message,

    /// Wait for a reply, and show what one recv returns
    #[arg(long)]
    reply: bool,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-send                send to localhost, port 12345, and leave
  tcp-client-send --reply        send, and wait for a reply
  tcp-client-send --port 12346   ring the bell of tcp-server-late
Start the server first, in another terminal: tcp-server-late

Exit status:
  0  the kernel took the message; with --reply, a reply or the end came too
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Bytes that a terminal would obey are shown as \\x1b, a backslash as \\\\.";
