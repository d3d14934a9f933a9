//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};

use crate::arena::DOCUMENTED_PORT;
use crate::command::{built, find};
use crate::course::{self, Language};
use crate::outcome::CommandError;
use crate::report::{self, Format, Human, Machine};
use crate::run::{self, Isolation, Judgement, Setting, Until};
use crate::subject::{Allowance, Recipe};
use crate::task::Task;
use crate::{batch, checks, watch};

/// Tests your program, in any language, against what a task asks.
#[derive(Debug, Parser)]
#[command(
    name = "check",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    bin_name = "cargo xtask check",
    version,
    term_width = 80,
    override_usage = "cargo xtask check [OPTIONS] TASK -- COMMAND…\n       \
                      cargo xtask check TASK        (what `cargo xtask start` made)\n       \
                      cargo xtask check TASK --batch DIR [-- COMMAND…]\n       \
                      cargo xtask check --list [TASK]",
    after_help = "\
Examples:
  cargo xtask check tcp-echo -- python3 my_server.py
  cargo xtask check framing -- ./a.out --port {port}
  cargo xtask check udp-echo -- cargo run -q -p mine
  cargo xtask check tcp-echo --only 3 --verbose -- ./a.out

Your program finds its port in the variable PORT; `{port}` in the command is
replaced by it. Each check starts the program afresh, on a network of its own.

Exit status: 0 every MUST passed; 1 a check failed; 2 wrong command line;
70 the checker itself failed; 77 it cannot run here (and says why).

Not what you need? To see your program's calls and packets: cargo xtask flow.
For a protocol of your own, Expect, pytest or trycmd; for larger projects with
a checker of their own, CodeCrafters or Protohackers."
)]
struct Cli {
    #[command(subcommand)]
    course: Option<Course>,

    /// The task: tcp-echo, framing…; --list lists them all
    task: Option<String>,

    /// List the checks without running any
    #[arg(long)]
    list: bool,

    /// Run only these checks: tcp-echo/3, or 3
    #[arg(long, value_name = "ID")]
    only: Vec<String>,

    /// Continue after the first MUST that fails
    #[arg(long)]
    all: bool,

    /// Give a hint for the first MUST that fails; the next time, a bigger one
    #[arg(long, conflicts_with = "batch")]
    hint: bool,

    /// Check again whenever a file of the program changes
    #[arg(long, conflicts_with = "batch")]
    watch: bool,

    /// Which of your programs in my/ to check, if you have one in each language
    #[arg(long, value_enum, conflicts_with_all = ["batch", "command"])]
    lang: Option<Language>,

    /// Explain every failure and show every conversation
    #[arg(long, short)]
    verbose: bool,

    /// Draw the conversation of the first check that failed, or of the one that
    /// --only names
    #[arg(long, conflicts_with = "batch")]
    flow: bool,

    /// Count a SHOULD that fails like a MUST
    #[arg(long)]
    strict: bool,

    /// The form of the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,

    /// With --format exercism: write DIR/results.json
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// Check every folder in DIR as a program of its own; COMMAND runs in each
    #[arg(long, value_name = "DIR")]
    batch: Option<PathBuf>,

    /// With --batch: keep the results in FILE, one JSON line each, and skip
    /// programs that it already has
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,

    /// Where the program runs
    #[arg(long, value_enum, default_value = "auto")]
    network: NetworkChoice,

    /// The port that the program is told to use, on private networks [default: 12345]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Checks at a time [default: twice the processors, at most 8]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Seconds that the program may run in one check
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    time: u64,

    /// Mebibytes of memory that it may use
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    memory: u64,

    /// Processes and threads that it may have
    #[arg(long, value_name = "NUMBER", default_value_t = 512,
          value_parser = clap::value_parser!(u64).range(1..=32_768))]
    processes: u64,

    /// Kibibytes that it may print on each of its two streams
    #[arg(long, value_name = "KIB", default_value_t = 65_536,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    output: u64,

    /// Let the program see this variable of your environment too
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,

    /// Your program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The subcommands that lead a learner through the tasks.
