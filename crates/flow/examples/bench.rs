//! What tracing costs, side by side in one run: untraced, under flow, under strace.
//!
//! `cargo build --release -p flow && cargo run --release -p flow --example bench`
#![allow(clippy::expect_used, reason = "a benchmark that cannot run says so by panic")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let me = std::env::current_exe().expect("this program's path");
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("sockets") => return sockets(),
        Some("files") => return files(),
        _ => {}
    }
    let me = me.to_str().expect("a path in UTF-8");
    let flow = me.replace("examples/bench", "flow");
    let time = |words: &[&str]| -> Option<Duration> {
        let mut best = None;
        for _ in 0..3 {
            let began = Instant::now();
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::null());
            let status = command.stdout(Stdio::null()).status().ok()?;
            let took = began.elapsed();
            best = Some(best.map_or(took, |it: Duration| it.min(took)));
            if !status.success() {
                return None;
            }
        }
        best
    };
    let strace = ["strace", "-f", "-e", "trace=network", "-o", "/dev/null", me];
    for (what, count) in
        [("sockets", "80,000 socket calls"), ("files", "400,000 other calls")]
    {
        println!("{count}, best of 3:");
        let with = |words: &[&str]| time(&[words, &[what]].concat());
        let rows = [
            ("untraced", with(&[me])),
            ("flow", with(&[&flow, "--", me])),
            (
                "flow, JSON",
                with(&[&flow, "--format", "json", "-o", "/dev/null", "--", me]),
            ),
            ("strace", with(&strace)),
        ];
        for (name, took) in rows {
            match took {
                Some(took) => println!("  {name:12} {:8.0} ms", took.as_secs_f64() * 1e3),
                None => println!("  {name:12} could not run"),
            }
        }
    }
}

/// 40,000 times send and receive on a pair of sockets.
fn sockets() {
    let (a, b) = std::os::unix::net::UnixDatagram::pair().expect("a pair of sockets");
    let mut buffer = [0; 16];
    for _ in 0..40_000 {
        a.send(b"sixteen bytes ok").expect("send");
        b.recv(&mut buffer).expect("receive");
    }
}

/// 400,000 times the metadata of a file.
fn files() {
    for _ in 0..400_000 {
        std::fs::metadata("/proc/self/exe").expect("stat");
    }
}
