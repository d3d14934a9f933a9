//! Lesson 12's server, which loses nothing.

#[cfg(not(unix))]
pub(crate) fn run(_flaw: &crate::Flaw) -> std::io::Result<()> {
    Err(std::io::Error::other("there is no poll(2) here"))
}

#[cfg(unix)]
pub(crate) use unix::run;

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::consts::SIGTERM;

    use crate::{Flaw, tcp_listener};

    struct Client {
        stream: TcpStream,
        line: Vec<u8>,
        /// Whether our stream to it has ended: what still comes is discarded.
        finished: bool,
    }

    pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
        let listener = tcp_listener(flaw)?;
        listener.set_nonblocking(true)?;
        let (signal, end) = UnixStream::pair()?;
        if !flaw.is("no-handler") {
            signal_hook::low_level::pipe::register(SIGTERM, end)?;
        }
        let mut listener = Some(listener);
        let mut clients: Vec<Client> = Vec::new();
        let (mut served, mut until) = (0_usize, None::<Instant>);
        let grace = std::env::var("GRACE").ok().and_then(|it| it.parse().ok());
        let grace = Duration::from_secs(grace.unwrap_or(10));
        let grace = match () {
            () if flaw.is("short-grace") => grace / 100,
            () if flaw.is("long-grace") => 4 * grace,
            () => grace,
        };
        while until.is_none() || !clients.is_empty() {
            let mut wanted: Vec<PollFd<'_>> =
                clients.iter().map(|it| PollFd::new(&it.stream, PollFlags::IN)).collect();
            if until.is_none() {
                wanted.push(PollFd::new(&signal, PollFlags::IN));
            }
            if let Some(listener) = &listener {
                wanted.push(PollFd::new(listener, PollFlags::IN));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.filter(|_| !flaw.is("waits-for-ever"));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut wanted, left.as_ref()) {
                Ok(0) => break,
                Err(rustix::io::Errno::INTR) => continue,
                result => result?,
            };
            let ready: Vec<bool> =
                wanted.iter().map(|it| !it.revents().is_empty()).collect();
            let signalled = until.is_none() && ready[clients.len()];
            if signalled && flaw.is("dies-at-once") {
                return report(served);
            }
            let mut at = 0;
            clients.retain_mut(|client| {
                at += 1;
                !ready[at - 1] || client.turn(flaw, &mut served).unwrap_or(false)
            });
            if let Some(listener) = &listener
                && !(signalled && flaw.is("drops-queue"))
            {
                accept(listener, &mut clients);
            }
            if signalled {
                until = Some(Instant::now() + grace);
                if !flaw.is("keeps-listening") {
                    listener = None;
                }
                clients.retain_mut(|client| client.finish(flaw, grace, &mut served));
            }
        }
        match flaw.is("says-nothing") {
            true => Ok(()),
            false => report(served),
        }
    }

    fn report(served: usize) -> io::Result<()> {
        println!("served {served}");
        Ok(())
    }

    fn accept(listener: &TcpListener, clients: &mut Vec<Client>) {
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                clients.push(Client { stream, line: Vec::new(), finished: false });
            }
        }
    }

    impl Client {
        /// Returns false if the client has gone.
        fn turn(&mut self, flaw: &Flaw, served: &mut usize) -> io::Result<bool> {
            let mut buffer = vec![0; if flaw.is("one-read") { 256 } else { 65_536 }];
            let length = self.stream.read(&mut buffer)?;
            if length == 0 || self.finished {
                return Ok(length > 0);
            }
            let mut replies = Vec::new();
            for byte in &buffer[..length] {
                self.line.push(*byte);
                if *byte == b'\n' {
                    replies.extend_from_slice(b"done ");
                    replies.append(&mut self.line);
                    *served += 1;
                }
            }
            if flaw.is("counts-pieces") && !replies.is_empty() {
                *served -= replies.iter().filter(|it| **it == b'\n').count() - 1;
            }
            if flaw.is("pieces") {
                replies = [b"done ", &buffer[..length]].concat();
            }
            // Replies are small, so do not wait here for those that do not fit.
            self.stream.set_nonblocking(false)?;
            self.stream.write_all(&replies)?;
            self.stream.set_nonblocking(true)?;
            Ok(true)
        }

        /// Handles the signal. Returns false if nothing more is to be done for this client.
        fn finish(&mut self, flaw: &Flaw, grace: Duration, served: &mut usize) -> bool {
            loop {
                match self.turn(flaw, served) {
                    Ok(true) if flaw.is("one-read") => break,
                    Ok(true) => {}
                    Ok(false) => return false,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return false,
                }
            }
            self.finished = true;
            let _ = self.stream.shutdown(Shutdown::Write);
            if flaw.is("handler-waits") {
                // Until this client has ended its stream, nobody else is finished.
                let _ = self.stream.set_nonblocking(false);
                let _ = self.stream.set_read_timeout(Some(grace));
                while self.stream.read(&mut [0; 256]).is_ok_and(|length| length > 0) {}
                return false;
            }
            !flaw.is("closes-at-once")
        }
    }
}
