//! Replies to lines, and ends without losing one: one loop around poll(2), in which the
//! signal is one more thing that may come.

#[cfg(not(unix))]
fn main() -> std::io::Result<()> {
    Err(std::io::Error::other("there is no poll(2) here"))
}

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    unix::serve()
}

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::{consts::SIGTERM, low_level::pipe};

    pub(super) fn serve() -> io::Result<()> {
        let number =
            |name| std::env::var(name).ok().and_then(|it| it.parse::<u16>().ok());
        let port = number("PORT");
        // How long the last clients may take.
        let grace = Duration::from_secs(number("GRACE").unwrap_or(10).into());
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
        listener.set_nonblocking(true)?;
        // The signal leaves a byte in this socket.
        let (signal, end) = UnixStream::pair()?;
        pipe::register(SIGTERM, end)?;
        let mut server = Server { clients: Vec::new(), served: 0 };
        loop {
            let [signalled, _] = server.wait([&signal, &listener], None)?;
            server.accept_all(&listener)?;
            if signalled {
                break;
            }
        }
        // The queue is empty, so this resets nobody.
        drop(listener);
        let until = Instant::now() + grace;
        server.clients.retain_mut(|client| client.finish(&mut server.served));
        while !server.clients.is_empty() && Instant::now() < until {
            server.wait([], Some(until))?;
        }
        writeln!(io::stdout(), "served {}", server.served)
    }

    struct Server {
        clients: Vec<Client>,
        served: usize,
    }

    impl Server {
        /// Waits until something comes, and serves the clients that it comes from. Returns
        /// which of the other sources it came from.
        fn wait<const N: usize>(
            &mut self,
            others: [&dyn std::os::fd::AsFd; N],
            until: Option<Instant>,
        ) -> io::Result<[bool; N]> {
            let others = others
                .iter()
                .map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN));
            let clients = self.clients.iter().map(Client::wants);
            let mut wanted: Vec<PollFd<'_>> = others.chain(clients).collect();
            let left = until.map(|it| it.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut wanted, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => return Ok([false; N]),
                result => result?,
            };
            let ready: Vec<bool> =
                wanted.iter().map(|it| !it.revents().is_empty()).collect();
            let mut of_clients = ready[N..].iter();
            let served = &mut self.served;
            self.clients.retain_mut(|client| {
                of_clients.next() != Some(&true) || client.turn(served).unwrap_or(false)
            });
            Ok(std::array::from_fn(|at| ready[at]))
        }

        fn accept_all(&mut self, listener: &TcpListener) -> io::Result<()> {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true)?;
                let (line, unsent) = (Vec::new(), Vec::new());
                self.clients.push(Client { stream, line, unsent, finishing: false });
            }
            Ok(())
        }
    }

    struct Client {
        stream: TcpStream,
        /// The beginning of a line.
        line: Vec<u8>,
        unsent: Vec<u8>,
        /// Whether lines are no longer replied to.
        finishing: bool,
    }

    impl Client {
        fn wants(&self) -> PollFd<'_> {
            let full = !self.unsent.is_empty();
            PollFd::new(&self.stream, if full { PollFlags::OUT } else { PollFlags::IN })
        }

        /// Sends what is left, or reads what has come. Returns false if the client has
        /// gone.
        fn turn(&mut self, served: &mut usize) -> io::Result<bool> {
            match self.step(served) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
                result => result,
            }
        }

        fn step(&mut self, served: &mut usize) -> io::Result<bool> {
            if !self.unsent.is_empty() {
                let sent = self.stream.write(&self.unsent)?;
                self.unsent.drain(..sent);
                if self.finishing && self.unsent.is_empty() {
                    self.stream.shutdown(Shutdown::Write)?;
                }
                return Ok(true);
            }
            let mut buffer = [0; 4096];
            let length = self.stream.read(&mut buffer)?;
            if !self.finishing {
                self.reply(&buffer[..length], served);
                if !self.unsent.is_empty() {
                    return self.step(served);
                }
            }
            Ok(length > 0)
        }

        fn reply(&mut self, bytes: &[u8], served: &mut usize) {
            for byte in bytes {
                self.line.push(*byte);
                if *byte == b'\n' {
                    self.unsent.extend_from_slice(b"done ");
                    self.unsent.append(&mut self.line);
                    *served += 1;
                }
            }
        }

        /// Replies to everything that has come and ends our stream, but keeps the
        /// connection: closing it with bytes unread would reset it. Returns false if the
        /// client has gone.
        fn finish(&mut self, served: &mut usize) -> bool {
            let mut buffer = [0; 4096];
            loop {
                match self.stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => self.reply(&buffer[..length], served),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return false,
                }
            }
            self.finishing = true;
            match self.unsent.is_empty() {
                true => self.stream.shutdown(Shutdown::Write).is_ok(),
                false => self.turn(served).unwrap_or(false),
            }
        }
    }
}
