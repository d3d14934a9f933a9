//! Echoes the streams of many clients in one thread: poll(2) says whose socket is ready.
//!
//! It belongs to lesson 13, `lessons/13-readiness`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-poll`, and connect twice.

use std::process::ExitCode;

use clap::Parser;
use common::{Address, exit_code, parse_arguments};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

#[cfg(unix)]
use unix::serve;

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, Read, Write};
    use std::mem;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use common::{During, Failure, internet_address, say};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        // As in lesson 12, up to the loop.
        let address = arguments.address.resolve()?;
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;
        listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        listener.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
        listener.bind(&address.into()).during("bind", address)?;
        listener.listen(1024).during("listen", address)?;
        // No call on it waits from here on: with nobody in the queue accept(2) says EAGAIN.
        listener.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
        let local_address = listener.local_addr().during("getsockname", address)?;
        let signal = on_signal()?;
        let port = internet_address(&local_address)?.port();
        say!("Server is listening on port {port}...")?;

        let mut listener = Some(listener);
        let mut accepting = true;
        let mut clients: Vec<Client> = Vec::new();
        let mut buffer = vec![0; 65536];
        let mut deadline: Option<Instant> = None;
        while listener.is_some() || !clients.is_empty() {
            // What we wait for, listed anew every time: from each client either bytes or room,
            // never both; then the next client, or the signal to end.
            let mut wanted: Vec<PollFd<'_>> = clients.iter().map(Client::wants).collect();
            if let Some(listener) = &listener {
                wanted.push(PollFd::new(&signal, PollFlags::IN));
                if accepting {
                    wanted.push(PollFd::new(listener, PollFlags::IN));
                }
            }

            // The only call that waits. The kernel looks at every descriptor of the list.
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut wanted, timeout.as_ref()) {
                Ok(0) => return Err(arguments.cut_off(clients.len())),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()).during("poll", "all sockets"),
            }

            // And so must we: the answer stands beside each descriptor.
            let mut ready = wanted.iter().map(|fd| !fd.revents().is_empty());
            let ready_clients: Vec<bool> = ready.by_ref().take(clients.len()).collect();
            let (signalled, accept) = (ready.next(), ready.next());

            let before = clients.len();
            let mut ready_clients = ready_clients.into_iter();
            clients.retain_mut(|client| {
                let ready = ready_clients.next() == Some(true);
                !ready || client.take_turn(&mut buffer)
            });
            // A client that left has given a file descriptor back.
            accepting |= clients.len() < before;

            if accept == Some(true)
                && let Some(listener) = &listener
            {
                accepting = accept_all(listener, &mut clients)?;
            }
            if signalled == Some(true) {
                // From here on new clients are refused. Those who are there may finish.
                listener = None;
                say!("Closing: no new clients; waiting for the others to finish")?;
                let drain = Duration::from_millis(arguments.drain_ms.into());
                deadline = Some(Instant::now() + drain);
            }
        }
        say!("All have finished")
    }

    /// Takes every client from the kernel's queue. False if a client had to stay there
    /// because no file descriptor was left: the listener would be ready again and again, and
    /// the loop would burn a core. It is not asked until somebody leaves.
    fn accept_all(listener: &Socket, clients: &mut Vec<Client>) -> Result<bool, Failure> {
        loop {
            match listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
                    clients.push(Client { socket, unsent: Vec::new() });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if is_passing(error.kind()) => {}
                // EMFILE: this process has no descriptor left. ENFILE: the machine has none.
                Err(error)
                    if matches!(error.raw_os_error(), Some(23 | 24))
                        && !clients.is_empty() =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(error).during("accept", "listener"),
            }
        }
    }

    /// A connection, and what was received and could not be sent yet.
    struct Client {
        socket: Socket,
        unsent: Vec<u8>,
    }

    impl Client {
        fn wants(&self) -> PollFd<'_> {
            let room = !self.unsent.is_empty();
            PollFd::new(&self.socket, if room { PollFlags::OUT } else { PollFlags::IN })
        }

        /// One piece, so that nobody who sends without end holds the others up for longer.
        /// False if the connection is over, even by a reset, which is no failure of ours.
        fn take_turn(&mut self, buffer: &mut [u8]) -> bool {
            let turn = if self.unsent.is_empty() {
                self.echo(buffer)
            } else {
                let unsent = mem::take(&mut self.unsent);
                self.send(&unsent).map(|()| true)
            };
            turn.unwrap_or_else(|error| is_passing(error.kind()))
        }

        fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
            let length = self.socket.read(buffer)?;
            if length == 0 {
                // The end of the client's stream. Everything before it has been sent: as long
                // as something is unsent we do not come here.
                return Ok(false);
            }
            self.send(&buffer[..length])?;
            Ok(true)
        }

        /// Sends what the kernel has room for, and keeps the rest. Until that is gone we do
        /// not receive from this client: its bytes pile up at its own end (lesson 8).
        fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
            let sent = match self.socket.write(bytes) {
                Err(error) if is_passing(error.kind()) => 0,
                result => result?,
            };
            self.unsent = bytes[sent..].to_vec();
            Ok(())
        }
    }

    /// Not now (EAGAIN), a signal came (EINTR), or a client was gone before accept(2) (Linux
    /// does not report that; other systems say ECONNABORTED).
    fn is_passing(kind: ErrorKind) -> bool {
        use ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
        matches!(kind, ConnectionAborted | Interrupted | WouldBlock)
    }

    /// A socket that has something to read as soon as SIGINT or SIGTERM has come, for poll(2)
    /// to wait for among the others. A second signal ends the process at once.
    fn on_signal() -> Result<UnixStream, Failure> {
        let (signal, end) = UnixStream::pair().during("socketpair", "AF_UNIX")?;
        let second = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            let end = end.try_clone().during("dup", "AF_UNIX")?;
            flag::register_conditional_default(number, second.clone())
                .and_then(|_| flag::register(number, second.clone()))
                .and_then(|_| pipe::register(number, end))
                .during("sigaction", "SIGINT and SIGTERM")?;
        }
        Ok(signal)
    }

    impl Arguments {
        fn cut_off(&self, left: usize) -> Failure {
            let object = format!("for clients ({left} left)");
            let reason = format!("not finished within {} ms", self.drain_ms);
            Failure::new("wait", object, &reason, "they are cut off")
        }
    }
}

#[cfg(not(unix))]
fn serve(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("there is no poll(2) here", "try tcp-server-tokio");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back what its clients send. One thread serves them all, with poll(2).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    #[cfg_attr(not(unix), allow(dead_code, reason = "nobody is served there"))]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-poll            listen on localhost, port 12345, for this machine only
  tcp-server-poll --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-poll -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
