//! Echoes the streams of many clients in one thread: epoll(7) remembers what we wait for.
//!
//! It belongs to lesson 13, `lessons/13-readiness`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-epoll`, and connect twice.

use std::process::ExitCode;

use clap::Parser;
use common::{Address, exit_code, parse_arguments};

fn main() -> ExitCode {
    exit_code(serve(&parse_arguments()))
}

#[cfg(target_os = "linux")]
use linux::serve;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashMap;
    use std::io::{self, ErrorKind, Read, Write};
    use std::mem;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use common::{During, Failure, internet_address, say};
    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use rustix::io::Errno;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    /// What epoll tells us with an event is a number of our choice. A client's is its file
    /// descriptor; these two are not descriptors.
    const LISTENER: u64 = u64::MAX;
    const SIGNAL: u64 = u64::MAX - 1;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        // As in tcp-server-poll, up to the instance of epoll.
        let address = arguments.address.resolve()?;
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;
        listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        listener.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
        listener.bind(&address.into()).during("bind", address)?;
        listener.listen(1024).during("listen", address)?;
        listener.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
        let local_address = listener.local_addr().during("getsockname", address)?;
        let signal = on_signal()?;

        // The list that tcp-server-poll hands over every time is kept by the kernel here.
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .during("epoll_create1", "EPOLL_CLOEXEC")?;
        let mut server = Server {
            epoll,
            listener: Some(listener),
            accepting: false,
            clients: HashMap::new(),
            buffer: vec![0; 65536],
        };
        server.watch_listener()?;
        epoll::add(&server.epoll, &signal, EventData::new_u64(SIGNAL), EventFlags::IN)
            .map_err(io::Error::from)
            .during("epoll_ctl", "the signal")?;
        let port = internet_address(&local_address)?.port();
        say!("Server is listening on port {port}...")?;

        let mut events = Vec::with_capacity(256);
        let mut deadline: Option<Instant> = None;
        while server.listener.is_some() || !server.clients.is_empty() {
            // The only call that waits. It returns only those that are ready, up to the
            // capacity of `events`; whoever finds no place there comes next time.
            events.clear();
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let room = spare_capacity(&mut events);
            match epoll::wait(&server.epoll, room, timeout.as_ref()) {
                Ok(0) => return Err(arguments.cut_off(server.clients.len())),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()).during("epoll_wait", "events"),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => server.accept_all()?,
                    SIGNAL => {
                        epoll::delete(&server.epoll, &signal)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "the signal")?;
                        // From here on new clients are refused. Those who are there may
                        // finish. close(2) takes the listener out of the kernel's list.
                        server.listener = None;
                        say!(
                            "Closing: no new clients; waiting for the others to finish"
                        )?;
                        let drain = Duration::from_millis(arguments.drain_ms.into());
                        deadline = Some(Instant::now() + drain);
                    }
                    client => server.serve(client)?,
                }
            }
        }
        say!("All have finished")
    }

    struct Server {
        epoll: OwnedFd,
        listener: Option<Socket>,
        accepting: bool,
        clients: HashMap<u64, Client>,
        buffer: Vec<u8>,
    }

    impl Server {
        fn watch_listener(&mut self) -> Result<(), Failure> {
            let Some(listener) = self.listener.as_ref().filter(|_| !self.accepting)
            else {
                return Ok(());
            };
            self.accepting = true;
            epoll::add(
                &self.epoll,
                listener,
                EventData::new_u64(LISTENER),
                EventFlags::IN,
            )
            .map_err(io::Error::from)
            .during("epoll_ctl", "the listener")
        }

        /// Takes every client from the kernel's queue.
        fn accept_all(&mut self) -> Result<(), Failure> {
            while let Some(listener) = self.listener.as_ref().filter(|_| self.accepting) {
                match listener.accept() {
                    Ok((socket, _)) => {
                        socket.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
                        let client = socket.as_raw_fd().unsigned_abs().into();
                        let data = EventData::new_u64(client);
                        epoll::add(&self.epoll, &socket, data, EventFlags::IN)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "a client")?;
                        let new = Client { socket, unsent: Vec::new() };
                        self.clients.insert(client, new);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if is_passing(error.kind()) => {}
                    // No file descriptor is left. The client stays in the queue, and the
                    // listener would be ready again and again: it is taken out of the list
                    // until somebody leaves.
                    Err(error)
                        if matches!(error.raw_os_error(), Some(23 | 24))
                            && !self.clients.is_empty() =>
                    {
                        self.accepting = false;
                        epoll::delete(&self.epoll, listener)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "the listener")?;
                    }
                    Err(error) => return Err(error).during("accept", "listener"),
                }
            }
            Ok(())
        }

        /// A client is ready: one piece, so that nobody who sends without end holds the
        /// others up for longer. What is left makes it ready again: level-triggered.
        fn serve(&mut self, id: u64) -> Result<(), Failure> {
            // An event may be for a client that left a moment ago, whose descriptor is now
            // another's: then the calls say EAGAIN, and nothing is lost.
            let Some(client) = self.clients.get_mut(&id) else {
                return Ok(());
            };
            let waited_for_room = !client.unsent.is_empty();
            if !client.take_turn(&mut self.buffer) {
                // close(2) takes it out of the kernel's list too. Its descriptor is free.
                self.clients.remove(&id);
                return self.watch_listener();
            }
            let waits_for_room = !client.unsent.is_empty();
            if waits_for_room == waited_for_room {
                return Ok(());
            }
            // Either bytes or room, never both. The kernel is told only if that changes.
            let flags = if waits_for_room { EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &client.socket, EventData::new_u64(id), flags)
                .map_err(io::Error::from)
                .during("epoll_ctl", "a client")
        }
    }

    /// A connection, and what was received and could not be sent yet.
    struct Client {
        socket: Socket,
        unsent: Vec<u8>,
    }

    impl Client {
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

    /// A socket that has something to read as soon as SIGINT or SIGTERM has come, for epoll
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

#[cfg(not(target_os = "linux"))]
fn serve(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("only Linux has epoll(7)", "try tcp-server-poll");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back what its clients send. One thread serves them all, with epoll(7).
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody is served"))]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-epoll            listen on localhost, port 12345, for this machine only
  tcp-server-epoll --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-epoll -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
