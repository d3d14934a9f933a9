//! A TCP connection to the program under test.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Company, LOOK, nothing, settle};
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, Stop, fails, fails_because};
use crate::patience::{GaveUp, Patience};
use crate::subject::Subject;
use crate::text::quoted;
use crate::timeline::{Bytes, Timeline, What};

/// How many bytes are sent at once where their number is all that matters.
const PIECE: usize = 64 * 1024;

/// A TCP connection to the program under test, which may be the client or the server.
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: Arc<TcpStream>,
    pub(super) name: String,
    pub(super) program: Arc<Subject>,
    pub(super) timeline: Timeline,
    /// The other clients of a server under test.
    company: Option<Arc<Company>>,
    /// We have sent our end of stream.
    finished: bool,
    /// The server has sent something, so it is serving us.
    heard: bool,
    /// What we sent last ended with a newline.
    sent_line: bool,
}

/// The result of one receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(usize),
    End,
    Reset,
    Nothing(GaveUp),
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        name: &str,
        program: &Arc<Subject>,
        timeline: &Timeline,
    ) -> Outcome<Self> {
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        // Send each write immediately: a check decides where its stream is cut.
        stream.set_nodelay(true)?;
        let (program, timeline) = (Arc::clone(program), timeline.clone());
        Ok(Connection {
            stream: Arc::new(stream),
            name: name.to_owned(),
            program,
            timeline,
            company: None,
            finished: false,
            heard: false,
            sent_line: false,
        })
    }

    /// Makes this one of several clients of a server.
    pub(crate) fn joins(&mut self, company: &Arc<Company>) {
        company.add(&self.stream);
        self.company = Some(Arc::clone(company));
    }

    /// Returns our own address.
    pub fn local(&self) -> Outcome<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Returns the program's address.
    pub fn peer(&self) -> Outcome<SocketAddr> {
        Ok(self.stream.peer_addr()?)
    }

    /// Sends all of `bytes` at once.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.sent_line = bytes.ends_with(b"\n");
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        match (&*self.stream).write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => fails_because(
                format!("the program takes {}", quoted(bytes)),
                format!("send: {error}; {}", self.program.condition()),
                self.of_an_end(),
            ),
        }
    }

    /// Sends the pieces one by one, each only once the program has taken the one before and
    /// waits for more, so that one `recv` cannot return two of them.
    pub fn send_in_pieces<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Outcome {
        for piece in pieces {
            self.send(piece)?;
            self.settle();
        }
        Ok(())
    }

    /// Sends bytes that the program may refuse to take.
    pub fn send_if_it_can(&mut self, bytes: &[u8]) {
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        if let Err(error) = (&*self.stream).write_all(bytes) {
            self.timeline.does(&self.name, format!("cannot: {error}"));
        }
    }

    /// Expects that everything that was sent arrives, and is not answered with a reset. Each
    /// byte is either acknowledged or answered with one, so the result does not depend on
    /// timing.
    pub fn expect_no_reset(&mut self) -> Outcome {
        let program = Arc::clone(&self.program);
        let mut patience = Patience::with_deadline(&program, Duration::from_secs(10));
        loop {
            let arrived = netlab::unacknowledged_bytes(&self.stream) == 0;
            if let Some(error) = self.stream.take_error()? {
                return fails("no reset of the connection", error.to_string());
            }
            if arrived {
                return Ok(());
            }
            if patience.tick() == Some(GaveUp::Late) {
                return Err(Stop::Late("what was sent is still on its way".into()));
            }
            patience.nap();
        }
    }

    /// Waits until the program has dealt with everything that was sent, and is idle.
    pub fn settle(&self) {
        settle(&self.program);
    }

    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        patience: &mut Patience<'_>,
    ) -> Outcome<Received> {
        let mut last = None;
        loop {
            match (&*self.stream).read(buffer) {
                Ok(0) => {
                    self.timeline.does(&self.name, "gets the end of the stream");
                    return Ok(Received::End);
                }
                Ok(length) => {
                    self.heard = true;
                    self.timeline
                        .add(&self.name, What::Gets(Bytes::of(&buffer[..length])));
                    return Ok(Received::Bytes(length));
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        if let Some(why) = last {
                            return Ok(Received::Nothing(why));
                        }
                        // Something may have arrived while the program was looked at, so
                        // read once more.
                        last = patience.tick();
                    }
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        self.timeline.does(&self.name, "gets a reset");
                        return Ok(Received::Reset);
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// Returns what has come and has not been received yet: at most 1,024 bytes. Returns `None`
    /// if that is the end of the stream, or a reset.
    pub fn peek(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1024];
        let length = match self.stream.peek(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) if is_nothing_yet(&error) => 0,
            Err(_) => return None,
        };
        buffer.truncate(length);
        Some(buffer)
    }

    /// Waits until something has come, or the stream has ended, for at most so long.
    pub fn expect_something_within(&mut self, time: Duration) -> Outcome {
        let program = Arc::clone(&self.program);
        let mut patience = Patience::with_deadline(&program, time);
        let mut last = None;
        loop {
            match self.stream.peek(&mut [0]) {
                Err(error) if is_nothing_yet(&error) => {
                    if let Some(why) = last {
                        return fails("bytes", nothing(why, &program));
                    }
                    // They may have come while the program was looked at: ask once more.
                    last = patience.tick();
                }
                _ => return Ok(()),
            }
        }
    }

    /// Receives until there are `most` bytes or no more come. Returns the bytes, and why there
    /// are no more.
    fn collect(&mut self, most: usize) -> Outcome<(Vec<u8>, Option<Received>)> {
        let program = Arc::clone(&self.program);
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while bytes.len() < most {
            let room = buffer.len().min(most - bytes.len());
            match self.receive(&mut buffer[..room], &mut Patience::new(&program))? {
                Received::Bytes(length) => bytes.extend_from_slice(&buffer[..length]),
                other => return Ok((bytes, Some(other))),
            }
        }
        Ok((bytes, None))
    }

    /// Waits for exactly these bytes. More may follow; to rule that out, call
    /// [`Connection::expect_end`] or [`Connection::expect_silence`] next.
    pub fn expect(&mut self, expected: &[u8]) -> Outcome {
        let (bytes, end) = self.collect(expected.len())?;
        if bytes == expected {
            return Ok(());
        }
        let words =
            end.map_or(String::new(), |end| format!(", then {}", self.words(end)));
        let diagnosis = match Diagnosis::of_difference(expected, &bytes) {
            Some(diagnosis) => Some(diagnosis),
            None => {
                end.and_then(|end| self.diagnosis(&bytes, expected.len(), expected, end))
            }
        };
        let got = format!("{}{words}", difference(expected, &bytes));
        fails_because(quoted(expected), got, diagnosis)
    }

    /// Returns whether the program has sent anything.
    pub fn heard(&self) -> bool {
        self.heard
    }

    /// Returns whether the program has closed the connection without sending anything.
    pub fn said_nothing(&self) -> bool {
        !self.heard && self.peek().is_none()
    }

    /// Checks that nothing more comes before the program is idle or has closed the connection.
    /// `expected` is what has been received already.
    pub fn expect_no_more(&mut self, expected: &[u8]) -> Outcome {
        let mut buffer = [0; 1024];
        match self.receive_unasked(&mut buffer)? {
            Received::Bytes(length) => {
                let got = [expected, &buffer[..length]].concat();
                let diagnosis = Diagnosis::of_difference(expected, &got);
                fails_because(quoted(expected), quoted(&got), diagnosis)
            }
            _ => Ok(()),
        }
    }

    /// Waits for exactly `count` bytes, and returns them.
    pub fn expect_bytes(&mut self, count: usize) -> Outcome<Vec<u8>> {
        let (bytes, end) = self.collect(count)?;
        match end {
            None => Ok(bytes),
            Some(end) => {
                let words = self.words(end);
                let diagnosis = self.diagnosis(&bytes, count, b"", end);
                let got = format!("{}, then {words}", quoted(&bytes));
                fails_because(format!("{count} bytes"), got, diagnosis)
            }
        }
    }

    /// Waits for bytes up to and including `end`, and returns them: at most `most` bytes. What
    /// follows is left for the next call.
    pub fn expect_through(&mut self, end: &[u8], most: usize) -> Outcome<Vec<u8>> {
        let program = Arc::clone(&self.program);
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end) {
            let received = match bytes.len() < most {
                true => self.receive(&mut byte, &mut Patience::new(&program))?,
                false => {
                    let expected = format!("{} after at most {most} bytes", quoted(end));
                    return fails(expected, quoted(&bytes));
                }
            };
            if received != Received::Bytes(1) {
                let words = self.words(received);
                let diagnosis = self.diagnosis(&bytes, 1, b"", received);
                let expected = format!("bytes up to {}", quoted(end));
                let got = format!("{}, then {words}", quoted(&bytes));
                return fails_because(expected, got, diagnosis);
            }
            bytes.push(byte[0]);
        }
        Ok(bytes)
    }

    /// Waits for the end of the stream. Fails if any byte comes before it.
    pub fn expect_end(&mut self) -> Outcome {
        match self.collect(1 << 20)? {
            (bytes, Some(Received::End)) if bytes.is_empty() => Ok(()),
            (bytes, end) if bytes.is_empty() => fails_because(
                "the end of the stream",
                end.map_or(String::new(), |end| self.words(end)),
                end.and_then(|end| self.of_no_end(end)),
            ),
            (bytes, _) => {
                fails("the end of the stream", format!("more bytes: {}", quoted(&bytes)))
            }
        }
    }

    /// Waits until the program has closed the connection, whether with an end of stream or a
    /// reset.
    pub fn expect_closed(&mut self) -> Outcome {
        match self.collect(1 << 20)? {
            (bytes, Some(Received::End | Received::Reset)) if bytes.is_empty() => Ok(()),
            (bytes, end) => fails_because(
                "the connection closed, and nothing before that",
                match end {
                    Some(end) if bytes.is_empty() => self.words(end),
                    _ => format!("bytes: {}", quoted(&bytes)),
                },
                end.and_then(|end| self.of_no_end(end)),
            ),
        }
    }

    /// Receives everything up to the end of the stream, at most `most` bytes.
    pub fn read_to_end(&mut self, most: usize) -> Outcome<Vec<u8>> {
        match self.collect(most)? {
            (bytes, Some(Received::End)) => Ok(bytes),
            (bytes, end) => {
                let diagnosis = end.and_then(|end| match bytes.is_empty() {
                    // A program that waits for more bytes before it answers has sent none.
                    true => self.diagnosis(&bytes, 1, b"", end),
                    false => self.of_no_end(end),
                });
                self.goes_on(&bytes, end, diagnosis)
            }
        }
    }

    /// The same, but the stream may also end with a reset, which is what a program causes that
    /// closes its socket with bytes unread.
    pub fn read_to_any_end(&mut self, most: usize) -> Outcome<Vec<u8>> {
        self.read_to_reset(most).map(|(bytes, _)| bytes)
    }

    /// The same, but also returns whether it was a reset, which may have overtaken bytes.
    pub fn read_to_reset(&mut self, most: usize) -> Outcome<(Vec<u8>, bool)> {
        match self.collect(most)? {
            (bytes, Some(Received::End)) => Ok((bytes, false)),
            (bytes, Some(Received::Reset)) => Ok((bytes, true)),
            (bytes, end) => {
                let diagnosis = end.and_then(|end| self.of_no_end(end));
                self.goes_on(&bytes, end, diagnosis)
            }
        }
    }

    /// Fails because the expected end of the stream has not come.
    fn goes_on<T>(
        &self,
        bytes: &[u8],
        end: Option<Received>,
        diagnosis: Option<Diagnosis>,
    ) -> Outcome<T> {
        let words = end.map_or("more bytes than that".into(), |it| self.words(it));
        let got = format!("{}, then {words}", quoted(bytes));
        fails_because("the end of the stream", got, diagnosis)
    }

    /// Receives what comes before the program is idle, which has nothing to do. If it never is,
    /// the report remarks on it.
    fn receive_unasked(&mut self, buffer: &mut [u8]) -> Outcome<Received> {
        let program = Arc::clone(&self.program);
        let received = self.receive(buffer, &mut Patience::for_silence(&program))?;
        if received == Received::Nothing(GaveUp::Busy) {
            program.remark_if_restless("nothing came");
        }
        Ok(received)
    }

    /// Checks that nothing comes before the program is idle.
    pub fn expect_silence(&mut self) -> Outcome {
        let mut buffer = [0; 1024];
        match self.receive_unasked(&mut buffer)? {
            Received::Nothing(_) => Ok(()),
            Received::Bytes(length) => fails(
                "nothing yet: the connection stays open and silent",
                quoted(&buffer[..length]),
            ),
            other => fails(
                "nothing yet: the connection stays open and silent",
                self.words(other),
            ),
        }
    }

    /// Checks that the program does not end its stream before it is idle. What it sends in the
    /// meantime is discarded.
    pub fn expect_open(&mut self) -> Outcome {
        let program = Arc::clone(&self.program);
        let mut buffer = [0; 1024];
        loop {
            match self.receive(&mut buffer, &mut Patience::for_silence(&program))? {
                Received::Nothing(_) => return Ok(()),
                Received::Bytes(_) => {}
                other => return fails("the stream stays open", self.words(other)),
            }
        }
    }

    /// Checks that the program neither sends anything nor closes the connection before `until`.
    /// If this thread did not look shortly before `until`, and something has come since it
    /// last did, nobody knows when that was.
    pub fn expect_open_until(&mut self, until: Instant) -> Outcome {
        const SHORTLY: Duration = Duration::from_millis(50);
        let mut open_at = Instant::now();
        loop {
            let asked = Instant::now();
            let found = match self.stream.peek(&mut [0]) {
                Err(error) if is_nothing_yet(&error) => {
                    open_at = asked;
                    match asked < until {
                        true => continue,
                        false => return Ok(()),
                    }
                }
                Ok(0) => fails("an open connection", "the end of the stream"),
                Ok(_) => fails("a silent connection", "bytes"),
                Err(error) => fails("an open connection", error.to_string()),
            };
            return match () {
                () if Instant::now() < until => found,
                () if open_at + SHORTLY >= until => Ok(()),
                () => Err(Stop::Late(
                    "the machine is too busy: the checker did not see \
                                      when the connection ended"
                        .into(),
                )),
            };
        }
    }

    /// Receives and discards everything until the program has closed the connection, in
    /// whatever way, or is idle.
    pub fn drain(&mut self) -> Outcome {
        self.collect(usize::MAX).map(drop)
    }

    /// Receives and discards everything up to the end of the stream.
    pub fn drain_to_end(&mut self) -> Outcome {
        match self.collect(usize::MAX)? {
            (_, Some(Received::End)) => Ok(()),
            (_, end) => fails_because(
                "the end of the stream",
                end.map_or(String::new(), |end| self.words(end)),
                end.and_then(|end| self.of_no_end(end)),
            ),
        }
    }

    /// Sends `count` bytes, as fast as the program takes them.
    pub fn send_all(&mut self, count: usize) -> Outcome {
        self.timeline.does(&self.name, format!("begins to send {count} bytes"));
        let sent = self.push(count, &[b'x'; PIECE])?;
        match sent {
            sent if sent == count => Ok(()),
            sent => fails(
                format!("the program takes {count} bytes"),
                format!(
                    "it took {sent} bytes, then no more; {}",
                    self.program.condition()
                ),
            ),
        }
    }

    /// Sends until the program takes no more, or until it has taken 64 MiB: it may go on taking
    /// bytes for ever.
    pub fn send_until_full(&mut self) -> Outcome {
        const MOST: usize = 64 << 20;
        self.timeline.does(&self.name, format!("begins to send {MOST} bytes"));
        let sent = self.push(MOST, &[b'x'; PIECE])?;
        self.timeline
            .does(&self.name, format!("managed to send {sent} bytes, and reads none"));
        Ok(())
    }

    /// Sends `bytes`, as many of them as the program takes before it rests.
    pub fn send_while_taken(&mut self, bytes: &[u8]) -> Outcome {
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        match self.push(bytes.len(), bytes)? {
            sent if sent < bytes.len() => {
                let text = format!("managed to send {sent} bytes of these");
                self.timeline.does(&self.name, text);
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends `bytes` again and again until `most` of them are taken, or until patience runs out
    /// because none are. Returns how many were taken.
    fn push(&mut self, most: usize, bytes: &[u8]) -> Outcome<usize> {
        let program = Arc::clone(&self.program);
        self.stream.set_write_timeout(Some(LOOK))?;
        let mut sent = 0;
        let mut patience = Patience::new(&program);
        while sent < most {
            let from = sent % bytes.len();
            let piece = (bytes.len() - from).min(most - sent);
            match (&*self.stream).write(&bytes[from..from + piece]) {
                Ok(length) => {
                    sent += length;
                    patience = Patience::new(&program);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        if patience.tick().is_some() {
                            break;
                        }
                    }
                    ErrorKind::Interrupted => {}
                    _ => {
                        self.timeline.does(&self.name, format!("cannot: {error}"));
                        break;
                    }
                },
            }
        }
        self.stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(sent)
    }

    /// Sends `count` bytes while discarding what comes back.
    pub fn send_while_draining(&mut self, count: usize) -> Outcome {
        let reader = self.stream.try_clone()?;
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let done = &done;
            scope.spawn(move || {
                let mut reader = reader;
                let mut buffer = vec![0; 64 * 1024];
                while !done.load(Ordering::Relaxed) {
                    match reader.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(error) => match error.kind() {
                            ErrorKind::WouldBlock
                            | ErrorKind::TimedOut
                            | ErrorKind::Interrupted => {}
                            _ => break,
                        },
                    }
                }
            });
            let result = self.send_all(count);
            done.store(true, Ordering::Relaxed);
            result
        })
    }

    /// Sends `bytes` and waits for `expected`. Begins to receive only when the program has taken
    /// all that it can and waits; from then on it does both at once.
    pub fn exchange(&mut self, bytes: &[u8], expected: &[u8]) -> Outcome {
        self.send_while_receiving(bytes, |connection| connection.expect(expected))
    }

    /// Sends `bytes`, and calls `receive` when the program has taken all that it can and waits;
    /// from then on it does both at once.
    pub fn send_while_receiving(
        &mut self,
        bytes: &[u8],
        receive: impl FnOnce(&mut Connection) -> Outcome,
    ) -> Outcome {
        self.sending(bytes, TcpStream::write_all, receive)
    }

    /// Exchanges bytes with the end of our stream right behind the last byte: the program
    /// learns of it while it still has something to send, and has to send that all the same.
    pub fn exchange_to_the_end(&mut self, bytes: &[u8], expected: &[u8]) -> Outcome {
        self.timeline.does(&self.name, "will end its stream (half-close) after these:");
        self.finished = true;
        let write = |writer: &mut TcpStream, bytes: &[u8]| {
            writer.write_all(bytes)?;
            writer.shutdown(Shutdown::Write)
        };
        self.sending(bytes, write, |connection| {
            connection.expect(expected)?;
            connection.expect_end()
        })
    }

    /// Sends `bytes` to a program that sends them back, a little at a time, and receives
    /// nothing. Stops when the program is idle and has not passed all of them to the kernel, which
    /// has no room. Returns how many were sent by then; `None` if the system does not let us
    /// look.
    pub fn send_until_some_are_kept(&mut self, bytes: &[u8]) -> Outcome<Option<usize>> {
        const PIECE: usize = 4096;
        self.settle();
        let program = Arc::clone(&self.program);
        let Some(its_end) = program.connection_with(self.local()?) else {
            return Ok(None);
        };
        self.timeline.does(&self.name, "begins to send, a little at a time");
        let mut sent = 0;
        for piece in bytes.chunks(PIECE) {
            if let Err(error) = (&*self.stream).write_all(piece) {
                // What is received next says more.
                self.timeline.does(&self.name, format!("cannot: {error}"));
                break;
            }
            sent += piece.len();
            let mut patience = Patience::for_silence(&program);
            // What is on its way to us may be counted twice.
            while netlab::process::unread_bytes(&self.stream)
                + netlab::unacknowledged_bytes(&its_end)
                < sent
            {
                if patience.tick().is_some() {
                    let text = format!("has sent {sent} bytes, and received none");
                    self.timeline.does(&self.name, text);
                    return Ok(Some(sent));
                }
                patience.nap();
            }
        }
        Ok(Some(sent))
    }

    /// Writes `bytes` in a thread of its own, and calls `receive` once the program has taken all
    /// that it can and waits.
    fn sending(
        &mut self,
        bytes: &[u8],
        write: impl FnOnce(&mut TcpStream, &[u8]) -> io::Result<()> + Send,
        receive: impl FnOnce(&mut Connection) -> Outcome,
    ) -> Outcome {
        let mut writer = self.stream.try_clone()?;
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        thread::scope(|scope| {
            let sending = scope.spawn(move || write(&mut writer, bytes));
            self.settle();
            let result = receive(self);
            if result.is_err() {
                // So that the sender does not wait for a program that does not read.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            let sent = sending.join().unwrap_or(Ok(()));
            result?;
            match sent {
                Ok(()) => Ok(()),
                Err(error) => fails(
                    format!("the program takes all {} bytes", bytes.len()),
                    format!("send: {error}; {}", self.program.condition()),
                ),
            }
        })
    }

    /// Sends `bytes` and waits for them at `other`, our connection at the far side of a program
    /// that passes them on. Begins to receive only when the program has taken all that it can
    /// and waits.
    pub fn send_to(&mut self, bytes: &[u8], other: &mut Connection) -> Outcome {
        let mut writer = self.stream.try_clone()?;
        self.timeline.add(&self.name, What::Sends(Bytes::of(bytes)));
        thread::scope(|scope| {
            let sending = scope.spawn(move || writer.write_all(bytes));
            self.settle();
            let result = other.expect(bytes);
            if result.is_err() {
                // So that the sender does not wait for a program that does not read.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            let _ = sending.join();
            result
        })
    }

    /// Ends our side of the stream (half-close): `shutdown(SHUT_WR)`.
    pub fn finish_sending(&mut self) -> Outcome {
        self.timeline.does(&self.name, "ends its stream (half-close)");
        self.finished = true;
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Closes the connection: with an end of stream, if everything has been received.
    pub fn close(self) {
        self.timeline.does(&self.name, "closes");
    }

    /// Resets the connection (RST) instead of ending its stream. When this returns, the reset
    /// has reached the program's end.
    pub fn reset(self) -> Outcome {
        self.timeline.does(&self.name, "resets the connection");
        if let Some(company) = &self.company {
            company.resets();
        }
        match Arc::try_unwrap(self.stream) {
            Ok(stream) => Ok(netlab::reset(stream)?),
            Err(_) => Err(Stop::Broken(
                "something else holds the connection that is to be reset".into(),
            )),
        }
    }

    /// Returns what may explain that only `bytes` came, of `count` that begin with `head`.
    fn diagnosis(
        &mut self,
        bytes: &[u8],
        count: usize,
        head: &[u8],
        end: Received,
    ) -> Option<Diagnosis> {
        match end {
            // Nothing came; or only whole lines did, and nothing after the last newline.
            Received::Nothing(GaveUp::Rests)
                if count > 0
                    && (bytes.is_empty()
                        || !head.is_empty() && bytes.ends_with(b"\n")) =>
            {
                let rest = head.strip_prefix(bytes).unwrap_or(head);
                self.ask_what_it_waits_for(rest)
            }
            Received::End | Received::Reset | Received::Nothing(GaveUp::Ended) => {
                self.of_an_end()
            }
            other => self.restlessness(other),
        }
    }

    /// Returns the diagnosis of a program that did not become idle, if that is why nothing
    /// came.
    fn restlessness(&self, end: Received) -> Option<Diagnosis> {
        (end == Received::Nothing(GaveUp::Busy))
            .then_some(Diagnosis::NeverRests { at_the_end: self.finished })
    }

    /// Returns what may explain that the connection was not closed. If there are other clients,
    /// the program may be waiting for one of them.
    fn of_no_end(&self, end: Received) -> Option<Diagnosis> {
        let alone = self.company.as_ref().is_none_or(|it| it.is_only(&self.stream));
        let stays = self.finished && alone && end == Received::Nothing(GaveUp::Rests);
        if stays { Some(KEEPS_OPEN) } else { self.restlessness(end) }
    }

    /// Returns what the program died of, if it has ended.
    fn of_an_end(&self) -> Option<Diagnosis> {
        // The end of the stream may be the first sign that the program is ending.
        settle(&self.program);
        self.company.as_ref()?.of_an_end(&self.program)
    }

    /// Experiments, once a check has failed, on a server that has said nothing and waits. Does
    /// it continue when the other clients are gone, when another one comes, when a newline
    /// comes, or when our stream ends?
    fn ask_what_it_waits_for(&mut self, head: &[u8]) -> Option<Diagnosis> {
        let company = Arc::clone(self.company.as_ref()?);
        // A client that has been served already is not waiting for its turn.
        let served = self.heard;
        self.timeline.does("checker", "tries to find out what the program waits for");
        let dismissed = company.dismiss_others(&self.stream);
        if dismissed {
            // The server may also tell it that the others have gone. That is not the expected
            // answer.
            let said = self.says();
            if said.iter().zip(head).all(|(one, other)| one == other) && !said.is_empty()
            {
                return (!served).then_some(Diagnosis::OneAtATime);
            }
        }
        // Perhaps the server calls accept again before it looks at the client that it has. (But
        // what a client receives that was served before may be what the others held up.)
        if !(served && dismissed)
            && let Some(_another) = another_client(&self.stream)
            && self.says_something()
        {
            return Some(Diagnosis::WaitsForAnother);
        }
        if self.finished {
            return None;
        }
        let sent_line = self.sent_line;
        // It may be waiting for any one or two more bytes, and then not for a newline.
        for _ in 0..2 {
            self.send_if_it_can(b"x");
            if self.says_something() {
                return None;
            }
        }
        self.send_if_it_can(b"\n");
        if self.says_something() {
            // If it was sent a newline before, this is the answer to another line.
            return (!sent_line).then_some(Diagnosis::WaitsForNewline);
        }
        self.finish_sending().ok()?;
        self.says_something().then_some(Diagnosis::WaitsForEnd)
    }

    /// Returns whether any bytes come before the program is idle.
    fn says_something(&mut self) -> bool {
        !self.says().is_empty()
    }

    /// Returns the bytes that come before the program is idle, at most 64.
    fn says(&mut self) -> Vec<u8> {
        let program = Arc::clone(&self.program);
        let mut buffer = vec![0; 64];
        let received = self.receive(&mut buffer, &mut Patience::for_silence(&program));
        buffer.truncate(match received {
            Ok(Received::Bytes(length)) => length,
            _ => 0,
        });
        buffer
    }

    pub(super) fn words(&self, got: Received) -> String {
        match got {
            Received::Bytes(length) => format!("{length} bytes"),
            Received::End => "the end of the stream".into(),
            Received::Reset => "a reset of the connection".into(),
            Received::Nothing(why) => nothing(why, &self.program),
        }
    }
}

/// The program does not close the connection, although our stream has ended.
const KEEPS_OPEN: Diagnosis = Diagnosis::Other(
    "keeps-open",
    "the other side has ended its stream, and the connection stays open: close the socket \
     once recv(2) has returned 0, and every copy of it, in every process that has one",
);

/// Returns whether a receive that does not wait, or not for long, is to be made again.
fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Connects one more client to the server at the other end of this stream, if that is possible.
fn another_client(stream: &TcpStream) -> Option<TcpStream> {
    const SOON: Duration = Duration::from_millis(500);
    TcpStream::connect_timeout(&stream.peer_addr().ok()?, SOON).ok()
}

/// Describes what came, and where it first differs from what was expected, if a reader would
/// not see that at once.
fn difference(expected: &[u8], got: &[u8]) -> String {
    if got.is_empty() {
        return "no bytes".into();
    }
    let at = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let same = match at {
        at if at == got.len() => {
            format!(" (correct so far, but {} of {} bytes)", at, expected.len())
        }
        at if at > 40 => format!(
            " (byte {at} is {} in place of {})",
            quoted(&got[at..][..1]),
            quoted(&expected[at..][..1])
        ),
        _ => String::new(),
    };
    format!("{}{same}", quoted(got))
}
