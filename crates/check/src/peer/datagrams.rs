//! A UDP socket of the checker.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::{LOOK, nothing, settle};
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::{GaveUp, Patience};
use crate::subject::Subject;
use crate::text::quoted;
use crate::timeline::{Bytes, Timeline, What};

/// A UDP socket of the checker, which may play the client or the server.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    name: String,
    program: Arc<Subject>,
    timeline: Timeline,
}

impl Datagrams {
    /// Binds a socket to `port` of `host`; port 0 means any free one.
    pub(crate) fn open(host: Ipv4Addr, port: u16) -> Outcome<UdpSocket> {
        let socket = UdpSocket::bind((host, port))?;
        socket.set_read_timeout(Some(LOOK))?;
        // Make room for several of the largest datagrams.
        SockRef::from(&socket).set_recv_buffer_size(1 << 20)?;
        Ok(socket)
    }

    pub(crate) fn new(
        socket: UdpSocket,
        name: &str,
        program: &Arc<Subject>,
        timeline: &Timeline,
    ) -> Self {
        let (program, timeline) = (Arc::clone(program), timeline.clone());
        Datagrams { socket, name: name.to_owned(), program, timeline }
    }

    /// Returns our own address.
    pub fn local(&self) -> Outcome<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Sends one datagram to the server under test.
    pub fn send(&self, bytes: &[u8]) -> Outcome {
        self.send_to(bytes, self.program.address()?)
    }

    /// Sends one datagram to `address`.
    pub fn send_to(&self, bytes: &[u8], address: SocketAddr) -> Outcome {
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        match self.socket.send_to(bytes, address) {
            Ok(_) => Ok(()),
            // This error reports an earlier datagram's fate: nobody was there.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives the next datagram and its sender, if one comes.
    fn receive(
        &self,
        patience: &mut Patience<'_>,
    ) -> Outcome<Result<(Vec<u8>, SocketAddr), GaveUp>> {
        let mut buffer = vec![0; 65_536];
        let mut last = None;
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, sender)) => {
                    buffer.truncate(length);
                    self.timeline.add(&self.name, What::Gets(Bytes::of(&buffer)));
                    self.program.begins();
                    return Ok(Ok((buffer, sender)));
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        if let Some(why) = last {
                            return Ok(Err(why));
                        }
                        last = patience.tick();
                    }
                    ErrorKind::Interrupted | ErrorKind::ConnectionRefused => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// Receives the next datagram and its sender, if one comes within this time. Time that the
    /// program spends working, or waiting for a processor, does not count.
    pub fn receive_within(
        &self,
        within: Duration,
    ) -> Outcome<Option<(Vec<u8>, SocketAddr)>> {
        Ok(self.receive(&mut Patience::with_deadline(&self.program, within))?.ok())
    }

    /// Receives the next datagram, if one comes before the program is idle.
    pub fn receive_if_any(&self) -> Outcome<Option<Vec<u8>>> {
        let received = self.receive(&mut Patience::for_silence(&self.program))?;
        Ok(received.ok().map(|(bytes, _)| bytes))
    }

    /// Waits until the program is idle, and discards what it sends.
    pub fn settle_and_discard(&self) -> Outcome {
        while self.receive(&mut Patience::for_silence(&self.program))?.is_ok() {}
        Ok(())
    }

    /// Waits until the program is idle.
    pub fn settle(&self) {
        settle(&self.program);
    }

    /// Waits for the next datagram, whatever it contains, and returns it with its sender.
    pub fn expect_any(&self) -> Outcome<(Vec<u8>, SocketAddr)> {
        match self.receive(&mut Patience::new(&self.program))? {
            Ok(datagram) => Ok(datagram),
            Err(why) => {
                let got = nothing(why, &self.program);
                fails_because("a datagram", got, self.diagnosis(why))
            }
        }
    }

    /// Returns what may explain that no datagram came.
    fn diagnosis(&self, why: GaveUp) -> Option<Diagnosis> {
        let words = self.program.last_words();
        match why {
            GaveUp::Ended if !self.program.has_begun() => {
                Some(Diagnosis::did_not_start(self.program.ended(), words))
            }
            GaveUp::Ended => Diagnosis::of_words(words.as_deref()),
            GaveUp::Busy => Some(Diagnosis::NeverRests { at_the_end: false }),
            GaveUp::Rests | GaveUp::Late => {
                (!self.program.has_begun()).then_some(Diagnosis::NeverBegins)
            }
        }
    }

    /// Checks that no datagram comes before the program is idle.
    pub fn expect_silence(&self) -> Outcome {
        match self.receive(&mut Patience::for_silence(&self.program))? {
            Ok((bytes, _)) => fails("no datagram", quoted(&bytes)),
            Err(why) => {
                if why == GaveUp::Busy {
                    self.program.remark_if_restless("no datagram came");
                }
                Ok(())
            }
        }
    }
}
