//! Binds a port again that a connection has just left: does SO_REUSEADDR help, on which
//! listener must it be set, and what if the client closed first?
//!
//! It belongs to lesson 4, `lessons/04-who-is-on-the-port`. Run it:
//! `cargo run -q --bin tcp-both-ends-time-wait`. It needs no second terminal.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{During, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, SockAddr, Socket, Type};

fn main() -> ExitCode {
    parse_arguments::<Arguments>();
    exit_code(run())
}

fn run() -> Result<(), Failure> {
    say!("closes first   old listener   new listener   bind again")?;
    for case in CASES {
        let left = one_connection(&case)?;

        // The second start: the same port, a new socket.
        let new_listener = listener(case.new)?;
        let again = match new_listener.bind(&left) {
            Ok(()) => "succeeds",
            Err(error) if error.kind() == ErrorKind::AddrInUse => "EADDRINUSE",
            Err(error) => return Err(error).during("bind", "the new listener"),
        };
        let set = |option| if option { "SO_REUSEADDR" } else { "-" };
        let (old, new) = (set(case.old), set(case.new));
        say!("{:<14} {old:<14} {new:<14} {again}", case.closes_first)?;
    }
    Ok(())
}

/// Who says goodbye first, and whether the old and the new listener set `SO_REUSEADDR`.
struct Case {
    closes_first: &'static str,
    old: bool,
    new: bool,
}

const CASES: [Case; 5] = [
    Case { closes_first: "server", old: false, new: false },
    Case { closes_first: "server", old: false, new: true },
    Case { closes_first: "server", old: true, new: false },
    Case { closes_first: "server", old: true, new: true },
    Case { closes_first: "client", old: false, new: false },
];

/// The whole life of a server with one client. Closes all its sockets at the end, and
/// returns the address that it had.
fn one_connection(case: &Case) -> Result<SockAddr, Failure> {
    // Port 0: any free one. No case meets what another has left.
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let old_listener = listener(case.old)?;
    old_listener.bind(&any_port.into()).during("bind", "the old listener")?;
    old_listener.listen(128).during("listen", "the old listener")?;
    let address = old_listener.local_addr().during("getsockname", "listener")?;

    let client = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client.connect(&address).during("connect", "the old listener")?;
    let (connection, _client) = old_listener.accept().during("accept", "listener")?;
    drop(old_listener);

    let (first, mut second) = match case.closes_first {
        "server" => (connection, client),
        _ => (client, connection),
    };
    // The first close(2) sends FIN; the other end receives the end of the stream, and
    // closes too. SO_LINGER makes that close wait until the peer's kernel has answered, so
    // that nothing is on its way any more when we bind again.
    drop(first);
    let _end_of_stream = second.read(&mut [0; 1]).during("recv", case.closes_first)?;
    second.set_linger(Some(Duration::from_secs(10))).during("setsockopt", "SO_LINGER")?;
    drop(second);
    Ok(address)
}

/// A socket that can bind and listen, with or without SO_REUSEADDR.
fn listener(reuse_address: bool) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    socket.set_reuse_address(reuse_address).during("setsockopt", "SO_REUSEADDR")?;
    Ok(socket)
}

/// Lets a TCP server and its client live and close, then binds the server's port again: in
/// the four cases of SO_REUSEADDR, and in a fifth, where the client closed first.
#[derive(Parser)]
#[command(name = "tcp-both-ends-time-wait", version, after_help = EXAMPLES)]
struct Arguments {}

const EXAMPLES: &str = "\
Example:
  tcp-both-ends-time-wait   try all five, each on a free port of 127.0.0.1

Exit status:
  0  every case was tried, whatever came of it
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
A port that it leaves in TIME-WAIT is free again after a minute (Linux).";
