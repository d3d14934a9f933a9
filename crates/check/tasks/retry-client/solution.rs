//! Makes deposits, and asks again until each has its reply.

use std::io::{self, ErrorKind, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const ATTEMPTS: u32 = 5;
/// The first timeout, which is also the shortest.
const LEAST: Duration = Duration::from_millis(100);

fn main() -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".into());
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let count = std::env::var("COUNT").ok().and_then(|count| count.parse().ok());
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // A connected socket accepts datagrams only from this address and port.
    socket.connect((host.as_str(), port.unwrap_or(12345)))?;
    let mut clock = Clock { smoothed: None, variation: Duration::ZERO, timeout: LEAST };
    for number in 1..=count.unwrap_or(3) {
        let reply = ask(&socket, number, &mut clock)?;
        writeln!(io::stdout(), "{reply}")?;
    }
    Ok(())
}

fn ask(socket: &UdpSocket, number: u32, clock: &mut Clock) -> io::Result<String> {
    let request = format!("{number} deposit 100");
    for attempt in 1..=ATTEMPTS {
        let sent = Instant::now();
        socket.send(request.as_bytes())?;
        if let Some(reply) = reply_to(socket, number, sent + clock.timeout)? {
            // If a request was sent twice, nobody knows which one was answered.
            if attempt == 1 {
                clock.measured(sent.elapsed());
            }
            return Ok(reply);
        }
        clock.timeout *= 2;
    }
    let words = format!("request {number}: no reply to {ATTEMPTS} attempts");
    Err(io::Error::new(ErrorKind::TimedOut, words))
}

/// Returns the reply to this request, if it comes in time. Ignores everything else.
fn reply_to(
    socket: &UdpSocket,
    number: u32,
    until: Instant,
) -> io::Result<Option<String>> {
    let mut buffer = [0; 1024];
    loop {
        // A timeout of zero would mean none at all.
        let left = until.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                ErrorKind::Interrupted => continue,
                _ => return Err(error),
            },
        };
        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
        let balance = text.strip_prefix(&format!("{number} balance "));
        let is_number =
            |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        if balance.is_some_and(is_number) {
            return Ok(Some(text.to_owned()));
        }
    }
}

/// Computes how long to wait for a reply, as in RFC 6298.
struct Clock {
    smoothed: Option<Duration>,
    variation: Duration,
    timeout: Duration,
}

impl Clock {
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
        self.timeout = (smoothed + 4 * self.variation).max(LEAST);
    }
}
