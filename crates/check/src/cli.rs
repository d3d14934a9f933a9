//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand, ValueEnum};

use crate::arena::DOCUMENTED_PORT;
use crate::checks;
use crate::course;
use crate::outcome::{CommandError, Stop};
use crate::report::{self, Format, Human};
use crate::run::{self, Isolation, Judgement, Setting};
use crate::subject::{Allowance, Recipe};
use crate::task::Task;

/// Tests your program, in any language, against what a task asks.
#[derive(Debug, Parser)]
#[command(
    name = "check",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    bin_name = "cargo xtask check",
    version,
    override_usage = "cargo xtask check [OPTIONS] TASK -- COMMAND…\n       \
                      cargo xtask check TASK          (what `cargo xtask start` made)\n       \
                      cargo xtask check --list [TASK]",
    after_help = "\
Examples:
  cargo xtask check tcp-echo -- python3 my_server.py
  cargo xtask check framing -- ./a.out --port {port}
  cargo xtask check udp-echo -- cargo run -q -p mine
  cargo xtask check tcp-echo --only 3 --verbose -- ./a.out

The port stands in the variable PORT and replaces `{port}` in the command; a program that
knows neither uses 12345. Each check starts the program anew, on a network of its own.

Exit status: 0 all that is binding passed; 1 something failed; 2 wrong command line;
70 the checker itself failed; 77 it cannot run here (says why)."
)]
struct Cli {
    #[command(subcommand)]
    course: Option<Course>,

    /// The task: tcp-echo, framing…; --list tells all
    task: Option<String>,

    /// List the checks, and run none
    #[arg(long)]
    list: bool,

    /// Run these checks alone: tcp-echo/3, or 3
    #[arg(long, value_name = "ID")]
    only: Vec<String>,

    /// Explain every failure and show every conversation
    #[arg(long, short)]
    verbose: bool,

    /// Draw the conversation of the first check that failed, or of the one that --only names
    #[arg(long)]
    flow: bool,

    /// Let a SHOULD that fails count like a MUST
    #[arg(long)]
    strict: bool,

    /// The form of the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,

    /// Where the program runs
    #[arg(long, value_enum, default_value = "auto")]
    network: NetworkChoice,

    /// The port that the program is told, on private networks [default: 12345]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Checks at a time [default: twice the processors, at most 8]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Seconds that the program may run in one check
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    time: u64,

    /// Mebibytes that it may use
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    memory: u64,

    /// Processes and threads that it may have
    #[arg(long, value_name = "NUMBER", default_value_t = 512,
          value_parser = clap::value_parser!(u64).range(1..=32_768))]
    processes: u64,

    /// Kibibytes that it may print
    #[arg(long, value_name = "KIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    output: u64,

    /// Let the program see this variable of your environment too
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,

    /// Your program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The learner's way through the tasks.
#[derive(Debug, Subcommand)]
enum Course {
    Start(course::Start),
    Next(course::Next),
    Solution(course::Solution),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkChoice {
    /// A private one, or the host's where the system refuses it
    Auto,
    /// A network namespace for each check
    Private,
    /// The host's loopback, one check at a time
    Host,
}

/// The whole program, after the fence's part in it.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
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
    let written = |result: io::Result<()>| match result {
        // Who reads has seen enough, as `head` has; the verdict is the exit status.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| CommandError(1, format!("write to stdout: {error}")))
        }
    };
    if cli.list {
        let tasks = task.map_or_else(checks::all, |task| vec![task]);
        written(report::list(&mut anstream::stdout(), &tasks))?;
        return Ok(0);
    }
    let Some(task) = task else {
        return Err(wrong("no task; try --list, or --help".into()));
    };
    let numbers = numbers(&task, &cli.only).map_err(wrong)?;
    let command = match cli.command.is_empty() {
        true => course::own_command(&task)?,
        false => cli.command.clone(),
    };
    let setting = setting(cli, &command)?;
    let flow = match (cli.flow, cli.format) {
        (false, _) => None,
        (true, Format::Human) => Some(flow_beside(&setting.recipe.guard)?),
        (true, _) => {
            return Err(wrong("--flow draws for people; leave --format away".into()));
        }
    };
    let began = Instant::now();
    let verdicts = match cli.format {
        Format::Human => {
            let mut human = Human::new(anstream::stdout(), cli.verbose);
            let mut result = Ok(());
            let verdicts = run::run(&task, &numbers, &setting, |verdict| {
                if result.is_ok() {
                    result = human.tell(verdict);
                }
            });
            written(result)?;
            let network = match setting.network {
                Isolation::Private => "private network",
                Isolation::Host => "host's network",
            };
            written(human.sum(&task, &verdicts, network, began.elapsed()))?;
            if let Some(flow) = flow {
                let number = to_draw(&verdicts, &numbers, !cli.only.is_empty());
                let drawn = number.and_then(|number| drawn(&task, number, setting, flow));
                written(human.drawing(drawn.as_ref()))?;
            }
            if let Err(CommandError(_, why)) = course::remember(&task, &verdicts) {
                let _ = writeln!(io::stderr(), "note: your progress is not kept: {why}");
            }
            verdicts
        }
        format => {
            let verdicts = run::run(&task, &numbers, &setting, |_| {});
            let mut out = io::stdout().lock();
            written(report::write(&mut out, format, &task, &verdicts, cli.strict))?;
            verdicts
        }
    };
    Ok(status(&verdicts, numbers.len(), cli.strict))
}

