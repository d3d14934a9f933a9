//! Comparisons outside the tables: two servers on one port, `load` beside wrk(1), and the
//! floor below all servers.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::child::{self, RunningServer};
use super::report::median;
use super::servers::Server;
use super::{Plan, workspace};

/// How often each is measured, in turns.
const TURNS: usize = 3;
const SECONDS: &str = "0.7";
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures one server on a port, then two that share it (`SO_REUSEPORT`), each on a core
/// of its own. If that leaves no core for `load`, the processor time per request says how
/// much two cores would answer.
pub(super) fn shared_port(plan: &Plan, server: &Server) -> Result<String, String> {
    let cores = plan.machine.cores.len();
    if !plan.machine.apart() {
        return Err("two servers on one port: needs two cores and taskset(1)".into());
    }
    let mut alone = Vec::new();
    let mut both = Vec::new();
    for _ in 0..TURNS {
        alone.push(share(plan, server, 1)?);
        both.push(share(plan, server, 2)?);
    }
    let middle =
        |all: &[Shared], value: fn(&Shared) -> f64| median(all.iter().map(value));
    let mut text =
        String::from("Two servers on one port (SO_REUSEPORT), 50 connections\n");
    let _ = writeln!(text, "  {:26} requests/s  µs of CPU  the busier one's part", "");
    for (name, all) in [("one server", &alone), ("two servers", &both)] {
        let _ = writeln!(
            text,
            "  {name:26} {:10.0} {:10.2} {:20.0} %",
            middle(all, |one| one.rate),
            middle(all, |one| one.cpu_us),
            middle(all, |one| one.part) * 100.0,
        );
    }
    let rate = middle(&both, |one| one.rate) / middle(&alone, |one| one.rate);
    let cost = middle(&alone, |one| one.cpu_us) / middle(&both, |one| one.cpu_us);
    let _ = if cores > 2 {
        writeln!(text, "  two answer {rate:.2} times what one does")
    } else {
        writeln!(
            text,
            "  load shares the two cores with them, so the rates say nothing here; by the \
             processor\n  time of a request, two cores of servers answer {:.2} times what one does",
            2.0 * cost
        )
    };
    Ok(text)
}

/// The figures of servers that share a port.
#[derive(Debug)]
struct Shared {
    rate: f64,
    cpu_us: f64,
    /// The part of the total processor time that the busiest server used, from 0 to 1.
    part: f64,
}

fn share(plan: &Plan, server: &Server, count: usize) -> Result<Shared, String> {
    let mut server = server.clone();
    // What is compared is processor time, so neither may spend any on looking for events.
    let options = ["--share-port", "--spin-us", "0"];
    server.arguments.extend(options.map(Into::into));
    let first = RunningServer::start(&server, &plan.machine, 0, &[])?;
    let port = first.port.to_string();
    server.arguments =
        ["--port", &port].into_iter().chain(options).map(Into::into).collect();
    let mut running = vec![first];
    for core in 1..count {
        running.push(RunningServer::start(&server, &plan.machine, core, &[])?);
    }
    let before: Vec<_> = running.iter().map(RunningServer::processor_time).collect();
    let words = ["--port", &port, "--json", "--seconds", SECONDS];
    let said = child::load(&plan.machine, &words, PATIENCE)?;
    let spent: Vec<f64> = running
        .iter()
        .zip(before)
        .filter_map(|(one, before)| Some((one.processor_time()? - before?).as_secs_f64()))
        .collect();
    let (all, most) =
        (spent.iter().sum::<f64>(), spent.iter().copied().fold(0.0, f64::max));
    let field = |name| child::field(&said, name).ok_or(format!("load: no {name}"));
    Ok(Shared {
        rate: field("requests_per_second")?,
        cpu_us: all * 1e6 / field("answered_in_all")?,
        part: most / all,
    })
}

/// The servers that are compared with the floor, if they are measured at all.
const ABOVE_THE_FLOOR: [&str; 4] =
    ["tcp-server-epoll", "tcp-server-io-uring", super::servers::LAST_RUNG, "C, epoll"];

