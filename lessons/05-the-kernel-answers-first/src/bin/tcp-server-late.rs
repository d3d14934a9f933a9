//! Listens, but calls accept(2) only when somebody rings at a second port: until then its
//! kernel does all the work.
//!
//! It belongs to lesson 5, `lessons/05-the-kernel-answers-first`. Run it, then a client,
//! then ring, all from another terminal: `cargo run -q --bin tcp-server-late`,
//! `cargo run -q --bin tcp-client-send`, `cargo run -q --bin tcp-client-send -- --port 12346`.

use std::io::Read;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, report, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    let listener = bound(address)?;
    let bell = bound(SocketAddr::new(address.ip(), arguments.bell_port))?;
    bell.listen(1).during("listen", "the bell")?;

    // The backlog says how many connections may wait for accept. Linux takes one more.
    // From now on this program need not do anything: the kernel shakes hands, queues the
    // connection, and keeps what the client sends.
    listener.listen(arguments.backlog).during("listen", address)?;
    let (port, bell_port) = (port(&listener)?, port(&bell)?);
    say!("Server is listening on port {port}, and accepts nobody")?;
    say!("until somebody rings at port {bell_port}")?;

    // Sleep until somebody connects to the bell. What comes to the listener meanwhile does
    // not wake us up.
    let (_ring, _ringer) = bell.accept().during("accept", "the bell")?;
    say!("Somebody has rung")?;

    for _ in 0..arguments.clients {
        // accept(2) takes the oldest connection from the queue. It may have sent all that it
        // had to say, and closed, long before.
        let (connection, client) = listener.accept().during("accept", address)?;
        let client = internet_address(&client)?;
        say!("accept   {}", PythonAddress(client))?;
        if let Err(failure) = receive(connection, client) {
            report(&failure);
        }
    }

    // Connections that are still in the queue are reset (RST) when the listener is closed.
    drop(listener);
    Ok(())
}

/// Receives what the client has sent, to the end of its stream.
fn receive(mut connection: Socket, client: SocketAddr) -> Result<(), Failure> {
    let mut buffer = [0; 1024];
    loop {
        match connection.read(&mut buffer).during("recv", client)? {
            0 => return say!("recv     0 bytes: end of stream"),
            length => say!("recv     {length} bytes: {}", Escaped(&buffer[..length]))?,
        }
    }
}

/// A TCP socket with that address, which does not listen yet.
fn bound(address: SocketAddr) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    socket.bind(&address.into()).during("bind", address)?;
    Ok(socket)
}

fn port(socket: &Socket) -> Result<u16, Failure> {
    let address = socket.local_addr().during("getsockname", "socket")?;
    Ok(internet_address(&address)?.port())
}

/// Listens for TCP clients, but calls accept only after somebody has connected to a second
/// port, the bell.
#[derive(Parser)]
#[command(name = "tcp-server-late", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// The port of the bell: connect to it to ring; 0: any free one, which is printed
    #[arg(long, default_value_t = 12346)]
    bell_port: u16,

    /// How many connections may wait for accept; Linux takes one more
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(i32).range(0..))]
    backlog: i32,

    /// How many clients to accept after the bell, one after another; 0 accepts nobody
    #[arg(long, default_value_t = 1)]
    clients: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-late                          accept one client, after the bell
  tcp-server-late --backlog 1 --clients 2  let only a few wait
  tcp-server-late --clients 0              leave at the bell, accept nobody
Then, in another terminal:
  tcp-client-send                          send something to the server
  tcp-client-send --port 12346             ring

Exit status:
  0  the bell rang, and all clients were accepted
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It waits as long as it takes; Ctrl-C ends it.";
