//! Echoes to a thousand clients in one thread: poll(2) says who has something.

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
    use std::net::{TcpListener, TcpStream};

    use rustix::event::{PollFd, PollFlags, poll};

    struct Client {
        stream: TcpStream,
        /// What it has not taken yet. As long as there is any, nothing more is read from it.
        unsent: Vec<u8>,
    }

    pub(super) fn serve() -> io::Result<()> {
        let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
        listener.set_nonblocking(true)?;
        let mut clients: Vec<Client> = Vec::new();
        // One buffer for all: who is silent needs none.
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut wanted: Vec<PollFd<'_>> = clients.iter().map(Client::wants).collect();
            wanted.push(PollFd::new(&listener, PollFlags::IN));
            poll(&mut wanted, None)?;
            let mut ready = wanted.iter().map(|it| !it.revents().is_empty());
            let of_clients: Vec<bool> = ready.by_ref().take(clients.len()).collect();
            let of_listener = ready.next() == Some(true);

            let mut of_clients = of_clients.into_iter();
            clients.retain_mut(|client| {
                of_clients.next() != Some(true) || client.turn(&mut buffer)
            });
            while let Some(Ok((stream, _))) = of_listener.then(|| listener.accept()) {
                stream.set_nonblocking(true)?;
                clients.push(Client { stream, unsent: Vec::new() });
            }
        }
    }

    impl Client {
        fn wants(&self) -> PollFd<'_> {
            let full = !self.unsent.is_empty();
            PollFd::new(&self.stream, if full { PollFlags::OUT } else { PollFlags::IN })
        }

        /// One piece, and then the others have their turn. False if it has left.
        fn turn(&mut self, buffer: &mut [u8]) -> bool {
            match self.piece(buffer) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
                }
            }
        }

        fn piece(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
            if !self.unsent.is_empty() {
                let sent = self.stream.write(&self.unsent)?;
                self.unsent.drain(..sent);
                // What is empty gives its memory back.
                if self.unsent.is_empty() {
                    self.unsent = Vec::new();
                }
                return Ok(true);
            }
            let length = self.stream.read(buffer)?;
            let sent = match self.stream.write(&buffer[..length]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            self.unsent = buffer[sent..length].to_vec();
            Ok(length > 0)
        }
    }
}