/// Measures the processor time of recv(2) and send(2) alone, `peers/floor.c`, and that of
/// a request to some servers, in turns.
pub(super) fn floor(plan: &Plan) -> Result<String, String> {
    let case = plan.cases.iter().find(|case| case.key == "connections_1000");
    let case = case.ok_or("the floor: too few open files (`ulimit -Hn`)")?;
    let needed = 2 * case.clients + super::OTHER_FILES;
    if plan.machine.descriptors < needed {
        return Err(plan.machine.too_few("the floor", needed));
    }
    if !plan.machine.apart() {
        return Err("the floor: needs two cores and taskset(1)".into());
    }
    let program = super::servers::floor()?;
    let known = |server: &&Server| ABOVE_THE_FLOOR.contains(&server.name.as_str());
    let servers: Vec<&Server> = plan.servers.iter().filter(known).collect();
    let mut floors = Vec::new();
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..TURNS {
        floors.push(floor_once(plan, &program, case.clients)?);
        for (server, times) in servers.iter().zip(&mut times) {
            times.push(super::window(plan, case, server)?.cpu_us);
        }
    }
    let floor = median(floors);
    let mut text = format!(
        "The floor: {}, and no server\n  {:26} µs of CPU   to the floor\n  {:26} {floor:9.2} {:14.2}\n",
        case.title, "", "recv(2) and send(2) alone", 1.0,
    );
    for (server, times) in servers.iter().zip(times) {
        let time = median(times);
        let ratio = time / floor;
        let _ = writeln!(text, "  {:26} {time:9.2} {ratio:14.2}", server.name);
    }
    Ok(text)
}

fn floor_once(plan: &Plan, program: &Path, clients: usize) -> Result<f64, String> {
    // It pins each of its two threads by itself.
    let mut command = plan.machine.command(None);
    command.arg(program);
    for number in [plan.machine.cores.first(), plan.machine.cores.last(), Some(&clients)]
    {
        command.arg(number.copied().unwrap_or(0).to_string());
    }
    let output = command.output().map_err(|error| format!("the floor: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("the floor: {}", said.lines().next().unwrap_or("it failed"))
    })
}

/// Measures the same server with `load` and wrk(1) in turns, both on the same core.
pub(super) fn wrk(plan: &Plan, server: &Server) -> Result<String, String> {
    let running = RunningServer::start(server, &plan.machine, 0, &[])?;
    let port = running.port.to_string();
    let words = ["--port", &port, "--json", "--seconds", "1"];
    let (mut of_load, mut of_wrk) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let said = child::load(&plan.machine, &words, PATIENCE)?;
        of_load
            .push(child::field(&said, "requests_per_second").ok_or("load: no figures")?);
        of_wrk.push(wrk_once(plan, &port)?);
    }
    let ratios = of_load.iter().zip(&of_wrk).map(|(load, wrk)| load / wrk);
    let ratio = median(ratios);
    Ok(format!(
        "load beside wrk, {}, 50 connections, 64 B\n  {:26} requests/s\n  {:26} {:10.0}\n  \
         {:26} {:10.0}\n  load asks {ratio:.2} times as often as wrk, and compares every byte\n",
        server.name,
        "",
        "load",
        median(of_load),
        "wrk",
        median(of_wrk),
    ))
}

fn wrk_once(plan: &Plan, port: &str) -> Result<f64, String> {
    let script = workspace::root().join("crates/bench/peers/echo.lua");
    let mut command: Command = plan.machine.command(plan.machine.cores.last());
    command.args(["wrk", "-t1", "-c50", "-d1s", "-s"]).arg(script);
    command.arg(format!("http://127.0.0.1:{port}/"));
    let output = command.output().map_err(|error| format!("start wrk: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    line.and_then(|word| word.trim().parse().ok())
        .ok_or_else(|| "load beside wrk: wrk(1) is not installed, or fails".into())
}
