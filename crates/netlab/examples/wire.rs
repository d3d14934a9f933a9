//! What the wire carries: bulk TCP from host a to host b, without rules and with some, side by
//! side, and what was lost unseen. `cargo run --release -p netlab --example wire`.

#[cfg(target_os = "linux")]
use std::io::Read;
use std::io::{self, Write};
#[cfg(target_os = "linux")]
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
#[cfg(target_os = "linux")]
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let _ = writeln!(io::stderr(), "a wire needs Linux");
    ExitCode::from(77)
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use netlab::wire::{Card, Rules};

    if let Err(refusal) = netlab::enter_user_namespace() {
        let _ = writeln!(io::stderr(), "{refusal}");
        return ExitCode::from(77);
    }
    let mut failed = false;
    for (name, card) in [("TUN", Card::Tun), ("veth", Card::Veth)] {
        for rules in ["", "lose a>b data 1000000000", "lose 1% seed 1"] {
            let parsed = Rules::parse([rules]).unwrap_or_default();
            match carry(&parsed, card) {
                Ok(line) => {
                    let rules = if rules.is_empty() { "no rules" } else { rules };
                    let _ = writeln!(io::stdout(), "{name:<5} {rules:<26} {line}");
                }
                Err(error) => {
                    failed = true;
                    let _ = writeln!(io::stdout(), "{name:<5} {error}");
                }
            }
        }
    }
    ExitCode::from(u8::from(failed))
}

#[cfg(target_os = "linux")]
const BYTES: usize = 200_000_000;
/// Over a wire that loses, less.
#[cfg(target_os = "linux")]
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(target_os = "linux")]
fn carry(rules: &netlab::wire::Rules, card: netlab::wire::Card) -> io::Result<String> {
    use netlab::wire::{Host, Options, Wire};

    let options = Options { packet_bytes: None, card };
    let wire = Wire::open(rules, options).map_err(io::Error::other)?;
    let at = |host: Host, work: &(dyn Fn() -> io::Result<Socket> + Sync)| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| wire.enter(host).and_then(|()| work()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    };
    let listen = || TcpListener::bind("10.77.0.2:0").map(Socket::Listener);
    let Socket::Listener(listener) = at(Host::B, &listen)? else {
        return Ok(String::new());
    };
    let address = listener.local_addr()?;
    let connect = || TcpStream::connect(address).map(Socket::Stream);
    let Socket::Stream(mut client) = at(Host::A, &connect)? else {
        return Ok(String::new());
    };
    let (mut server, _) = listener.accept()?;
    let start = Instant::now();
    let received = thread::scope(|scope| {
        scope.spawn(move || {
            let block = vec![7; 1 << 16];
            let mut left = BYTES;
            while left > 0 && start.elapsed() < LONGEST {
                let piece = left.min(block.len());
                if client.write_all(&block[..piece]).is_err() {
                    break;
                }
                left -= piece;
            }
        });
        let mut buffer = vec![0; 1 << 18];
        let mut received = 0;
        loop {
            match server.read(&mut buffer)? {
                0 => return Ok::<_, io::Error>(received),
                length => received += length,
            }
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let counts = wire.counts();
    let gigabits = received as f64 * 8.0 / seconds / 1e9;
    Ok(format!(
        "{gigabits:.2} Gbit/s, {} packets, lost unseen {}, refused {}",
        counts.sent[0] + counts.sent[1],
        counts.overrun[0] + counts.overrun[1],
        counts.refused
    ))
}

#[cfg(target_os = "linux")]
enum Socket {
    Listener(TcpListener),
    Stream(TcpStream),
}
