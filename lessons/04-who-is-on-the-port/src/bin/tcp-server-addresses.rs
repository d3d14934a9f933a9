//! Shows the local and the peer address of the listener and of each connection: what
//! `accept` gives has the listener's port.
//!
//! It belongs to lesson 4, `lessons/04-who-is-on-the-port`. Run it, then two clients, each
//! in a terminal of its own: `cargo run -q --bin tcp-server-addresses` and
//! `cargo run -q --bin tcp-client-addresses`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, report, say,
};
use socket2::{Domain, SockAddr, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // This server closes first, so its port is in TIME-WAIT afterwards. Because this
    // listener and the next one both set the option, the next one can have the port.
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(128).during("listen", address)?;
    say!("listener      local {}, {}", local(&listener)?, peer(&listener)?)?;

    let mut connections = Vec::new();
    for number in 1..=arguments.clients {
        // accept(2) gives a new socket. It opens no new port: its local port is the
        // listener's. What tells two connections apart is the peer, which accept(2) names.
        let (mut connection, client) = listener.accept().during("accept", address)?;
        let client = internet_address(&client)?;
        let (local, peer) = (local(&connection)?, PythonAddress(client));
        say!("connection {number}  local {local}, peer {peer}")?;

        // One byte tells the client that it was accepted: its own connect(2) returned when
        // the kernels had shaken hands, which may be long before (lesson 5). If a client
        // is gone already, the others still want to be served.
        if let Err(failure) = connection.write_all(b".").during("send", client) {
            report(&failure);
        }
        connections.push(connection);
    }

    // The listener goes first: when the clients see the end of their streams, nobody
    // listens here any more.
    drop(listener);
    drop(connections);
    Ok(())
}

/// getsockname(2): our end.
fn local(socket: &Socket) -> Result<PythonAddress, Failure> {
    let address: SockAddr = socket.local_addr().during("getsockname", "socket")?;
    Ok(PythonAddress(internet_address(&address)?))
}

/// getpeername(2): the other end. A listener has none, and the call fails with ENOTCONN.
fn peer(socket: &Socket) -> Result<String, Failure> {
    match socket.peer_addr() {
        Ok(address) => Ok(format!("peer {}", PythonAddress(internet_address(&address)?))),
        Err(_not_connected) => Ok("no peer".to_owned()),
    }
}

/// Shows both addresses of a TCP listener and of each connection that it accepts. When the
/// last client has come, all are closed.
#[derive(Parser)]
#[command(name = "tcp-server-addresses", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many clients to wait for; each stays connected until the last has come
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-addresses               wait for two clients on localhost:12345
  tcp-server-addresses --clients 1   wait for one
  tcp-server-addresses --port 0      on any free port, and show which
Then, in other terminals: tcp-client-addresses

Exit status:
  0  all clients came
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It waits as long as it takes; Ctrl-C ends it.";
