//! The UDP client: sends one datagram and waits a while for the reply.
//!
//! It belongs to lesson 3, `lessons/03-udp-echo`. Start the server first, in another
//! terminal: `cargo run -q -p udp-server` and `cargo run -q -p udp-client`.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, Message, exit_code, parse_arguments, report, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(ask(&parse_arguments()))
}

fn ask(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;

    // socket(2): AF_INET is IPv4, SOCK_DGRAM is UDP.
    let client_socket =
        Socket::new(Domain::IPV4, Type::DGRAM, None).during("socket", "UDP over IPv4")?;

    // The same socket under std's name: no call, only that std's recv_from fills plain
    // bytes.
    let client_socket = UdpSocket::from(client_socket);

    // sendto(2): no connect, no handshake. The kernel picks our port and sends the
    // datagram; whether anyone is there, it neither knows nor asks.
    client_socket.send_to(&arguments.message, address).during("sendto", address)?;

    let reply = receive(&client_socket, address, arguments.timeout_ms)?;
    say!("Server says: {}", Escaped(&reply))?;

    // close(2) happens when the socket is dropped.
    drop(client_socket);
    Ok(())
}

/// Waits for a datagram from `server`, at most `timeout_ms` in all.
///
/// The datagram or its reply may be lost on the way, and nobody would tell us: without a
/// limit this could wait for ever. And anyone may send to our port: what comes from
/// another address is not the answer.
fn receive(
    client_socket: &UdpSocket,
    server: SocketAddr,
    timeout_ms: u32,
) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    // No datagram is larger than 65,535 bytes. In a smaller buffer the rest would be
    // lost.
    let mut buffer = vec![0; 65_535];
    loop {
        // SO_RCVTIMEO of zero would mean no limit at all: a millisecond is the least.
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = left.max(Duration::from_millis(1));
        client_socket
            .set_read_timeout(Some(limit))
            .during("setsockopt", "SO_RCVTIMEO")?;

        // recvfrom(2): one call, one datagram, and the address that it came from.
        match client_socket.recv_from(&mut buffer) {
            Ok((length, sender)) if sender == server => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Ok((_, sender)) => {
                let reason = format!("a datagram from someone else than {server}");
                report(&Failure::new("recvfrom", sender, &reason, "ignored"));
            }
            // With a timeout set, even a pause (Ctrl-Z, fg) ends the call with EINTR.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The limit has passed: EAGAIN on Unix, ETIMEDOUT on Windows.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error).during("recvfrom", server),
        }
        if Instant::now() >= deadline {
            let reason = format!("no reply within {timeout_ms} ms");
            let advice = "is the server running? a lost datagram looks the same";
            return Err(Failure::new("recvfrom", server, &reason, advice));
        }
    }
}

/// Sends one UDP datagram to a server and shows the reply, which is the message with
/// "Echo: " before it.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// What to send: up to 65507 bytes of any value, or none; need not be UTF-8
    #[arg(long, default_value = "Hello UDP Server", allow_hyphen_values = true)]
    message: Message,

    /// How long to wait for the reply, in milliseconds, 1 or more
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    timeout_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  udp-client                          say hello to localhost, port 12345
  udp-client --message 'Hello again'  say something else
  udp-client --message ''             an empty datagram arrives, and is echoed
  udp-client --timeout-ms 5000        be patient
Start the server first, in another terminal: udp-server
Through cargo: cargo run -q -p udp-client -- --message 'Hello again'

Exit status:
  0  a reply came
  1  it failed, or no reply came in time: one line on stderr says what and why
  2  wrong command line
Bytes that a terminal would obey are shown as \\x1b, a backslash as \\\\.
A datagram from anyone but the server is reported on stderr, and ignored.";
