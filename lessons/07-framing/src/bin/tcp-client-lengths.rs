//! Sends messages that begin with their length, all in one send, and shows the replies.
//!
//! It belongs to lesson 7, `lessons/07-framing`. Start the server first, in another
//! terminal: `cargo run -q --bin tcp-server-lengths` and `cargo run -q --bin tcp-client-lengths`.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, say,
};
use framing::{Lengths, with_length};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    // All messages in one send: the frames keep them apart, the calls do not. (We send all of
    // them before we receive the first reply. That works as long as they are short: lesson 8.)
    let mut framed = Vec::new();
    for message in &arguments.messages {
        let frame = with_length(message).map_err(|fault| {
            let object = format!("{} bytes", message.len());
            Failure::new("send", object, &fault.to_string(), "send it in parts")
        })?;
        framed.extend_from_slice(&frame);
    }

    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;
    client_socket.write_all(&framed).during("send", address)?;

    // One reply for each message. A reply may be as long as the message and "Echo: ".
    let longest = arguments.messages.iter().map(|message| message.len()).max();
    let mut lengths = Lengths::new(longest.unwrap_or(0).saturating_add("Echo: ".len()));
    let mut buffer = [0; 1024];
    let expected = arguments.messages.len();
    let mut replies = 0;
    while replies < expected {
        let progress = format!("{address} ({replies} of {expected} replies came)");
        let length = client_socket.read(&mut buffer).during("recv", &progress)?;
        if length == 0 {
            let advice = "the server closed before its last reply; what does it say?";
            return Err(Failure::new("recv", progress, "end of stream", advice));
        }
        lengths.push(&buffer[..length]);
        while let Some(reply) = lengths.next_message().map_err(|fault| {
            Failure::new(
                "recv",
                &progress,
                &fault.to_string(),
                "is it tcp-server-lengths?",
            )
        })? {
            say!("Server says: {}", Escaped(&reply))?;
            replies += 1;
        }
    }

    // close(2) happens when the socket is dropped: end of stream, between two messages.
    drop(client_socket);
    Ok(())
}

/// Sends messages to a TCP server, each preceded by its length (four bytes, the most
/// significant first), and shows its replies.
#[derive(Parser)]
#[command(name = "tcp-client-lengths", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send: any number of messages, of any bytes
    #[arg(default_values = ["one", "two", "three"])]
    messages: Vec<Message>,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-lengths                    send one, two and three
  tcp-client-lengths 'Hello again' ''   one with blanks, and an empty one
  tcp-client-lengths --port 40123       ask a server that printed this port
Start the server first, in another terminal: tcp-server-lengths
Through cargo: cargo run -q --bin tcp-client-lengths -- one two

Exit status:
  0  there was a reply for each message
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Bytes that a terminal would obey are shown as \\x1b, a backslash as \\\\.
It waits for the replies as long as it takes; Ctrl-C ends it.";