#[derive(Debug, Subcommand)]
enum Course {
    Start(course::Start),
    Next(course::Next),
    Solution(course::Solution),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkChoice {
    /// A private one, or the host's if the system refuses that
    Auto,
    /// A network namespace for each check
    Private,
    /// The host's loopback, one check at a time
    Host,
}

/// Runs the whole program, apart from the fence, and returns its exit status.
pub fn main() -> ExitCode {
    let cli: Cli = common::parse_arguments();
    let result = match &cli.course {
        Some(Course::Start(options)) => course::start(options),
        Some(Course::Next(options)) => course::next(options),
        Some(Course::Solution(options)) => course::solution_of(options),
        None => run_cli(&cli),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(CommandError(status, message)) => {
            let _ = writeln!(io::stderr(), "check: {message}");
            ExitCode::from(status)
        }
    }
}

fn run_cli(cli: &Cli) -> Result<u8, CommandError> {
    let wrong = |message: String| CommandError(2, message);
    let task = cli.task.as_deref().map(checks::find).transpose().map_err(wrong)?;
    if cli.list {
        let tasks = task.map_or_else(checks::all, |task| vec![task]);
        written(report::list(&mut anstream::stdout(), &tasks))?;
        return Ok(0);
    }
    let Some(task) = task else {
        return Err(wrong("no task given; try --list, or --help".into()));
    };
    if cli.into.is_some() && cli.format != Format::Exercism {
        return Err(wrong(
            "--into is for Exercism's results.json; add --format exercism".into(),
        ));
    }
    if cli.format == Format::Csv && cli.batch.is_none() {
        return Err(wrong("--format csv is a table of programs; add --batch DIR".into()));
    }
    let numbers = numbers(&task, &cli.only).map_err(wrong)?;
    if let Some(folder) = &cli.batch {
        let order = batch::Order {
            task,
            numbers,
            folder,
            resume: cli.resume.as_deref(),
            format: cli.format,
            strict: cli.strict,
        };
        let setting = Sandbox::enter(cli)?;
        return batch::run(&order, &cli.command, |command, folder| {
            setting.setting(cli, command, folder)
        });
    }
    if cli.resume.is_some() {
        return Err(wrong("--resume goes with --batch DIR".into()));
    }
    let own = cli.command.is_empty();
    let command = match own {
        true => course::own_command(&task, cli.lang)?,
        false => cli.command.clone(),
    };
    if cli.watch {
        return watch::run(&course::watched(&task, &command, own));
    }
    let folder = std::env::current_dir()
        .map_err(|error| CommandError(77, format!("find the working folder: {error}")))?;
    let setting = Sandbox::enter(cli)?.setting(cli, &command, &folder)?;
    let judged = match cli.format {
        Format::Human => for_a_person(cli, &task, &numbers, setting)?,
        _ => for_a_program(cli, task, &numbers, &setting)?,
    };
    Ok(status(cli, &judged, numbers.len()))
}

/// Reports to a person: the checks one by one, up to the first failure, and what to do next.
fn for_a_person(
    cli: &Cli,
    task: &Task,
    numbers: &[usize],
    setting: Setting,
) -> Result<Vec<Judgement>, CommandError> {
    let flow = match cli.flow {
        true => Some(flow_beside(&setting.recipe.guard)?),
        false => None,
    };
    let until = match cli.all || cli.verbose {
        true => Until::TheEnd,
        false => Until::TheFirstFailure,
    };
    let began = Instant::now();
    let mut human = Human::new(anstream::stdout(), cli.verbose);
    let mut result = Ok(());
    let judged = run::run(task, numbers, &setting, until, |judgement| {
        if result.is_ok() {
            result = human.tell(judgement);
        }
    });
    written(result)?;
    let network = match setting.isolation {
        Isolation::Private => "private network",
        Isolation::Host => "host's network",
    };
    let elapsed = began.elapsed();
    written(human.sum(task, &judged, numbers.len(), network, elapsed))?;
    if let Some(flow) = flow {
        let number = to_draw(&judged, numbers, !cli.only.is_empty());
        let drawn = number.and_then(|number| drawn(task, number, setting, flow));
        written(human.drawing(drawn.as_ref()))?;
    }
    if let Err(CommandError(_, why)) = course::remember(task, &judged) {
        let _ = writeln!(io::stderr(), "note: your progress is not saved: {why}");
    }
    let advice = course::advice(task, &judged, numbers, cli.hint, cli.all)?;
    written(human.say(&advice))?;
    Ok(judged)
}

/// Reports to a program: all checks, in a format that it can read.
fn for_a_program(
    cli: &Cli,
    task: Task,
    numbers: &[usize],
    setting: &Setting,
) -> Result<Vec<Judgement>, CommandError> {
    if cli.flow {
        let message = "--flow draws for people; leave out --format";
        return Err(CommandError(2, message.into()));
    }
    let mut out: Box<dyn Write> = match &cli.into {
        None => Box::new(io::stdout().lock()),
        Some(folder) => {
            let file = folder.join("results.json");
            let created = std::fs::File::create(&file);
            Box::new(created.map_err(|error| {
                CommandError(1, format!("create {}: {error}", file.display()))
            })?)
        }
    };
    let begun = Machine::begin(&mut *out, cli.format, task, numbers.len(), cli.strict);
    let (mut machine, mut result) = match begun {
        Ok(machine) => (Some(machine), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let judged = run::run(&task, numbers, setting, Until::TheEnd, |judgement| {
        if let (Some(machine), Ok(())) = (&mut machine, &result) {
            result = machine.tell(judgement);
        }
    });
    if let (Some(machine), Ok(())) = (machine, &result) {
        result = machine.end(&judged);
    }
    written(result)?;
    Ok(judged)
}

/// Turns the result of writing to standard output into ours. A reader that has seen enough,
/// such as `head`, is not a failure: the exit status still reports the result.
fn written(result: io::Result<()>) -> Result<(), CommandError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| CommandError(1, format!("write to stdout: {error}")))
        }
    }
}

