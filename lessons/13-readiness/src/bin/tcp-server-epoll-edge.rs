//! Echoes the streams of many clients in one thread: edge-triggered epoll(7) reports only changes.
//!
//! It belongs to lesson 13, `lessons/13-readiness`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-epoll-edge`, and connect twice.

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
        // As in tcp-server-epoll, up to the instance of epoll.
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

        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .during("epoll_create1", "EPOLL_CLOEXEC")?;
        let mut server = Server {
            epoll,
            listener: Some(listener),
            accepting: false,
            clients: HashMap::new(),
            unfinished: Vec::new(),
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
            // A client whose turn was cut short is still ready, and no edge will say so.
            // With such a client this call does not wait: it only looks who else is there.
            events.clear();
            let left = match deadline {
                _ if !server.unfinished.is_empty() => Some(Duration::ZERO),
                Some(end) => Some(end.saturating_duration_since(Instant::now())),
                None => None,
            };
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let room = spare_capacity(&mut events);
            match epoll::wait(&server.epoll, room, timeout.as_ref()) {
                Ok(0) if server.unfinished.is_empty() => {
                    return Err(arguments.cut_off(server.clients.len()));
                }
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()).during("epoll_wait", "events"),
            }
            for id in mem::take(&mut server.unfinished) {
                server.serve(id, false)?;
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
                    client => {
                        let over = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                        let flags = event.flags;
                        server.serve(client, flags.intersects(over))?;
                    }
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
        unfinished: Vec<u64>,
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
                        // Registered once: bytes have come, there is room again, the stream
                        // has ended. Each is reported when it *becomes* so (EPOLLET).
                        let edges = EventFlags::IN
                            | EventFlags::OUT
                            | EventFlags::RDHUP
                            | EventFlags::ET;
                        epoll::add(&self.epoll, &socket, data, edges)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "a client")?;
                        let new = Client { socket, unsent: Vec::new(), ending: false };
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

        /// Something changed for a client. `ending`: its stream has an end, or an error.
        fn serve(&mut self, id: u64, ending: bool) -> Result<(), Failure> {
            // An event may be for a client that left a moment ago, whose descriptor is now
            // another's: then the calls say EAGAIN, and nothing is lost.
            let Some(client) = self.clients.get_mut(&id) else {
                return Ok(());
            };
            client.ending |= ending;
            match client.take_turn(&mut self.buffer) {
                Turn::Waits => Ok(()),
                Turn::Unfinished => {
                    self.unfinished.push(id);
                    Ok(())
                }
                Turn::Over => {
                    // close(2) takes it out of the kernel's list too. Its descriptor is free.
                    self.clients.remove(&id);
                    self.watch_listener()
                }
            }
        }
    }

    /// How a client's turn ended.
    enum Turn {
        /// The kernel has nothing for us, or no room: the next edge will tell.
        Waits,
        /// There is more, but others are waiting.
        Unfinished,
        /// The connection is over.
        Over,
    }

    /// A connection, what was received and could not be sent yet, and whether the kernel has
    /// reported the end of its stream.
    struct Client {
        socket: Socket,
        unsent: Vec<u8>,
        ending: bool,
    }

    impl Client {
        /// Goes on until the kernel says "not now": it does not tell twice. But not for
        /// ever: a client that sends without end would have the thread to itself.
        fn take_turn(&mut self, buffer: &mut [u8]) -> Turn {
            for _ in 0..16 {
                let turn = if self.unsent.is_empty() {
                    self.echo(buffer)
                } else {
                    let unsent = mem::take(&mut self.unsent);
                    self.send(&unsent)
                };
                match turn {
                    Ok(Turn::Unfinished) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Turn::Waits;
                    }
                    Ok(turn) => return turn,
                    // A reset, most likely, which is no failure of ours.
                    Err(_) => return Turn::Over,
                }
            }
            Turn::Unfinished
        }

        fn echo(&mut self, buffer: &mut [u8]) -> io::Result<Turn> {
            let length = self.socket.read(buffer)?;
            if length == 0 {
                return Ok(Turn::Over);
            }
            let turn = self.send(&buffer[..length])?;
            // Less than there was room for: the next read would say EAGAIN, and need not be
            // made (epoll(7)). But an end of stream that came together with these bytes had
            // its edge already: then only a read that gives 0 finds it.
            let drained = length < buffer.len() && !self.ending;
            Ok(if drained { Turn::Waits } else { turn })
        }

        /// Sends what the kernel has room for, and keeps the rest. Until that is gone we do
        /// not receive from this client: its bytes pile up at its own end (lesson 8).
        fn send(&mut self, bytes: &[u8]) -> io::Result<Turn> {
            let sent = match self.socket.write(bytes) {
                Err(error) if is_passing(error.kind()) => 0,
                result => result?,
            };
            self.unsent = bytes[sent..].to_vec();
            Ok(if sent < bytes.len() { Turn::Waits } else { Turn::Unfinished })
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

/// Sends back what its clients send. One thread serves them all, with edge-triggered epoll(7).
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
  tcp-server-epoll-edge            listen on localhost, port 12345, for this machine only
  tcp-server-epoll-edge --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-epoll-edge -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
