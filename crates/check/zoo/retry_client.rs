//! Lesson 11's client, which asks again.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::{Flaw, port};

const FIRST: Duration = Duration::from_millis(100);

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let host = std::env::var("HOST").ok().and_then(|it| it.parse::<IpAddr>().ok());
    let server = SocketAddr::new(host.unwrap_or([127, 0, 0, 1].into()), port(flaw));
    let count = std::env::var("COUNT").ok().and_then(|it| it.parse().ok()).unwrap_or(3);
    let count: u32 = if flaw.is("ignores-count") { 3 } else { count };
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut socket = UdpSocket::bind(any)?;
    let mut clock =
        Clock { smoothed: None, variation: Duration::ZERO, timeout: FIRST, flaw };
    if flaw.is("all-at-once") {
        for number in 1..=count {
            socket.send_to(format!("{number} deposit 100").as_bytes(), server)?;
        }
    }
    for number in 1..=count {
        exchange(flaw, &mut socket, server, number, &mut clock)?;
    }
    Ok(())
}

fn exchange(
    flaw: &Flaw,
    socket: &mut UdpSocket,
    server: SocketAddr,
    number: u32,
    clock: &mut Clock<'_>,
) -> io::Result<()> {
    let attempts = match () {
        () if flaw.is("four-attempts") => 4,
        () if flaw.is("tries-for-ever") => u32::MAX,
        () if flaw.is("never-again") => 1,
        () => 5,
    };
    if flaw.is("fixed") {
        clock.timeout = FIRST;
    }
    for attempt in 1..=attempts {
        let sent = Instant::now();
        let request = match () {
            () if flaw.is("newline") => format!("{number} deposit 100\n"),
            () if flaw.is("new-number") => {
                format!("{} deposit 100", number + attempt - 1)
            }
            () => format!("{number} deposit 100"),
        };
        if flaw.is("new-socket") && attempt > 1 {
            *socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
        }
        socket.send_to(request.as_bytes(), server)?;
        let until = sent + clock.timeout;
        while let Some((reply, from)) = receive(socket, until)? {
            let right = match () {
                () if flaw.is("takes-any") => true,
                () if flaw.is("same-host") => from.ip() == server.ip(),
                () => from == server,
            };
            if !right || !is_reply(flaw, &reply, number)? {
                continue;
            }
            if attempt == 1 || flaw.is("measures-again") {
                clock.measured(sent.elapsed());
            }
            let text = String::from_utf8_lossy(&reply);
            match flaw.is("other-words") {
                true => println!("Reply: {text}"),
                false => println!("{text}"),
            }
            return Ok(());
        }
        clock.back_off();
    }
    Err(io::Error::new(ErrorKind::TimedOut, "no reply"))
}

/// Receives the next datagram, if one comes before `until`.
fn receive(
    socket: &UdpSocket,
    until: Instant,
) -> io::Result<Option<(Vec<u8>, SocketAddr)>> {
    let mut buffer = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => return Ok(Some((buffer[..length].to_vec(), from))),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}

fn is_reply(flaw: &Flaw, reply: &[u8], number: u32) -> io::Result<bool> {
    if flaw.is("any-number") {
        return Ok(reply.windows(9).any(|it| it == b" balance "));
    }
    if flaw.is("prefix") {
        return Ok(reply.starts_with(number.to_string().as_bytes()));
    }
    let text = match std::str::from_utf8(reply) {
        Err(_) if flaw.is("strict-text") => return Err(io::Error::other("not UTF-8")),
        Err(_) => return Ok(false),
        Ok(text) => text,
    };
    let balance = text.strip_prefix(&format!("{number} balance "));
    Ok(balance
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit())))
}

struct Clock<'a> {
    smoothed: Option<Duration>,
    variation: Duration,
    timeout: Duration,
    flaw: &'a Flaw,
}

impl Clock<'_> {
    fn measured(&mut self, time: Duration) {
        let smoothed = match self.smoothed {
            None => {
                self.variation = time / 2;
                time
            }
            Some(before) => {
                self.variation = (self.variation * 3 + before.abs_diff(time)) / 4;
                (before * 7 + time) / 8
            }
        };
        self.smoothed = Some(smoothed);
        if !self.flaw.is("stays-doubled") {
            let least = if self.flaw.is("no-floor") { Duration::ZERO } else { FIRST };
            self.timeout = (smoothed + 4 * self.variation).max(least);
        }
    }

    fn back_off(&mut self) {
        if !self.flaw.is("constant") {
            self.timeout *= 2;
        }
    }
}
