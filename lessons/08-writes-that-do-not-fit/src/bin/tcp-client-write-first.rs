//! Wrong on purpose, so that you can watch it fail: sends a whole stream before it receives any of its
//! echo.
//!
//! It belongs to lesson 8, `lessons/08-writes-that-do-not-fit`. Start the server first, in
//! another terminal: `cargo run -q --bin tcp-server-stream` and
//! `cargo run -q --bin tcp-client-write-first`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Address, During, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let client_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client_socket.connect(&address.into()).during("connect", address)?;

    // SO_SNDTIMEO and SO_RCVTIMEO, socket(7): a call that waits that long fails with EAGAIN.
    let timeout = arguments.timeout();
    client_socket.set_write_timeout(timeout).during("setsockopt", "SO_SNDTIMEO")?;
    client_socket.set_read_timeout(timeout).during("setsockopt", "SO_RCVTIMEO")?;

    // The mistake: until all is sent, nobody receives what the server sends back.
    send(&client_socket, address, arguments.bytes)?;
    say!("Sent {} bytes; now to receive", arguments.bytes)?;
    receive(&client_socket, address, arguments.bytes)
}

/// Sends the stream, then marks its end: shutdown(2) with `SHUT_WR`, lesson 9.
fn send(mut socket: &Socket, server: SocketAddr, bytes: u64) -> Result<(), Failure> {
    let block = block();
    let mut sent = 0;
    while sent < bytes {
        let piece = block.len().min(usize::try_from(bytes - sent).unwrap_or(usize::MAX));
        // It returns when the kernel has the whole piece, not when the server has it.
        socket.write_all(&block[..piece]).during("send", server)?;
        sent += piece as u64;
    }
    socket.shutdown(Shutdown::Write).during("shutdown", server)
}

/// Receives to the end of the stream, and compares with what was sent.
fn receive(mut socket: &Socket, server: SocketAddr, bytes: u64) -> Result<(), Failure> {
    let block = block();
    let mut buffer = vec![0; block.len()];
    let mut received = 0;
    loop {
        // No piece goes past the end of a block, so it can be compared in one step.
        let from = usize::try_from(received % block.len() as u64).unwrap_or(0);
        let room = &mut buffer[from..];
        let length = match socket.read(room) {
            // With a timeout set, a pause (Ctrl-Z, fg) ends the call with EINTR: signal(7).
            // write_all, above, tries again by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            received => received.during("recv", server)?,
        };
        if length == 0 {
            break;
        }
        if room[..length] != block[from..from + length] {
            let object = format!("{server} (from byte {received})");
            return Err(Failure::new(
                "recv",
                object,
                "not what was sent",
                "is it an echo?",
            ));
        }
        received += length as u64;
    }
    if received != bytes {
        let object = format!("{server} ({received} of {bytes} bytes came)");
        let advice = "the server closed before its reply was whole";
        return Err(Failure::new("recv", object, "end of stream", advice));
    }
    say!("Received {received} bytes, as they were sent")
}

/// What the stream is made of: 64 KiB, in which no two places look alike for long.
fn block() -> Vec<u8> {
    (0..32768_u16).flat_map(u16::to_be_bytes).collect()
}

/// Wrong on purpose: sends a stream to a TCP server, and only then receives its echo.
#[derive(Parser)]
#[command(name = "tcp-client-write-first", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many bytes to send; the default is 64 MiB
    #[arg(long, default_value_t = 64 << 20)]
    bytes: u64,

    /// How long a call may wait for the server, in milliseconds; 0: no limit
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
  tcp-client-write-first                    send 64 MiB to localhost, port 12345
  tcp-client-write-first --bytes 1000       send one kilobyte
  tcp-client-write-first --timeout-ms 100   give up after 100 ms of silence
Start the server first, in another terminal: tcp-server-stream
Through cargo: cargo run -q --bin tcp-client-write-first -- --bytes 1000

Exit status:
  0  the whole stream came back unchanged
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
Ctrl-C ends it.";
