//! Both ends of one TCP connection in one program: what send(2) was given, and what recv(2)
//! returned. You cannot infer one from the other.
//!
//! It belongs to lesson 7, `lessons/07-framing`. Run it:
//! `cargo run -q --bin tcp-both-ends-stream`. It needs no second terminal.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut client, mut server, address) = connection(arguments)?;
    let mut stream = Stream { client: &mut client, server: &mut server, address };

    // The second send is made after the first recv, so no recv can give more than one part.
    say!("One message, sent in three parts:")?;
    for part in [&b"Hello"[..], b" TCP", b" Server"] {
        stream.send(part)?;
        stream.recv()?;
    }

    say!("Three messages, sent one by one, received late:")?;
    for message in [&b"one"[..], b"two", b"three"] {
        stream.send(message)?;
    }
    stream.wait_until_there("onetwothree".len())?;
    stream.recv()?;

    // "é" is two bytes in UTF-8. The cut goes between them.
    say!("One character, cut in two:")?;
    for part in "Café".as_bytes().chunks(4) {
        stream.send(part)?;
        let came = stream.recv()?;
        match str::from_utf8(&came) {
            Ok(text) => say!("           as text: {text}")?,
            Err(error) => say!("           as text: {error}")?,
        }
    }
    Ok(())
}

/// A connection of which this program has both ends.
struct Stream<'a> {
    client: &'a mut TcpStream,
    server: &'a mut TcpStream,
    address: SocketAddr,
}

impl Stream<'_> {
    /// One send(2). So few bytes always fit: lesson 8 is about those that do not.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let length = self.client.write(bytes).during("send", self.address)?;
        say!("    send {length:2} bytes: {}", Escaped(&bytes[..length]))
    }

    /// One recv(2), with room for far more than was sent.
    fn recv(&mut self) -> Result<Vec<u8>, Failure> {
        let mut buffer = [0; 1024];
        let length = self.server.read(&mut buffer).during("recv", self.address)?;
        say!("    recv {length:2} bytes: {}", Escaped(&buffer[..length]))?;
        Ok(buffer[..length].to_vec())
    }

    /// Peeks until this many bytes are in the receiving kernel: recv(2) with `MSG_PEEK`. That
    /// send has returned does not mean that they are.
    fn wait_until_there(&self, bytes: usize) -> Result<(), Failure> {
        let mut buffer = [0; 1024];
        while self.server.peek(&mut buffer).during("recv", self.address)? < bytes {
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// The calls of lesson 1, in order. Returns the client's end, the server's, the address.
fn connection(
    arguments: &Arguments,
) -> Result<(TcpStream, TcpStream, SocketAddr), Failure> {
    let address = arguments.address.resolve()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    let address = listener.local_addr().during("getsockname", address)?;

    let client = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    let server_address = internet_address(&address)?;
    client.connect(&address).during("connect", server_address)?;
    // Otherwise a small part would wait until the one before it is acknowledged.
    client.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
    let (server, _peer) = listener.accept().during("accept", server_address)?;
    Ok((client.into(), server.into(), server_address))
}

/// Sends through a TCP connection of which it has both ends, and shows what each recv gives:
/// one message in three, three messages in one, a character cut in two.
#[derive(Parser)]
#[command(name = "tcp-both-ends-stream", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-stream            both ends on localhost, at port 12345
  tcp-both-ends-stream --port 0   at any free port

Exit status:
  0  every call did what it should
  1  one failed: one line on stderr says what, why and what to do next
  2  wrong command line";
