//! Sends a request as two small writes and waits for the reply, many times: why each takes
//! 40 ms, and three cures.
//!
//! It belongs to lesson 10, `lessons/10-tcps-promises`. Start
//! `tcp-server-exchanges` first, then `cargo run -q --bin tcp-client-exchanges`.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{Address, During, Failure, exit_code, parse_arguments, say};
use socket2::{Domain, Socket, Type};

fn main() -> ExitCode {
    exit_code(run(&parse_arguments()))
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = arguments.address.resolve()?;
    for way in [Way::TwoWrites, Way::OneWrite, Way::NoDelay, Way::Cork] {
        let mut times = Vec::new();
        let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None)
            .during("socket", "TCP over IPv4")?;
        socket.connect(&address.into()).during("connect", address)?;
        if way == Way::NoDelay {
            socket.set_tcp_nodelay(true).during("setsockopt", "TCP_NODELAY")?;
        }
        for _ in 0..EXCHANGES {
            let start = Instant::now();
            exchange(&mut socket, address, way)?;
            times.push(start.elapsed());
        }
        // One of the fastest of the second half: a program that waits for a processor is
        // slower, and nothing but the kernel's clock makes most of them slow. (The fastest
        // may be one whose client had no processor between its two writes for so long that
        // the acknowledgment came before the second.)
        times.drain(..EXCHANGES / 2);
        times.sort_unstable();
        let fast = times.get(times.len() / 4).copied().unwrap_or_default();
        let slow = if fast > Duration::from_millis(30) { "slow" } else { "fast" };
        let milliseconds = fast.as_secs_f64() * 1000.0;
        say!("{:<40} {slow}: {milliseconds:.2} ms", way.name())?;
    }
    Ok(())
}

/// Enough for the quick ACKs at the beginning of a connection (tcp(7)) not to matter.
const EXCHANGES: usize = 41;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    TwoWrites,
    OneWrite,
    NoDelay,
    Cork,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::TwoWrites => "write, write, read",
            Way::OneWrite => "both in one write",
            Way::NoDelay => "write, write, read, with TCP_NODELAY",
            Way::Cork => "write, write, read, with TCP_CORK",
        }
    }
}

/// One request and its reply.
fn exchange(socket: &mut Socket, server: SocketAddr, way: Way) -> Result<(), Failure> {
    if way == Way::OneWrite {
        socket.write_all(b"headbody").during("send", server)?;
    } else {
        // TCP_CORK, tcp(7): nothing but full segments goes out until it is pulled.
        #[cfg(target_os = "linux")]
        socket.set_tcp_cork(way == Way::Cork).during("setsockopt", "TCP_CORK")?;
        socket.write_all(b"head").during("send", server)?;
        socket.write_all(b"body").during("send", server)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_cork(false).during("setsockopt", "TCP_CORK")?;
    }
    socket.read_exact(&mut [0; 4]).during("recv", server)
}

/// Sends a request in two parts, in four ways, and says how long each takes
#[derive(Parser)]
#[command(name = "tcp-client-exchanges", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    address: Address,
}

const EXAMPLES: &str = "\
Examples:
  tcp-client-exchanges  40 exchanges each, with localhost, port 12345
Through cargo: cargo run -q --bin tcp-client-exchanges

Exit status:
  0  all requests were answered
  1  it failed: one line on stderr says what, why and what to do next
  2  wrong command line";