/// The exit status: what the checker could not judge outweighs what failed.
fn status(verdicts: &[Judgement], expected: usize, strict: bool) -> u8 {
    let broken = |verdict: &Judgement| {
        matches!(verdict.result, Err(Stop::Broken(_) | Stop::Late(_)))
    };
    if verdicts.len() < expected || verdicts.iter().any(broken) {
        return 70;
    }
    u8::from(verdicts.iter().any(|verdict| verdict.failed(strict)))
}

/// The numbers of the checks that `only` names; all where it names none.
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
            "--only {id}: {name} has the checks {name}/1 to {name}/{most}"
        ))
    };
    only.iter().map(number).collect()
}

/// The number of the check that `--flow` draws: the first that failed, one that is binding
/// before others; else the first that was asked for by name.
fn to_draw(verdicts: &[Judgement], numbers: &[usize], named: bool) -> Option<usize> {
    let failed = |strict| verdicts.iter().position(|verdict| verdict.failed(strict));
    let place = failed(false).or_else(|| failed(true)).or(named.then_some(0))?;
    numbers.get(place).copied()
}

/// Runs one check once more, with `flow` beside the program.
fn drawn(
    task: &Task,
    number: usize,
    mut setting: Setting,
    flow: PathBuf,
) -> Option<Judgement> {
    setting.recipe.flow = Some(flow);
    run::run(task, &[number], &setting, |_| {}).pop()
}

/// The program `flow`, which is built beside this one.
fn flow_beside(own: &Path) -> Result<PathBuf, CommandError> {
    let flow = own.with_file_name(format!("flow{}", std::env::consts::EXE_SUFFIX));
    match flow.is_file() {
        true => Ok(flow),
        false => Err(CommandError(
            77,
            format!(
                "find {}: it is not there; `cargo build -p flow` makes it",
                flow.display()
            ),
        )),
    }
}

fn setting(cli: &Cli, command: &[OsString]) -> Result<Setting, CommandError> {
    let guard = std::env::current_exe().map_err(|error| {
        CommandError(77, format!("find this program's own file: {error}"))
    })?;
    let folder = std::env::current_dir()
        .map_err(|error| CommandError(77, format!("find the working folder: {error}")))?;
    let command = built(command)?;
    find(&command)?;
    // While this process has one thread.
    let network = match cli.network {
        NetworkChoice::Host => Isolation::Host,
        choice => match netlab::enter_user_namespace() {
            Ok(()) => Isolation::Private,
            Err(refusal) if choice == NetworkChoice::Private => {
                return Err(CommandError(77, refusal.to_string()));
            }
            Err(refusal) => {
                let _ = writeln!(
                    io::stderr(),
                    "note: no private network, so the host's is used: {refusal}"
                );
                Isolation::Host
            }
        },
    };
    netlab::process::adopt_orphans();
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
            guard,
            command,
            folder,
            pass: cli.env.clone(),
            namespaces: network == Isolation::Private,
            flow: None,
        },
        limits,
        network,
        port: cli.port.unwrap_or(DOCUMENTED_PORT),
        jobs: cli.jobs.map_or((2 * processors).min(8), usize::from),
    })
}

/// Refuses a program that is not there, before every check fails for it. Where a `{port}` is
/// part of its name, it must be there for the first check.
fn find(command: &[OsString]) -> Result<(), CommandError> {
    use std::os::unix::fs::PermissionsExt;
    let Some(program) = command.first() else { return Ok(()) };
    let shown = common::Escaped(program.as_encoded_bytes()).to_string();
    if shown.contains('{') {
        return Ok(());
    }
    let look = |path: &Path| match path.metadata() {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        Err(error) => Err(error),
    };
    let found = if shown.contains('/') {
        look(Path::new(program))
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut found = std::env::split_paths(&folders).map(|it| look(&it.join(program)));
        match found.any(|it| it.is_ok()) {
            true => Ok(()),
            false => Err(io::Error::other(
                "it is in no folder of PATH, and ./NAME is one here",
            )),
        }
    };
    found.map_err(|reason| {
        CommandError(2, format!("start {shown}: {reason}; is it there, and executable?"))
    })
}

/// `cargo run …` is built once, outside of the fence, and then the binary is checked.
fn built(command: &[OsString]) -> Result<Vec<OsString>, CommandError> {
    let cargo = command.first().is_some_and(|word| word == "cargo");
    let at = command.iter().position(|word| word == "run" || word == "r");
    let Some(at) = at.filter(|at| cargo && *at <= 2) else {
        return Ok(command.to_vec());
    };
    let end = command.iter().position(|word| word == "--").unwrap_or(command.len());
    let mut words = command[1..end].to_vec();
    words[at - 1] = "build".into();
    words.retain(|word| word != "-q" && word != "--quiet");
    let output = Command::new("cargo")
        .args(&words)
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            CommandError(77, format!("start cargo: {error}; is it on PATH?"))
        })?;
    if !output.status.success() {
        let message = "build your program: cargo could not; fix what it says above";
        return Err(CommandError(1, message.into()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let executable = text.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line.get("executable")?.as_str()?.to_owned())
    });
    let Some(executable) = executable else {
        let message =
            "build your program: cargo made no executable; name it with -p or --bin";
        return Err(CommandError(1, message.into()));
    };
    let mut built = vec![OsString::from(executable)];
    built.extend(command.iter().skip(end + 1).cloned());
    Ok(built)
}
