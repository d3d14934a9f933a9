//! The learner's way through the tasks: starters, what passed, what comes next, solutions.
//!
//! All of it lies in `my/` at the root of the checkout, which git ignores. `my/` is a
//! workspace of its own, so that a program that does not compile yet disturbs nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::checks;
use crate::outcome::CommandError;
use crate::run::Judgement;
use crate::task::{Role, Task};

/// The language of a starter or a solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust.
    Rust,
    /// Python 3.
    Python,
}

impl Language {
    fn extension(self) -> &'static str {
        match self {
            Language::Rust => "rs",
            Language::Python => "py",
        }
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    // Cargo sets the variable for what it runs, and xtask hands it on. A checkout that was
    // moved is not built anew, and two can share a target folder.
    let runs_from = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = runs_from.iter().flat_map(|path| path.ancestors());
    candidates
        .chain(built_from.ancestors())
        .find(|path| path.join("crates/check/tasks").is_dir())
        .unwrap_or(built_from)
        .to_owned()
}

/// The learner's folder: `my/`, or what the variable `CHECK_MY` names.
fn mine() -> PathBuf {
    std::env::var_os("CHECK_MY").map_or_else(|| root().join("my"), PathBuf::from)
}

/// Where a task's starter lies, from the root.
pub fn starter(task: &Task, language: Language) -> PathBuf {
    let extension = language.extension();
    let file = match (task.name.starts_with("rfc"), task.role) {
        (false, _) => format!("{}/starter.{extension}", task.name),
        (true, Role::TcpServer | Role::TcpClient) => {
            format!("services/starter_tcp.{extension}")
        }
        (true, Role::UdpServer | Role::UdpClient) => {
            format!("services/starter_udp.{extension}")
        }
    };
    Path::new("crates/check/tasks").join(file)
}

/// Where a task's worked program lies, from the root. For lessons that show one it is
/// theirs.
pub fn solution(task: &Task, language: Language) -> PathBuf {
    let (program, script) = match task.name {
        "tcp-echo" => ("crates/tcp-server/src/main.rs", "02-tcp-echo/server.py"),
        "tcp-echo-client" => ("crates/tcp-client/src/main.rs", "02-tcp-echo/client.py"),
        "udp-echo" => ("crates/udp-server/src/main.rs", "03-udp-echo/server.py"),
        "udp-echo-client" => ("crates/udp-client/src/main.rs", "03-udp-echo/client.py"),
        "framing" => {
            ("lessons/07-framing/src/bin/tcp-server-lengths.rs", "07-framing/lengths.py")
        }
        name => {
            let folder = if name.starts_with("rfc") { "services" } else { name };
            let file = format!("{folder}/solution.{}", language.extension());
            return Path::new("crates/check/tasks").join(file);
        }
    };
    match language {
        Language::Rust => PathBuf::from(program),
        Language::Python => Path::new("lessons").join(script),
    }
}

/// Puts a starter for a task into `my/`, for you to fill in
#[derive(Debug, Args)]
#[command(override_usage = "cargo xtask start [OPTIONS] TASK")]
pub(crate) struct Start {
    /// The task: tcp-echo, framing…; `cargo xtask check --list` lists them all
    task: String,
    /// The language of the starter
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
}

/// Says where you are in the course, what has passed, and what comes next
#[derive(Debug, Args)]
#[command(override_usage = "cargo xtask next [OPTIONS]")]
pub(crate) struct Next {
    /// Show the optional tasks too
    #[arg(long)]
    all: bool,
}

/// Shows a worked program for a task, once yours has passed
#[derive(Debug, Args)]
#[command(override_usage = "cargo xtask solution [OPTIONS] TASK")]
pub(crate) struct Solution {
    /// The task: tcp-echo, framing…; `cargo xtask check --list` lists them all
    task: String,
    /// The language
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// Show it even though yours has not passed
    #[arg(long)]
    anyway: bool,
}

fn attempt<T>(
    what: impl std::fmt::Display,
    result: io::Result<T>,
) -> Result<T, CommandError> {
    result.map_err(|error| CommandError(1, format!("{what}: {error}")))
}

fn say(text: &str) -> Result<(), CommandError> {
    attempt("write to stdout", io::stdout().write_all(text.as_bytes()))
}

