//! Measures how long a server takes to reply. One thread sends each request when it is due,
//! another one receives the replies, and neither waits for the other.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let (count, rate): (u32, u32) = (variable("COUNT", 1000), variable("RATE", 500));
    let mut connection = TcpStream::connect(("127.0.0.1", variable("PORT", 12345)))?;
    // A request that is due goes out at once, whatever is still on its way.
    connection.set_nodelay(true)?;
    let start = Instant::now();
    let due = move |number: u32| start + Duration::from_secs(1) * number / rate;

    let reader = BufReader::new(connection.try_clone()?);
    let receiving = thread::spawn(move || receive(reader, count, due));
    for number in 0..count {
        thread::sleep(due(number).saturating_duration_since(Instant::now()));
        if receiving.is_finished() {
            break;
        }
        connection.write_all(format!("{number}\n").as_bytes())?;
    }
    let latencies = receiving.join().map_err(|_| Error::other("a panic"))?;
    report(latencies?)
}

/// The latency of each request, from when it was due.
fn receive(
    mut reader: BufReader<TcpStream>,
    count: u32,
    due: impl Fn(u32) -> Instant,
) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut reply = String::new();
    for number in 0..count {
        reply.clear();
        if reader.read_line(&mut reply)? == 0 {
            let message = format!("the server ended its stream after {number} replies");
            return Err(Error::new(ErrorKind::UnexpectedEof, message));
        }
        latencies.push(due(number).elapsed());
    }
    Ok(latencies)
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
