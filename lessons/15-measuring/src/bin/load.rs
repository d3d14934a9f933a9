//! Asks an echo server as fast as it answers, or at a rate, and reports how many requests it
//! answered and how long each took. Every byte that comes back is compared.
//!
//! It belongs to lesson 15, `lessons/15-measuring`. Start a server, then run it:
//! `cargo run -q --release --bin load`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use common::{Address, exit_code, parse_arguments};

fn main() -> ExitCode {
    exit_code(measure(&parse_arguments()))
}

#[cfg(target_os = "linux")]
use linux::measure;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    use common::{During, Failure, say};
    use hdrhistogram::Histogram;
    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use rustix::io::Errno;
    use rustix::time::{ClockId, clock_gettime};
    use socket2::{Domain, Socket, Type};

    use super::Arguments;

    pub(super) fn measure(arguments: &Arguments) -> Result<(), Failure> {
        let address = arguments.address.resolve()?;
        let mut load = Load::new(address, arguments)?;
        for number in 0..arguments.connections {
            let connection = load.connect(number.into())?;
            load.connections.push(connection);
        }
        if arguments.hold {
            return load.hold();
        }
        load.start();
        let alone = arguments.connections == 1 && load.interval.is_none();
        if alone && !arguments.churn && arguments.bytes <= SHORT {
            load.ask_one()?;
        } else {
            load.ask_all()?;
        }
        load.report()
    }

    /// The whole measurement.
    struct Load<'a> {
        arguments: &'a Arguments,
        address: SocketAddr,
        epoll: rustix::fd::OwnedFd,
        connections: Vec<Connection>,
        /// What is sent, from an offset that differs from request to request.
        pattern: Vec<u8>,
        buffer: Vec<u8>,
        /// The time from one request to the next, at a rate (open loop).
        interval: Option<Duration>,
        /// Whose turn it is then.
        next_connection: usize,
        /// Only what happens between these two is counted.
        counted_from: Instant,
        end: Instant,
        latencies: Histogram<u64>,
        lateness: Histogram<u64>,
        processor_time: Duration,
        lost: u64,
        /// Whether a host has said that nobody receives there.
        refused: bool,
        unanswered: u64,
        /// Including the warm-up, and what came after the end.
        answered_in_all: u64,
        /// Between `counted_from` and `end`.
        answered_in_time: u64,
    }

    struct Connection {
        number: usize,
        socket: Socket,
        connecting: bool,
        /// When the requests that are under way were due, the oldest first.
        due: VecDeque<Instant>,
        /// The number of the oldest of them, and how much of its answer has come.
        oldest: usize,
        received: usize,
        /// The request that is being sent, and how much of it has gone out.
        sending: usize,
        sent: usize,
        /// The kernel has reported the end of the stream, or an error.
        ending: bool,
        /// Datagrams without an answer, of which one may still come late.
        given_up: VecDeque<usize>,
    }

    /// So many bytes always fit into the kernel's buffers, whether anybody receives or not.
    const SHORT: usize = 65536;

    /// How long to wait for a connection, and for the answer if there is only one.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// What is under way when the time is over may still be answered.
    const GRACE: Duration = Duration::from_secs(2);

    /// Each request that is under way costs memory.
    const MOST: u64 = 5_000_000;

    /// Offsets in the pattern at which a request may begin.
    const PLACES: usize = 4096;

    impl<'a> Load<'a> {
        fn new(address: SocketAddr, arguments: &'a Arguments) -> Result<Self, Failure> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)
                .map_err(io::Error::from)
                .during("epoll_create1", "EPOLL_CLOEXEC")?;
            let histogram = || {
                // Nanoseconds up to ten minutes, to three digits.
                Histogram::new_with_max(600_000_000_000, 3).map_err(io::Error::other)
            };
            let interval = (arguments.rate > 0.0)
                .then(|| Duration::try_from_secs_f64(arguments.rate.recip()).ok())
                .flatten();
            // No two places of it look alike: a byte that is not where it belongs shows.
            let pattern = (0..PLACES + arguments.bytes)
                .map(|at| (at.wrapping_mul(0x9e37_79b1) >> 11).to_le_bytes()[0])
                .collect();
            Ok(Self {
                arguments,
                address,
                epoll,
                connections: Vec::new(),
                pattern,
                // A datagram that is too long must not look right because it was cut.
                buffer: vec![
                    0;
                    arguments.bytes.clamp(2048, 1 << 18)
                        + usize::from(arguments.udp)
                ],
                interval,
                next_connection: 0,
                counted_from: Instant::now(),
                end: Instant::now(),
                latencies: histogram().during("make", "a histogram")?,
                lateness: histogram().during("make", "a histogram")?,
                processor_time: Duration::ZERO,
                lost: 0,
                refused: false,
                unanswered: 0,
                answered_in_all: 0,
                answered_in_time: 0,
            })
        }

        /// Connected when this returns; with `--churn`, still connecting.
        fn connect(&self, number: usize) -> Result<Connection, Failure> {
            let kind = if self.arguments.udp { Type::DGRAM } else { Type::STREAM };
            let socket =
                Socket::new(Domain::IPV4, kind, None).during("socket", "IPv4")?;
            if !self.arguments.udp {
                // A small request must leave at once, whatever is on its way before it.
                socket.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
            }
            if self.arguments.churn {
                socket.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
                // close(2) resets: an end of stream would leave the port in TIME-WAIT, and in
                // a second or two there would be no port left (lesson 4).
                socket
                    .set_linger(Some(Duration::ZERO))
                    .during("setsockopt", "SO_LINGER")?;
            }
            let connected = if self.arguments.churn {
                socket.connect(&self.address.into())
            } else {
                socket.connect_timeout(&self.address.into(), PATIENCE)
            };
            match connected {
                Err(error)
                    if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
                }
                result => result.during("connect", self.address)?,
            }
            socket.set_nonblocking(true).during("fcntl", "O_NONBLOCK")?;
            let edges =
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(number as u64), edges)
                .map_err(io::Error::from)
                .during("epoll_ctl", "a connection")?;
            Ok(Connection {
                number,
                socket,
                connecting: self.arguments.churn,
                due: VecDeque::new(),
                oldest: 0,
                received: 0,
                sending: 0,
                sent: 0,
                ending: false,
                given_up: VecDeque::new(),
            })
        }

        /// Has the connections opened, and holds them until its input ends.
        fn hold(&self) -> Result<(), Failure> {
            say!("Holding {} connections", self.connections.len())?;
            let mut byte = [0];
            while io::stdin().read(&mut byte).during("read", "stdin")? > 0 {}
            Ok(())
        }

        fn start(&mut self) {
            let now = Instant::now();
            self.counted_from =
                now + Duration::from_millis(self.arguments.warm_up_ms.into());
            self.end = self.counted_from + self.arguments.duration;
        }

        /// One connection, closed loop: two calls per request. The kernel is asked to wait in
        /// recv(2), so that no epoll_wait(2) is needed. Requests are `SHORT`: while send(2)
        /// waits for room nobody receives, and the server cannot go on (lesson 8).
        fn ask_one(&mut self) -> Result<(), Failure> {
            let address = self.address;
            let mut connection = self.connections.remove(0);
            connection.socket.set_nonblocking(false).during("fcntl", "O_NONBLOCK")?;
            let limit =
                if self.arguments.udp { Duration::from_secs(1) } else { PATIENCE };
            connection
                .socket
                .set_read_timeout(Some(limit))
                .during("setsockopt", "SO_RCVTIMEO")?;
            let mut counting = None;
            loop {
                let start = Instant::now();
                if start >= self.counted_from && counting.is_none() {
                    counting = Some(processor_time());
                }
                if start >= self.end {
                    break;
                }
                connection.due.push_back(start);
                while connection.sending < connection.oldest + 1 {
                    self.send(&mut connection).during("send", address)?;
                }
                while !connection.due.is_empty() {
                    let before = (connection.oldest, connection.received);
                    self.receive(&mut connection)?;
                    if before == (connection.oldest, connection.received) {
                        if !self.arguments.udp {
                            let advice = "is it still running?";
                            let reason = "no answer within ten seconds";
                            return Err(Failure::new("recv", address, reason, advice));
                        }
                        connection.give_up();
                        self.lost += 1;
                    }
                }
            }
            self.processor_time =
                processor_time().saturating_sub(counting.unwrap_or_default());
            Ok(())
        }

        fn ask_all(&mut self) -> Result<(), Failure> {
            let mut connections = std::mem::take(&mut self.connections);
            let mut events: Vec<Event> = Vec::with_capacity(1024);
            let mut next_due = Instant::now();
            let mut looked = Instant::now();
            let mut counting = None;
            let mut stopping = false;
            if self.interval.is_none() {
                for connection in &mut connections {
                    connection.due.push_back(next_due);
                    self.go_on(connection)?;
                }
            }
            loop {
                let now = Instant::now();
                if now >= self.counted_from && counting.is_none() {
                    counting = Some(processor_time());
                }
                if now >= self.end && !stopping {
                    stopping = true;
                    self.processor_time =
                        processor_time().saturating_sub(counting.unwrap_or_default());
                }
                self.ask_what_is_due(&mut connections, &mut next_due, now)?;
                let busy =
                    connections.iter().any(|connection| !connection.due.is_empty());
                // Requests whose time came while this program was busy with others.
                let late = if stopping { self.not_asked(next_due) } else { 0 };
                // A request without its answer counts too: leaving out the slowest would
                // make the server look faster than it is.
                if stopping && (!busy && late == 0 || now > self.end + GRACE) {
                    self.unanswered = under_way(&connections) + late;
                    return Ok(());
                }
                events.clear();
                let timeout = self.timeout(next_due, stopping);
                let room = spare_capacity(&mut events);
                match epoll::wait(&self.epoll, room, Some(&timeout)) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => {
                        return Err(error.into()).during("epoll_wait", "events");
                    }
                }
                for event in &events {
                    let number = event.data.u64() as usize;
                    let over = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                    let flags = event.flags;
                    connections[number].ending |= flags.intersects(over);
                    self.event(&mut connections[number], stopping)?;
                }
                if looked.elapsed() > Duration::from_millis(50) {
                    looked = Instant::now();
                    if self.arguments.udp {
                        self.give_up_lost(&mut connections, stopping)?;
                    }
                    if under_way(&connections) > MOST {
                        let reason = format!("{MOST} requests wait for an answer");
                        let advice = "try a lower --rate";
                        return Err(Failure::new(
                            "measure",
                            self.address,
                            &reason,
                            advice,
                        ));
                    }
                }
            }
        }

        /// Open loop: a request is due when its time has come, whether the one before has been
        /// answered or not. Even one whose time passed while this program had no processor: it
        /// is late, and it counts.
        fn ask_what_is_due(
            &mut self,
            connections: &mut [Connection],
            next_due: &mut Instant,
            now: Instant,
        ) -> Result<(), Failure> {
            let Some(interval) = self.interval else { return Ok(()) };
            // Not too many at a time: answers are to be received as well.
            for _ in 0..connections.len().max(64) {
                if *next_due > now || *next_due >= self.end {
                    break;
                }
                let connection = &mut connections[self.next_connection];
                connection.due.push_back(*next_due);
                self.go_on(connection)?;
                if *next_due >= self.counted_from {
                    let late = next_due.elapsed().as_nanos() as u64;
                    self.lateness.saturating_record(late);
                }
                *next_due += interval;
                self.next_connection = (self.next_connection + 1) % connections.len();
            }
            Ok(())
        }

        /// How many requests should be under way by the end, and are not, from `next_due` on.
        fn not_asked(&self, next_due: Instant) -> u64 {
            let left = self.end.saturating_duration_since(next_due).as_nanos();
            self.interval.map_or(0, |interval| left.div_ceil(interval.as_nanos()) as u64)
        }

        /// How long to wait for an event. If a request is due within a millisecond, it does
        /// not wait but looks again and again, so as not to be late itself.
        fn timeout(&self, next_due: Instant, stopping: bool) -> Timespec {
            let wait = match self.interval {
                Some(_) if !stopping || next_due < self.end => {
                    let left = next_due.saturating_duration_since(Instant::now());
                    if left < Duration::from_millis(2) {
                        Duration::ZERO
                    } else {
                        left / 2
                    }
                }
                _ => Duration::from_millis(20),
            };
            Timespec { tv_sec: 0, tv_nsec: wait.as_nanos().min(20_000_000) as i64 }
        }

        /// A connection has answers, or room, or is connected.
        fn event(
            &mut self,
            connection: &mut Connection,
            stopping: bool,
        ) -> Result<(), Failure> {
            connection.connecting = false;
            while self.receive(connection)? {}
            if connection.due.is_empty() && self.interval.is_none() && !stopping {
                if self.arguments.churn && connection.oldest > 0 {
                    // close(2), and a new one in its place.
                    *connection = self.connect(connection.number)?;
                }
                connection.due.push_back(Instant::now());
            }
            self.go_on(connection)
        }

        /// Sends what is due and what the kernel has room for.
        fn go_on(&mut self, connection: &mut Connection) -> Result<(), Failure> {
            while !connection.connecting
                && connection.sending < connection.oldest + connection.due.len()
            {
                match self.send(connection) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    result => result.during("send", self.address)?,
                }
            }
            Ok(())
        }

        fn send(&mut self, connection: &mut Connection) -> io::Result<()> {
            let place = connection.place(connection.sending);
            let request = &self.pattern[place..][..self.arguments.bytes];
            connection.sent +=
                match (&connection.socket).write(&request[connection.sent..]) {
                    // It is about a datagram that went out before. This one is lost too.
                    Err(error)
                        if self.arguments.udp
                            && error.kind() == ErrorKind::ConnectionRefused =>
                    {
                        self.refused = true;
                        request.len()
                    }
                    sent => sent?,
                };
            if connection.sent == request.len() {
                connection.sending += 1;
                connection.sent = 0;
            }
            Ok(())
        }

        /// Receives once. False if that was all, for now.
        fn receive(&mut self, connection: &mut Connection) -> Result<bool, Failure> {
            let address = self.address;
            let length = match (&connection.socket).read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
                // A datagram that found nobody counts as lost once its time is over.
                Err(error)
                    if self.arguments.udp
                        && error.kind() == ErrorKind::ConnectionRefused =>
                {
                    self.refused = true;
                    return Ok(false);
                }
                result => result.during("recv", address)?,
            };
            if length == 0 && !self.arguments.udp {
                let advice = "is it an echo server? has it ended?";
                return Err(Failure::new("recv", address, "end of stream", advice));
            }
            if self.arguments.udp {
                self.datagram(connection, length)?;
                return Ok(!connection.due.is_empty());
            }
            // Less than there was room for: that was everything, and a call is saved. But an
            // end that came together with these bytes has had its edge (lesson 13).
            let more = length == self.buffer.len() || connection.ending;
            let mut taken = 0;
            while taken < length {
                let wanted = self.arguments.bytes - connection.received;
                let piece = wanted.min(length - taken);
                let place = connection.place(connection.oldest) + connection.received;
                if connection.due.is_empty()
                    || self.buffer[taken..][..piece] != self.pattern[place..][..piece]
                {
                    return Err(self.wrong());
                }
                connection.received += piece;
                taken += piece;
                if connection.received == self.arguments.bytes {
                    connection.received = 0;
                    self.answered(connection);
                }
            }
            Ok(more && !connection.due.is_empty())
        }

        /// A datagram of this length has come. It is a whole answer, or none.
        fn datagram(
            &mut self,
            connection: &mut Connection,
            length: usize,
        ) -> Result<(), Failure> {
            let came = &self.buffer[..length];
            let answers = |request: &usize| {
                came == &self.pattern[connection.place(*request)..]
                    [..self.arguments.bytes]
            };
            let oldest = connection.oldest;
            if let Some(request) = (oldest..connection.sending).find(answers) {
                // What was sent before it is lost, or will be late: then nobody waits for it.
                for _ in oldest..request {
                    connection.give_up();
                    self.lost += 1;
                }
                self.answered(connection);
                return Ok(());
            }
            let late = connection.given_up.iter().position(answers);
            late.and_then(|at| connection.given_up.remove(at))
                .ok_or_else(|| self.wrong())?;
            Ok(())
        }

        /// The oldest request of the connection has its answer.
        fn answered(&mut self, connection: &mut Connection) {
            connection.oldest += 1;
            self.answered_in_all += 1;
            let now = Instant::now();
            if now >= self.counted_from && now < self.end {
                self.answered_in_time += 1;
            }
            if let Some(due) = connection.due.pop_front()
                && due >= self.counted_from
                && due < self.end
            {
                // From the moment at which it was *due*, not from send(2): if we were late
                // ourselves, or the one before was slow, that is part of it.
                let latency = (now - due).as_nanos() as u64;
                self.latencies.saturating_record(latency);
            }
        }

        fn wrong(&self) -> Failure {
            Failure::new("recv", self.address, "not what was sent", "is it an echo?")
        }

        fn give_up_lost(
            &mut self,
            connections: &mut [Connection],
            stopping: bool,
        ) -> Result<(), Failure> {
            for connection in connections {
                let is_lost = |due: &Instant| due.elapsed() > Duration::from_millis(200);
                while connection.due.front().is_some_and(is_lost) {
                    connection.give_up();
                    self.lost += 1;
                    if self.interval.is_none() && !stopping {
                        connection.due.push_back(Instant::now());
                    }
                }
                self.go_on(connection)?;
            }
            Ok(())
        }

        fn report(&self) -> Result<(), Failure> {
            if self.answered_in_all == 0 {
                let (reason, advice) = if self.refused {
                    let reason = "connection refused (ECONNREFUSED)";
                    (reason, "nobody receives there; start the server first")
                } else {
                    ("no answer to any request", "is it an echo server?")
                };
                return Err(Failure::new("recv", self.address, reason, advice));
            }
            let seconds = self.arguments.duration.as_secs_f64();
            // At a rate, what was due in this time; otherwise what was answered in it. With a
            // thousand clients and a slow server, those are not the same requests.
            let answered = match self.interval {
                Some(_) => self.latencies.len(),
                None => self.answered_in_time,
            };
            let rate = answered as f64 / seconds;
            let busy = self.processor_time.as_secs_f64() / seconds;
            let us = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
            let late = self.lateness.value_at_quantile(0.99) as f64 / 1e3;
            let max = self.latencies.max() as f64 / 1e3;
            let (p50, p90, p99, p999) = (us(0.5), us(0.9), us(0.99), us(0.999));
            let bytes = rate * self.arguments.bytes as f64;
            let (lost, unanswered) = (self.lost, self.unanswered);
            let all = self.answered_in_all;
            if self.arguments.json {
                return say!(
                    "{{\"answered\": {answered}, \"seconds\": {seconds}, \
                     \"requests_per_second\": {rate:.1}, \"bytes_per_second\": {bytes:.0}, \
                     \"p50_us\": {p50:.1}, \"p90_us\": {p90:.1}, \"p99_us\": {p99:.1}, \
                     \"p999_us\": {p999:.1}, \"max_us\": {max:.1}, \"busy\": {busy:.3}, \
                     \"late_p99_us\": {late:.1}, \"lost\": {lost}, \
                     \"unanswered\": {unanswered}, \"answered_in_all\": {all}}}"
                );
            }
            say!("{rate:.0} requests a second: {answered} in {seconds} s, all compared")?;
            say!("{:.1} MB a second each way", bytes / 1e6)?;
            say!(
                "latency: p50 {p50:.0} µs, p90 {p90:.0} µs, p99 {p99:.0} µs, \
                 p99.9 {p999:.0} µs, longest {max:.0} µs"
            )?;
            if lost + unanswered > 0 {
                say!(
                    "lost: {lost}; not answered within 2 s after the end: {unanswered}"
                )?;
            }
            // Who is the limit? A closed loop that never waits for the server is.
            if self.interval.is_some() && late > 1000.0 {
                say!(
                    "this program was late itself ({late:.0} µs at p99): it is the limit"
                )
            } else if self.interval.is_none() && busy > 0.95 {
                say!(
                    "this program was busy all the time: it is the limit, not the server"
                )
            } else {
                say!("this program was not the limit: busy for {:.0} %", busy * 100.0)
            }
        }
    }

    fn under_way(connections: &[Connection]) -> u64 {
        connections.iter().map(|connection| connection.due.len() as u64).sum()
    }

    impl Connection {
        /// Where in the pattern a request of this connection begins.
        fn place(&self, request: usize) -> usize {
            (request.wrapping_mul(61) + self.number.wrapping_mul(17)) % PLACES
        }

        /// The oldest request is lost: nobody waits for its answer any more.
        fn give_up(&mut self) {
            self.due.pop_front();
            self.given_up.push_back(self.oldest);
            self.given_up.drain(..self.given_up.len().saturating_sub(PLACES));
            self.oldest += 1;
            self.sending = self.sending.max(self.oldest);
        }
    }

    /// The processor time that this process has used so far.
    fn processor_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
        Duration::new(time.tv_sec.unsigned_abs(), nanoseconds)
    }
}