/// Returns the exit status. A check that could not be judged (70) outweighs one that failed
/// (1). Exercism's interface asks for 0 whenever there is a result, whatever it says. If no
/// check could be run at all (those with a wire need private networks), the status is 77.
fn status(cli: &Cli, judged: &[Judgement], asked: usize) -> u8 {
    let stopped = judged.last().is_some_and(|judgement| judgement.failed(false));
    if judged.iter().any(Judgement::is_broken) || judged.len() < asked && !stopped {
        return 70;
    }
    if !judged.is_empty() && judged.iter().all(Judgement::is_skipped) {
        return 77;
    }
    let failed = judged.iter().any(|judgement| judgement.failed(cli.strict));
    u8::from(failed && cli.format != Format::Exercism)
}

/// Returns the numbers of the checks that `only` names, or of all checks if it is empty.
fn numbers(task: &Task, only: &[String]) -> Result<Vec<usize>, String> {
    let most = task.checks.len();
    if only.is_empty() {
        return Ok((1..=most).collect());
    }
    let number = |id: &String| {
        let word = id.strip_prefix(&format!("{}/", task.name)).unwrap_or(id);
        let number = word.parse().ok().filter(|number| (1..=most).contains(number));
        let name = task.name;
        number.ok_or(format!(
            "--only {}: {name} has the checks {name}/1 to {name}/{most}",
            common::Escaped(id.as_bytes())
        ))
    };
    only.iter().map(number).collect()
}

/// Returns the number of the check that `--flow` draws: the first MUST that failed, else the
/// first SHOULD that failed, else the first that was asked for by name.
fn to_draw(verdicts: &[Judgement], numbers: &[usize], named: bool) -> Option<usize> {
    let failed = |strict| verdicts.iter().position(|verdict| verdict.failed(strict));
    let place = failed(false).or_else(|| failed(true)).or(named.then_some(0))?;
    numbers.get(place).copied()
}

/// Runs one check once more, this time with `flow` drawing the program.
fn drawn(
    task: &Task,
    number: usize,
    mut setting: Setting,
    flow: PathBuf,
) -> Option<Judgement> {
    setting.recipe.flow = Some(flow);
    run::run(task, &[number], &setting, Until::TheEnd, |_| {}).pop()
}

/// Returns the path of the program `flow`, which is built beside this one.
fn flow_beside(own: &Path) -> Result<PathBuf, CommandError> {
    let flow = own.with_file_name(format!("flow{}", std::env::consts::EXE_SUFFIX));
    match flow.is_file() {
        true => Ok(flow),
        false => Err(CommandError(
            77,
            format!(
                "find {}: it does not exist; `cargo build -p flow` builds it",
                flow.display()
            ),
        )),
    }
}

/// The isolation that the system allows for a run.
struct Sandbox {
    guard: PathBuf,
    isolation: Isolation,
    /// Whether each program gets a process namespace of its own.
    namespaces: bool,
}

