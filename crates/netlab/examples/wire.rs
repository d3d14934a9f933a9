//! Measures what the wire costs and carries: how long its two hosts take to make,
//! compared with one private network; bulk TCP from host a to host b without rules, with
//! rules, and over the same two TUN devices bridged by `socat`; a flood of datagrams; and
//! how many packets were lost unseen.
//!
//! Run it with `cargo run --release -p netlab --example wire`.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "a wire needs Linux");
    ExitCode::from(77)
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::io::Write as _;
    match linux::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io::{self, Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use netlab::wire::{Card, Host, Options, Rules, Wire};

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    /// The most that is sent.
    const BYTES: usize = 400_000_000;
    /// How long a transfer over a lossy wire may take; it sends less.
    const LONGEST: Duration = Duration::from_secs(5);
    /// A rule that looks at every packet and never matches.
    const IDLE: &str = "lose a>b data 1000000000";
    const ROUNDS: usize = 3;
    const ROUNDS_OF_SET_UP: usize = 30;

    pub(super) fn main() -> Result<()> {
        if let Err(refusal) = netlab::enter_user_namespace() {
            writeln!(io::stderr(), "{refusal}")?;
            std::process::exit(77);
        }
        say("Set up, least and median of 30 in turn:")?;
        open()?;
        say("\nBulk TCP from a to b, the best of 3 in turn:")?;
        bulk()?;
        say("\nOne segment of a hundred lost, from a to b, 20 MB:")?;
        lossy()?;
        say("\nA flood of 1,000,000 datagrams, nobody receives:")?;
        flood()
    }

    fn say(line: &str) -> Result<()> {
        Ok(writeln!(io::stdout(), "{line}")?)
    }

    /// How long it takes until a scene can begin.
    fn open() -> Result<()> {
        let (mut wires, mut ends, mut networks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS_OF_SET_UP {
            let start = Instant::now();
            let wire = Wire::open(&Rules::default(), Options::default())?;
            wires.push(start.elapsed());
            let start = Instant::now();
            drop(wire);
            ends.push(start.elapsed());
            let start = Instant::now();
            // The network belongs to the thread, and goes with it.
            thread::scope(|scope| {
                let thread = scope.spawn(|| netlab::PrivateNetwork::enter().map(drop));
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
            networks.push(start.elapsed());
        }
        for (name, mut times) in [
            ("one private network", networks),
            ("two hosts and a wire", wires),
            ("the same, taken away", ends),
        ] {
            times.sort();
            let [least, median] =
                [times[0], times[times.len() / 2]].map(|it| it.as_secs_f64() * 1e3);
            say(&format!("  {name:<24} {least:6.1} ms {median:6.1} ms"))?;
        }
        Ok(())
    }

    fn bulk() -> Result<()> {
        let rows: [(&str, &str, Card); 6] = [
            ("TUN, bridged by socat", IDLE, Card::Tun),
            ("TUN, no rules", "", Card::Tun),
            ("TUN, a rule that looks", IDLE, Card::Tun),
            ("TUN, lose 1% seed 1", "lose 1% seed 1", Card::Tun),
            ("veth, no rules", "", Card::Veth),
            ("veth, a rule that looks", IDLE, Card::Veth),
        ];
        let mut best: [Option<(f64, String)>; 6] = Default::default();
        for _ in 0..ROUNDS {
            for ((name, rules, card), best) in rows.iter().zip(&mut best) {
                match carry(name, &Rules::parse([*rules])?, *card) {
                    Ok((gigabits, line)) => {
                        if best.as_ref().is_none_or(|(before, _)| gigabits > *before) {
                            *best = Some((gigabits, line));
                        }
                    }
                    Err(error) => *best = Some((0.0, format!("not here: {error}"))),
                }
            }
        }
        for ((name, ..), best) in rows.iter().zip(best) {
            let (gigabits, line) = best.unwrap_or_default();
            say(&format!("  {name:<24} {gigabits:6.2} Gbit/s  {line}"))?;
        }
        Ok(())
    }

    /// `socat` between the two cards, in place of the wire. It ends with this process.
    struct Socat(Child);

    impl Socat {
        fn between(wire: &mut Wire) -> Result<Socat> {
            let cards = wire.unbridge()?.ok_or("no TUN devices")?;
            let [a, b] = cards.map(Stdio::from);
            let mut socat = Command::new("socat");
            socat.args(["-b", "65536", "FD:0", "FD:1"]);
            let child = socat.stdin(a).stdout(b).stderr(Stdio::null()).spawn();
            Ok(Socat(child.map_err(|error| format!("start socat: {error}"))?))
        }
    }

    impl Drop for Socat {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Gigabits per second, and what was counted.
    fn carry(name: &str, rules: &Rules, card: Card) -> Result<(f64, String)> {
        let mut wire = Wire::open(rules, Options { packet_bytes: None, card })?;
        let socat =
            name.contains("socat").then(|| Socat::between(&mut wire)).transpose()?;
        let listener = on(&wire, Host::B, || TcpListener::bind("10.77.0.2:0"))?;
        let address = listener.local_addr()?;
        let mut client = on(&wire, Host::A, || TcpStream::connect(address))?;
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
        let mut line = format!(
            "{} packets, lost unseen {}, refused {}",
            counts.sent[0] + counts.sent[1],
            counts.overrun[0] + counts.overrun[1],
            counts.refused
        );
        if socat.is_some() {
            // The wire saw none of them; the cards count what they lost.
            line = format!("lost unseen {}", counts.overrun[0] + counts.overrun[1]);
        }
        Ok((received as f64 * 8.0 / seconds / 1e9, line))
    }

    /// How often host a's kernel retransmits over a wire that loses one packet in a
    /// hundred, and over Linux's own `netem` doing the same.
    fn lossy() -> Result<()> {
        for (name, rules) in
            [("lose a>b data 1%", "lose a>b data 1% seed 1"), ("netem", IDLE)]
        {
            let options = Options { packet_bytes: None, card: Card::Any };
            let wire = Wire::open(&Rules::parse([rules])?, options)?;
            if name == "netem" {
                let mut netem = Command::new("tc");
                netem.args(["qdisc", "add", "dev", "wire0", "root", "netem"]);
                netem.args(["limit", "100000", "loss", "1%"]).stderr(Stdio::null());
                wire.place(&mut netem, Host::A);
                if !netem.status().is_ok_and(|status| status.success()) {
                    say(
                        "  netem                    not here: no tc, or no module sch_netem",
                    )?;
                    continue;
                }
            }
            let listener = on(&wire, Host::B, || TcpListener::bind("10.77.0.2:0"))?;
            let address = listener.local_addr()?;
            let mut client = on(&wire, Host::A, || TcpStream::connect(address))?;
            let (mut server, _) = listener.accept()?;
            thread::scope(|scope| {
                scope.spawn(move || client.write_all(&vec![7; 20_000_000]));
                io::copy(&mut server, &mut io::sink())
            })?;
            let snmp = on(&wire, Host::A, || {
                std::fs::read_to_string("/proc/thread-self/net/snmp")
            })?;
            say(&format!(
                "  {name:<24} {} segments, {} sent again",
                counter(&snmp, "OutSegs").unwrap_or(0),
                counter(&snmp, "RetransSegs").unwrap_or(0)
            ))?;
        }
        Ok(())
    }

    /// A TCP counter from `/proc/net/snmp`.
    fn counter(snmp: &str, name: &str) -> Option<u64> {
        let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let at = names.split(' ').position(|it| it == name)?;
        values.split(' ').nth(at)?.parse().ok()
    }

    /// Sends more datagrams than any queue holds, to see how much of them this process
    /// keeps.
    fn flood() -> Result<()> {
        let rules = Rules::parse(["rate 100Mbit queue 20"])?;
        let wire =
            Wire::open(&rules, Options { packet_bytes: Some(256), card: Card::Any })?;
        let before = resident()?;
        let socket = on(&wire, Host::A, || UdpSocket::bind("10.77.0.1:0"))?;
        let mut most = before;
        for number in 0..1_000_000 {
            // A full send buffer is not an error here: the next datagram finds room.
            let _ = socket.send_to(&[7; 64], "10.77.0.2:9");
            if number % 10_000 == 0 {
                most = most.max(resident()?);
            }
        }
        let counts = wire.counts();
        say(&format!(
            "  {} of them on the wire, {} arrived, lost unseen {}; sightings not kept {}",
            counts.sent[0], counts.arrived[1], counts.overrun[0], counts.missed
        ))?;
        say(&format!("  resident before {before} KiB, at most {most} KiB"))
    }

    /// The memory of this process in KiB (`VmRSS`, proc(5)).
    fn resident() -> Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no VmRSS in /proc/self/status")?.parse()?)
    }

    /// Runs a closure on a host.
    fn on<T: Send>(
        wire: &Wire,
        host: Host,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| wire.enter(host).and_then(|()| work()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
