//! Sends one word, waits for its echo, sends the next, and says how long each took.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-words` first, then `cargo run -q --bin tcp-client-words` in another terminal.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let mut client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    let start = Instant::now();
    client_socket.connect(&address.into()).during("connect", address)?;
    say!("connect: {:.1} ms", milliseconds(start))?;

    let mut buffer = [0; 1024];
    for word in &arguments.words {
        let start = Instant::now();
        client_socket.write_all(word.as_bytes()).during("send", address)?;
        let length = client_socket.read(&mut buffer).during("recv", address)?;
        let echo = Escaped(&buffer[..length]);
        say!("{word}: {echo} after {:.1} ms", milliseconds(start))?;
    }
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Sends words to a TCP server, each once the echo of the one before has come
#[derive(Parser)]
#[command(name = "tcp-client-words", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send
    #[arg(default_values = ["one", "two", "three"])]
    words: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-words                         three words, to localhost, port 12345
  tcp-client-words --host 10.77.0.2 hello  one word, to host b of a wire
Through cargo: cargo run -q --bin tcp-client-words

Exit status:
  0  every word came back
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
