//! Echoes the streams of many clients: a fixed number of threads, and a queue in front of them.
//!
//! It belongs to lesson 12, `lessons/12-one-at-a-time`, and is a rung of the ladder of lesson
//! 15. Run it: `cargo run -q --bin tcp-server-pool`, and connect five times.

use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clap::Parser;
use common::{
    Address, During, Failure, exit_code, internet_address, parse_arguments, say,
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

    // The queue has a limit. Without one, a crowd would fill our memory with sockets for
    // which there is no thread.
    let (enqueue, queue) = mpsc::sync_channel::<Socket>(arguments.queue);
    let queue = Arc::new(Mutex::new(queue));
    // Every thread says here when a client is gone.
    let (leave, gone) = mpsc::channel();
    let timeout = arguments.timeout();
    for _ in 0..arguments.workers.get() {
        let (queue, leave) = (queue.clone(), leave.clone());
        let work = move || work(&queue, &leave, timeout);
        thread::Builder::new().spawn(work).during("start", "a thread")?;
    }
    say!("Server is listening on port {}...", local_address.port())?;

    let mut clients = 0;
    loop {
        clients -= gone.try_iter().count();
        let (connection, client) = match server_socket.accept() {
            Ok(accepted) => accepted,
            // No file descriptor is left. The client stays in the kernel's queue, and asking
            // again at once would burn a core: wait until somebody leaves.
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
        clients += 1;
        // If our queue is full, this waits, and accept(2) is not called meanwhile: the next
        // clients stay in the kernel's queue, which has a limit too.
        if enqueue.send(connection).is_err() {
            let reason = "every thread of the pool has ended";
            return Err(Failure::new("serve", address, reason, "start the server again"));
        }
    }

    // From here on new clients are refused. Those who are there may finish.
    drop(server_socket);
    clients -= gone.try_iter().count();
    say!("Closing: no new clients; waiting for the others to finish")?;
    drop((enqueue, leave));
    gone.iter().take(clients).for_each(drop);
    say!("All have finished")
}

/// A thread of the pool: takes a client from the queue, serves it to its end, takes the next.
fn work(queue: &Mutex<Receiver<Socket>>, leave: &Sender<()>, timeout: Option<Duration>) {
    loop {
        // The lock is held while this waits: the other threads queue up behind it.
        let next = queue.lock().map(|queue| queue.recv());
        let Ok(Ok(connection)) = next else {
            return;
        };
        // A client that resets its connection, or is gone, is no failure of the server.
        let _ = echo(&connection, timeout);
        // close(2) first: whoever hears of it may want the descriptor.
        drop(connection);
        let _ = leave.send(());
    }
}

/// Sends back what comes, piece by piece, until the client ends its stream.
fn echo(mut connection: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    // SO_RCVTIMEO and SO_SNDTIMEO, socket(7): a client that says nothing, or takes nothing,
    // for this long loses its connection, and the thread is free for another.
    connection.set_read_timeout(timeout)?;
    connection.set_write_timeout(timeout)?;
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

/// Sends back what its clients send. A fixed number of threads serves them.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many threads, and so clients served at a time
    #[arg(long, default_value = "4")]
    workers: NonZeroUsize,

    /// How many accepted clients may wait for a thread
    #[arg(long, default_value_t = 64)]
    queue: usize,

    /// How long a client may say nothing, or take nothing, in milliseconds; 0: as long as it likes
    #[arg(long, default_value_t = 0)]
    timeout_ms: u32,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

impl Arguments {
    fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms.into()))
    }
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-pool                    listen on localhost, port 12345, for this machine only
  tcp-server-pool --workers 2        serve two clients at a time
  tcp-server-pool --timeout-ms 500   a client that is silent for half a second loses its place
  tcp-server-pool --port 0           listen on any free port, and print which
Then, in several terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-pool -- --workers 2

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