impl Sandbox {
    /// Takes as much isolation as the system allows. Call it while this process has a single
    /// thread: a process with more cannot enter a user namespace.
    fn enter(cli: &Cli) -> Result<Sandbox, CommandError> {
        let guard = std::env::current_exe().map_err(|error| {
            CommandError(77, format!("find this program's own file: {error}"))
        })?;
        proc_is_ours()?;
        has_room(cli)?;
        let note = |text: String| drop(writeln!(io::stderr(), "note: {text}"));
        let isolation = match cli.network {
            NetworkChoice::Host => Isolation::Host,
            choice => match netlab::enter_user_namespace() {
                Ok(()) => Isolation::Private,
                Err(refusal) if choice == NetworkChoice::Private => {
                    return Err(CommandError(77, refusal.to_string()));
                }
                Err(refusal) => {
                    note(format!("no private network, so the host's is used: {refusal}"));
                    Isolation::Host
                }
            },
        };
        let namespaces = grants_namespaces(&guard);
        let network = "on the host's network";
        let lacking = match (isolation, namespaces) {
            (Isolation::Private, true) => None,
            (Isolation::Private, false) => Some(
                "the system grants no process namespace, so the program can see your other \
                 processes"
                    .into(),
            ),
            (Isolation::Host, true) => {
                Some(format!("{network} the program can reach what this machine can"))
            }
            (Isolation::Host, false) => Some(format!(
                "{network} the program is not fenced in: it can reach what this machine can, \
                 and see your other processes"
            )),
        };
        lacking.into_iter().for_each(&note);
        if !namespaces && netlab::process::is_root() {
            note("no limit on the number of processes binds what root starts".into());
        }
        netlab::process::adopt_orphans();
        Ok(Sandbox { guard, isolation, namespaces })
    }

    /// Returns the settings for checking one program: its command, run in its folder.
    fn setting(
        &self,
        cli: &Cli,
        command: &[OsString],
        folder: &Path,
    ) -> Result<Setting, CommandError> {
        let command = built(command, folder)?;
        find(&command, folder)?;
        let mut limits = Allowance {
            resident_bytes: cli.memory << 20,
            time: Duration::from_secs(cli.time),
            output_bytes: usize::try_from(cli.output << 10).unwrap_or(usize::MAX),
            ..Allowance::default()
        };
        limits.each.memory_bytes = cli.memory << 20;
        limits.each.processes = cli.processes;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Setting {
            recipe: Recipe {
                guard: self.guard.clone(),
                command,
                folder: folder.to_owned(),
                pass: cli.env.clone(),
                namespaces: self.namespaces,
                flow: None,
                shared: Arc::default(),
            },
            limits,
            isolation: self.isolation,
            port: cli.port.unwrap_or(DOCUMENTED_PORT),
            jobs: cli.jobs.map_or((2 * processors).min(8), usize::from),
        })
    }
}

/// Refuses limits of the caller's under which the checker could not do its work, or a program
/// would fail for lack of what it may use. Limits that may be raised are raised.
fn has_room(cli: &Cli) -> Result<(), CommandError> {
    use netlab::process::{Limited, raise_limit};
    /// Of one check, its clients and what it follows of the program; several run at a time.
    const FILES: u64 = 512;
    /// Threads of the checker beside the processes of a program.
    const THREADS: u64 = 100;
    let bytes = (cli.memory << 20).max(1 << 30);
    let processes = cli.processes.saturating_add(THREADS);
    for (what, wanted, least, unit, option, name) in [
        (Limited::Files, 8 * FILES, FILES, 1, "-n", "open files"),
        (Limited::Processes, processes, processes, 1, "-u", "processes and threads"),
        (Limited::Addresses, bytes, bytes, 1 << 10, "-v", "KiB of memory addresses"),
    ] {
        let allowed = raise_limit(what, wanted);
        if allowed < least {
            let (allowed, least) = (allowed / unit, least / unit);
            return Err(CommandError(
                77,
                format!(
                    "make room for {least} {name}: {allowed} are allowed; \
                     `ulimit {option} {least}` raises the limit"
                ),
            ));
        }
    }
    Ok(())
}

/// Checks that `/proc` shows this process's own namespace: otherwise what it says about a
/// process id would be about some other process.
fn proc_is_ours() -> Result<(), CommandError> {
    let own = std::process::id().to_string();
    match std::fs::read_link("/proc/self") {
        Ok(link) if link.as_os_str() == own.as_str() => Ok(()),
        _ => Err(CommandError(
            77,
            "find this process in /proc: it shows other processes; mount the right one: \
             `mount -t proc proc /proc` (with unshare(1): --mount-proc)"
                .into(),
        )),
    }
}

/// Finds out by trying whether the system allows a fence its namespaces.
fn grants_namespaces(guard: &Path) -> bool {
    let mut probe = Command::new(guard);
    probe.args(["__fence", "probe"]).stdin(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