pub(crate) fn start(options: &Start) -> Result<u8, CommandError> {
    let mine = &mine();
    let task = checks::find(&options.task).map_err(|message| CommandError(2, message))?;
    let folder = mine.join(task.folder());
    let from = root().join(starter(&task, options.lang));
    let text = attempt(format!("read {}", from.display()), fs::read_to_string(&from))?;
    let file = match options.lang {
        Language::Rust => folder.join("src/main.rs"),
        Language::Python => folder.join("main.py"),
    };
    create(&file, &text)?;
    let readme = folder.join("README.md");
    if !readme.exists() {
        create(&readme, &instructions(&task))?;
    }
    if options.lang == Language::Rust {
        create(&folder.join("Cargo.toml"), &manifest(&task))?;
        workspace(mine)?;
    }
    let (name, folder) = (task.name, task.folder());
    let shown = file.strip_prefix(root()).unwrap_or(&file);
    say(&format!(
        "{}\n\nYour program: {}\nWhat is asked:  my/{folder}/README.md\n\
         Check it:       cargo xtask check {name}\n",
        task.title(),
        shown.display()
    ))?;
    Ok(0)
}

/// Writes a new file; one that is there is the learner's, and stays.
fn create(file: &Path, text: &str) -> Result<(), CommandError> {
    let shown = file.strip_prefix(root()).unwrap_or(file).display().to_string();
    let what = format!("create {shown}");
    if let Some(folder) = file.parent() {
        attempt(&what, fs::create_dir_all(folder))?;
    }
    match fs::File::create_new(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CommandError(
            1,
            format!("{what}: it is there, and yours; move it away first"),
        )),
        created => {
            let mut created = attempt(&what, created)?;
            attempt(&what, created.write_all(text.as_bytes()))
        }
    }
}

fn instructions(task: &Task) -> String {
    let (name, page) = (task.name, task.checks[0].page);
    format!(
        "{}\n## Check it\n\n```sh\ncargo xtask check {name}                  # this program\n\
         cargo xtask check {name} -- ./any/other   # or any other, in any language\n```\n\n\
         It belongs to lesson {}: {page}. When it has passed, `cargo xtask solution {name}`\n\
         shows a worked program, and `cargo xtask next` what comes next.\n",
        task.statement, task.lesson
    )
}

fn manifest(task: &Task) -> String {
    let name = task.name;
    let needs = match name {
        // What std has no calls for.
        "goodbye" => {
            "signal-hook = \"0.3\"\nsocket2 = { version = \"0.6\", features = [\"all\"] }\n"
        }
        _ => "",
    };
    format!(
        "[package]\nname = \"my-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         publish = false\n\n[dependencies]\n{needs}"
    )
}

/// Lists all folders that hold a Rust program: Cargo takes no pattern that may match others.
fn workspace(mine: &Path) -> Result<(), CommandError> {
    let mut members: Vec<String> = attempt("read my/", fs::read_dir(mine))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            entry.path().join("Cargo.toml").is_file().then(|| entry.file_name())
        })
        .map(|name| format!("    {:?},\n", name.to_string_lossy()))
        .collect();
    members.sort();
    let text = format!(
        "# Your own programs: `cargo xtask start TASK` adds one, and writes this file anew.\n\
         # Open this folder in your editor.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\n{}]\n",
        members.concat()
    );
    attempt("write my/Cargo.toml", fs::write(mine.join("Cargo.toml"), text))
}

/// The command that runs the learner's own program for a task.
pub(crate) fn own_command(task: &Task) -> Result<Vec<std::ffi::OsString>, CommandError> {
    let folder = mine().join(task.folder());
    let (manifest, script) = (folder.join("Cargo.toml"), folder.join("main.py"));
    let name = task.name;
    match (manifest.is_file(), script.is_file()) {
        (true, true) => Err(CommandError(
            2,
            format!(
                "my/{} has a program in Rust and one in Python; name the command: cargo \
                 xtask check {name} -- python3 {}",
                task.folder(),
                script.display()
            ),
        )),
        (true, false) => Ok(vec![
            "cargo".into(),
            "run".into(),
            "--manifest-path".into(),
            manifest.into(),
        ]),
        (false, true) => Ok(vec!["python3".into(), script.into()]),
        (false, false) => Err(CommandError(
            2,
            format!(
                "no program to check; try `cargo xtask check {name} -- python3 \
                 my_program.py`, or `cargo xtask start {name}`"
            ),
        )),
    }
}

/// How a task stands, as `my/progress.txt` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Passed,
    /// The first check that failed.
    Failed(String),
}

