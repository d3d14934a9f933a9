//! `bench ladder`: measures the servers of lessons 12 to 15 side by side, and servers by
//! others to compare them with: the *peers*.
//!
//! The figures of a single run say little, because the machine does other things too. So
//! every server has its turn in every round, in rotating order, and is compared with the
//! others *of the same round*. What counts is the median of the rounds. One server runs
//! twice: how much it differs from itself says how large a difference must be to mean
//! anything (an A/A control).

mod beside;
mod child;
mod page;
mod plot;
mod report;
mod servers;
pub(crate) mod soak;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::builder::NonEmptyStringValueParser;

use self::child::{Machine, RunningServer};
use self::servers::{Readiness, Server};
use xtask::{Error, Status, interrupt, workspace};

/// The options of `bench ladder`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Take less than 30 s, once built: fewer cases, fewer servers, two rounds
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also measure servers by others, if they are installed or can be built
    #[arg(long)]
    pub(crate) peers: bool,
    /// Only measure servers whose name contains one of these words
    #[arg(long, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) only: Vec<String>,
    /// How many times each server has its turn in a case: more give steadier medians, and
    /// take longer; 3 without this, 2 with --quick
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=50))]
    pub(crate) rounds: Option<u8>,
    /// Save the figures and the plots beside lesson 15's page, and update the tables that
    /// it quotes; without this they are only in target/bench
    #[arg(long, requires = "peers", conflicts_with_all = ["quick", "only"])]
    pub(crate) keep: bool,
}

/// One thing that is measured for every server.
#[derive(Debug, Clone)]
struct Case {
    /// Its key in the JSON.
    key: &'static str,
    /// Its title in the table.
    title: &'static str,
    /// The arguments of `load`.
    load: Vec<String>,
    /// The number of clients at the same time.
    clients: usize,
    udp: bool,
    /// Whether bytes per second say more than requests per second.
    bulk: bool,
    /// Whether the rate is given, and latency is measured.
    rate: bool,
    /// Whether it is only a point of a plot and not in a table, so that one round is
    /// enough.
    point: bool,
}

/// The figures of one server in one window.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Requests per second.
    rate: f64,
    /// Processor time of the server per request, in microseconds; NaN for servers that
    /// fork.
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// The part of the time in which `load` itself was busy, from 0 to 1.
    busy: f64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
struct Results {
    /// By case, by server, by round.
    samples: BTreeMap<(usize, usize), Vec<Option<Sample>>>,
    /// Bytes per idle connection, and how many connections there were, by server.
    memory: BTreeMap<usize, (f64, usize)>,
    /// System calls per request, by server.
    calls: BTreeMap<usize, f64>,
    /// The report's sections on servers that share a port, and on `load` beside wrk(1).
    beside: Vec<String>,
    failures: Vec<String>,
    rounds: usize,
    interrupted: bool,
}

/// What is to be measured: which servers, in which cases.
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
    /// Whether servers that share a port, and wrk(1), are measured too.
    beside: bool,
    /// Whether system calls are counted.
    calls: bool,
    absent: Vec<String>,
    /// What is left out on this machine, and why.
    left_out: Vec<String>,
    machine: Machine,
}

/// Measures, prints the tables, and writes the figures and the plots.
///
/// # Errors
/// Fails if the build fails, or if the folder of the results cannot be written.
pub(crate) fn ladder(options: &Options) -> Result<Status, Error> {
    let folder = results_folder()?;
    let plan = plan(options, &folder)?;
    let stop = stop_at_signal()?;
    let started = Instant::now();
    let results = measure(&plan, &stop);
    let mut text = report::tables(&plan, &results);
    let rounds = match results.rounds {
        0 => "Less than one round".to_owned(),
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    };
    text += &format!(
        "\n{rounds} of windows of {} ms; {} s\n",
        plan.window.as_millis(),
        started.elapsed().as_secs()
    );
    write!(io::stdout(), "{text}").map_err(Error::io("write to stdout"))?;
    let ours = |failure: &String| {
        plan.servers.iter().any(|one| !one.peer && failure.contains(&one.name))
    };
    let failed = results.interrupted || results.failures.iter().any(ours);
    let keep = options.keep && !failed;
    let mut folders = vec![folder];
    if keep {
        folders.push(workspace::root().join("lessons/15-measuring/kept"));
    }
    for folder in &folders {
        write_files(folder, &plan, &results, &text)
            .map_err(Error::io("write the figures and the plots"))?;
    }
    if keep {
        page::quote(&workspace::root().join("lessons/15-measuring/README.md"), &text)
            .map_err(Error::io("put the tables into lesson 15's page"))?;
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
        let message = "Ctrl-C: the figures are those of what was measured until then\n";
        let _ = io::stderr().write_all(message.as_bytes());
    }
    if options.keep && !keep {
        let message = "not kept: the run is not whole; lesson 15's page is as it was\n";
        let _ = io::stderr().write_all(message.as_bytes());
    }
    Ok(if failed { Status::Failed } else { Status::AsDocumented })
}

