//! Measures what tracing costs, side by side in one run: untraced, under flow, and under
//! strace; and how much memory flow uses as a run gets longer.
//!
//! `cargo build --release -p flow && cargo run --release -p flow --example bench`
//!
//! The three take turns, so that a machine that is busy for a while is busy for all of
//! them. The ratios are those of the medians: in some rounds strace and its program
//! happen to share a processor, and in others not, so its best round is not the one to
//! expect. `cargo xtask bench` measures what a lesson's flow costs compared with its
//! demo.
#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so by panic")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let count = arguments.get(2).and_then(|count| count.parse().ok()).unwrap_or(0);
    match arguments.get(1).map(String::as_str) {
        #[cfg(unix)]
        Some("sockets") => sockets(count),
        Some("files") => files(count),
        _ => return measure(),
    }
    ExitCode::SUCCESS
}

fn measure() -> ExitCode {
    let me = std::env::current_exe().expect("this program's path");
    let me = me.to_str().expect("a path in UTF-8");
    let flow = me.replace("examples/bench", "flow");
    if !std::path::Path::new(&flow).is_file() {
        eprintln!("measure {flow}: not built; cargo build --release -p flow builds it");
        return ExitCode::FAILURE;
    }
    let strace = ["strace", "-f", "-e", "trace=network", "-o", "/dev/null", me];
    let ways: [(&str, Vec<&str>); 4] = [
        ("untraced", vec![me]),
        ("flow", vec![&flow, "--", me]),
        ("flow, json", vec![&flow, "--format", "json", "-o", "/dev/null", "--", me]),
        ("strace", strace.to_vec()),
    ];
    compare(&ways, "80,000 socket calls", &["sockets", "40000"]);
    // strace stops at each of these: minutes in which nothing is learned.
    compare(&ways[..3], "400,000 other calls", &["files", "400000"]);
    println!("flow's memory at most:");
    for (events, pairs) in
        [("10,000", "2500"), ("100,000", "25000"), ("1,000,000", "250000")]
    {
        for (form, options) in
            [("text", &["-o", "/dev/null"][..]), ("json", &["--format", "json"][..])]
        {
            let words =
                [&[flow.as_str()][..], options, &["--", me, "sockets", pairs]].concat();
            match most_memory(&words) {
                Some(kib) => println!("  {events:>9} events, {form}  {kib:8} KiB"),
                None => println!("  {events:>9} events, {form}  could not run"),
            }
        }
    }
    ExitCode::SUCCESS
}

/// Times one program in each of these ways and prints the results.
fn compare(ways: &[(&str, Vec<&str>)], what: &str, program: &[&str]) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            times.extend(time(&[way, program].concat()));
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    let median = |way: usize| times.get(way).and_then(|it| it.get(it.len() / 2));
    println!(
        "{what:22} {:>9} {:>9} {:>12} {:>10}",
        "best, ms", "median", "of untraced", "of strace"
    );
    for (way, (name, _)) in ways.iter().enumerate() {
        let milliseconds = |it: Option<&Duration>| {
            it.map_or("-".to_owned(), |it| format!("{:.0}", it.as_secs_f64() * 1e3))
        };
        let part = |of: Option<&Duration>| match (median(way), of) {
            (Some(took), Some(of)) => {
                format!("{:.2}", took.as_secs_f64() / of.as_secs_f64())
            }
            _ => "-".to_owned(),
        };
        println!(
            "  {name:20} {:>9} {:>9} {:>12} {:>10}",
            milliseconds(times[way].first()),
            milliseconds(median(way)),
            part(median(0)),
            part(median(3)),
        );
    }
}

fn silent(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn time(words: &[&str]) -> Option<Duration> {
    let began = Instant::now();
    let status = silent(words).status().ok()?;
    status.success().then(|| began.elapsed())
}

/// The most memory that the program itself held: `VmHWM` in `/proc/PID/status`, in KiB,
/// polled until the program ends.
fn most_memory(words: &[&str]) -> Option<u64> {
    let mut child = silent(words).spawn().ok()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = None;
    while child.try_wait().ok()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
        most = kib.max(most);
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait().ok()?.success().then_some(most).flatten()
}

/// Sends and receives on a pair of sockets, this many times.
#[cfg(unix)]
fn sockets(times: u32) {
    let (a, b) = std::os::unix::net::UnixDatagram::pair().expect("a pair of sockets");
    let mut buffer = [0; 16];
    for _ in 0..times {
        a.send(b"sixteen bytes ok").expect("send");
        b.recv(&mut buffer).expect("receive");
    }
}

/// Reads the metadata of a file, this many times.
fn files(times: u32) {
    for _ in 0..times {
        std::fs::metadata("/proc/self/exe").expect("stat");
    }
}
