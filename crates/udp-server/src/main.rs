//! The UDP server: sends every datagram back to whoever sent it.
//!
//! It belongs to lesson 3, `lessons/03-udp-echo`. Run it, then the client in another
//! terminal: `cargo run -q -p udp-server` and `cargo run -q -p udp-client`. Ctrl-C ends
//! it.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod every_address;

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, parse_arguments, report,
    say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;

    // socket(2): AF_INET is IPv4, SOCK_DGRAM is UDP.
    let server_socket =
        Socket::new(Domain::IPV4, Type::DGRAM, None).during("socket", "UDP over IPv4")?;

    // Once bound, the kernel keeps what comes to the port. There is no listen and no
    // accept: UDP has no connections, so one socket serves every client.
    server_socket.bind(&address.into()).during("bind", address)?;

    // The same socket under std's name: no call, only that std's recv_from fills plain
    // bytes.
    let server_socket = UdpSocket::from(server_socket);

    // getsockname(2): with `--port 0` the kernel has picked the port.
    let port = server_socket.local_addr().during("getsockname", address)?.port();
    say!("Server is waiting for datagrams on port {port}...")?;

    // A client that asked one address of ours would not take a reply from another. On 0.0.0.0,
    // which is all of them, sendto would leave it to the kernel which.
    if address.ip().is_unspecified() {
        return every_address::serve(&server_socket, arguments.count);
    }

    // No datagram is larger than 65,535 bytes. In a smaller buffer the rest would be
    // lost.
    let mut buffer = vec![0; 65_535];
    let mut received = 0;
    while arguments.count.is_none_or(|count| received < count) {
        // recvfrom(2): one call, one datagram, and the address that it came from.
        let (length, client) = match server_socket.recv_from(&mut buffer) {
            Err(error) if is_passing(&error) => continue,
            datagram => datagram.during("recvfrom", address)?,
        };
        received += 1;
        let message = &buffer[..length];
        say!("Received from {}: {}", PythonAddress(client), Escaped(message))?;

        // sendto(2) takes all of a datagram or, when it is too long, nothing. One reply
        // that cannot be sent is no reason to leave the other clients alone.
        let reply = [b"Echo: ", message].concat();
        let sent = server_socket.send_to(&reply, client).during("sendto", client);
        if let Err(failure) = sent {
            report(&failure);
        }
    }

    // close(2) happens when the socket is dropped. No client is told: none is connected.
    drop(server_socket);
    Ok(())
}

/// Whether the error says nothing about the next datagram: a signal came, or the network
/// reports (ICMP) that the client of an earlier reply is gone, as Windows may do here.
fn is_passing(error: &io::Error) -> bool {
    use ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkUnreachable,
    };
    matches!(
        error.kind(),
        Interrupted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
    )
}

/// Elsewhere neither std nor socket2 can tell which address a client asked.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod every_address {
    use super::{Failure, UdpSocket};

    pub(crate) fn serve(_: &UdpSocket, _: Option<u64>) -> Result<(), Failure> {
        let reason =
            "on this system a reply might come from another address than was asked";
        let advice = "give --host one address of this machine";
        Err(Failure::new("bind", "0.0.0.0", reason, advice))
    }
}

/// Waits for UDP datagrams and sends each back, with "Echo: " before it, to where it came
/// from.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// Stop after this many datagrams, 1 or more; without it, go on until Ctrl-C
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  udp-server                  on localhost:12345, for this machine only
  udp-server --count 1        answer one datagram, then stop
  udp-server --port 0         take any free port, and print which
  udp-server --host 0.0.0.0   on every IPv4 address, for the whole network
Then, in another terminal: udp-client
Through cargo: cargo run -q -p udp-server -- --port 0

Exit status:
  0  as many datagrams were received as --count says
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
A reply that cannot be sent is reported on stderr, and the server goes on. Over
IPv4 a datagram has at most 65507 bytes; \"Echo: \" takes 6, so 65501 can be echoed.";
