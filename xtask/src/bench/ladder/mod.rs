//! `bench ladder`: the servers of lessons 12 to 15 side by side, and peers of other making.
//!
//! A figure of one run says little: the machine does other things too. So every server has
//! its turn in every round, in an order that rotates; what counts is the ratio to the best *of
//! the same round*, and its median. One server runs twice: by how much it differs from itself
//! is what no other difference may be smaller than (an A/A control).

mod child;
mod plot;
mod report;
mod servers;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::child::{Machine, Running};
use self::servers::{Readiness, Server};
use crate::workspace;
use crate::{Error, Status};

/// What `bench ladder` was asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// In less than 30 s once all is built: fewer cases, fewer servers, two rounds
    #[arg(long)]
    pub quick: bool,
    /// Also servers of other making, as far as they are installed or can be built here
    #[arg(long)]
    pub peers: bool,
    /// Only servers whose name has one of these words in it
    #[arg(long, value_name = "WORD")]
    pub only: Vec<String>,
    /// Put the figures and the plots beside lesson 15's page, not only into target/bench
    #[arg(long)]
    pub keep: bool,
}

/// One thing that is measured of every server.
#[derive(Debug, Clone)]
struct Case {
    /// Its key in the JSON.
    key: &'static str,
    /// As the table says it.
    title: &'static str,
    /// What `load` is told.
    load: Vec<String>,
    /// How many clients there are at a time.
    clients: usize,
    udp: bool,
    /// Bytes a second tell more than requests.
    bulk: bool,
    /// The rate is given: latency is what is measured.
    rate: bool,
}

/// What one window of one server came to.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Requests a second.
    rate: f64,
    /// Processor time of the server for each request; not known of those that fork.
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// Which part of the time `load` itself was busy.
    busy: f64,
}

/// All that was measured.
#[derive(Debug, Default)]
struct Results {
    /// By case, by server, by round.
    samples: BTreeMap<(usize, usize), Vec<Option<Sample>>>,
    /// Bytes for each idle connection, and how many there were.
    memory: BTreeMap<usize, (f64, usize)>,
    /// System calls for each request.
    calls: BTreeMap<usize, f64>,
    failures: Vec<String>,
    rounds: usize,
    interrupted: bool,
}

/// The plan: which servers, which cases.
#[derive(Debug)]
struct Plan {
    servers: Vec<Server>,
    cases: Vec<Case>,
    rounds: usize,
    window: Duration,
    warm_up: Duration,
    /// How long all rounds may take.
    limit: Duration,
    connections_held: usize,
    absent: Vec<String>,
    machine: Machine,
}

/// Measures, prints the tables, and writes the figures and the plots.
///
/// # Errors
/// The build fails, or the folder of the results cannot be written.
pub fn ladder(options: &Options) -> Result<Status, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first has the measuring stop and what there is be kept; the second ends it all.
        signal_hook::flag::register_conditional_default(signal, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .map_err(Error::io("set a handler for Ctrl-C"))?;
    }
    let folder = workspace::root().join("target/bench");
    std::fs::create_dir_all(&folder).map_err(Error::io("make target/bench"))?;
    let plan = plan(options, &folder)?;
    let started = Instant::now();
    let results = measure(&plan, &stop);
    let mut text = report::tables(&plan, &results);
    text += &format!(
        "\n{} rounds of windows of {} ms; {} s\n",
        results.rounds,
        plan.window.as_millis(),
        started.elapsed().as_secs()
    );
    write!(io::stdout(), "{text}").map_err(Error::io("write to stdout"))?;
    let mut folders = vec![folder];
    if options.keep {
        folders.push(workspace::root().join("lessons/15-measuring/kept"));
    }
    for folder in &folders {
        write_files(folder, &plan, &results, &text)
            .map_err(Error::io("write the figures and the plots"))?;
    }
    let last = folders.last().map(|folder| {
        let root = workspace::root();
        folder.strip_prefix(root).map_or(folder.clone(), PathBuf::from)
    });
    if let Some(folder) = last {
        writeln!(io::stdout(), "The figures and the plots are in {}", folder.display())
            .map_err(Error::io("write to stdout"))?;
    }
    if results.interrupted {
        let message = "Ctrl-C: the figures are those of the rounds that were done\n";
        let _ = io::stderr().write_all(message.as_bytes());
    }
    let ours = |failure: &String| {
        plan.servers.iter().any(|one| !one.peer && failure.contains(&one.name))
    };
    let failed = results.interrupted || results.failures.iter().any(ours);
    Ok(if failed { Status::Failed } else { Status::AsDocumented })
}

fn write_files(
    folder: &std::path::Path,
    plan: &Plan,
    results: &Results,
    text: &str,
) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("ladder.txt"), text)?;
    std::fs::write(folder.join("ladder.json"), report::json(plan, results))?;
    for (name, svg) in plot::plots(plan, results) {
        std::fs::write(folder.join(name), svg)?;
    }
    Ok(())
}

