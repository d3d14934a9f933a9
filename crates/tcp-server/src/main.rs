//! server.py in Rust, call for call: waits for one client, takes one message, sends it
//! back.
//!
//! It belongs to lesson 2, `lessons/02-tcp-echo`. Run it, then the client in another
//! terminal: `cargo run -q -p tcp-server` and `cargo run -q -p tcp-client`.

use std::io::{Read, Write};
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

    // socket(2): AF_INET is IPv4, SOCK_STREAM is TCP.
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;

    // Without it a second start within a minute of the first may fail, because the old
    // connection still holds the port (lesson 4). On Windows the option means something
    // else: that anyone may take the port from us.
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;

    server_socket.bind(&address.into()).during("bind", address)?;

    // From here on the kernel answers: clients connect before anyone calls accept, as many
    // as the backlog says (Linux takes one more). Python's listen() asks for 128 too.
    server_socket.listen(128).during("listen", address)?;

    // getsockname(2): with `--port 0` the kernel has picked the port.
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let port = internet_address(&local_address)?.port();
    say!("Server is listening on port {port}...")?;

    // accept(2) sleeps until there is a connection in the queue, and returns a new socket
    // for it. No signal makes it fail with EINTR: we set no handler and no timeout
    // (signal(7)).
    let (mut connection, client) = server_socket.accept().during("accept", address)?;
    let client = internet_address(&client)?;
    say!("Connected by {}", PythonAddress(client))?;

    // Read on a socket is recv(2). It returns what has arrived, up to 1024 bytes: part of
    // a message, or several at once. Here one recv is taken for one message, as in the
    // Python.
    let mut buffer = [0; 1024];
    let length = connection.read(&mut buffer).during("recv", client)?;
    let message = &buffer[..length];
    if message.is_empty() {
        // 0 bytes are not an empty message: the client will send nothing more.
        let reason = "end of stream before any byte";
        return Err(Failure::new("recv", client, reason, "the client sent no message"));
    }
    say!("Received: {}", Escaped(message))?;
    if message.len() == buffer.len() {
        let reason = "one recv gave 1024 bytes, all that its buffer holds";
        report(&Failure::new("recv", client, reason, "what more was sent stays unread"));
    }

    // write_all is Python's sendall: it calls send(2) until the kernel has taken all of it.
    connection.write_all(&[b"Echo: ", message].concat()).during("send", client)?;

    // close(2) happens when a socket is dropped. With everything read it says end of
    // stream (FIN) to the client; with bytes unread the kernel resets the connection
    // (RST).
    drop(connection);
    drop(server_socket);
    Ok(())
}

/// Waits for one TCP client, takes one message of up to 1024 bytes, and sends it back
/// with "Echo: " before it.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server                  on localhost:12345, for this machine only
  tcp-server --port 0         on any free port, and print which
  tcp-server --host 0.0.0.0   on every IPv4 address, for the whole network
Then, in another terminal: tcp-client
Through cargo: cargo run -q -p tcp-server -- --port 0

Exit status:
  0  one message was received and sent back
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It waits as long as it takes; Ctrl-C ends it.";
