//! The ways to end a TCP connection, and what the other end sees of each. Both ends are in
//! this program.
//!
//! It belongs to lesson 9, `lessons/09-saying-goodbye`. Run it:
//! `cargo run -q --bin tcp-both-ends-goodbye`. It needs no second terminal.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Address, During, Escaped, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, SockAddr, Socket, Type};

/// How long we wait for what the other kernel answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (listener, address) = listen(arguments)?;

    say!("close, with everything received:")?;
    let (mut ours, mut theirs) = connect(&listener, &address)?;
    send(&mut ours, b"Hello")?;
    drop(ours);
    receive(&mut theirs)?;
    receive(&mut theirs)?;

    say!("send after the peer has closed:")?;
    send(&mut theirs, b"first")?;
    wait_for_reset(&theirs);
    send(&mut theirs, b"second")?;

    say!("shutdown(SHUT_WR), a half-close:")?;
    let (mut ours, mut theirs) = connect(&listener, &address)?;
    ours.shutdown(Shutdown::Write).during("shutdown", "SHUT_WR")?;
    receive(&mut theirs)?;
    send(&mut theirs, b"Reply")?;
    receive(&mut ours)?;

    say!("shutdown(SHUT_RDWR), with a second descriptor for the socket:")?;
    let (ours, mut theirs) = connect(&listener, &address)?;
    let mut second = ours.try_clone().during("dup", "our end")?;
    ours.shutdown(Shutdown::Both).during("shutdown", "SHUT_RDWR")?;
    receive(&mut theirs)?;
    receive(&mut second)?;
    send(&mut second, b"Hello")?;

    say!("close, with bytes unread:")?;
    let (ours, mut theirs) = connect(&listener, &address)?;
    send(&mut theirs, b"Reply")?;
    wait_until_it_came(&ours)?;
    drop(ours);
    wait_for_reset(&theirs);
    receive(&mut theirs)?;

    say!("SO_LINGER of 0 seconds, then close:")?;
    let (mut ours, mut theirs) = connect(&listener, &address)?;
    send(&mut ours, b"Hello")?;
    wait_until_it_came(&theirs)?;
    ours.set_linger(Some(Duration::ZERO)).during("setsockopt", "SO_LINGER")?;
    drop(ours);
    wait_for_reset(&theirs);
    receive(&mut theirs)?;
    receive(&mut theirs)?;
    // The kernel reports a reset once. From now on it looks as if the stream had ended.
    receive(&mut theirs)?;
    send(&mut theirs, b"Reply")
}

/// One send(2). Its error is the lesson, so it is shown and not returned.
fn send(socket: &mut Socket, bytes: &[u8]) -> Result<(), Failure> {
    match socket.write(bytes) {
        Ok(length) => say!("    send {}: taken", Escaped(&bytes[..length])),
        Err(error) => say!("    send {}: {}", Escaped(bytes), name(&error)),
    }
}

/// One recv(2). Its error is the lesson too.
fn receive(socket: &mut Socket) -> Result<(), Failure> {
    let mut buffer = [0; 1024];
    match socket.read(&mut buffer) {
        Ok(0) => say!("    recv: 0 bytes, end of stream"),
        Ok(length) => say!("    recv: {}", Escaped(&buffer[..length])),
        Err(error) => say!("    recv: {}", name(&error)),
    }
}

fn name(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::BrokenPipe => "EPIPE, broken pipe".into(),
        ErrorKind::ConnectionReset => "ECONNRESET, connection reset by peer".into(),
        ErrorKind::ConnectionAborted => "ECONNABORTED, connection aborted".into(),
        _ => error.to_string(),
    }
}

/// Peeks until something is in the receiving kernel.
fn wait_until_it_came(socket: &Socket) -> Result<(), Failure> {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1];
    socket.peek(&mut buffer).during("recv", "MSG_PEEK").map(|_| ())
}

/// Asks until the kernel no longer knows a peer: a reset has come. When our send or close
/// returns, the other kernel need not have answered yet.
fn wait_for_reset(socket: &Socket) {
    let start = Instant::now();
    // If no reset comes, the next call shows that.
    while socket.peer_addr().is_ok() && start.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
}

/// The calls of lesson 1, in order, up to a listener.
fn listen(arguments: &Arguments) -> Result<(Socket, SockAddr), Failure> {
    let address = arguments.address.resolve()?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    listener.bind(&address.into()).during("bind", address)?;
    listener.listen(1).during("listen", address)?;
    let address = listener.local_addr().during("getsockname", address)?;
    Ok((listener, address))
}

/// A connection: our end, which will say goodbye, and theirs.
fn connect(listener: &Socket, address: &SockAddr) -> Result<(Socket, Socket), Failure> {
    let ours = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    ours.connect(address).during("connect", "our own listener")?;
    let (theirs, _peer) = listener.accept().during("accept", "our own listener")?;
    Ok((ours, theirs))
}

/// Ends TCP connections of which it has both ends, in several ways, and shows what the other end
/// sees.
#[derive(Parser)]
#[command(name = "tcp-both-ends-goodbye", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends-goodbye            both ends on localhost, at port 12345
  tcp-both-ends-goodbye --port 0   both ends on localhost, at any free port

Exit status:
  0  every call could be made; the errors that are the lesson are shown
  1  another failed: one line on stderr says what, why and what to do next
  2  wrong command line";
