//! What turns cost, side by side in one run: round trips between two programs, and two hundred
//! threads, untraced, under strace, under a tracer that does nothing at its stops, and under
//! `flow` with turns and without (`--free`).
//!
//! `cargo xtask bench flow` builds and runs it.
//!
//! The idle tracer has the same filter and the same two stops for each call, and lets the program
//! go on at once: it is what no tracer of this kind can be faster than. It is measured as strace
//! runs, on all processors, and as `flow` does, on one. The ways take turns, so that a machine
//! that is busy for a while is busy for all of them.
#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so by panic")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod idle;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("measure flow: tracing needs Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Command, ExitCode, Stdio};
    use std::time::{Duration, Instant};

    use super::idle;

    /// Round trips of each of the two hundred threads.
    const OF_A_THREAD: u32 = 3;
    /// How long one run may take.
    const DEADLINE: Duration = Duration::from_secs(120);

    pub(super) fn main() -> ExitCode {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |at: usize| words.get(at).and_then(|it| it.parse::<u32>().ok());
        let port = number(1).and_then(|it| u16::try_from(it).ok()).unwrap_or(0);
        match words.first().copied() {
            Some("serve") => serve(port, number(2).unwrap_or(1)),
            Some("ask") => ask(port, number(2).unwrap_or(1), number(3).unwrap_or(1)),
            Some("both") => return both(&words[1..]),
            Some("idle") => return idle::trace(&words[1..], false),
            Some("idle-on-one") => return idle::trace(&words[1..], true),
            _ => return measure(number(0).unwrap_or(7)),
        }
        ExitCode::SUCCESS
    }

    /// Takes so many connections, each in a thread of its own, and sends back what comes.
    fn serve(port: u16, connections: u32) {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("listen");
        let threads = (0..connections).map(|_| {
            let (stream, _) = listener.accept().expect("accept");
            in_thread(connections, move || echo(stream))
        });
        threads.collect::<Vec<_>>().into_iter().flatten().for_each(|it| {
            it.join().expect("an echo");
        });
    }

    fn echo(mut stream: TcpStream) {
        let mut bytes = [0; 16];
        loop {
            match stream.read(&mut bytes).expect("read") {
                0 => return,
                length => stream.write_all(&bytes[..length]).expect("write"),
            }
        }
    }

    /// Opens so many connections, each in a thread of its own, and makes round trips on each.
    fn ask(port: u16, connections: u32, trips: u32) {
        let threads = (0..connections).map(|_| {
            in_thread(connections, move || {
                let mut stream = connect(port);
                stream.set_nodelay(true).expect("set TCP_NODELAY");
                let mut bytes = [0; 16];
                for _ in 0..trips {
                    stream.write_all(b"hi").expect("write");
                    stream.read_exact(&mut bytes[..2]).expect("read");
                }
            })
        });
        threads.collect::<Vec<_>>().into_iter().flatten().for_each(|it| {
            it.join().expect("the round trips");
        });
    }

    /// Runs it in a new thread, or here if there is to be only one.
    fn in_thread(
        of: u32,
        work: impl FnOnce() + Send + 'static,
    ) -> Option<std::thread::JoinHandle<()>> {
        if of == 1 {
            work();
            return None;
        }
        Some(std::thread::spawn(work))
    }

    /// Connects as soon as somebody listens.
    fn connect(port: u16) -> TcpStream {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "connect: {error}"),
            }
            std::thread::yield_now();
        }
    }

    /// Starts a server and a client, and waits for both: one command for strace.
    fn both(words: &[&str]) -> ExitCode {
        let me = std::env::current_exe().expect("this program's path");
        let start = |words: &[&str]| -> Child {
            Command::new(&me).args(words).spawn().expect("start a program")
        };
        let [port, connections, trips] = words else { return ExitCode::FAILURE };
        let mut children = [
            start(&["serve", port, connections]),
            start(&["ask", port, connections, trips]),
        ];
        let good = children.iter_mut().all(|it| it.wait().expect("wait").success());
        if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn measure(rounds: u32) -> ExitCode {
        let me = std::env::current_exe().expect("this program's path");
        let me = me.to_str().expect("a path in UTF-8");
        let flow = me.replace("examples/round_trips", "flow");
        if !std::path::Path::new(&flow).is_file() {
            eprintln!(
                "measure {flow}: not built; cargo build --release -p flow builds it"
            );
            return ExitCode::FAILURE;
        }
        for (what, connections, trips) in [
            ("10,000 round trips", "1", "10000".to_owned()),
            ("200 threads on each side", "200", OF_A_THREAD.to_string()),
        ] {
            compare(what, me, &flow, connections, &trips, rounds);
        }
        ExitCode::SUCCESS
    }

    /// Times the programs in each way and prints a table.
    fn compare(
        what: &str,
        me: &str,
        flow: &str,
        connections: &str,
        trips: &str,
        rounds: u32,
    ) {
        const NAMES: [&str; 6] =
            ["untraced", "strace", "idle tracer", "idle, one CPU", "flow", "flow --free"];
        let mut runs: [Vec<(Duration, Duration)>; 6] = Default::default();
        for _ in 0..rounds {
            for (way, runs) in runs.iter_mut().enumerate() {
                let port = free_port();
                let serve = ["--", me, "serve", &port, connections];
                let ask = ["--", me, "ask", &port, connections, trips];
                let both = [me, "both", &port, connections, trips];
                let strace =
                    ["strace", "-f", "-e", "trace=network,read,write", "-o", "/dev/null"];
                let words = match way {
                    0 => both.to_vec(),
                    1 => [&strace[..], &both].concat(),
                    2 => [&[me, "idle"][..], &serve, &ask].concat(),
                    3 => [&[me, "idle-on-one"][..], &serve, &ask].concat(),
                    4 => [&[flow, "-o", "/dev/null"][..], &serve, &ask].concat(),
                    _ => {
                        [&[flow, "--free", "-o", "/dev/null"][..], &serve, &ask].concat()
                    }
                };
                runs.extend(time(&words));
            }
        }
        println!("{what}, {rounds} runs each, medians");
        println!(
            "  {:14} {:>8} {:>8} {:>8} {:>12} {:>10} {:>8}",
            "", "ms", "best", "CPU, ms", "of untraced", "of strace", "of idle"
        );
        let wall = runs.each_ref().map(|runs| median(runs.iter().map(|it| it.0)));
        let cpu = runs.each_ref().map(|runs| median(runs.iter().map(|it| it.1)));
        for (way, name) in NAMES.into_iter().enumerate() {
            let part = |of: usize| match (wall[way], wall[of]) {
                (Some(took), Some(of)) => {
                    format!("{:.2}", took.as_secs_f64() / of.as_secs_f64())
                }
                _ => "-".to_owned(),
            };
            let best = runs[way].iter().map(|it| it.0).min();
            println!(
                "  {name:14} {:>8} {:>8} {:>8} {:>12} {:>10} {:>8}",
                milliseconds(wall[way]),
                milliseconds(best),
                milliseconds(cpu[way]),
                part(0),
                part(1),
                part(2),
            );
        }
    }

    fn milliseconds(time: Option<Duration>) -> String {
        time.map_or("-".to_owned(), |it| format!("{:.0}", it.as_secs_f64() * 1e3))
    }

    fn median(times: impl Iterator<Item = Duration>) -> Option<Duration> {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// A port that nobody has at this moment.
    fn free_port() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its number").port().to_string()
    }

    /// How long a command takes, by the clock and of the processors; `None` if it fails or is not
    /// installed.
    fn time(words: &[&str]) -> Option<(Duration, Duration)> {
        let (cpu, began) = (idle::processor_time_of_children(), Instant::now());
        let status = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()?;
        let took = began.elapsed();
        let cpu = idle::processor_time_of_children().saturating_sub(cpu);
        status.success().then_some((took, cpu))
    }
}
