//! Both ends of one TCP connection in one program: the eight calls, in the order in which
//! they can happen, and what each leaves behind.
//!
//! It belongs to lesson 1, `lessons/01-what-is-a-socket`. Run it:
//! `cargo run -q --bin tcp-both-ends`. It needs no second terminal.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;

    // socket(2) gives a file descriptor: the lowest number that this process has free. 0, 1
    // and 2 are stdin, stdout and stderr.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    say!("socket   file descriptor {}", descriptor(&listener))?;

    // bind(2) gives the socket its local address. As in `tcp-server`, the option is for a
    // port that an old connection still holds (lesson 4).
    #[cfg(unix)]
    listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    listener.bind(&address.into()).during("bind", address)?;
    say!("bind     {}", ends(&listener)?)?;

    // listen(2): this socket will carry no data. The kernel queues connections on it.
    listener.listen(128).during("listen", address)?;
    let server_address = listener.local_addr().during("getsockname", address)?;
    say!("listen   {}", ends(&listener)?)?;

    let mut client = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    say!("socket   file descriptor {}", descriptor(&client))?;

    // connect(2) gives the socket both addresses: the peer's, which we name, and a local one,
    // whose port the kernel picks. It returns although nobody has called accept.
    client.connect(&server_address).during("connect", address)?;
    say!("connect  {}", ends(&client)?)?;

    // accept(2) takes the oldest connection from the queue and gives it a socket of its own,
    // with the listener's port. The listener stays as it was.
    let (mut connection, _peer) = listener.accept().during("accept", address)?;
    say!("accept   file descriptor {}", descriptor(&connection))?;
    say!("         {}", ends(&connection)?)?;

    // send(2) hands bytes to the kernel, and recv(2) takes them out at the other end. One
    // recv need not return what one send took. These five bytes arrived at once, on loopback.
    let sent = client.write(b"Hello").during("send", address)?;
    say!("send     {sent} bytes")?;
    let mut buffer = [0; 1024];
    let received = connection.read(&mut buffer).during("recv", address)?;
    say!("recv     {received} bytes: {}", Escaped(&buffer[..received]))?;

    // close(2) is what drop does. To the other end it says end of stream: recv gives 0.
    drop(client);
    say!("close    the client's socket")?;
    let received = connection.read(&mut buffer).during("recv", address)?;
    say!("recv     {received} bytes: end of stream")?;

    drop(connection);
    drop(listener);
    say!("close    the other two")
}

/// The number under which this process knows the socket.
#[cfg(unix)]
fn descriptor(socket: &Socket) -> std::os::fd::RawFd {
    std::os::fd::AsRawFd::as_raw_fd(socket)
}

/// On Windows it is a handle: no small number, and not the lowest that is free.
#[cfg(windows)]
fn descriptor(socket: &Socket) -> std::os::windows::io::RawSocket {
    std::os::windows::io::AsRawSocket::as_raw_socket(socket)
}

/// The two addresses of a socket: getsockname(2) and getpeername(2). A socket without a
/// connection has no peer.
fn ends(socket: &Socket) -> Result<String, Failure> {
    let local = socket.local_addr().during("getsockname", "socket")?;
    let local = PythonAddress(internet_address(&local)?);
    Ok(match socket.peer_addr() {
        Ok(peer) => {
            let peer = PythonAddress(internet_address(&peer)?);
            format!("local {local}, peer {peer}")
        }
        Err(_not_connected) => format!("local {local}, no peer"),
    })
}

/// Makes both ends of one TCP connection and shows what each of the eight calls leaves behind.
#[derive(Parser)]
#[command(name = "tcp-both-ends", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-both-ends            both ends on localhost, at port 12345
  tcp-both-ends --port 0   both ends on localhost, at any free port

Exit status:
  0  every call did what it should
  1  one failed: one line on stderr says what, why and what to do next
  2  wrong command line";
