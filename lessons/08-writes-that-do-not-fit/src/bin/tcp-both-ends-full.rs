//! Both ends of one TCP connection in one program: one end sends, the other does not receive,
//! until not one more byte fits.
//!
//! It belongs to lesson 8, `lessons/08-writes-that-do-not-fit`. Run it:
//! `cargo run -q --bin tcp-both-ends-full`. It needs no second terminal.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

/// The size that each end asks its kernel for. By default Linux lets the buffers grow to some
/// megabytes as they are used (tcp(7)); those of a requested size do not grow.
const BUFFER_BYTES: usize = 32 * 1024;

/// How long a call may wait where we let it wait.
const TIMEOUT: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut client, mut server, address) = connection(arguments)?;
    let message = vec![b'x'; 10_000_000];

    // A non-blocking send(2) takes what there is room for now, and says how much that was.
    say!("The peer does not receive.")?;
    client.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
    let mut taken = client.write(&message).during("send", address)?;
    say!("  send, non-blocking: {} of 10000000 bytes", part(taken, message.len()))?;

    // Some of it moves on into the peer's kernel, so that there may be room once more; but
    // soon there is none.
    let refused = loop {
        match client.write(&message[taken..]) {
            Ok(more) => taken += more,
            Err(error) => break error,
        }
    };
    say!("  send again and again: {}", in_time(&refused))?;
    say!("  taken: {} 1 MiB", if taken < 1 << 20 { "less than" } else { "more than" })?;

    // A blocking send waits for room: for ever, or as long as SO_SNDTIMEO allows.
    client.set_nonblocking(false).during("fcntl", "O_NONBLOCK")?;
    client.set_write_timeout(Some(TIMEOUT)).during("setsockopt", "SO_SNDTIMEO")?;
    let (refused, waited) = loop {
        let start = Instant::now();
        match client.write(&message[taken..]) {
            // What moved on into the peer's kernel meanwhile made room.
            Ok(more) => taken += more,
            // With a timeout set, a pause (Ctrl-Z, fg) ends the call with EINTR: signal(7).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break (error, ms(start)),
        }
    };
    say!("  send, SO_SNDTIMEO: {} after {waited}", in_time(&refused))?;

    say!("The peer receives all that was taken.")?;
    let mut came = vec![0; taken];
    server.read_exact(&mut came).during("recv", address)?;
    say!(
        "  recv: {}",
        if came == message[..taken] { "as it was sent" } else { "damaged" }
    )?;
    let more = client.write(&message[taken..]).during("send", address)?;
    say!("  send: {} of the rest", part(more, message.len() - taken))?;

    // recv has such a clock too. The peer's queue is empty once it has received the rest.
    say!("The peer receives more than there is.")?;
    server.read_exact(&mut vec![0; more]).during("recv", address)?;
    server.set_read_timeout(Some(TIMEOUT)).during("setsockopt", "SO_RCVTIMEO")?;
    loop {
        let start = Instant::now();
        match server.read(&mut came) {
            Ok(length) => return say!("  recv: {length} bytes that nobody sent"),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let (refused, waited) = (in_time(&error), ms(start));
                return say!("  recv, SO_RCVTIMEO: {refused} after {waited}");
            }
        }
    }
}

fn part(bytes: usize, of: usize) -> &'static str {
    if bytes < of { "a part" } else { "all" }
}

/// EAGAIN means "would block" where we do not wait, and "timed out" where we did wait.
/// (Windows says ETIMEDOUT in the second case.)
fn in_time(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => "EAGAIN".into(),
        _ => error.to_string(),
    }
}

fn ms(start: Instant) -> String {
    format!("{:.1} ms", start.elapsed().as_secs_f64() * 1000.0)
}

/// The calls of lesson 1, in order, with buffers of a known size. Returns the client's end,
/// the server's, and the address.
fn connection(arguments: &Arguments) -> Result<(Socket, Socket, SocketAddr), Failure> {
    let address = arguments.address.resolve()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    // Before listen(2): the connections inherit it, and the handshake announces it.
    listener.set_recv_buffer_size(BUFFER_BYTES).during("setsockopt", "SO_RCVBUF")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    let address = listener.local_addr().during("getsockname", address)?;

    let client = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client.set_send_buffer_size(BUFFER_BYTES).during("setsockopt", "SO_SNDBUF")?;
    let given = client.send_buffer_size().during("getsockopt", "SO_SNDBUF")?;
    say!("SO_SNDBUF: asked for {BUFFER_BYTES} bytes, given {given}")?;
    let server_address = internet_address(&address)?;
    client.connect(&address).during("connect", server_address)?;
    let (server, _peer) = listener.accept().during("accept", server_address)?;
    let given = server.recv_buffer_size().during("getsockopt", "SO_RCVBUF")?;
    say!("SO_RCVBUF: asked for {BUFFER_BYTES} bytes, given {given}")?;
    Ok((client, server, server_address))
}

/// Fills a TCP connection of which it has both ends until send takes no more, drains it, and
/// shows what the calls say.
#[derive(Parser)]
#[command(name = "tcp-both-ends-full", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-full            both ends on localhost, at port 12345
  tcp-both-ends-full --port 0   both ends on localhost, at any free port

Exit status:
  0  every call did what it should
  1  one failed: one line on stderr says what, why and what to do next
  2  wrong command line";
