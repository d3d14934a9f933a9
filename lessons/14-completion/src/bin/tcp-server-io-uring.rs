//! Echoes the streams of many clients in one thread: io_uring(7) makes the calls and reports
//! their results, many with one system call.
//!
//! It belongs to lesson 14, `lessons/14-completion`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-io-uring`, and connect twice.
#![allow(
    unsafe_code,
    reason = "the kernel works in our memory after the call has returned"
)]

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
    use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
    use std::collections::HashMap;
    use std::io::{self, ErrorKind};
    use std::mem;
    use std::net::Shutdown;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
    use std::time::{Duration, Instant};

    use common::{During, Failure, internet_address, say};
    use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
    use io_uring::{IoUring, cqueue, opcode, squeue};
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    /// What was asked, in the upper half of an entry's number; for whom, in the lower half.
    const ACCEPT: u64 = 1 << 32;
    const SIGNAL: u64 = 2 << 32;
    const RECEIVE: u64 = 3 << 32;
    const SEND: u64 = 4 << 32;
    const CANCEL: u64 = 5 << 32;
    /// No client has more than this waiting to be sent, except for what is on its way to us.
    const ENOUGH: usize = 65536;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        // As in lesson 13, up to the ring. No socket has O_NONBLOCK: the kernel waits, not we.
        let address = arguments.address.resolve()?;
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;
        listener.set_reuse_address(true).during("setsockopt", "SO_REUSEADDR")?;
        listener.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
        listener.bind(&address.into()).during("bind", address)?;
        listener.listen(1024).during("listen", address)?;
        let local_address = listener.local_addr().during("getsockname", address)?;
        let signal = on_signal()?;

        // Two queues in memory that the kernel and we share: what we ask for (submissions),
        // and what came of it (completions). The options say that one thread does both, and
        // that the kernel may do its part when that thread comes by.
        let ring = IoUring::builder()
            .setup_cqsize(4096)
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .build(512)
            .map_err(|error| refused(&error))?;
        let buffers = Buffers::new(&ring).map_err(|error| refused(&error))?;
        let mut server =
            Server { ring, buffers, listener, clients: HashMap::new(), accepting: false };
        server.accept()?;
        let wait = opcode::PollAdd::new(Fd(signal.as_raw_fd()), libc::POLLIN as u32);
        server.submit(wait.build().user_data(SIGNAL))?;
        let port = internet_address(&local_address)?.port();
        say!("Server is listening on port {port}...")?;

        let mut deadline: Option<Instant> = None;
        let mut completions = Vec::with_capacity(4096);
        while deadline.is_none() || !server.clients.is_empty() {
            // The only system call of the loop, io_uring_enter(2): it hands over all that we
            // have asked for since, and waits until something is done.
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if !server.enter(left).during("io_uring_enter", "the ring")? {
                let object = format!("for clients ({} left)", server.clients.len());
                let reason = format!("not finished within {} ms", arguments.drain_ms);
                return Err(Failure::new("wait", object, &reason, "they are cut off"));
            }
            completions.extend(server.ring.completion());
            for completion in completions.drain(..) {
                let client = completion.user_data() & (ACCEPT - 1);
                match completion.user_data() - client {
                    ACCEPT => server.accepted(&completion, deadline.is_some())?,
                    RECEIVE => server.received(client, &completion)?,
                    SEND => server.sent(client, completion.result())?,
                    SIGNAL => {
                        // From here on new clients are refused. Those who are there may
                        // finish. close(2) would not do: the ring holds the listener too.
                        let _ = server.listener.shutdown(Shutdown::Both);
                        say!(
                            "Closing: no new clients; waiting for the others to finish"
                        )?;
                        let drain = Duration::from_millis(arguments.drain_ms.into());
                        deadline = Some(Instant::now() + drain);
                    }
                    // A cancelled request completes by itself, which is what we wait for.
                    _ => {}
                }
            }
        }
        say!("All have finished")
    }

    /// A connection. The kernel may be at work for it in two ways: it receives into our
    /// buffers until we stop it, and it sends, one piece at a time.
    struct Client {
        socket: OwnedFd,
        receiving: bool,
        sending: Option<Piece>,
        /// What came while another piece was being sent.
        waiting: Vec<u8>,
        ended: bool,
    }

    /// The bytes that are being sent. They stay where they are until the kernel is done.
    enum Piece {
        /// In the buffer into which they were received.
        Received { buffer: u16, length: usize },
        /// They did not fit at once. They must not hold one of the buffers, which are for all.
        Kept(Vec<u8>),
    }

    struct Server {
        // Dropped first: with it every request ends, before the memory goes.
        ring: IoUring,
        buffers: Buffers,
        listener: Socket,
        clients: HashMap<u64, Client>,
        accepting: bool,
    }

    impl Server {
        /// Puts a request into the queue. Nothing happens before the next `enter`.
        fn submit(&mut self, entry: squeue::Entry) -> Result<(), Failure> {
            loop {
                // SAFETY: what the entry points to lives until its completion: the buffers as
                // long as the ring, a `Piece` in its client, who is not removed before.
                if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                    return Ok(());
                }
                // The queue is full.
                self.ring.submit().during("io_uring_enter", "the ring")?;
            }
        }

        /// False at the deadline.
        fn enter(&mut self, limit: Option<Duration>) -> io::Result<bool> {
            let timeout = limit.map(Timespec::from);
            let entered = match &timeout {
                Some(timeout) => {
                    let arguments = SubmitArgs::new().timespec(timeout);
                    self.ring.submitter().submit_with_args(1, &arguments)
                }
                None => self.ring.submit_and_wait(1),
            };
            match entered {
                Err(error) if error.raw_os_error() == Some(libc::ETIME) => Ok(false),
                // EBUSY: first take what is done.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
                Err(error) => Err(error),
                Ok(_) => Ok(true),
            }
        }

        /// One request, many completions: each is a client (multishot).
        fn accept(&mut self) -> Result<(), Failure> {
            self.accepting = true;
            let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd()))
                .flags(libc::SOCK_CLOEXEC);
            self.submit(accept.build().user_data(ACCEPT))
        }

        fn accepted(
            &mut self,
            done: &cqueue::Entry,
            closing: bool,
        ) -> Result<(), Failure> {
            self.accepting = cqueue::more(done.flags());
            let passing = [libc::ECANCELED, libc::ECONNABORTED, libc::EINTR];
            match done.result() {
                descriptor @ 0.. => {
                    // SAFETY: accept(2) has made it, and nobody else knows of it.
                    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
                    let client = Client {
                        socket,
                        receiving: false,
                        sending: None,
                        waiting: Vec::new(),
                        ended: false,
                    };
                    let id = descriptor.unsigned_abs().into();
                    self.clients.insert(id, client);
                    self.go_on(id)?;
                }
                _ if closing => return Ok(()),
                error if passing.contains(&-error) => {}
                // No file descriptor is left. The client stays in the kernel's queue; asking
                // again at once would burn a core: wait until somebody leaves.
                error
                    if [libc::EMFILE, libc::ENFILE].contains(&-error)
                        && !self.clients.is_empty() =>
                {
                    return Ok(());
                }
                error => {
                    let error = io::Error::from_raw_os_error(-error);
                    return Err(error).during("accept", "listener");
                }
            }
            if self.accepting || closing { Ok(()) } else { self.accept() }
        }

        /// Bytes have come, in a buffer that the kernel took from those we gave it.
        fn received(&mut self, id: u64, done: &cqueue::Entry) -> Result<(), Failure> {
            let Some(client) = self.clients.get_mut(&id) else {
                return Ok(());
            };
            client.receiving = cqueue::more(done.flags());
            match (done.result(), cqueue::buffer_select(done.flags())) {
                (length @ 1.., Some(buffer)) => {
                    let length = length.unsigned_abs() as usize;
                    if client.ended {
                        self.buffers.give_back(buffer);
                    } else if client.sending.is_none() && client.waiting.is_empty() {
                        // At once, and without waiting for room: it has to give the buffer
                        // back. Nothing is copied.
                        client.sending = Some(Piece::Received { buffer, length });
                        let from = self.buffers.bytes(buffer, length).as_ptr();
                        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                        let fd = Fd(client.socket.as_raw_fd());
                        let send =
                            opcode::Send::new(fd, from, length as u32).flags(flags);
                        self.submit(send.build().user_data(SEND | id))?;
                    } else {
                        client.waiting.extend(self.buffers.bytes(buffer, length));
                        self.buffers.give_back(buffer);
                        if client.waiting.len() > ENOUGH {
                            self.stop_receiving(id)?;
                        }
                    }
                }
                // Stopped by us, or every buffer was in use: it goes on later.
                (error, _) if [-libc::ECANCELED, -libc::ENOBUFS].contains(&error) => {}
                // End of stream, or a reset, which is no failure of ours.
                (result, _) => {
                    client.ended = true;
                    if result < 0 {
                        client.waiting.clear();
                    }
                }
            }
            self.go_on(id)
        }

        /// A piece is sent, or a part of it, or nothing.
        fn sent(&mut self, id: u64, result: i32) -> Result<(), Failure> {
            let Some(client) = self.clients.get_mut(&id) else {
                return Ok(());
            };
            let gone = match result {
                error if error == -libc::EAGAIN || error == -libc::EINTR => Some(0),
                result => usize::try_from(result).ok(),
            };
            match (client.sending.take(), gone) {
                (Some(Piece::Received { buffer, length }), Some(gone)) => {
                    let rest = &self.buffers.bytes(buffer, length)[gone.min(length)..];
                    client.waiting.splice(..0, rest.iter().copied());
                    let full = gone < length;
                    self.buffers.give_back(buffer);
                    // It does not fit. Until it does we do not receive from this client: its
                    // bytes pile up at its own end (lesson 8).
                    if full {
                        self.stop_receiving(id)?;
                    }
                }
                (Some(Piece::Kept(bytes)), Some(gone)) => {
                    client.waiting.splice(..0, bytes.into_iter().skip(gone));
                }
                // The connection is broken: nothing more can be sent.
                (piece, _) => {
                    if let Some(Piece::Received { buffer, .. }) = piece {
                        self.buffers.give_back(buffer);
                    }
                    client.ended = true;
                    client.waiting.clear();
                    self.stop_receiving(id)?;
                }
            }
            self.go_on(id)
        }

        fn stop_receiving(&mut self, id: u64) -> Result<(), Failure> {
            if self.clients.get(&id).is_some_and(|client| client.receiving) {
                let cancel = opcode::AsyncCancel::new(RECEIVE | id);
                self.submit(cancel.build().user_data(CANCEL))?;
            }
            Ok(())
        }

        /// Asks for what comes next for a client, or lets it go.
        fn go_on(&mut self, id: u64) -> Result<(), Failure> {
            let Some(client) = self.clients.get_mut(&id) else {
                return Ok(());
            };
            let fd = Fd(client.socket.as_raw_fd());
            if client.sending.is_some() {
                return Ok(());
            }
            if !client.waiting.is_empty() {
                // Here the kernel waits until there is room for all of it.
                let bytes = mem::take(&mut client.waiting);
                let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
                let length = bytes.len() as u32;
                let send = opcode::Send::new(fd, bytes.as_ptr(), length).flags(flags);
                client.sending = Some(Piece::Kept(bytes));
                return self.submit(send.build().user_data(SEND | id));
            }
            if client.receiving {
                return Ok(());
            }
            if !client.ended {
                // One request, many completions, each with a buffer of our group.
                client.receiving = true;
                let receive = opcode::RecvMulti::new(fd, Buffers::GROUP);
                return self.submit(receive.build().user_data(RECEIVE | id));
            }
            // The kernel has nothing left to do for it. Its descriptor is free.
            self.clients.remove(&id);
            if self.accepting { Ok(()) } else { self.accept() }
        }
    }

    /// Buffers for the kernel to receive into, and the ring by which it gets them back. They
    /// are for all clients: one who is silent has none.
    struct Buffers {
        memory: Vec<u8>,
        ring: *mut BufRingEntry,
        tail: u16,
    }

    impl Buffers {
        const GROUP: u16 = 0;
        const COUNT: u16 = 128;
        const LENGTH: usize = 16384;

        fn new(uring: &IoUring) -> io::Result<Self> {
            let size = usize::from(Self::COUNT) * size_of::<BufRingEntry>();
            let layout = Layout::from_size_align(size, 4096)
                .map_err(|_| ErrorKind::InvalidInput)?;
            // SAFETY: the size is not zero. The memory is never freed, so it outlives the ring.
            let ring: *mut BufRingEntry = unsafe { alloc_zeroed(layout) }.cast();
            if ring.is_null() {
                handle_alloc_error(layout);
            }
            // SAFETY: `COUNT` entries, aligned to a page, alive as long as the process.
            unsafe {
                uring.submitter().register_buf_ring_with_flags(
                    ring as u64,
                    Self::COUNT,
                    Self::GROUP,
                    0,
                )
            }?;
            let memory = vec![0; usize::from(Self::COUNT) * Self::LENGTH];
            let mut buffers = Self { memory, ring, tail: 0 };
            for buffer in 0..Self::COUNT {
                buffers.give_back(buffer);
            }
            Ok(buffers)
        }

        fn bytes(&self, buffer: u16, length: usize) -> &[u8] {
            let start = usize::from(buffer) * Self::LENGTH;
            &self.memory[start..start + length]
        }

        /// Lets the kernel have it again.
        fn give_back(&mut self, buffer: u16) {
            let start = usize::from(buffer) * Self::LENGTH;
            let address = (&raw mut self.memory[start]) as u64;
            // SAFETY: the count is a power of two, so the place is inside the ring; the kernel
            // does not look there before the tail says so.
            let entry =
                unsafe { &mut *self.ring.add((self.tail & (Self::COUNT - 1)).into()) };
            entry.set_addr(address);
            entry.set_len(Self::LENGTH as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            // SAFETY: the first entry holds the tail, which the kernel reads as an atomic.
            let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
            tail.store(self.tail, Ordering::Release);
        }
    }

    fn refused(error: &io::Error) -> Failure {
        let advice = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => {
                "a container or kernel.io_uring_disabled forbids it; try tcp-server-epoll"
            }
            _ => "it needs Linux 6.1; try tcp-server-epoll",
        };
        Failure::new("io_uring_setup", "the ring", &error.to_string(), advice)
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
    let (reason, advice) = ("only Linux has io_uring(7)", "try tcp-server-tokio");
    Err(common::Failure::new("serve", address, reason, advice))
}

/// Sends back what its clients send. One thread serves them all, with io_uring(7).
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
  tcp-server-io-uring            listen on localhost, port 12345, for this machine only
  tcp-server-io-uring --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-io-uring -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