/// Returns a flag that becomes true at the first Ctrl-C, SIGTERM or SIGHUP, so that the
/// results so far can be kept. What is being measured is killed, so that nobody waits for
/// it. A second signal ends the process.
fn stop_at_signal() -> Result<Arc<AtomicBool>, Error> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_default(signal, stop.clone())
            .map_err(Error::io("watch for signals"))?;
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(Error::io("watch for signals"))?;
    let asked = stop.clone();
    let end = move || {
        let _ = signals.forever().next();
        asked.store(true, Ordering::Relaxed);
        // Again and again: the next one may just be starting.
        loop {
            interrupt::kill_descendants();
            std::thread::park_timeout(Duration::from_millis(10));
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(end)
        .map_err(Error::io("watch for signals"))?;
    Ok(stop)
}

/// Creates the folder for the figures and the peers' programs, and returns its path.
fn results_folder() -> Result<PathBuf, Error> {
    let folder = workspace::root().join("target/bench");
    std::fs::create_dir_all(&folder).map_err(Error::io("make target/bench"))?;
    Ok(folder)
}

fn write_files(
    folder: &Path,
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
    Case { key, title, load: words, clients, udp, bulk, rate, point: false }
}

/// Creates a case that is only a point of a plot.
fn point(key: &'static str, title: &'static str, clients: usize, load: &[&str]) -> Case {
    Case { point: true, ..case(key, title, clients, load) }
}

/// How many files a program opens besides its connections, at most.
const OTHER_FILES: usize = 32;
/// With fewer idle connections than these, a page of memory more or less would decide.
const FEWEST_HELD: usize = 200;

fn plan(options: &Options, folder: &Path) -> Result<Plan, Error> {
    let mut cases = vec![
        case("connections_1", "1 connection, 64 B", 1, &[]),
        case("connections_50", "50 connections, 64 B", 50, &[]),
        case("bulk_8", "8 connections, 64 KiB", 8, &["--bytes", "65536"]),
        case("churn", "connect, ask, close; 50 at a time", 50, &["--churn"]),
    ];
    if !options.quick {
        cases.extend([
            point("connections_10", "10 connections, 64 B", 10, &[]),
            point("connections_200", "200 connections, 64 B", 200, &[]),
            case("connections_1000", "1,000 connections, 64 B", 1000, &[]),
            case("bulk_1", "1 connection, 64 KiB", 1, &["--bytes", "65536"]),
            point("bytes_1024", "8 connections, 1 KiB", 8, &["--bytes", "1024"]),
            point("bytes_8192", "8 connections, 8 KiB", 8, &["--bytes", "8192"]),
            point("bytes_262144", "8 connections, 256 KiB", 8, &["--bytes", "262144"]),
            case(
                "rate_20000",
                "20,000 requests a second, 50 connections",
                50,
                &["--rate", "20000"],
            ),
            case(
                "rate_60000",
                "60,000 requests a second, 50 connections",
                50,
                &["--rate", "60000"],
            ),
            case("udp_50", "UDP, 50 sockets, 64 B", 50, &["--udp"]),
        ]);
    }
    let machine = Machine::look();
    let mut left_out = Vec::new();
    cases.retain(|case| {
        let enough = machine.descriptors >= case.clients + OTHER_FILES;
        if !enough {
            left_out.push(machine.too_few(case.title, case.clients + OTHER_FILES));
        }
        enough
    });
    let (servers, absent) = servers::prepare(options, folder)?;
    let counted = if machine.descriptors < 50 + OTHER_FILES {
        Err(machine.too_few("system calls", 50 + OTHER_FILES))
    } else {
        child::can_count_calls()
    };
    let calls = counted.is_ok();
    left_out.extend(counted.err());
    let connections_held = if options.quick { 1000 } else { 10_000 };
    let usual = if options.quick { 2 } else { 3 };
    let rounds = options.rounds.map_or(usual, usize::from);
    // Who asks for more rounds has time for them.
    let more = (rounds as f64 / usual as f64).max(1.0);
    let limit = if options.quick { 22.0 } else { 345.0 };
    let mut plan = Plan {
        servers,
        cases,
        rounds,
        window: Duration::ZERO,
        warm_up: Duration::from_millis(if options.quick { 40 } else { 80 }),
        limit: Duration::from_secs_f64(limit * more),
        connections_held: connections_held
            .min(machine.descriptors.saturating_sub(OTHER_FILES)),
        beside: !options.quick,
        calls,
        absent,
        left_out,
        machine,
    };
    if plan.connections_held < FEWEST_HELD {
        let what = "memory of an idle connection";
        plan.left_out.push(plan.machine.too_few(what, FEWEST_HELD + OTHER_FILES));
    }
    // The whole must end in time, so divide up what starting and stopping leave of it.
    let budget = if options.quick { 16.0 } else { 200.0 } * more;
    let each = budget / plan.windows().max(1) as f64 - plan.warm_up.as_secs_f64() - 0.05;
    plan.window = Duration::from_secs_f64(each.clamp(0.06, 0.5));
    Ok(plan)
}

impl Plan {
    /// Returns the total number of windows.
    fn windows(&self) -> usize {
        let rounds = |case: usize| if self.cases[case].point { 1 } else { self.rounds };
        self.pairs().map(|(case, _)| rounds(case)).sum()
    }

    /// Returns whether the floor is measured: it is a program in C, as some peers are.
    fn has_floor(&self) -> bool {
        self.beside && self.servers.iter().any(|server| server.peer)
    }

    /// Returns whether the memory of an idle connection is measured.
    fn has_memory(&self, server: &Server) -> bool {
        server.has_memory() && self.connections_held >= FEWEST_HELD
    }

    fn has_calls(&self, server: &Server) -> bool {
        server.has_calls() && self.calls
    }

    /// Returns every case with every server that can serve it.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let cases = self.cases.iter().enumerate();
        cases.flat_map(|(at, case)| {
            let able = self.servers.iter().enumerate();
            able.filter(|(_, server)| server.can(case)).map(move |(one, _)| (at, one))
        })
    }
}

