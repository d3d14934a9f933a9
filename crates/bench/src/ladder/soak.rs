//! `bench soak`: runs the last rung at half its capacity for a long time, while clients come
//! and go, read slowly, and reset. No byte may be wrong, no reply may be missing, and the
//! server's memory must not grow.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{self, Machine, RunningServer};
use super::servers::{self, LAST_RUNG};
use xtask::{Error, Status};

/// The options of `bench soak`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How long, in minutes
    #[arg(long, default_value = "30", value_parser = minutes)]
    pub(crate) minutes: Duration,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.05..=10_080.0).contains(minutes));
    let minutes: f64 = minutes.ok_or("from 0.05 to 10080")?;
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

/// The time that a line of the table covers.
const LINE: Duration = Duration::from_secs(60);
/// How long a client waits for its reply before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many bytes a slow reader sends before another takes its place.
const STREAM: usize = 16 << 20;
/// The maximum number of bytes that a slow reader reads at a time.
const SIP: usize = 16 * 1024;

/// The other clients: those that come, ask once and leave, those that read slowly, and
/// those that reset.
#[derive(Debug, Default)]
struct Visitors {
    over: AtomicBool,
    newcomers: AtomicU64,
    slow_bytes: AtomicU64,
    resets: AtomicU64,
    /// The number of replies that did not come, or were not what was sent.
    wrong: AtomicU64,
}

/// Runs it, and prints a line every minute.
///
/// # Errors
/// Fails if the build fails, or if the server or `load` does not start.
pub(crate) fn soak(options: &Options) -> Result<Status, Error> {
    let folder = super::results_folder()?;
    let only = super::Options {
        quick: true,
        peers: false,
        rounds: None,
        only: vec![LAST_RUNG.to_owned()],
        keep: false,
    };
    let (servers, _) = servers::prepare(&only, &folder)?;
    let stop = super::stop_at_signal()?;
    let server = servers.first().ok_or(Error::new("there is no last rung".to_owned()))?;
    let machine = Machine::look();
    let running = RunningServer::start(server, &machine, 0, &[]).map_err(Error::new)?;
    let capacity = ask(&machine, &running, Duration::from_secs(2), None);
    if stop.load(Ordering::Relaxed) {
        return Err(Error::new("bench soak: interrupted by a signal"));
    }
    let capacity = capacity?.rate;
    say(&format!(
        "{LAST_RUNG}: {capacity:.0} requests a second with 50 connections; half of that for \
         {:.1} minutes\n\n  minute   requests   p50 µs   p99 µs  newcomers  read slowly   \
         resets  memory",
        options.minutes.as_secs_f64() / 60.0
    ))?;
    let visitors = Visitors::default();
    let port = running.port;
    let mut memory = Vec::new();
    let mut requests = 0.0;
    let mut lost = 0.0;
    let result = thread::scope(|scope| {
        scope.spawn(|| visitors.come_and_go(port));
        scope.spawn(|| visitors.read_slowly(port));
        scope.spawn(|| visitors.reset(port));
        let mut left = options.minutes;
        let mut minute = 0;
        let mut lines = || {
            while !left.is_zero() {
                let window = left.min(LINE);
                left -= window;
                minute += 1;
                let asked = ask(&machine, &running, window, Some(capacity / 2.0))?;
                requests += asked.answered;
                lost += asked.lost;
                let bytes = running.resident_bytes().unwrap_or(0);
                memory.push(bytes);
                say(&visitors.line(minute, &asked, bytes))?;
            }
            Ok(())
        };
        let result: Result<(), Error> = lines();
        visitors.over.store(true, Ordering::Relaxed);
        result
    });
    if stop.load(Ordering::Relaxed) {
        return Err(Error::new(
            "bench soak: interrupted by a signal; the lines are those of the minutes that \
             were done",
        ));
    }
    result?;
    let wrong = visitors.wrong.load(Ordering::Relaxed);
    let (first, last) = (memory.first().unwrap_or(&0), memory.last().unwrap_or(&0));
    say(&format!(
        "\n{requests:.0} requests, every byte compared; lost: {lost}; wrong or lost among the \
         other clients: {wrong}\nmemory: {} kB after the first line, {} kB after the last",
        first / 1024,
        last / 1024
    ))?;
    let grew = *last > first + first / 2 + (1 << 20);
    let failed = lost > 0.0 || wrong > 0 || grew;
    Ok(if failed { Status::Failed } else { Status::AsDocumented })
}

