//! Echoes the streams of many clients: a thread for each.
//!
//! It belongs to lesson 12, `lessons/12-one-at-a-time`, and is a rung of the ladder of lesson
//! 15. Run it: `cargo run -q --bin tcp-server-threads`, and connect twice.

use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, report, say,
};
use one_at_a_time::knock_on_signal;
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    // As in tcp-server-one-at-a-time, up to the loop.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    // A piece of an answer must not wait until the client has acknowledged the one before
    // (Nagle and delayed ACK: 40 ms, lesson 15). Connections inherit this from the listener.
    server_socket.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(1024).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let local_address = internet_address(&local_address)?;
    let knock = knock_on_signal(local_address, arguments.drain_ms)?;
    say!("Server is listening on port {}...", local_address.port())?;

    // Every thread says here when its client is gone.
    let (leave, gone) = mpsc::channel();
    let mut clients = 0;
    loop {
        clients -= gone.try_iter().count();
        if clients == arguments.threads.get() {
            // No thread is left. The next client waits in the kernel's queue, connected.
            clients -= gone.recv().iter().count();
            continue;
        }
        let (connection, client) = match server_socket.accept() {
            Ok(accepted) => accepted,
            // No file descriptor is left. The client stays in the queue, and asking again at
            // once would burn a core: wait until somebody leaves.
            Err(error) if no_descriptor(&error) && clients > 0 => {
                clients -= gone.recv().iter().count();
                continue;
            }
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(error).during("accept", address),
        };
        if knock == Some(internet_address(&client)?) {
            break;
        }
        let leave = leave.clone();
        let serve_one = move || {
            // A client that resets its connection, or is gone, is no failure of the server.
            let _ = echo(&connection);
            // close(2) first: whoever hears of it may want the descriptor.
            drop(connection);
            let _ = leave.send(());
        };
        match thread::Builder::new().spawn(serve_one).during("start", "a thread") {
            Ok(_) => clients += 1,
            Err(failure) => report(&failure),
        }
    }

    // From here on new clients are refused. Those who are there may finish.
    drop(server_socket);
    clients -= gone.try_iter().count();
    say!("Closing: no new clients; waiting for the others to finish")?;
    drop(leave);
    gone.iter().take(clients).for_each(drop);
    say!("All have finished")
}

/// Sends back what comes, piece by piece, until the client ends its stream. Each of these
/// two calls may wait as long as it likes: it holds up nobody but its own client.
fn echo(mut connection: &Socket) -> io::Result<()> {
    let mut buffer = [0; 16384];
    loop {
        let length = match connection.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        connection.write_all(&buffer[..length])?;
    }
}

/// `EMFILE`: this process has as many as it may (`ulimit -n`). `ENFILE`: the machine has.
fn no_descriptor(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// A client was gone before accept(2) (Linux does not report that; other systems say
/// ECONNABORTED), or a signal came (EINTR): the listener is as good as before.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted)
}

/// Sends back what its clients send. Each client has a thread of its own.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many clients are served at a time; others wait in the kernel's queue
    #[arg(long, default_value = "10000")]
    threads: NonZeroUsize,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-threads               listen on localhost, port 12345, for this machine only
  tcp-server-threads --threads 2   serve two clients at a time
  tcp-server-threads --port 0      listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-threads -- --threads 2

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
