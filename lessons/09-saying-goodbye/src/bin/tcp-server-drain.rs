//! Prints what several clients send, and ends well: on Ctrl-C it accepts no new clients, says
//! goodbye to those it has, and lets them finish, up to a deadline.
//!
//! It belongs to lesson 9, `lessons/09-saying-goodbye`. Run it:
//! `cargo run -q --bin tcp-server-drain`, and connect to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{
    Address, During, Escaped, Failure, exit_code, internet_address,
    is_out_of_descriptors, parse_arguments, report, say,
};
use socket2::{Domain, Socket, Type};

/// Set by the first Ctrl-C, before we say goodbye to anybody.
static CLOSING: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    // As in lesson 2, up to the listener.
    let address = arguments.address.resolve()?;
    let server_socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    server_socket.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
    server_socket.bind(&address.into()).during("bind", address)?;
    server_socket.listen(128).during("listen", address)?;
    let local_address = server_socket.local_addr().during("getsockname", address)?;
    let local_address = internet_address(&local_address)?;

    // Before the first client can be here.
    let knock = on_interrupt(local_address)?;
    say!("Server is listening on port {}...", local_address.port())?;

    let (done, all_done) = mpsc::channel();
    let mut connections: Vec<Weak<Socket>> = Vec::new();
    let accepted = accept_until(knock, &server_socket, &mut connections, done);
    CLOSING.store(true, Ordering::SeqCst);

    // From here on new clients are refused (ECONNREFUSED).
    drop(server_socket);
    let left: Vec<Arc<Socket>> = connections.iter().filter_map(Weak::upgrade).collect();
    say!("Closing: no new clients, {} to finish", left.len())?;

    // A half-close says goodbye: we send nothing more, and still receive. Where it fails, the
    // connection is gone already.
    for connection in &left {
        let _ = connection.shutdown(Shutdown::Write);
    }
    drop(left);

    accepted.and(drain(&all_done, &connections, arguments.drain_ms))
}

/// Gives each client a thread, until the knock comes. If accept(2) fails for good before that,
/// the clients that are there may finish all the same.
fn accept_until(
    knock: Option<SocketAddr>,
    server_socket: &Socket,
    connections: &mut Vec<Weak<Socket>>,
    done: Sender<()>,
) -> Result<(), Failure> {
    let mut reserve = Some(descriptor()?);
    loop {
        let (connection, client) = match server_socket.accept() {
            // No file descriptor is left (EMFILE). Trying again would fail at once, again and
            // again. We give up the one in reserve, so accept can wait for the next client.
            Err(error) if is_out_of_descriptors(&error) && reserve.is_some() => {
                reserve = None;
                continue;
            }
            // This client left before we got to it (not on Linux).
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            accepted => accepted.during("accept", "listener")?,
        };
        let client = internet_address(&client)?;
        // The accept queue is first in, first out: whoever connected before the signal comes
        // before the knock, and is served.
        if knock == Some(client) {
            return Ok(());
        }
        if reserve.is_none() {
            reserve = descriptor().ok();
            if reserve.is_none() {
                // Nobody has left in the meantime. It is better to turn this client away at
                // once than to let it wait, or to lose the clients that we serve.
                let reason = "no file descriptor is left (EMFILE)";
                report(&Failure::new(
                    "accept",
                    client,
                    reason,
                    "this client is turned away",
                ));
                drop(connection);
                reserve = Some(descriptor()?);
                continue;
            }
        }
        // The thread reports when it is done. Its socket must be closed then, so the list holds
        // only a weak reference.
        let connection = Arc::new(connection);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        let done = done.clone();
        let serve_one = move || {
            if let Err(failure) = receive(&connection, client) {
                report(&failure);
            }
            drop(connection);
            tell(&done);
        };
        // If no thread can be made, this client's socket is dropped, and the others stay.
        let thread = thread::Builder::new().spawn(serve_one);
        if let Err(failure) = thread.during("start a thread for", client) {
            report(&failure);
        }
    }
}

/// A file descriptor that is good for nothing but to be given up.
fn descriptor() -> Result<Socket, Failure> {
    Socket::new(Domain::IPV4, Type::STREAM, None).during("socket", "TCP over IPv4")
}

