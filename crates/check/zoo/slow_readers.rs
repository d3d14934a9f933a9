//! Lesson 12's server for slow readers, and lesson 13's for a crowd: one loop around poll(2).

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
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use crate::{Flaw, tcp_listener};

    pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
        let listener = tcp_listener(flaw)?;
        match () {
            () if flaw.is("thread-each") => threads(flaw, &listener),
            () if flaw.is("pool-8") => pool(flaw, listener),
            #[cfg(target_os = "linux")]
            () if flaw.is("edge-triggered") => edges(flaw, &listener),
            () => polls(flaw, &listener),
        }
    }

    const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

    struct Client {
        stream: TcpStream,
        unsent: Vec<u8>,
        /// It has sent something.
        served: bool,
        /// A buffer of its own, for the flaw of that name.
        _own: Vec<u8>,
    }

    fn polls(flaw: &Flaw, listener: &TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let mut clients: Vec<Client> = Vec::new();
        let (mut leaked, mut kept) = (Vec::new(), Vec::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let full = flaw.is("low-limit") && clients.len() >= 300;
            let wants = |client: &Client| match client.unsent.is_empty() {
                // There is always room.
                true if flaw.is("asks-for-room") && client.served => {
                    PollFlags::IN | PollFlags::OUT
                }
                true => PollFlags::IN,
                false if reads_ahead(flaw, client) => PollFlags::IN | PollFlags::OUT,
                false => PollFlags::OUT,
            };
            let mut wanted: Vec<PollFd<'_>> =
                clients.iter().map(|it| PollFd::new(&it.stream, wants(it))).collect();
            if !full {
                wanted.push(PollFd::new(listener, PollFlags::IN));
            }
            let any_unsent = clients.iter().any(|it| !it.unsent.is_empty());
            let at_once = flaw.is("tries-again") && any_unsent;
            poll(&mut wanted, at_once.then_some(&AT_ONCE))?;
            let ready: Vec<bool> =
                wanted.iter().map(|it| !it.revents().is_empty()).collect();
            let mut left = Vec::new();
            for (at, client) in
                clients.iter_mut().enumerate().filter(|(at, _)| ready[*at])
            {
                match turn(flaw, client, &mut buffer) {
                    Ok(true) => {}
                    Ok(false) => left.push((at, false)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) if flaw.is("reset-ends") => return Err(error),
                    Err(_) => left.push((at, true)),
                }
            }
            for (at, is_reset) in left.into_iter().rev() {
                let mut client = clients.swap_remove(at);
                if flaw.is("leaks-reset") && is_reset {
                    leaked.push(client);
                    continue;
                }
                if flaw.is("keeps-all") {
                    client.stream.set_nonblocking(false)?;
                    let _ = client.stream.write_all(&client.unsent);
                }
                if flaw.is("keeps-buffers") {
                    kept.push(vec![1_u8; 64 * 1024]);
                }
                if flaw.is("leaks") || flaw.is("never-ends") {
                    if flaw.is("leaks") {
                        let _ = client.stream.shutdown(Shutdown::Write);
                    }
                    leaked.push(client);
                }
            }
            while let Some(Ok((stream, _))) = (!full).then(|| listener.accept()) {
                stream.set_nonblocking(!flaw.is("blocking-writes"))?;
                let own = if flaw.is("buffer-each") { 64 * 1024 } else { 0 };
                let (unsent, served, _own) = (Vec::new(), false, vec![1; own]);
                clients.push(Client { stream, unsent, served, _own });
            }
        }
    }

    /// Whether more is read while something is unsent. Who does so must not forget it when
    /// the stream ends.
    fn reads_ahead(flaw: &Flaw, client: &Client) -> bool {
        let room = client.unsent.len() < 64 * 1024;
        flaw.is("keeps-all") || flaw.is("end-drops-unsent") && room
    }

    /// Echoes one piece from one client. Returns false if its stream has ended.
    fn turn(flaw: &Flaw, client: &mut Client, buffer: &mut [u8]) -> io::Result<bool> {
        if flaw.is("blocking-writes") {
            let length = client.stream.read(buffer)?;
            client.stream.write_all(&buffer[..length])?;
            return Ok(length > 0);
        }
        if !client.unsent.is_empty() && reads_ahead(flaw, client) {
            let sent = client.stream.write(&client.unsent).unwrap_or(0);
            client.unsent.drain(..sent);
        } else if !client.unsent.is_empty() {
            let unsent = std::mem::take(&mut client.unsent);
            send(flaw, client, &unsent)?;
            return Ok(true);
        }
        let length = client.stream.read(buffer)?;
        client.served = true;
        if length >= 1024 && flaw.is("stays") {
            let first = buffer[..length].to_vec();
            return stay(client, &first, buffer);
        }
        if client.unsent.is_empty() {
            send(flaw, client, &buffer[..length])?;
        } else {
            client.unsent.extend_from_slice(&buffer[..length]);
        }
        Ok(length > 0)
    }

    /// Serves one client until it has left.
    fn stay(client: &mut Client, first: &[u8], buffer: &mut [u8]) -> io::Result<bool> {
        client.stream.set_nonblocking(false)?;
        client.stream.write_all(first)?;
        loop {
            let length = client.stream.read(buffer)?;
            if length == 0 {
                return Ok(false);
            }
            client.stream.write_all(&buffer[..length])?;
        }
    }

    fn send(flaw: &Flaw, client: &mut Client, bytes: &[u8]) -> io::Result<()> {
        let sent = match client.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result?,
        };
        if !flaw.is("drops-rest") {
            client.unsent = bytes[sent..].to_vec();
        }
        Ok(())
    }

    /// Is told once of what comes, and reads once.
    #[cfg(target_os = "linux")]
    fn edges(flaw: &Flaw, listener: &TcpListener) -> io::Result<()> {
        use rustix::event::epoll::{self, EventData, EventFlags};

        const LISTENER: u64 = u64::MAX;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut clients: Vec<Option<Client>> = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let mut events = Vec::with_capacity(64);
            epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
            for event in events {
                let place = event.data.u64();
                if place == LISTENER {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    let data = EventData::new_u64(clients.len() as u64);
                    let both = EventFlags::IN | EventFlags::OUT;
                    epoll::add(&epoll, &stream, data, both | EventFlags::ET)?;
                    let (unsent, served, _own) = (Vec::new(), false, Vec::new());
                    clients.push(Some(Client { stream, unsent, served, _own }));
                    continue;
                }
                let own = &mut clients[place as usize];
                let Some(client) = own else { continue };
                match turn(flaw, client, &mut buffer) {
                    Ok(true) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    _ => *own = None,
                }
            }
        }
    }

    fn echo(mut stream: &TcpStream) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..length])?;
        }
    }

    fn threads(_flaw: &Flaw, listener: &TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            let serve = move || drop(echo(&stream));
            // If there are too many threads already, drop the client.
            drop(thread::Builder::new().stack_size(64 * 1024).spawn(serve));
        }
    }

    fn pool(_flaw: &Flaw, listener: TcpListener) -> io::Result<()> {
        let listener = Arc::new(Mutex::new(listener));
        for _ in 0..8 {
            let listener = Arc::clone(&listener);
            thread::spawn(move || {
                while let Ok(next) = listener.lock().map(|it| it.accept()) {
                    let _ = next.and_then(|(stream, _)| echo(&stream));
                }
            });
        }
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
}