fn case(key: &'static str, title: &'static str, clients: usize, load: &[&str]) -> Case {
    let mut words: Vec<String> = load.iter().map(|&word| word.to_owned()).collect();
    words.extend(["--connections".into(), clients.to_string()]);
    let has = |word: &str| load.contains(&word);
    let (udp, bulk, rate) = (has("--udp"), has("--bytes"), has("--rate"));
    Case { key, title, load: words, clients, udp, bulk, rate }
}

fn plan(options: &Options, folder: &std::path::Path) -> Result<Plan, Error> {
    let mut cases = vec![
        case("connections_1", "1 connection, 64 B", 1, &[]),
        case("connections_50", "50 connections, 64 B", 50, &[]),
        case("bulk_8", "8 connections, 64 KiB", 8, &["--bytes", "65536"]),
        case("churn", "connect, ask, close; 50 at a time", 50, &["--churn"]),
    ];
    if !options.quick {
        cases.extend([
            case("connections_10", "10 connections, 64 B", 10, &[]),
            case("connections_200", "200 connections, 64 B", 200, &[]),
            case("connections_1000", "1,000 connections, 64 B", 1000, &[]),
            case("bulk_1", "1 connection, 64 KiB", 1, &["--bytes", "65536"]),
            case("bytes_1024", "8 connections, 1 KiB", 8, &["--bytes", "1024"]),
            case("bytes_8192", "8 connections, 8 KiB", 8, &["--bytes", "8192"]),
            case("bytes_262144", "8 connections, 256 KiB", 8, &["--bytes", "262144"]),
            case(
                "rate_20000",
                "20,000 requests a second, 50 connections",
                50,
                &["--rate", "20000"],
            ),
            case("udp_50", "UDP, 50 sockets, 64 B", 50, &["--udp"]),
        ]);
    }
    let (servers, absent) = servers::prepare(options, folder)?;
    let machine = Machine::look();
    let connections_held = if options.quick { 1000 } else { 10_000 };
    let mut plan = Plan {
        servers,
        cases,
        rounds: if options.quick { 2 } else { 3 },
        window: Duration::ZERO,
        warm_up: Duration::from_millis(if options.quick { 40 } else { 80 }),
        limit: Duration::from_secs(if options.quick { 24 } else { 325 }),
        connections_held: connections_held.min(machine.descriptors.saturating_sub(100)),
        absent,
        machine,
    };
    // The whole is to end in time: what starting and stopping leave of it is divided up.
    let windows = plan.rounds * plan.pairs().count();
    let budget = if options.quick { 18.0 } else { 280.0 };
    let each = budget / windows.max(1) as f64 - plan.warm_up.as_secs_f64() - 0.05;
    plan.window = Duration::from_secs_f64(each.clamp(0.06, 0.5));
    Ok(plan)
}

impl Plan {
    /// Every case with every server that can serve it.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let cases = self.cases.iter().enumerate();
        cases.flat_map(|(at, case)| {
            let able = self.servers.iter().enumerate();
            able.filter(|(_, server)| server.can(case)).map(move |(one, _)| (at, one))
        })
    }
}

fn measure(plan: &Plan, stop: &AtomicBool) -> Results {
    let mut results = Results::default();
    let mut progress = Progress::new(plan);
    let started = Instant::now();
    for round in 0..plan.rounds {
        // On a busy machine starting and stopping takes long. Two rounds in time are better
        // than three that nobody waits for.
        let each = started.elapsed().checked_div(round as u32).unwrap_or_default();
        if round > 0 && started.elapsed() + each > plan.limit {
            break;
        }
        for at in 0..plan.cases.len() {
            let mut able: Vec<usize> =
                plan.pairs().filter(|pair| pair.0 == at).map(|pair| pair.1).collect();
            // The order rotates, so that no server always follows the same one.
            let turn = round * able.len() / plan.rounds.max(1);
            able.rotate_left(turn);
            for server in able {
                if stop.load(Ordering::Relaxed) {
                    results.interrupted = true;
                    return results;
                }
                let (case, server_) = (&plan.cases[at], &plan.servers[server]);
                progress.step(&format!(
                    "round {} · {} · {}",
                    round + 1,
                    case.title,
                    server_.name
                ));
                let sample = window(plan, case, server_);
                let of = results.samples.entry((at, server)).or_default();
                match sample {
                    Ok(sample) => of.push(Some(sample)),
                    Err(why) => {
                        of.push(None);
                        let failure = format!("{}, {}: {why}", server_.name, case.title);
                        results.failures.push(failure);
                    }
                }
            }
        }
        results.rounds = round + 1;
    }
    for (at, server) in plan.servers.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            results.interrupted = true;
            return results;
        }
        if !server.udp && !server.control && server.clients > 1000 {
            progress.step(&format!("memory · {}", server.name));
            match memory(plan, server) {
                Ok(measured) => drop(results.memory.insert(at, measured)),
                Err(why) => {
                    results.failures.push(format!("{}, memory: {why}", server.name))
                }
            }
        }
        if !server.udp && !server.control && server.clients >= 50 && !server.forks {
            progress.step(&format!("system calls · {}", server.name));
            match calls(plan, server) {
                Ok(measured) => drop(results.calls.insert(at, measured)),
                Err(why) => {
                    results
                        .failures
                        .push(format!("{}, system calls: {why}", server.name));
                }
            }
        }
    }
    progress.done();
    results
}

