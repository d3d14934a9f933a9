//! Both ends of one TCP connection in one program, with buffers so small that you can follow
//! them packet by packet: the window closes, and opens again.
//!
//! It belongs to lesson 8, `lessons/08-writes-that-do-not-fit`. Run it:
//! `cargo run -q --bin tcp-both-ends-window`. It needs no second terminal.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

/// The size that each end asks its kernel for: so small that two segments fill it.
const BUFFER_BYTES: usize = 2304;

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut client, mut server, address) = connection(arguments)?;
    let timeout = Duration::from_millis(arguments.timeout_ms);
    client.set_write_timeout(Some(timeout)).during("setsockopt", "SO_SNDTIMEO")?;
    let message = vec![b'x'; 10_000_000];

    say!("The peer does not receive.")?;
    let start = Instant::now();
    let taken = send(&mut client, &message, address)?;
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    let part = if taken < message.len() { "a part" } else { "all" };
    say!("  send: {part} of 10000000 bytes, after {elapsed:.1} ms")?;

    say!("The peer receives.")?;
    let mut came = vec![0; taken];
    server.read_exact(&mut came).during("recv", address)?;
    let as_sent = came == message[..taken];
    say!("  recv: {}", if as_sent { "as it was sent" } else { "damaged" })?;
    let more = send(&mut client, &message[..1000], address)?;
    say!("  send: {more} of 1000 bytes")?;
    server.read_exact(&mut came[..more]).during("recv", address)?;

    drop(client);
    let end = server.read(&mut came).during("recv", address)?;
    say!("  recv: {}", if end == 0 { "end of stream" } else { "more than was sent" })
}

/// One send(2), tried again after a signal: with a timeout set, a pause (Ctrl-Z, fg) ends the
/// call with EINTR, see signal(7).
fn send(socket: &mut Socket, bytes: &[u8], peer: SocketAddr) -> Result<usize, Failure> {
    loop {
        match socket.write(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            sent => return sent.during("send", peer),
        }
    }
}

/// The client's end of a new connection, the server's, and the server's address.
fn connection(arguments: &Arguments) -> Result<(Socket, Socket, SocketAddr), Failure> {
    let address = arguments.address.resolve()?;
    let listener =
        Socket::new(Domain::IPV4, Type::STREAM, None).during("socket", address)?;
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    // Before listen(2): the connections inherit it, and the handshake announces it.
    listener.set_recv_buffer_size(BUFFER_BYTES).during("setsockopt", "SO_RCVBUF")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    let local_address = listener.local_addr().during("getsockname", address)?;
    let address = internet_address(&local_address)?;

    let client =
        Socket::new(Domain::IPV4, Type::STREAM, None).during("socket", address)?;
    client.set_send_buffer_size(BUFFER_BYTES).during("setsockopt", "SO_SNDBUF")?;
    client.connect(&local_address).during("connect", address)?;
    let (server, _peer) = listener.accept().during("accept", address)?;
    Ok((client, server, address))
}

/// Sends to a peer that does not receive, until nothing more fits; then the peer receives, and
/// there is room again.
#[derive(Parser)]
#[command(name = "tcp-both-ends-window", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long send may wait for room, in milliseconds
    #[arg(
        long,
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=3_600_000)
    )]
    timeout_ms: u64,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-window                     wait 100 ms for room; at port 12345
  tcp-both-ends-window --timeout-ms 5000   let the kernel ask for room

Exit status:
  0  every call did what it should
  1  one failed: one line on stderr says what, why and what to do next
  2  wrong command line";