const PROGRESS: &str = "progress.txt";
const PROGRESS_HEAD: &str = "# What `cargo xtask check` saw last of each task. You may edit \
                             or delete this file.\n";

/// A line a task: `framing passed`, `framing failed at framing/3`. Others are passed over.
fn standings(mine: &Path) -> BTreeMap<String, Standing> {
    let text = fs::read_to_string(mine.join(PROGRESS)).unwrap_or_default();
    let standing = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [name, "passed"] => Some((name.to_owned(), Standing::Passed)),
            [name, "failed", "at", id] => {
                Some((name.to_owned(), Standing::Failed(id.to_owned())))
            }
            _ => None,
        }
    };
    text.lines().filter_map(standing).collect()
}

/// Writes down what came of a whole run, in the checkout. In a CI there is nobody to go on.
pub(crate) fn remember(task: &Task, verdicts: &[Judgement]) -> Result<(), CommandError> {
    let mine = mine();
    let whole = verdicts.len() == task.checks.len();
    let here = root().is_dir() || std::env::var_os("CHECK_MY").is_some();
    if std::env::var_os("CI").is_some() || !whole || !here {
        return Ok(());
    }
    let standing = match verdicts.iter().find(|verdict| verdict.failed(false)) {
        Some(verdict) => Standing::Failed(verdict.id.clone()),
        None if verdicts.iter().all(|it| it.passed() || it.finding().is_some()) => {
            Standing::Passed
        }
        None => return Ok(()),
    };
    let mut all = standings(&mine);
    // Once passed stays passed: another program may be tried later.
    if all.get(task.name) != Some(&Standing::Passed) {
        all.insert(task.name.to_owned(), standing);
    }
    let line = |(name, standing): (&String, &Standing)| match standing {
        Standing::Passed => format!("{name} passed\n"),
        Standing::Failed(id) => format!("{name} failed at {id}\n"),
    };
    let text: String =
        [PROGRESS_HEAD.to_owned()].into_iter().chain(all.iter().map(line)).collect();
    attempt("create my/", fs::create_dir_all(&mine))?;
    attempt("write my/progress.txt", fs::write(mine.join(PROGRESS), text))
}

pub(crate) fn next(options: &Next) -> Result<u8, CommandError> {
    let mine = &mine();
    let standings = standings(mine);
    let mut text = String::new();
    let mut next = None;
    for task in checks::all() {
        let standing = standings.get(task.name);
        if task.optional && !options.all && standing.is_none() {
            continue;
        }
        let (mark, words) = match standing {
            Some(Standing::Passed) => ("✓", "passed".to_owned()),
            Some(Standing::Failed(id)) => ("✗", format!("failed at {id}")),
            None if mine.join(task.folder()).is_dir() => ("·", "begun".to_owned()),
            None => ("·", String::new()),
        };
        let line = format!("{mark} {:>2}  {:<22} {words}", task.lesson, task.name);
        text.push_str(line.trim_end());
        text.push('\n');
        if next.is_none() && !task.optional && standing != Some(&Standing::Passed) {
            next = Some(task);
        }
    }
    match next {
        None => text.push_str("\nAll done. The small services are left: next --all\n"),
        Some(task) => {
            let (name, page) = (task.name, task.checks[0].page);
            let begun = mine.join(task.folder()).is_dir();
            let what = if begun { "check" } else { "start" };
            text.push_str(&format!(
                "\nNext: {}\n  read {page}\n  cargo xtask {what} {name}\n",
                task.title()
            ));
        }
    }
    say(&text)?;
    Ok(0)
}

pub(crate) fn solution_of(options: &Solution) -> Result<u8, CommandError> {
    let mine = &mine();
    let task = checks::find(&options.task).map_err(|message| CommandError(2, message))?;
    let name = task.name;
    if standings(mine).get(name) != Some(&Standing::Passed) && !options.anyway {
        let message = format!(
            "solution {name}: no program of yours has passed yet; run `cargo xtask check \
             {name} -- YOUR PROGRAM`, or insist with --anyway"
        );
        return Err(CommandError(1, message));
    }
    let file = solution(&task, options.lang);
    let text = fs::read_to_string(root().join(&file));
    let text = attempt(format!("read {}", file.display()), text)?;
    let comment = if options.lang == Language::Rust { "//" } else { "#" };
    let argument = match name.starts_with("rfc") {
        true => format!(" (run it with the argument {name})"),
        false => String::new(),
    };
    say(&format!("{comment} {}{argument}\n\n{text}", file.display()))?;
    Ok(0)
}