/// Starts the server, asks it for the time of a window, ends it.
fn window(plan: &Plan, case: &Case, server: &Server) -> Result<Sample, String> {
    let running = Running::start(server, &plan.machine, &[])?;
    let port = running.port.to_string();
    let seconds = plan.window.as_secs_f64().to_string();
    let warm_up = plan.warm_up.as_millis().to_string();
    let mut words = vec!["--port", &port, "--json", "--seconds", &seconds];
    words.extend(["--warm-up-ms", &warm_up]);
    words.extend(case.load.iter().map(String::as_str));
    let before = running.processor_time();
    let said = child::load(&plan.machine, &words, plan.window + Duration::from_secs(20))?;
    let after = running.processor_time();
    drop(running);
    let field =
        |name| child::field(&said, name).ok_or(format!("load: no {name} in {said}"));
    let unanswered = field("unanswered")?;
    if unanswered > 0.0 {
        return Err(format!("{unanswered} requests were not answered in 2 s"));
    }
    let all = field("answered_in_all")?;
    let cpu_us = match (before, after) {
        (Some(before), Some(after)) if !server.forks && all > 0.0 => {
            after.saturating_sub(before).as_secs_f64() * 1e6 / all
        }
        _ => f64::NAN,
    };
    Ok(Sample {
        rate: field("requests_per_second")?,
        cpu_us,
        p50_us: field("p50_us")?,
        p99_us: field("p99_us")?,
        p999_us: field("p999_us")?,
        busy: field("busy")?,
    })
}

/// What the server's memory grows by for each connection that says nothing.
fn memory(plan: &Plan, server: &Server) -> Result<(f64, usize), String> {
    let running = Running::start(server, &plan.machine, &[])?;
    let count = plan.connections_held.min(server.clients);
    // The first ones: what is made once is not a connection's.
    let first = child::hold(&plan.machine, running.port, 10)?;
    let before = running.resident_bytes().ok_or("no /proc/PID/status")?;
    let held = child::hold(&plan.machine, running.port, count)?;
    let after = running.settled_bytes().ok_or("no /proc/PID/status")?;
    drop((first, held));
    Ok((after.saturating_sub(before) as f64 / count as f64, count))
}

/// System calls for each request with 50 connections, counted by strace(1).
fn calls(plan: &Plan, server: &Server) -> Result<f64, String> {
    let file = workspace::root().join("target/bench/strace.txt");
    let _ = std::fs::remove_file(&file);
    let file_name = file.to_string_lossy().into_owned();
    let tracer = ["strace", "-D", "-f", "-c", "-o", &file_name];
    let running = Running::start(server, &plan.machine, &tracer)?;
    let port = running.port.to_string();
    let words = ["--port", &port, "--json", "--seconds", "0.3", "--warm-up-ms", "0"];
    let said = child::load(&plan.machine, &words, Duration::from_secs(30))?;
    running.end();
    let all = child::field(&said, "answered_in_all").ok_or("load: no answers")?;
    let text = child::wait_for_text(&file, "total")?;
    // The last line: 100.00 percent, seconds, microseconds a call, calls, errors, "total".
    let total = text.lines().rev().find(|line| line.ends_with("total"));
    let total = total.and_then(|line| line.split_whitespace().nth(3));
    let total: f64 =
        total.and_then(|word| word.parse().ok()).ok_or("no total of strace")?;
    Ok(total / all.max(1.0))
}

/// What is done, and what is left.
struct Progress {
    done: usize,
    all: usize,
    started: Instant,
    terminal: bool,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let extra: usize = plan
            .servers
            .iter()
            .filter(|server| !server.udp && !server.control)
            .map(|server| {
                usize::from(server.clients > 1000)
                    + usize::from(server.clients >= 50 && !server.forks)
            })
            .sum();
        let all = plan.rounds * plan.pairs().count() + extra;
        let terminal = io::stderr().is_terminal();
        Self { done: 0, all, started: Instant::now(), terminal }
    }

    fn step(&mut self, what: &str) {
        let spent = self.started.elapsed();
        let left = spent.mul_f64((self.all - self.done.min(self.all)) as f64)
            / u32::try_from(self.done.max(1)).unwrap_or(1);
        let left = if self.done == 0 {
            String::new()
        } else {
            format!(" · {} s left", left.as_secs())
        };
        if self.terminal {
            let line = format!("\r\x1b[K{:3}/{} · {what}{left}", self.done, self.all);
            let _ = io::stderr().write_all(line.as_bytes());
        } else if self.done.is_multiple_of(50) {
            let line = format!("{}/{} · {what}{left}\n", self.done, self.all);
            let _ = io::stderr().write_all(line.as_bytes());
        }
        self.done += 1;
    }

    fn done(&self) {
        if self.terminal {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}