/// The figures of one run of `load`.
#[derive(Debug)]
struct Asked {
    rate: f64,
    answered: f64,
    lost: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Runs `load` with 50 connections, at a rate or as fast as it can. A wrong byte makes it
/// fail.
fn ask(
    machine: &Machine,
    running: &RunningServer,
    time: Duration,
    rate: Option<f64>,
) -> Result<Asked, Error> {
    let (port, seconds) = (running.port.to_string(), time.as_secs_f64().to_string());
    let mut words = vec!["--port", &port, "--json", "--seconds", &seconds];
    let rate = rate.map(|rate| format!("{rate:.0}"));
    words.extend(rate.iter().flat_map(|rate| ["--rate", rate]));
    let said = child::load(machine, &words, time + Duration::from_secs(60))
        .map_err(Error::new)?;
    let field = |name: &str| {
        let missing = || Error::new(format!("load: no {name} in {said}"));
        child::field(&said, name).ok_or_else(missing)
    };
    Ok(Asked {
        rate: field("requests_per_second")?,
        answered: field("answered_in_all")?,
        lost: field("lost")? + field("unanswered")?,
        p50_us: field("p50_us")?,
        p99_us: field("p99_us")?,
    })
}

impl Visitors {
    fn line(&self, minute: u32, asked: &Asked, memory: u64) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{minute:8} {:10.0} {:8.0} {:8.0} {:10} {:9} MB {:8} {:4} kB",
            asked.answered,
            asked.p50_us,
            asked.p99_us,
            count(&self.newcomers),
            count(&self.slow_bytes) >> 20,
            count(&self.resets),
            memory / 1024
        )
    }

    /// Calls `once` again and again, `apart` from start to start, until everything is over.
    fn repeat(&self, apart: Duration, mut once: impl FnMut() -> io::Result<()>) {
        while !self.over.load(Ordering::Relaxed) {
            let start = Instant::now();
            if once().is_err() {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(apart.saturating_sub(start.elapsed()));
        }
    }

    /// Connects, asks and closes, but no more often than the kernel has ports for (see
    /// lesson 4).
    fn come_and_go(&self, port: u16) {
        let request: Vec<u8> = (0..64).map(pattern).collect();
        let mut reply = vec![0; request.len()];
        self.repeat(Duration::from_millis(5), || {
            let mut client = connect(port)?;
            client.write_all(&request)?;
            client.read_exact(&mut reply)?;
            self.newcomers.fetch_add(1, Ordering::Relaxed);
            expect(reply == request)
        });
    }

    /// Closes connections with a reply unread, so that the kernel resets them.
    fn reset(&self, port: u16) {
        self.repeat(Duration::from_millis(10), || {
            let mut client = connect(port)?;
            client.write_all(&[b'x'; 1024])?;
            client.peek(&mut [0])?;
            self.resets.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }

    /// Runs ten clients that send as much as the kernel takes, and read a little at a time.
    fn read_slowly(&self, port: u16) {
        let stream: Vec<u8> = (0..STREAM).map(pattern).collect();
        let mut clients: Vec<Option<(TcpStream, usize, usize)>> =
            (0..10).map(|_| None).collect();
        let mut sip = vec![0; SIP];
        let mut turn = |place: &mut Option<(TcpStream, usize, usize)>| {
            let (client, sent, received) = match place {
                Some(client) => client,
                None => {
                    let client = connect(port)?;
                    client.set_nonblocking(true)?;
                    place.insert((client, 0, 0))
                }
            };
            if *sent < STREAM {
                *sent += not_now(client.write(&stream[*sent..]))?;
            }
            if let Some(length) = Some(not_now(client.read(&mut sip))?).filter(|&n| n > 0)
            {
                expect(sip[..length] == stream[*received..][..length])?;
                *received += length;
                self.slow_bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
            if *received == STREAM {
                *place = None;
            }
            Ok(())
        };
        self.repeat(Duration::from_millis(10), || {
            clients.iter_mut().try_for_each(|client| {
                let result = turn(client);
                if result.is_err() {
                    *client = None;
                }
                result
            })
        });
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.set_read_timeout(Some(PATIENCE))?;
    Ok(client)
}

/// Returns the byte at this position of a stream. No two parts of the stream look alike for
/// long.
fn pattern(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b1) >> 11).to_le_bytes()[0]
}

fn expect(right: bool) -> io::Result<()> {
    let wrong = || io::Error::new(ErrorKind::InvalidData, "not what was sent");
    right.then_some(()).ok_or_else(wrong)
}

/// Turns `WouldBlock`, which means that the kernel has no bytes or no room at the moment,
/// into 0 bytes. The end of the stream is an error: the server has no reason to end it.
fn not_now(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

fn say(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::io("write to stdout"))
}
