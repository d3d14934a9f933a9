//! Echoes the streams of many clients in one thread, with as few calls and as little memory as
//! it can: the last rung. Each of its habits was measured against going without it.
//!
//! It belongs to lesson 15, `lessons/15-measuring`. Run it:
//! `cargo run -q --release --bin tcp-server-fast`, and point `load` at it.

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
    use std::io;
    use std::mem;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use common::{During, Failure, internet_address, say};
    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    const LISTENER: u64 = u64::MAX;
    const SIGNAL: u64 = u64::MAX - 1;
    /// One buffer, for all clients. Large reads win where much is sent, but a piece that is too
    /// large is back in memory before it is sent, and its sender waits for the first byte.
    const BUFFER: usize = 96 * 1024;
    /// How many pieces a client may have in a turn.
    const TURN: usize = 10;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        let address = arguments.address.resolve()?;
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;
        listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        if arguments.share_port {
            // A server for each core, on the same port: the kernel deals the clients out.
            listener.set_reuse_port(true).during("setsockopt", "SO_REUSEPORT")?;
        }
        // Connections inherit it from the listener: no call for each.
        listener.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
        listener.bind(&address.into()).during("bind", address)?;
        listener.listen(4096).during("listen", address)?;
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
            clients: Vec::new(),
            count: 0,
            spin: Duration::from_micros(arguments.spin_us.into()),
            lively: false,
            unsent: HashMap::new(),
            unfinished: Vec::new(),
            buffer: vec![0; BUFFER],
        };
        server.watch_listener()?;
        epoll::add(&server.epoll, &signal, EventData::new_u64(SIGNAL), EventFlags::IN)
            .map_err(io::Error::from)
            .during("epoll_ctl", "the signal")?;
        let port = internet_address(&local_address)?.port();
        say!("Server is listening on port {port}...")?;

        let mut events: Vec<Event> = Vec::with_capacity(512);
        let mut deadline: Option<Instant> = None;
        while server.listener.is_some() || server.count > 0 {
            let hurry = !server.unfinished.is_empty();
            let left = match deadline {
                _ if hurry => Some(Duration::ZERO),
                Some(end) => Some(end.saturating_duration_since(Instant::now())),
                None => None,
            };
            match server.wait(&mut events, left) {
                Ok(0) if !hurry => {
                    let object = format!("for clients ({} left)", server.count);
                    let reason = format!("not finished within {} ms", arguments.drain_ms);
                    let advice = "they are cut off";
                    return Err(Failure::new("wait", object, &reason, advice));
                }
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()).during("epoll_wait", "events"),
            }
            let unfinished = mem::take(&mut server.unfinished);
            for event in &events {
                match event.data.u64() {
                    LISTENER => server.accept_all()?,
                    SIGNAL => {
                        epoll::delete(&server.epoll, &signal)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "the signal")?;
                        server.listener = None;
                        say!(
                            "Closing: no new clients; waiting for the others to finish"
                        )?;
                        let drain = Duration::from_millis(arguments.drain_ms.into());
                        deadline = Some(Instant::now() + drain);
                    }
                    client => {
                        let flags = event.flags;
                        if flags.contains(EventFlags::ERR) {
                            // A reset: there is nobody to answer.
                            server.leave(client as usize)?;
                        } else {
                            let ending = flags.contains(EventFlags::RDHUP);
                            server.serve(client as usize, ending)?;
                        }
                    }
                }
            }
            // After the events: a client that leaves here frees its descriptor for another,
            // and an event of the old one must not be taken for one of the new one.
            for (client, ending) in unfinished {
                server.serve(client, ending)?;
            }
        }
        say!("All have finished")
    }

    struct Server {
        epoll: OwnedFd,
        listener: Option<Socket>,
        accepting: bool,
        /// By file descriptor, which is a small number: four bytes for each client. Everything
        /// else there is to know about an idle client, the kernel knows.
        clients: Vec<Option<OwnedFd>>,
        count: usize,
        /// How long to look for the next event before going to sleep.
        spin: Duration,
        /// Whether the last event came soon after the one before.
        lively: bool,
        /// What did not fit, for the few clients that have any such.
        unsent: HashMap<usize, Vec<u8>>,
        /// Clients whose turn was over before their bytes were, and whether they are ending.
        unfinished: Vec<(usize, bool)>,
        buffer: Vec<u8>,
    }

    /// The flag says it for one call; O_NONBLOCK would say it for all.
    const NOT_WAITING: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

    /// What came of one recv(2) and its send(2).
    enum Echo {
        /// This many bytes went back.
        All(usize),
        /// Not all of them fit.
        Part,
        /// There was nothing to receive.
        NotNow,
        Interrupted,
        /// The end of the stream, or a reset.
        Over,
    }

    enum Turn {
        Waits,
        Unfinished,
        Over,
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

        fn accept_all(&mut self) -> Result<(), Failure> {
            let edges =
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            while let Some(listener) = self.listener.as_ref().filter(|_| self.accepting) {
                match accept_with(listener, SocketFlags::CLOEXEC) {
                    Ok(socket) => {
                        let client = socket.as_raw_fd().unsigned_abs() as usize;
                        if self.clients.len() <= client {
                            self.clients.resize_with(client + 1, || None);
                        }
                        self.clients[client] = Some(socket);
                        self.count += 1;
                        // Whoever connects most likely has something to say, and it is here
                        // already: answering before the kernel is asked to watch saves an
                        // event. What comes in between has its edge when it is added.
                        self.serve(client, false)?;
                        if let Some(socket) = &self.clients[client] {
                            let data = EventData::new_u64(client as u64);
                            epoll::add(&self.epoll, socket, data, edges)
                                .map_err(io::Error::from)
                                .during("epoll_ctl", "a client")?;
                        }
                    }
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(Errno::INTR | Errno::CONNABORTED) => {}
                    // No file descriptor is left: nobody is accepted until somebody leaves.
                    Err(Errno::MFILE | Errno::NFILE) if self.count > 0 => {
                        self.accepting = false;
                        epoll::delete(&self.epoll, listener)
                            .map_err(io::Error::from)
                            .during("epoll_ctl", "the listener")?;
                    }
                    Err(error) => return Err(error.into()).during("accept", "listener"),
                }
            }
            Ok(())
        }

        /// Waits for events, at most for `limit`, and returns how many there are.
        ///
        /// Falling asleep and being woken costs more than an echo, and whoever wakes us pays
        /// too. So while events follow each other closely, it first keeps looking for a moment.
        /// One moment in vain, and it sleeps: a quiet server uses no processor.
        fn wait(
            &mut self,
            events: &mut Vec<Event>,
            limit: Option<Duration>,
        ) -> Result<usize, Errno> {
            let look = |events: &mut Vec<Event>, limit: Option<Duration>| {
                events.clear();
                let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
                epoll::wait(&self.epoll, spare_capacity(events), limit.as_ref())
            };
            let now = Some(Duration::ZERO);
            let mut count = look(events, now)?;
            if count > 0 || limit == now {
                return Ok(count);
            }
            let start = Instant::now();
            while self.lively && count == 0 && start.elapsed() < self.spin {
                count = look(events, now)?;
            }
            if count == 0 {
                count = look(events, limit)?;
                self.lively = start.elapsed() < self.spin;
            }
            Ok(count)
        }

        fn serve(&mut self, client: usize, ending: bool) -> Result<(), Failure> {
            match self.take_turn(client, ending) {
                Turn::Waits => Ok(()),
                Turn::Unfinished => {
                    self.unfinished.push((client, ending));
                    Ok(())
                }
                Turn::Over => self.leave(client),
            }
        }

        /// close(2), which takes it out of the kernel's list too.
        fn leave(&mut self, client: usize) -> Result<(), Failure> {
            if self.clients.get_mut(client).is_some_and(|one| one.take().is_some()) {
                self.count -= 1;
                self.unsent.remove(&client);
            }
            self.watch_listener()
        }

        /// Echoes until the kernel says "not now", or the turn is over.
        fn take_turn(&mut self, client: usize, ending: bool) -> Turn {
            let Some(Some(socket)) = self.clients.get(client) else {
                // It left a moment ago.
                return Turn::Waits;
            };
            if !self.unsent.is_empty()
                && let Some(mut unsent) = self.unsent.remove(&client)
            {
                match send(socket, &unsent, NOT_WAITING) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => return Turn::Over,
                    Ok(sent) => drop(unsent.drain(..sent)),
                }
                if !unsent.is_empty() {
                    self.unsent.insert(client, unsent);
                    return Turn::Waits;
                }
            }
            for _ in 0..TURN {
                match self.echo(client) {
                    Echo::All(length) if length < BUFFER && !ending => {
                        return Turn::Waits;
                    }
                    Echo::All(_) | Echo::Interrupted => {}
                    Echo::NotNow | Echo::Part => return Turn::Waits,
                    Echo::Over => return Turn::Over,
                }
            }
            Turn::Unfinished
        }

        /// Receives once, and sends that back. What does not fit is kept.
        fn echo(&mut self, client: usize) -> Echo {
            let Some(Some(socket)) = self.clients.get(client) else {
                return Echo::Over;
            };
            let length = match recv(socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Echo::Over,
                Ok((length, _)) => length,
                Err(Errno::AGAIN) => return Echo::NotNow,
                Err(Errno::INTR) => return Echo::Interrupted,
                Err(_) => return Echo::Over,
            };
            let bytes = &self.buffer[..length];
            let sent = match send(socket, bytes, NOT_WAITING) {
                Err(Errno::AGAIN | Errno::INTR) => 0,
                Err(_) => return Echo::Over,
                Ok(sent) => sent,
            };
            if sent == length {
                return Echo::All(length);
            }
            self.unsent.insert(client, bytes[sent..].to_vec());
            Echo::Part
        }
    }

    /// As in lesson 13.
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
}

#[cfg(not(target_os = "linux"))]
fn serve(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let (reason, advice) = ("only Linux has epoll(7)", "try tcp-server-tokio");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back what its clients send, as fast as one thread can.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody is served"))]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// Let other servers listen on the same port (SO_REUSEPORT): start one for each core
    #[arg(long)]
    share_port: bool,

    /// How long to look for the next event before going to sleep, in microseconds; 0 to sleep
    /// at once
    #[arg(long, default_value_t = 50)]
    spin_us: u32,

    /// How long clients may take to finish after Ctrl-C, in milliseconds
    #[arg(long, default_value_t = 5000)]
    drain_ms: u32,
}

const EXAMPLES: &str = "\
Examples:
  tcp-server-fast                listen on localhost, port 12345, for this machine only
  tcp-server-fast --port 0       listen on any free port, and print which
  tcp-server-fast --share-port   start one for each core
Then, in another terminal: load
Through cargo: cargo run -q --release --bin tcp-server-fast -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
