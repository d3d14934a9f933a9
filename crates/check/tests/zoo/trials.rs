//! Tests of the checker itself: every mutant of the zoo must be caught by exactly the checks
//! that its line in `zoo/mutants.txt` names, every check must catch at least one, and correct
//! programs, in Rust and in Python, must pass all.
//!
//! Nothing is retried. `ZOO_TIMES=50` runs everything 50 times.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use check::checks;
use check::course::{self, Language};
use check::run::{Isolation, Setting, Until, run};
use check::subject::{Allowance, Recipe};
use check::task::Task;
use libtest_mimic::{Arguments, Failed, Trial};

const MUTANTS: &str = include_str!("../../zoo/mutants.txt");
const REAL: &str = include_str!("../../zoo/real.txt");

pub(crate) fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if let Err(error) = build() {
        let _ = writeln!(std::io::stderr(), "build the right programs: {error}");
        return ExitCode::FAILURE;
    }
    // Most of a check is waiting, so run more of them than there are processors.
    arguments.test_threads.get_or_insert(6);
    if let Err(refusal) = netlab::enter_user_namespace() {
        let _ = writeln!(std::io::stderr(), "skipped: the zoo: {refusal}");
        return ExitCode::SUCCESS;
    }
    netlab::process::adopt_orphans();
    let table = match table() {
        Ok(table) => Arc::new(table),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "zoo/mutants.txt: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = vec![
        Trial::test("every check catches a mutant", {
            let table = Arc::clone(&table);
            move || every_check_catches(&table)
        }),
        Trial::test("pages and statements are there", pages_are_there),
    ];
    let times = std::env::var("ZOO_TIMES").ok().and_then(|it| it.parse().ok());
    if let Err(error) = real_servers(&mut trials) {
        let _ = writeln!(std::io::stderr(), "zoo/real.txt: {error}");
        return ExitCode::FAILURE;
    }
    for time in 1..=times.unwrap_or(1) {
        for task in checks::all() {
            for (name, command) in right_programs(&task) {
                let name = named(&task, &name, time);
                trials.push(Trial::test(name, move || {
                    judge(&task, &command, &[], Some(false))
                }));
            }
            for language in [Language::Rust, Language::Python] {
                let file = course::starter(&task, language);
                if let Some(command) = runs(&task, &file) {
                    let name =
                        named(&task, &format!("starter, {}", file.display()), time);
                    trials.push(Trial::test(name, move || begins(&task, &command)));
                }
            }
        }
        for place in 0..table.len() {
            let table = Arc::clone(&table);
            let Row { task, flaw, .. } = &table[place];
            let name = named(task, flaw, time);
            trials.push(Trial::test(name, move || {
                let Row { task, flaw, wanted, remarked } = &table[place];
                judge(task, &zoo(task, flaw), wanted, *remarked)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Builds the zoo, the starters and the solutions: `cargo test --test zoo` alone does not.
fn build() -> std::io::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = std::process::Command::new(cargo);
    build.args(["build", "--quiet", "-p", "check", "--examples"]);
    match build.current_dir(root()).status()?.success() {
        true => Ok(()),
        false => Err(std::io::Error::other("cargo could not; fix what it says above")),
    }
}

fn named(task: &Task, name: &str, time: usize) -> String {
    match time {
        1 => format!("{}: {name}", task.name),
        time => format!("{}: {name} ({time})", task.name),
    }
}

/// The number of a check that failed, and its diagnosis, if one was made.
type Failure = (usize, Option<String>);

/// A check that must fail, and the diagnoses of which one must be made: `3`,
/// `3=one-at-a-time` or `3=never-rests|limit`. The word `none` means no diagnosis. `?3` is
/// a check that sometimes fails, for one reason or another.
type Wanted = (usize, Vec<String>);

const NONE: &str = "none";
const AT_TIMES: &str = "?";

/// The word in place of a failure for a program that the report must remark on.
const REMARK: &str = "remark";

/// A mutant, and what must be found.
struct Row {
    task: Task,
    flaw: String,
    wanted: Vec<Wanted>,
    /// Whether there must be a remark. A wrong program may have one or not.
    remarked: Option<bool>,
}

/// Reads `zoo/mutants.txt`: lines `TASK FLAW: FAILURES`. `#` begins a comment.
fn table() -> Result<Vec<Row>, String> {
    let mut table = Vec::new();
    for line in MUTANTS.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = || format!("`{line}` is not `TASK FLAW: FAILURES`");
        let (name, numbers) = line.split_once(':').ok_or_else(wrong)?;
        let (task, flaw) = name.split_once(' ').ok_or_else(wrong)?;
        let task = checks::find(task)?;
        let words = || numbers.split_whitespace();
        let failures = words().filter(|word| *word != REMARK).map(|word| {
            let (number, diagnoses) = match word.strip_prefix(AT_TIMES) {
                Some(number) => (number, AT_TIMES),
                None => word.split_once('=').unwrap_or((word, NONE)),
            };
            let diagnoses = diagnoses.split('|').map(str::to_owned).collect();
            number.parse().map(|number| (number, diagnoses)).map_err(|_| wrong())
        });
        let wanted: Vec<Wanted> = failures.collect::<Result<_, _>>()?;
        let remarked = match words().any(|word| word == REMARK) {
            true => Some(true),
            false => wanted.is_empty().then_some(false),
        };
        table.push(Row { task, flaw: flaw.to_owned(), wanted, remarked });
    }
    Ok(table)
}

/// Checks that each check fails a mutant that is not simply dead: one that passes the first
/// check.
fn every_check_catches(table: &[Row]) -> Result<(), Failed> {
    let mut caught: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for Row { task, wanted, .. } in table {
        let numbers: Vec<usize> = wanted.iter().map(|(number, _)| *number).collect();
        let alive = !numbers.contains(&1) || numbers.len() < task.checks.len();
        if alive || numbers == [1] {
            caught.entry(task.name).or_default().extend(numbers);
        } else {
            caught.entry(task.name).or_default().insert(1);
        }
    }
    let mut missing = Vec::new();
    for task in checks::all() {
        for number in 1..=task.checks.len() {
            if !caught.get(task.name).is_some_and(|set| set.contains(&number)) {
                missing.push(format!("{}/{number}", task.name));
            }
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("no mutant for {}", missing.join(", ")).into()),
    }
}

fn pages_are_there() -> Result<(), Failed> {
    for task in checks::all() {
        for check in task.checks {
            if !root().join(check.page).is_file() {
                return Err(format!("{}: {} is not there", task.name, check.page).into());
            }
        }
    }
    Ok(())
}

/// Reads lines `TASK PORT: NUMBERS | COMMAND`: servers that were not written here, and what
/// was found about them. `?3` is a check that sometimes fails, because the server has a
/// race.
fn real_servers(trials: &mut Vec<Trial>) -> Result<(), String> {
    for line in REAL.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let wrong = || format!("`{line}` is not `TASK PORT: NUMBERS | COMMAND`");
        let (name, rest) = line.split_once(':').ok_or_else(wrong)?;
        let (numbers, command) = rest.split_once('|').ok_or_else(wrong)?;
        let (task, port) = name.split_once(' ').ok_or_else(wrong)?;
        let task = checks::find(task)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let (mut always, mut at_times) = (Vec::new(), Vec::new());
        for number in numbers.split_whitespace() {
            let (list, number) = match number.strip_prefix('?') {
                Some(number) => (&mut at_times, number),
                None => (&mut always, number),
            };
            list.push(number.parse::<usize>().map_err(|_| wrong())?);
        }
        let mut words: Vec<OsString> =
            command.split_whitespace().map(OsString::from).collect();
        let program = words.first().cloned().unwrap_or_default();
        match (program == "python3", python()) {
            (true, Some(python)) => words[0] = python,
            _ if is_installed(&program) => {}
            _ => {
                skip(&task, &format!("{} is not installed", program.to_string_lossy()));
                continue;
            }
        }
        let name = format!("{}: real, {}", task.name, command.trim());
        trials.push(Trial::test(name, move || {
            let folder = root().join("crates/check/zoo");
            let Found { failed, broken, report, .. } =
                find_at(&task, &words, folder, port);
            let failed: Vec<usize> =
                failed.into_iter().map(|(number, _)| number).collect();
            let sure = failed.iter().copied().filter(|number| !at_times.contains(number));
            match sure.collect::<Vec<_>>() == always && !broken {
                true => Ok(()),
                false => {
                    Err(format!("failed {failed:?}, not {always:?}\n{report}").into())
                }
            }
        }));
    }
    Ok(())
}

fn is_installed(program: &OsString) -> bool {
    netlab::environment::on_path(program).is_some()
}

fn judge(
    task: &Task,
    command: &[OsString],
    wanted: &[Wanted],
    remarked: Option<bool>,
) -> Result<(), Failed> {
    let Found { failed, broken, remark, report } = find(task, command);
    if remarked.is_some_and(|wanted| wanted != remark.is_some()) {
        let remark = remark.unwrap_or("no remark".into());
        return Err(format!("{remark}\n{report}").into());
    }
    let is_at_times = |it: &&Wanted| it.1 == [AT_TIMES];
    let at_times: Vec<usize> = wanted.iter().filter(is_at_times).map(|it| it.0).collect();
    let sure: Vec<&Failure> =
        failed.iter().filter(|it| !at_times.contains(&it.0)).collect();
    let wanted: Vec<&Wanted> = wanted.iter().filter(|it| !is_at_times(it)).collect();
    let is_wanted =
        |((number, diagnosis), (wanted, diagnoses)): (&&Failure, &&Wanted)| {
            let diagnosis = diagnosis.as_deref().unwrap_or(NONE);
            number == wanted && diagnoses.iter().any(|it| it == diagnosis)
        };
    let same = sure.len() == wanted.len() && sure.iter().zip(&wanted).all(is_wanted);
    if same && !broken {
        return Ok(());
    }
    let failed = failed.iter().map(|(number, diagnosis)| {
        format!("{number}={}", diagnosis.as_deref().unwrap_or(NONE))
    });
    let wanted = wanted.iter().map(|it| format!("{}={}", it.0, it.1.join("|")));
    let words = |it: Vec<String>| it.join(" ");
    let (failed, wanted) = (words(failed.collect()), words(wanted.collect()));
    Err(format!("failed: {failed}\nexpected: {wanted}\n{report}").into())
}

/// What was found out about a program.
struct Found {
    failed: Vec<Failure>,
    /// Whether the checker itself failed.
    broken: bool,
    remark: Option<String>,
    report: String,
}

fn find(task: &Task, command: &[OsString]) -> Found {
    find_at(task, command, root(), 12345)
}

fn find_at(task: &Task, command: &[OsString], folder: PathBuf, port: u16) -> Found {
    let mut limits = Allowance::default();
    // Recognize deliberate endless loops sooner: no program here has much to compute.
    limits.each.cpu_s = 5;
    let setting = Setting {
        recipe: Recipe {
            guard: env!("CARGO_BIN_EXE_check").into(),
            command: command.to_vec(),
            folder,
            pass: Vec::new(),
            namespaces: true,
            flow: None,
            shared: Arc::default(),
        },
        limits,
        isolation: Isolation::Private,
        port,
        jobs: 4,
    };
    let all: Vec<usize> = (1..=task.checks.len()).collect();
    let mut report = Vec::new();
    let mut human = check::report::Human::new(&mut report, true);
    let verdicts = run(task, &all, &setting, Until::TheEnd, |verdict| {
        let _ = human.tell(verdict);
    });
    let failed: Vec<Failure> = all
        .iter()
        .zip(&verdicts)
        .filter(|(_, it)| !it.passed())
        .map(|(number, it)| {
            let diagnosis = it.finding().and_then(|it| it.diagnosis.as_ref());
            (*number, diagnosis.map(|it| it.name().to_owned()))
        })
        .collect();
    let broken = verdicts.iter().any(|it| it.finding().is_none() && !it.passed());
    let remark = verdicts.iter().find_map(|it| it.remark.clone());
    Found {
        failed,
        broken,
        remark,
        report: String::from_utf8_lossy(&report).into_owned(),
    }
}

/// Returns the correct programs for a task: the zoo's own and the solutions, in Rust and in
/// Python.
fn right_programs(task: &Task) -> Vec<(String, Vec<OsString>)> {
    let mut programs = vec![("right, zoo".to_owned(), zoo(task, "none"))];
    for language in [Language::Rust, Language::Python] {
        let file = course::solution(task, language);
        if let Some(command) = runs(task, &file) {
            programs.push((format!("right, {}", file.display()), command));
        }
    }
    programs
}

/// Returns the command that runs a solution or a starter, or prints a line that says what is
/// missing. The services take their name as an argument; the other programs ignore it.
fn runs(task: &Task, file: &Path) -> Option<Vec<OsString>> {
    if file.extension().is_some_and(|it| it == "py") {
        let Some(python) = python() else {
            skip(task, "python3 is not installed");
            return None;
        };
        let mut command = vec![python, root().join(file).into()];
        if task.name.starts_with("rfc") {
            command.push(task.name.into());
        }
        return Some(command);
    }
    let built = Path::new(env!("CARGO_BIN_EXE_check")).parent()?;
    let parts: Vec<_> = file.iter().filter_map(|part| part.to_str()).collect();
    let binary = match parts[..] {
        ["crates", "check", "tasks", name, file] => {
            let kind = file.strip_suffix(".rs")?;
            let name = match kind.strip_prefix("starter_") {
                Some(protocol) => format!("starter-{protocol}"),
                None => format!("{kind}-{name}"),
            };
            built.join("examples").join(name)
        }
        _ => return None,
    };
    if !binary.is_file() {
        skip(
            task,
            &format!("{} is not built: cargo build --all-targets", file.display()),
        );
        return None;
    }
    let mut command = vec![binary.into()];
    if task.name.starts_with("rfc") {
        command.push(task.name.into());
    }
    Some(command)
}

/// Returns the first check that a starter fails: the point of its task.
fn point(task: &Task) -> usize {
    match task.name {
        "first-client" | "tcp-echo" | "tcp-echo-client" | "udp-echo"
        | "udp-echo-client" => 2,
        "whoami" => 2,
        "queue" => 2,
        "confirm-client" => 4,
        "every-address-client" => 3,
        "framing" => 2,
        "proxy" => 2,
        "download" => 6,
        "retry-client" => 4,
        "once-server" => 2,
        "crowd" | "drain" | "slow-readers" => 2,
        "load" | "sealed-file" => 3,
        "steady-client" => 4,
        // The services do not serve anything yet.
        "rfc863" => 1,
        "rfc863-udp" => 1,
        _ => 1,
    }
}

/// Checks that a starter passes the checks before the point of its task, and fails there.
fn begins(task: &Task, command: &[OsString]) -> Result<(), Failed> {
    let Found { failed, broken, report, .. } = find(task, command);
    match failed.first() {
        Some((first, _)) if *first == point(task) && !broken => Ok(()),
        _ => {
            let point = point(task);
            Err(format!("failed {failed:?}, must fail {point} first\n{report}").into())
        }
    }
}

/// Returns the path of the interpreter itself: a shim in front of it would cost more time
/// than it.
fn python() -> Option<OsString> {
    static PYTHON: std::sync::LazyLock<Option<OsString>> =
        std::sync::LazyLock::new(|| {
            let mut asks = std::process::Command::new("python3");
            let output =
                asks.args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
            let path = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| path.trim().into())
        });
    PYTHON.clone()
}

fn skip(task: &Task, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {}: {why}", task.name);
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_check")).with_file_name("examples").join(name)
}

fn zoo(task: &Task, flaw: &str) -> Vec<OsString> {
    vec![example("zoo").into(), task.name.into(), flaw.into()]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
