//! Which end of a closed connection stays in TIME-WAIT. Both ends are in this program.
//!
//! It belongs to lesson 9, `lessons/09-saying-goodbye`. Run it:
//! `cargo run -q --bin tcp-both-ends-close-order`. It needs no second terminal. It reads the
//! kernel's table of connections, which only Linux keeps in a file.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

/// The kernel's table, see proc(5): one line per socket, with its two addresses and its state.
const TABLE: &str = "/proc/self/net/tcp";

/// The state TIME-WAIT in that table.
const TIME_WAIT: &str = "06";

/// How long we wait for the last segments of a connection to be exchanged.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (listener, address) = listen(arguments)?;

    let (client, server, name) = connect(&listener, address)?;
    close_in_order(server, client)?;
    say!("The server closes first: {}", who_waits(address, name)?)?;

    let (client, server, name) = connect(&listener, address)?;
    close_in_order(client, server)?;
    say!("The client closes first: {}", who_waits(address, name)?)?;

    // SO_LINGER of 0 makes close send a reset, and a reset leaves nothing behind.
    let (client, server, name) = connect(&listener, address)?;
    server.set_linger(Some(Duration::ZERO)).during("setsockopt", "SO_LINGER")?;
    drop(server);
    drop(client);
    say!("The server resets: {}", who_waits(address, name)?)
}

/// The second end closes only when it has seen the end of the stream: the order is certain.
fn close_in_order(first: Socket, mut second: Socket) -> Result<(), Failure> {
    drop(first);
    let length = second.read(&mut [0; 1]).during("recv", "end of stream")?;
    if length != 0 {
        return Err(Failure::new("recv", "end of stream", "a byte came", ""));
    }
    drop(second);
    Ok(())
}

/// Looks at the table until the connection is over at both ends, and says which is left.
fn who_waits(server: SocketAddr, client: SocketAddr) -> Result<&'static str, Failure> {
    let start = Instant::now();
    loop {
        let table = std::fs::read_to_string(TABLE).during("read", TABLE)?;
        let servers = state(&table, server, client);
        let clients = state(&table, client, server);
        match (servers, clients) {
            (Some(TIME_WAIT), None) => {
                return Ok("its end of the connection is in TIME-WAIT");
            }
            (None, Some(TIME_WAIT)) => {
                return Ok("its end of the connection is in TIME-WAIT, not the server's");
            }
            (None, None) => return Ok("no end is in TIME-WAIT"),
            _ if start.elapsed() > PATIENCE => {
                let reason = "the connection does not end";
                return Err(Failure::new("read", TABLE, reason, "is the machine busy?"));
            }
            _ => std::thread::yield_now(),
        }
    }
}

/// The state of the socket with these two addresses, in two hexadecimal digits.
fn state(table: &str, local: SocketAddr, peer: SocketAddr) -> Option<&str> {
    let (local, peer) = (hexadecimal(local), hexadecimal(peer));
    table.lines().find_map(|line| {
        // `0: 0100007F:3039 0100007F:BAB2 06 …`
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == local && words.next()? == peer).then(|| words.next())?
    })
}

/// As the table writes it: the four bytes of the address as they lie in memory, read as one
/// number; the port as a number.
fn hexadecimal(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { return String::new() };
    let ip: Ipv4Addr = *address.ip();
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}

/// The calls of lesson 1, in order, up to a listener.
fn listen(arguments: &Arguments) -> Result<(Socket, SocketAddr), Failure> {
    let address = arguments.address.resolve()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    let address = listener.local_addr().during("getsockname", address)?;
    Ok((listener, internet_address(&address)?))
}

/// A connection: the client's end, the server's end, and the client's address.
fn connect(
    listener: &Socket,
    address: SocketAddr,
) -> Result<(Socket, Socket, SocketAddr), Failure> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    client.connect(&address.into()).during("connect", address)?;
    let (server, name) = listener.accept().during("accept", address)?;
    Ok((client, server, internet_address(&name)?))
}

/// Closes TCP connections of which it has both ends, and shows which end stays in TIME-WAIT.
#[derive(Parser)]
#[command(name = "tcp-both-ends-close-order", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-close-order            both ends on localhost, at port 12345
  tcp-both-ends-close-order --port 0   both ends on localhost, at any free port
It needs Linux, for /proc/self/net/tcp. Elsewhere look by hand: netstat -an

Exit status:
  0  it could see what is left of each connection
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