/// The error for a measurement that a signal has interrupted.
struct Interrupted;

fn measure(plan: &Plan, stop: &AtomicBool) -> Results {
    let mut bench =
        Bench { plan, stop, progress: Progress::new(plan), results: Results::default() };
    bench.results.interrupted = bench.all().is_err();
    bench.progress.done();
    bench.results
}

/// A measurement in progress.
struct Bench<'a> {
    plan: &'a Plan,
    stop: &'a AtomicBool,
    progress: Progress,
    results: Results,
}

impl Bench<'_> {
    /// Measures one round, then what is measured only once, then the other rounds, so
    /// that a measurement that is cut short has something of everything.
    fn all(&mut self) -> Result<(), Interrupted> {
        let started = Instant::now();
        let mut in_rounds = Duration::ZERO;
        for round in 0..self.plan.rounds {
            // On a busy machine starting and stopping take long. Two rounds in time are
            // better than three that nobody waits for.
            let each = in_rounds.checked_div(round as u32).unwrap_or_default();
            if round > 0 && started.elapsed() + each > self.plan.limit {
                break;
            }
            let began = Instant::now();
            self.cases(round, false)?;
            in_rounds += began.elapsed();
            self.results.rounds = round + 1;
            if round == 0 {
                self.cases(0, true)?;
                self.memory_and_calls()?;
                self.beside()?;
            }
        }
        Ok(())
    }

    /// Fails if a signal has asked for the end.
    fn go_on(&self) -> Result<(), Interrupted> {
        if self.stop.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    /// Reports what comes next. Fails if a signal has asked for the end.
    fn step(&mut self, what: &str) -> Result<(), Interrupted> {
        self.go_on()?;
        self.progress.step(what);
        Ok(())
    }

    /// Measures every case once with every server: the cases of the tables, or the points
    /// of the plots.
    fn cases(&mut self, round: usize, points: bool) -> Result<(), Interrupted> {
        let plan = self.plan;
        for at in (0..plan.cases.len()).filter(|&at| plan.cases[at].point == points) {
            let mut able: Vec<usize> =
                plan.pairs().filter(|pair| pair.0 == at).map(|pair| pair.1).collect();
            // The order rotates, so that no server always follows the same one.
            let turn = round * able.len() / plan.rounds.max(1);
            able.rotate_left(turn);
            for server in able {
                let (case, server_) = (&plan.cases[at], &plan.servers[server]);
                let name = &server_.name;
                self.step(&format!("round {} · {} · {name}", round + 1, case.title))?;
                let sample = window(plan, case, server_);
                self.go_on()?;
                if let Err(why) = &sample {
                    self.results.failures.push(format!("{name}, {}: {why}", case.title));
                }
                self.results.samples.entry((at, server)).or_default().push(sample.ok());
            }
        }
        Ok(())
    }

    fn memory_and_calls(&mut self) -> Result<(), Interrupted> {
        let plan = self.plan;
        for (at, server) in plan.servers.iter().enumerate() {
            let name = &server.name;
            if plan.has_memory(server) {
                self.step(&format!("memory · {name}"))?;
                let measured = memory(plan, server);
                self.go_on()?;
                match measured {
                    Ok(measured) => drop(self.results.memory.insert(at, measured)),
                    Err(why) => {
                        self.results.failures.push(format!("{name}, memory: {why}"));
                    }
                }
            }
            if plan.has_calls(server) {
                self.step(&format!("system calls · {name}"))?;
                let measured = calls(plan, server);
                self.go_on()?;
                match measured {
                    Ok(measured) => drop(self.results.calls.insert(at, measured)),
                    Err(why) => {
                        let failure = format!("{name}, system calls: {why}");
                        self.results.failures.push(failure);
                    }
                }
            }
        }
        Ok(())
    }

    /// Measures the last rung twice on one port, `load` beside wrk(1), and what would be
    /// left of a request without any server.
    fn beside(&mut self) -> Result<(), Interrupted> {
        let plan = self.plan;
        let last = plan.servers.iter().find(|one| one.name == servers::LAST_RUNG);
        let Some(server) = last.filter(|_| plan.beside) else { return Ok(()) };
        self.step("two servers on one port")?;
        self.keep(beside::shared_port(plan, server));
        self.step("load beside wrk")?;
        self.keep(beside::wrk(plan, server));
        if plan.has_floor() {
            self.step("the floor")?;
            self.keep(beside::floor(plan));
        }
        Ok(())
    }

    fn keep(&mut self, section: Result<String, String>) {
        match section {
            Ok(text) => self.results.beside.push(text),
            Err(why) => self.results.failures.push(why),
        }
    }
}