#[cfg(not(target_os = "linux"))]
fn measure(arguments: &Arguments) -> Result<(), common::Failure> {
    let address = arguments.address.resolve()?;
    let reason = "it waits with epoll(7), which only Linux has";
    Err(common::Failure::new("measure", address, reason, "measure from a Linux machine"))
}

/// Asks an echo server, compares what comes back, and reports how fast it was.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is measured"))]
struct Arguments {
    #[command(flatten)]
    address: Address,

    /// How many connections, each with one request under way
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,

    /// How long a request is, and its answer, in bytes
    #[arg(long, default_value = "64", value_parser = bytes)]
    bytes: usize,

    /// How long to measure, in seconds
    #[arg(long = "seconds", default_value = "1", value_parser = seconds)]
    duration: Duration,

    /// How long to warm up, in milliseconds
    #[arg(long, default_value_t = 200)]
    warm_up_ms: u32,

    /// Requests per second, whatever the server does (open loop); 0: closed loop
    #[arg(long, default_value = "0", value_parser = rate)]
    rate: f64,

    /// Use a new connection for each request
    #[arg(long, conflicts_with_all = ["udp", "rate"])]
    churn: bool,

    /// Use datagrams instead of a stream
    #[arg(long)]
    udp: bool,

    /// Open the connections, and hold them until the input ends
    #[arg(long, conflicts_with = "udp")]
    hold: bool,

    /// Print the figures as one line of JSON
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("from 0.01 to 3600".into())
    }
}

fn bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1..=16 << 20).contains(bytes));
    bytes.ok_or_else(|| "from 1 to 16777216".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let possible = |rate: &f64| *rate == 0.0 || (0.001..=1e7).contains(rate);
    let rate = text.parse().ok().filter(possible);
    rate.ok_or_else(|| "0, or from 0.001 to 10000000".into())
}

const EXAMPLES: &str = "\
Examples:
  load                                  50 connections to localhost, port 12345, for a second
  load --connections 1000               a crowd
  load --bytes 65536 --connections 8    bulk
  load --rate 20000                     20,000 requests a second, whatever the server does
  load --churn                          connect, ask, close, again and again
Through cargo: cargo run -q --release --bin load -- --connections 1

Exit status:
  0  it has measured
  1  it failed, or a byte was not what was sent: one line on stderr says what and why
  2  wrong command line";