/// Waits until every thread is done, or the deadline has passed.
fn drain(
    all_done: &Receiver<()>,
    connections: &[Weak<Socket>],
    drain_ms: u32,
) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_millis(drain_ms.into());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match all_done.recv_timeout(left) {
            Ok(()) => {}
            // Every thread has dropped its `done`.
            Err(RecvTimeoutError::Disconnected) => return say!("All have finished"),
            Err(RecvTimeoutError::Timeout) => {
                // Our end closes their connections. Those with bytes unread are reset.
                let open = connections.iter().filter(|one| one.strong_count() > 0);
                let object = format!("for clients ({} left)", open.count());
                let reason = format!("not finished within {drain_ms} ms");
                return Err(Failure::new("wait", object, &reason, "they are cut off"));
            }
        }
    }
}

/// Prints what the client sends, until the end of its stream, and tells it how much arrived.
fn receive(mut connection: &Socket, client: SocketAddr) -> Result<(), Failure> {
    let mut buffer = [0; 1024];
    loop {
        let length = connection.read(&mut buffer).during("recv", client)?;
        if length == 0 {
            return say!("{client} has finished");
        }
        say!("{client} says: {}", Escaped(&buffer[..length]))?;
        let answer = connection.write_all(format!("Got {length} bytes\n").as_bytes());
        // Once we have said goodbye, nothing more is sent: EPIPE.
        if !CLOSING.load(Ordering::SeqCst) {
            answer.during("send", client)?;
        }
    }
}

/// The main thread counts these. It may have left, at the deadline.
fn tell(done: &Sender<()>) {
    let _ = done.send(());
}

/// On the first SIGINT or SIGTERM, sets [`CLOSING`] and knocks: connects to ourselves, so that
/// a waiting accept(2) returns. On the second, the program ends at once, as it would without
/// this. Returns the address from which it will knock.
///
/// A handler alone would not be enough: if the signal came just before accept, accept would
/// wait all the same. A connection stays in the queue until it is accepted.
#[cfg(unix)]
fn on_interrupt(mut ourselves: SocketAddr) -> Result<Option<SocketAddr>, Failure> {
    use std::net::Ipv4Addr;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    // The socket is made now: later there may be no file descriptor for it. It also gets its
    // address now, so that nobody else can come from there.
    let knocker = Socket::new(Domain::IPV4, Type::STREAM, None)
        .during("socket", "TCP over IPv4")?;
    if ourselves.ip().is_unspecified() {
        // A server that listens on every address is reached at this one.
        ourselves.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let any_port = SocketAddr::new(ourselves.ip(), 0);
    knocker.bind(&any_port.into()).during("bind", any_port)?;
    let own = knocker.local_addr().during("getsockname", any_port)?;
    let own = internet_address(&own)?;

    let mut signals = Signals::new([SIGINT, SIGTERM]).during("sigaction", "SIGINT")?;
    let wait = move || {
        for signal in signals.forever() {
            if CLOSING.swap(true, Ordering::SeqCst) {
                let _ = emulate_default_handler(signal);
            } else if let Err(failure) =
                knocker.connect(&ourselves.into()).during("connect", ourselves)
            {
                report(&failure);
            }
        }
    };
    thread::Builder::new().spawn(wait).during("start", "a thread")?;
    Ok(Some(own))
}

/// On Windows there are no signals: Ctrl-C ends the program at once.
#[cfg(not(unix))]
fn on_interrupt(_ourselves: SocketAddr) -> Result<Option<SocketAddr>, Failure> {
    Ok(None)
}

/// Prints what TCP clients send. On Ctrl-C it accepts no new clients, half-closes the
/// connections it has, and waits for their clients to finish.
#[derive(Parser)]
#[command(name = "tcp-server-drain", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-drain                  on localhost:12345, for this machine only
  tcp-server-drain --drain-ms 100   wait at most 100 ms after Ctrl-C
  tcp-server-drain --port 0         on any free port, and print which
Through cargo: cargo run -q --bin tcp-server-drain -- --drain-ms 100

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what and why
  2  wrong command line
A second Ctrl-C ends it at once.";
