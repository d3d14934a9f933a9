//! Echoes the streams of many clients in one thread: a task each, with tokio.
//!
//! It belongs to lesson 14, `lessons/14-completion`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-tokio`, and connect twice.

use std::process::ExitCode;
use std::time::Duration;
use std::{future, io};

use clap::Parser;
use common::{Address, During, Failure, exit_code, parse_arguments, say};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::{runtime, select, time};

/// How many clients the kernel keeps for us until we accept them.
const QUEUE: u32 = 1024;

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

/// A runtime of one thread, to stand beside the other rungs. `new_multi_thread` would have one
/// for each core.
fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .during("start", "the runtime")?;
    runtime.block_on(serve_all(arguments))
}

async fn serve_all(arguments: &Arguments) -> Result<(), Failure> {
    // socket(2), bind(2) and listen(2) never wait: there is nothing to await.
    let address = arguments.address.resolve()?;
    let socket = TcpSocket::new_v4().during("socket", "TCP over IPv4")?;
    #[cfg(unix)]
    socket.set_reuseaddr(true).during("setsockopt", "SO_REUSEADDR")?;
    // See tcp-server-one-at-a-time. Connections inherit it from the listener.
    socket.set_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
    socket.bind(address).during("bind", address)?;
    let listener = socket.listen(QUEUE).during("listen", address)?;
    let local_address = listener.local_addr().during("getsockname", address)?;
    let mut signal = Signal::new()?;
    say!("Server is listening on port {}...", local_address.port())?;

    let mut clients = JoinSet::new();
    let mut accepting = true;
    loop {
        // Whichever comes first. The others are dropped, which cancels them: that is all that
        // cancelling is, and accept loses no client by it.
        select! {
            accepted = listener.accept(), if accepting => match accepted {
                Ok((connection, _)) => drop(clients.spawn(serve_one(connection))),
                // No file descriptor is left. The client stays in the kernel's queue; asking
                // again at once would burn a core: wait until somebody leaves.
                Err(error) if no_descriptor(&error) && !clients.is_empty() => {
                    accepting = false;
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error).during("accept", address),
            },
            Some(_) = clients.join_next() => accepting = true,
            () = signal.came() => break,
        }
    }

    // Several of the three may have been ready, and `select!` takes any one of them: clients
    // that came before the signal may still be in the queue. They are served too.
    for _ in 0..=QUEUE {
        select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => drop(clients.spawn(serve_one(connection))),
                Err(error) if is_passing(&error) => {}
                Err(_) => break,
            },
            () = future::ready(()) => break,
        }
    }

    // From here on new clients are refused. Those who are there may finish.
    drop(listener);
    while clients.try_join_next().is_some() {}
    say!("Closing: no new clients; waiting for the others to finish")?;
    let drain = Duration::from_millis(arguments.drain_ms.into());
    let all = async { while clients.join_next().await.is_some() {} };
    if time::timeout(drain, all).await.is_err() {
        let object = format!("for clients ({} left)", clients.len());
        let reason = format!("not finished within {} ms", arguments.drain_ms);
        return Err(Failure::new("wait", object, &reason, "they are cut off"));
    }
    say!("All have finished")
}

async fn serve_one(connection: TcpStream) {
    // A client that resets its connection, or is gone, is no failure of ours.
    let _ = echo(connection).await;
}

/// It reads like the thread of lesson 12. But where that one waits in a call, this function is
/// left at `await`, and the thread serves others until there is something for it.
async fn echo(mut connection: TcpStream) -> io::Result<()> {
    // It lives as long as the client: this is what even a silent client costs in memory.
    let mut buffer = vec![0; 16384];
    loop {
        let length = connection.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        // As long as this waits for room we do not receive: backpressure (lesson 8).
        connection.write_all(&buffer[..length]).await?;
    }
}

/// A client was gone before accept(2). Linux does not report that; other systems do.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}

/// `EMFILE`: this process has as many as it may (`ulimit -n`). `ENFILE`: the machine has.
fn no_descriptor(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// SIGINT and SIGTERM. A second signal ends the process at once.
#[cfg(unix)]
struct Signal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signal {
    fn new() -> Result<Self, Failure> {
        use signal_hook::flag;
        use tokio::signal::unix::{SignalKind, signal};

        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let second = std::sync::Arc::default();
        for kind in kinds {
            let number = kind.as_raw_value();
            flag::register_conditional_default(number, std::sync::Arc::clone(&second))
                .and_then(|_| flag::register(number, std::sync::Arc::clone(&second)))
                .during("sigaction", "SIGINT and SIGTERM")?;
        }
        let [interrupt, terminate] = kinds.map(signal);
        Ok(Self {
            interrupt: interrupt.during("sigaction", "SIGINT")?,
            terminate: terminate.during("sigaction", "SIGTERM")?,
        })
    }

    async fn came(&mut self) {
        select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C, where there are no signals.
#[cfg(not(unix))]
struct Signal;

#[cfg(not(unix))]
impl Signal {
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn came(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Sends back what its clients send. One thread serves them all, with tokio.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-tokio            listen on localhost, port 12345, for this machine only
  tcp-server-tokio --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-tokio -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
