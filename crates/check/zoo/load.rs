//! Lesson 15's load generator.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Flaw, loopback, port};

#[derive(Clone, Copy)]
struct Plan {
    start: Instant,
    count: u32,
    rate: u32,
}

impl Plan {
    /// Waits until a request is due, and returns when that was.
    fn wait(&self, flaw: &Flaw, number: u32) -> Instant {
        let due = self.due(number);
        if !flaw.is("at-once") {
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        due
    }

    fn due(&self, number: u32) -> Instant {
        self.start + Duration::from_secs(1) * number / self.rate
    }
}

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|it| it.parse().ok());
    let (count, rate) = (number("COUNT").unwrap_or(1000), number("RATE").unwrap_or(500));
    let stream = TcpStream::connect(loopback(port(flaw)))?;
    stream.set_nodelay(true)?;
    let plan = Plan { start: Instant::now(), count, rate };
    let latencies = match flaw.is("closed-loop") || flaw.is("catches-up") {
        true => closed(flaw, &stream, plan)?,
        false => open(flaw, &stream, plan)?,
    };
    report(flaw, latencies);
    Ok(())
}

fn send(flaw: &Flaw, mut stream: &TcpStream, number: u32) -> io::Result<()> {
    let number = if flaw.is("from-1") { number + 1 } else { number };
    stream.write_all(format!("{number}\n").as_bytes())
}

/// Returns how many replies the next receive brings.
fn receive(flaw: &Flaw, mut stream: &TcpStream) -> io::Result<usize> {
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer)?;
    if length == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let lines = buffer[..length].split_inclusive(|byte| *byte == b'\n');
    // Where one receive is taken for whole lines, a part of one is none.
    let shortest = if flaw.is("drops-halves") { 2 } else { 1 };
    Ok(lines.filter(|line| line.ends_with(b"\n") && line.len() >= shortest).count())
}

/// Waits for each reply before it sends the next request.
fn closed(flaw: &Flaw, stream: &TcpStream, plan: Plan) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for number in 0..plan.count {
        let due = plan.wait(flaw, number);
        let begins = if flaw.is("catches-up") { due } else { Instant::now() };
        send(flaw, stream, number)?;
        while receive(flaw, stream)? == 0 {}
        latencies.push(begins.elapsed());
    }
    Ok(latencies)
}

/// Receives in a thread of its own.
fn open(flaw: &Flaw, stream: &TcpStream, plan: Plan) -> io::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut latencies = Vec::new();
            while latencies.len() < plan.count as usize {
                if flaw.is("claims-the-last")
                    && latencies.len() + 1 == plan.count as usize
                {
                    latencies.extend(latencies.last().copied());
                    break;
                }
                let replies = match receive(flaw, stream) {
                    Err(_) if flaw.is("end-is-fine") => break,
                    result => result?,
                };
                for _ in 0..replies {
                    latencies.push(plan.due(latencies.len() as u32).elapsed());
                }
            }
            Ok(latencies)
        });
        for number in 0..plan.count {
            plan.wait(flaw, number);
            if receiving.is_finished() && !flaw.is("claims-the-last") {
                break;
            }
            send(flaw, stream, number)?;
        }
        receiving.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()))
    })
}

fn report(flaw: &Flaw, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    if flaw.is("trims") {
        // The slowest percent, at least one, is taken for as long as the next.
        let kept = latencies.len() - latencies.len().div_ceil(100);
        let slowest = latencies[kept - 1];
        latencies[kept..].fill(slowest);
    }
    if flaw.is("upside-down") {
        latencies.reverse();
    }
    if !flaw.is("no-count") {
        println!("replies {}", latencies.len());
    }
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        let place = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        let latency = latencies.get(place).copied().unwrap_or_default();
        let factor = match () {
            () if flaw.is("seconds") => 1.0,
            () if flaw.is("microseconds") => 1e6,
            () => 1e3,
        };
        println!("{name} {:.6}", latency.as_secs_f64() * factor);
    }
}
