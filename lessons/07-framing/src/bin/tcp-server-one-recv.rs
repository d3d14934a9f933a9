//! Wrong on purpose, so that you can watch it fail: takes what each recv returns for one message.
//!
//! It belongs to lesson 7, `lessons/07-framing`. Run it, then the client in another
//! terminal: `cargo run -q --bin tcp-server-one-recv` and `cargo run -q --bin tcp-client-lines`.

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, PythonAddress, exit_code, internet_address,
    parse_arguments, say,
};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    // As in lesson 2, up to the connection.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(128).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let port = internet_address(&local_address)?.port();
    say!("Server is listening on port {port}...")?;
    let (mut connection, client) = server_socket.accept().during("accept", address)?;
    let client = internet_address(&client)?;
    say!("Connected by {}", PythonAddress(client))?;

    let mut buffer = vec![0; usize::from(arguments.recv_bytes)];
    loop {
        // Read on a socket is recv(2): it returns what has arrived. 0 is the end of the stream.
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            return Ok(());
        }

        // The mistake: that is not one message. It is some bytes of the stream.
        let message = &buffer[..length];
        say!("Message: {}", Escaped(message))?;
        connection.write_all(&[b"Echo: ", message].concat()).during("send", client)?;
    }
}

/// Wrong on purpose: takes what each recv returns for one message, and sends it back with
/// "Echo: " before it, until the client closes.
#[derive(Parser)]
#[command(name = "tcp-server-one-recv", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many bytes one recv may return; a small number cuts the stream into pieces
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    recv_bytes: u16,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-one-recv                   on localhost:12345, this machine only
  tcp-server-one-recv --recv-bytes 6    let each recv return 6 bytes at most
  tcp-server-one-recv --port 0          on any free port, and print which
Then, in another terminal: tcp-client-lines
Through cargo: cargo run -q --bin tcp-server-one-recv -- --recv-bytes 6

Exit status:
  0  the client has closed
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line
It serves one client and waits as long as it takes; Ctrl-C ends it.";
