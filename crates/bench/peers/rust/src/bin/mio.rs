//! A peer: mio (edge-triggered epoll), one thread, one buffer. Its argument is the port.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    // Done by hand, for a backlog of 4096 as the rungs have: mio's own is shorter.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    listener.listen(4096)?;
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener.into());
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut clients: HashMap<Token, Client> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 65536];
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let client = clients.get_mut(&event.token());
                if client.is_some_and(|client| !client.echo(&mut buffer).unwrap_or(false))
                {
                    clients.remove(&event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(next), both)?;
                clients.insert(Token(next), Client { stream, unsent: Vec::new() });
                next += 1;
            }
        }
    }
}

impl Client {
    /// Echoes what has arrived. Returns false at the end of the stream.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            while !self.unsent.is_empty() {
                match self.stream.write(&self.unsent) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Ok(true);
                    }
                    sent => drop(self.unsent.drain(..sent?)),
                }
            }
            let length = match self.stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                length => length?,
            };
            if length == 0 {
                return Ok(false);
            }
            let sent = match self.stream.write(&buffer[..length]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                sent => sent?,
            };
            self.unsent.extend_from_slice(&buffer[sent..length]);
            if self.unsent.is_empty() && length < buffer.len() {
                return Ok(true);
            }
        }
    }
}
