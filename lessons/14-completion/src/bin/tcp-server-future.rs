//! Echoes the streams of many clients in one thread: a task each, with futures and an executor
//! that are written here. What tokio does, in its smallest form.
//!
//! It belongs to lesson 14, `lessons/14-completion`, and is a rung of the ladder of lesson 15.
//! Run it: `cargo run -q --bin tcp-server-future`, and connect twice.

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
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;
    use std::future::poll_fn;
    use std::io::{self, ErrorKind, Read, Write};
    use std::mem;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::pin::Pin;
    use std::rc::Rc;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};

    use common::{During, Failure, internet_address, say};
    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use rustix::io::Errno;
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::{flag, low_level::pipe};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    pub(super) fn serve(arguments: &Arguments) -> Result<(), Failure> {
        // As in lesson 13, up to the executor.
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
        let port = internet_address(&local_address)?.port();
        say!("Server is listening on port {port}...")?;

        let shared = Rc::new(Shared::new().during("epoll_create1", "EPOLL_CLOEXEC")?);
        let mut executor = Executor::default();
        let accepting = executor.spawn(Box::pin(accept_all(shared.clone(), listener)));
        executor.spawn(Box::pin(wait_for(shared.clone(), signal)));
        let mut deadline: Option<Instant> = None;
        loop {
            executor.run_until_all_wait(&shared);
            if let Some(failure) = shared.failure.take() {
                return Err(failure);
            }
            if shared.closing.get() && deadline.is_none() {
                // Cancelling a task means dropping its future, and what that holds is dropped with
                // it: the listener. From here on new clients are refused.
                executor.tasks.remove(&accepting);
                say!("Closing: no new clients; waiting for the others to finish")?;
                let drain = Duration::from_millis(arguments.drain_ms.into());
                deadline = Some(Instant::now() + drain);
            }
            if deadline.is_some() && executor.tasks.is_empty() {
                return say!("All have finished");
            }
            // Nobody can go on: the only call that waits.
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            if !shared.wait(left).during("epoll_wait", "events")? {
                let object = format!("for clients ({} left)", executor.tasks.len());
                let reason = format!("not finished within {} ms", arguments.drain_ms);
                return Err(Failure::new("wait", object, &reason, "they are cut off"));
            }
        }
    }

    // The tasks. They read from top to bottom, as the threads of lesson 12 do.

    async fn accept_all(shared: Rc<Shared>, listener: Socket) {
        loop {
            match listener.accept() {
                Ok((socket, _)) => {
                    shared.clients.set(shared.clients.get() + 1);
                    shared.spawn(serve_one(shared.clone(), socket));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    shared.ready(listener.as_fd(), EventFlags::IN).await;
                }
                // A signal came, or a client was gone before accept(2) (Linux does not report
                // that).
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                    ) => {}
                // No file descriptor is left. The client stays in the kernel's queue; asking
                // again at once would burn a core: wait until somebody leaves.
                Err(error)
                    if matches!(error.raw_os_error(), Some(23 | 24))
                        && shared.clients.get() > 0 =>
                {
                    shared.departure().await;
                }
                Err(error) => {
                    let failure = Err::<(), _>(error).during("accept", "listener");
                    return shared.failure.set(failure.err());
                }
            }
        }
    }

    async fn serve_one(shared: Rc<Shared>, socket: Socket) {
        // A client that resets its connection, or is gone, is no failure of ours.
        let _ = echo(&shared, &socket).await;
        drop(socket);
        shared.departed();
    }

    async fn echo(shared: &Shared, socket: &Socket) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        // It lives as long as the client: this is what even a silent client costs in memory.
        let mut buffer = vec![0; 16384];
        loop {
            let length = shared.read(socket, &mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let mut left = &buffer[..length];
            while !left.is_empty() {
                let sent = shared.write(socket, left).await?;
                left = &left[sent..];
            }
        }
    }

    async fn wait_for(shared: Rc<Shared>, signal: UnixStream) {
        shared.ready(signal.as_fd(), EventFlags::IN).await;
        shared.closing.set(true);
    }

    // A future: something that can be asked "done?", and that wakes its task when it is worth
    // asking again.

    /// Done as soon as the kernel says that the descriptor is ready.
    struct Ready<'a> {
        shared: &'a Shared,
        descriptor: BorrowedFd<'a>,
        event: EventFlags,
        asked: bool,
    }

    impl Future for Ready<'_> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let key = key(self.descriptor);
            let mut waiting = self.shared.waiting.borrow_mut();
            if self.asked && !waiting.contains_key(&key) {
                // `Shared::wait` has taken the waker out: the event came.
                return Poll::Ready(());
            }
            waiting.insert(key, context.waker().clone());
            drop(waiting);
            if !mem::replace(&mut self.asked, true) {
                self.shared.ask(self.descriptor, self.event);
            }
            Poll::Pending
        }
    }

    /// Dropped before it was done, as in a task that is cancelled: nobody should be woken.
    impl Drop for Ready<'_> {
        fn drop(&mut self) {
            self.shared.waiting.borrow_mut().remove(&key(self.descriptor));
        }
    }

    fn key(descriptor: BorrowedFd<'_>) -> u64 {
        descriptor.as_raw_fd().unsigned_abs().into()
    }

    /// What the tasks and the executor share: who waits for which descriptor.
    struct Shared {
        epoll: OwnedFd,
        waiting: RefCell<HashMap<u64, Waker>>,
        events: RefCell<Vec<Event>>,
        spawned: RefCell<Vec<Task>>,
        clients: Cell<usize>,
        waits_for_departure: Cell<Option<Waker>>,
        closing: Cell<bool>,
        failure: Cell<Option<Failure>>,
    }

    impl Shared {
        fn new() -> io::Result<Self> {
            Ok(Self {
                epoll: epoll::create(CreateFlags::CLOEXEC)?,
                waiting: RefCell::default(),
                events: RefCell::new(Vec::with_capacity(256)),
                spawned: RefCell::default(),
                clients: Cell::new(0),
                waits_for_departure: Cell::new(None),
                closing: Cell::new(false),
                failure: Cell::new(None),
            })
        }

        fn spawn(&self, task: impl Future<Output = ()> + 'static) {
            self.spawned.borrow_mut().push(Box::pin(task));
        }

        fn ready<'a>(
            &'a self,
            descriptor: BorrowedFd<'a>,
            event: EventFlags,
        ) -> Ready<'a> {
            Ready { shared: self, descriptor, event, asked: false }
        }

        async fn read(
            &self,
            mut socket: &Socket,
            buffer: &mut [u8],
        ) -> io::Result<usize> {
            loop {
                match socket.read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.ready(socket.as_fd(), EventFlags::IN).await;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        }

        async fn write(&self, mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
            loop {
                match socket.write(bytes) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.ready(socket.as_fd(), EventFlags::OUT).await;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => return result,
                }
            }
        }

        /// Done as soon as a client has left. The smallest way to make a future: a function
        /// that is asked.
        async fn departure(&self) {
            let before = self.clients.get();
            poll_fn(|context| {
                if self.clients.get() < before {
                    return Poll::Ready(());
                }
                self.waits_for_departure.set(Some(context.waker().clone()));
                Poll::Pending
            })
            .await;
        }

        fn departed(&self) {
            self.clients.set(self.clients.get() - 1);
            if let Some(waker) = self.waits_for_departure.take() {
                waker.wake();
            }
        }

        /// Has the kernel watch for one event, once (EPOLLONESHOT).
        fn ask(&self, descriptor: BorrowedFd<'_>, event: EventFlags) {
            let data = EventData::new_u64(key(descriptor));
            let event = event | EventFlags::ONESHOT;
            let asked = match epoll::modify(&self.epoll, descriptor, data, event) {
                Err(Errno::NOENT) => epoll::add(&self.epoll, descriptor, data, event),
                result => result,
            };
            if let Err(error) = asked {
                let failure = Err::<(), _>(io::Error::from(error));
                self.failure.set(failure.during("epoll_ctl", "a socket").err());
            }
        }

        /// Waits for events, and wakes the tasks that wait for them. False at the deadline.
        fn wait(&self, limit: Option<Duration>) -> io::Result<bool> {
            let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
            let mut events = self.events.borrow_mut();
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref())
            {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
            for event in events.iter() {
                let waker = self.waiting.borrow_mut().remove(&event.data.u64());
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Ok(true)
        }
    }

    // The executor: asks every task that was woken, until none can go on.

    type Task = Pin<Box<dyn Future<Output = ()>>>;

    #[derive(Default)]
    struct Executor {
        tasks: HashMap<u64, (Task, Waker)>,
        woken: Arc<Mutex<Vec<u64>>>,
        next: u64,
    }

    impl Executor {
        fn spawn(&mut self, task: Task) -> u64 {
            self.next += 1;
            let waker = Arc::new(WakeTask { task: self.next, woken: self.woken.clone() });
            // Woken for the first time: nothing happens in a future before it is asked.
            waker.wake_by_ref();
            self.tasks.insert(self.next, (task, waker.into()));
            self.next
        }

        fn run_until_all_wait(&mut self, shared: &Shared) {
            loop {
                for task in shared.spawned.take() {
                    self.spawn(task);
                }
                let woken = mem::take(&mut *lock(&self.woken));
                if woken.is_empty() {
                    return;
                }
                for id in woken {
                    let Some((task, waker)) = self.tasks.get_mut(&id) else {
                        continue;
                    };
                    let mut context = Context::from_waker(waker);
                    if task.as_mut().poll(&mut context).is_ready() {
                        self.tasks.remove(&id);
                    }
                }
            }
        }
    }

    /// What a waker does: puts its task into the list of those to be asked.
    struct WakeTask {
        task: u64,
        woken: Arc<Mutex<Vec<u64>>>,
    }

    impl Wake for WakeTask {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            lock(&self.woken).push(self.task);
        }
    }

    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    let reason = "its executor waits with epoll(7), which only Linux has";
    Err(common::Failure::new("serve", address, reason, "try tcp-server-tokio"))
}

/// Sends back what its clients send. One thread serves them all, with an executor of its own.
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
  tcp-server-future            listen on localhost, port 12345, for this machine only
  tcp-server-future --port 0   listen on any free port, and print which
Then, in two terminals: tcp-client-both-ways
Through cargo: cargo run -q --bin tcp-server-future -- --port 0

Exit status:
  0  Ctrl-C or SIGTERM came, and every client finished
  1  it failed, or clients were cut off: one line on stderr says what, why, what to do next
  2  wrong command line
A second Ctrl-C ends it at once.";
