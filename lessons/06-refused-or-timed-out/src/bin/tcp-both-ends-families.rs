//! Which listener hears which client? Five listening addresses, three ways to call each.
//!
//! It belongs to lesson 6, `lessons/06-refused-or-timed-out`. Run it:
//! `cargo run -q --bin tcp-both-ends-families`. It needs no second terminal.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use common::{During, Failure, exit_code, internet_address, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    parse_arguments::<Arguments>();
    exit_code(run())
}

fn run() -> Result<(), Failure> {
    say!("listens on   V6ONLY   {}", row(CLIENTS.map(|client| client.to_string())))?;
    for (address, only_ipv6) in LISTENERS {
        let listener = listen(address, only_ipv6)?;
        let mut seen = [const { String::new() }; 3];
        for (seen, client) in seen.iter_mut().zip(CLIENTS) {
            *seen = call(&listener, client)?;
        }
        let option = match (address, only_ipv6) {
            (IpAddr::V4(_), _) => "-",
            (IpAddr::V6(_), false) => "0",
            (IpAddr::V6(_), true) => "1",
        };
        say!("{:<12} {option:<8} {}", address.to_string(), row(seen))?;
    }
    Ok(())
}

/// Where a listener listens, and whether it sets IPV6_V6ONLY.
const LISTENERS: [(IpAddr, bool); 5] = [
    (IpAddr::V4(Ipv4Addr::LOCALHOST), false),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), false),
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), false),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), false),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), true),
];

/// Whom a client calls. The last is an IPv4 address written as an IPv6 address.
const CLIENTS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()),
];

fn listen(address: IpAddr, only_ipv6: bool) -> Result<Socket, Failure> {
    let address = SocketAddr::new(address, 0);
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)
        .during("socket", address)?;
    if address.is_ipv6() {
        // Before bind, and always: the default differs between systems (ipv6(7)).
        listener.set_only_v6(only_ipv6).during("setsockopt", "IPV6_V6ONLY")?;
    }
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    Ok(listener)
}

/// Connects to the listener's port at `host`. Returns the client's address as the listener
/// sees it, or the refusal.
fn call(listener: &Socket, host: IpAddr) -> Result<String, Failure> {
    let local = listener.local_addr().during("getsockname", "listener")?;
    let server = SocketAddr::new(host, internet_address(&local)?.port());
    let client = Socket::new(Domain::for_address(server), Type::STREAM, None)
        .during("socket", server)?;
    match client.connect(&server.into()) {
        Ok(()) => {
            let (_connection, peer) = listener.accept().during("accept", server)?;
            Ok(internet_address(&peer)?.ip().to_string())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Ok("ECONNREFUSED".to_owned())
        }
        Err(error) => Err(error).during("connect", server),
    }
}

/// Three columns, without trailing spaces.
fn row(cells: [String; 3]) -> String {
    let [first, second, third] = cells;
    format!("{first:<18} {second:<14} {third}")
}

/// Listens on five addresses of IPv4 and IPv6, one after another, calls each in three ways,
/// and shows which address the listener saw for the client.
#[derive(Parser)]
#[command(name = "tcp-both-ends-families", version, after_help = EXAMPLES)]
struct Arguments {}

const EXAMPLES: &str = "\
Example:
  tcp-both-ends-families   try all, each listener on a free port

Exit status:
  0  every client was heard or refused
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It needs IPv6 on this machine's loopback.";
