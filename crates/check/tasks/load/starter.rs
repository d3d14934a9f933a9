//! Measures how long a server takes to reply, one request at a time: when the server stalls,
//! so does the measurement.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let (count, rate): (u32, u32) = (variable("COUNT", 1000), variable("RATE", 500));
    let mut connection = TcpStream::connect(("127.0.0.1", variable("PORT", 12345)))?;
    connection.set_nodelay(true)?;
    let start = Instant::now();

    let mut reader = BufReader::new(connection.try_clone()?);
    let mut latencies = Vec::new();
    for number in 0..count {
        let due = start + Duration::from_secs(1) * number / rate;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Your part: what has become of the requests that are due while this one waits? And when
        // does a latency begin?
        let sent = Instant::now();
        connection.write_all(format!("{number}\n").as_bytes())?;
        let mut reply = String::new();
        if reader.read_line(&mut reply)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        latencies.push(sent.elapsed());
    }
    report(latencies)
}

fn variable<T: FromStr>(name: &str, otherwise: T) -> T {
    let value = std::env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(otherwise)
}

fn report(mut latencies: Vec<Duration>) -> io::Result<()> {
    latencies.sort_unstable();
    let mut stdout = io::stdout();
    writeln!(stdout, "replies {}", latencies.len())?;
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        let place = (latencies.len() * percent).div_ceil(100).max(1) - 1;
        let latency = latencies.get(place).copied().unwrap_or_default();
        writeln!(stdout, "{name} {:.3}", latency.as_secs_f64() * 1000.0)?;
    }
    Ok(())
}