/// Starts the server, puts load on it for one window, and ends it.
fn window(plan: &Plan, case: &Case, server: &Server) -> Result<Sample, String> {
    let running = RunningServer::start(server, &plan.machine, 0, &[])?;
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

/// Measures how much the server's memory grows per idle connection, in bytes. Also
/// returns the number of connections.
fn memory(plan: &Plan, server: &Server) -> Result<(f64, usize), String> {
    let running = RunningServer::start(server, &plan.machine, 0, &[])?;
    let count = plan.connections_held.min(server.clients);
    // Open a few first: what the server allocates only once does not count.
    let first = child::hold(&plan.machine, running.port, 10)?;
    let before = running.resident_bytes().ok_or("no /proc/PID/status")?;
    let held = child::hold(&plan.machine, running.port, count)?;
    let after = running.settled_bytes().ok_or("no /proc/PID/status")?;
    drop((first, held));
    Ok((after.saturating_sub(before) as f64 / count as f64, count))
}

/// Measures the system calls per request with 50 connections, counted by strace(1).
fn calls(plan: &Plan, server: &Server) -> Result<f64, String> {
    let file = workspace::root().join("target/bench/strace.txt");
    let _ = std::fs::remove_file(&file);
    let file_name = file.to_string_lossy().into_owned();
    let tracer = ["strace", "-D", "-f", "-c", "-o", &file_name];
    let running = RunningServer::start(server, &plan.machine, 0, &tracer)?;
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

/// The progress of a measurement, shown on standard error.
struct Progress {
    done: usize,
    all: usize,
    started: Instant,
    terminal: bool,
}

impl Progress {
    fn new(plan: &Plan) -> Self {
        let once = plan.servers.iter().map(|one| {
            usize::from(plan.has_memory(one)) + usize::from(plan.has_calls(one))
        });
        let beside = if plan.beside { 2 + usize::from(plan.has_floor()) } else { 0 };
        let all = plan.windows() + once.sum::<usize>() + beside;
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
