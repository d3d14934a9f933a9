//! A TCP listener that plays the server for a client under test.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{Company, Connection, LOOK};
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::Patience;
use crate::subject::Subject;
use crate::timeline::Timeline;

/// A TCP listener that plays the server for a client under test.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    timeline: Timeline,
    accepted: usize,
    /// The program's clients, if it is a server as well.
    company: Option<Arc<Company>>,
    /// A moment at which nobody was in its queue yet.
    nobody_at: Instant,
}

impl Listener {
    /// Listens at `address`, with the given backlog.
    pub(crate) fn new(
        address: SocketAddr,
        backlog: i32,
        timeline: &Timeline,
    ) -> Outcome<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        // SO_RCVTIMEO applies to accept(2) as well (socket(7)).
        socket.set_read_timeout(Some(LOOK))?;
        let timeline = timeline.clone();
        timeline.does("server", format!("listens at {address}"));
        Ok(Listener {
            listener: socket.into(),
            timeline,
            accepted: 0,
            company: None,
            nobody_at: Instant::now(),
        })
    }

    /// Records that the program is a server as well, with these clients.
    pub(crate) fn joins(&mut self, company: &Arc<Company>) {
        self.company = Some(Arc::clone(company));
    }

    /// Returns the address at which it listens.
    pub fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Returns a moment before the connection that was accepted last was made.
    pub(crate) fn nobody_at(&self) -> Instant {
        self.nobody_at
    }

    /// Waits for the program to connect, and returns the connection.
    pub fn accept(&mut self, program: &Arc<Subject>) -> Outcome<Connection> {
        self.accept_with(program, Patience::new(program))
    }

    /// The same, for a program that may first wait for something else, such as a timeout.
    pub fn accept_within(
        &mut self,
        program: &Arc<Subject>,
        within: Duration,
    ) -> Outcome<Connection> {
        self.accept_with(program, Patience::with_deadline(program, within))
    }

    fn accept_with(
        &mut self,
        program: &Arc<Subject>,
        mut patience: Patience<'_>,
    ) -> Outcome<Connection> {
        match self.wait(&mut patience)? {
            Some(stream) => {
                self.accepted += 1;
                program.begins();
                let name = match self.accepted {
                    1 => "server".to_owned(),
                    number => format!("server {number}"),
                };
                self.timeline.does(&name, format!("accepts {}", stream.peer_addr()?));
                Connection::new(stream, &name, program, &self.timeline)
            }
            None => {
                let got = program.condition();
                let diagnosis = match program.ended() {
                    _ if self.accepted > 0 => {
                        self.company.as_ref().and_then(|it| it.of_an_end(program))
                    }
                    None if program.is_over() => None,
                    None => Some(Diagnosis::NeverBegins),
                    ended => Some(Diagnosis::did_not_start(ended, program.last_words())),
                };
                let expected = format!("the program connects to {}", self.address()?);
                fails_because(expected, got, diagnosis)
            }
        }
    }

    /// Checks that the program does not connect (again) before it is idle.
    pub fn expect_nobody(&mut self, program: &Arc<Subject>) -> Outcome {
        match self.wait(&mut Patience::for_silence(program))? {
            None => Ok(()),
            Some(_) => fails(
                format!("no connection to {}", self.address()?),
                "the program connected",
            ),
        }
    }

    fn wait(&mut self, patience: &mut Patience<'_>) -> Outcome<Option<TcpStream>> {
        let mut last = None;
        loop {
            let asked = Instant::now();
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        self.nobody_at = asked;
                        if last.is_some() {
                            return Ok(None);
                        }
                        last = patience.tick();
                    }
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }
}
