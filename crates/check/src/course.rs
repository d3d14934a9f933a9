//! A learner's way through the tasks: starters, progress, what comes next, solutions.
//!
//! A learner's files are in `my/` at the root of the checkout, which git ignores. `my/` is a
//! workspace of its own, so that a program that does not compile yet breaks nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::outcome::CommandError;
use crate::run::Judgement;
use crate::task::{Role, Task};
use crate::{asked, checks};

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

/// Returns the root of the checkout.
pub fn root() -> PathBuf {
    netlab::environment::checkout("crates/check/tasks", env!("CARGO_MANIFEST_DIR"))
}

/// Returns the learner's folder: `my/`, or the one that the variable `CHECK_MY` names.
fn mine() -> PathBuf {
    std::env::var_os("CHECK_MY").map_or_else(|| root().join("my"), PathBuf::from)
}

/// Returns the path of a task's starter, relative to the root of the checkout.
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

/// Returns the path of a task's solution, relative to the root of the checkout. It
/// completes the starter, and has no dependency that the starter lacks.
pub fn solution(task: &Task, language: Language) -> PathBuf {
    let folder = if task.name.starts_with("rfc") { "services" } else { task.name };
    let file = format!("{folder}/solution.{}", language.extension());
    Path::new("crates/check/tasks").join(file)
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
    result.map_err(|error| {
        CommandError(1, format!("{what}: {}", netlab::with_remedy(&error)))
    })
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
    say(&format!(
        "{}\n\nYour program:   {}\nThe statement:  {}\n\
         Check it:       cargo xtask check {}\n",
        task.title(),
        from_here(&file),
        from_here(&readme),
        task.name,
    ))?;
    Ok(0)
}

/// Returns the path of a file as one types it in the current folder: `../../my/` in that of
/// a lesson.
fn from_here(file: &Path) -> String {
    let root = root();
    let Ok(inside) = file.strip_prefix(&root) else { return file.display().to_string() };
    let here = std::env::current_dir().unwrap_or_default();
    let below = here.strip_prefix(&root).map_or(0, |below| below.components().count());
    format!("{}{}", "../".repeat(below), inside.display())
}

/// Creates a file. Fails if it exists, since it is then the learner's own.
fn create(file: &Path, text: &str) -> Result<(), CommandError> {
    let shown = file.strip_prefix(root()).unwrap_or(file).display().to_string();
    let what = format!("create {shown}");
    if let Some(folder) = file.parent() {
        attempt(&what, fs::create_dir_all(folder))?;
    }
    match fs::File::create_new(file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CommandError(
            1,
            format!("{what}: it exists, and it is yours; move it away first"),
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
        // Crates for what std has no calls for.
        "goodbye" => {
            "signal-hook = \"0.3\"\nsocket2 = { version = \"0.6\", features = [\"all\"] }\n"
        }
        "crowd" => "rustix = { version = \"1.1\", features = [\"event\"] }\n",
        "drain" => {
            "rustix = { version = \"1.1\", features = [\"event\"] }\nsignal-hook = \"0.3\"\n"
        }
        "steady-client" => "socket2 = { version = \"0.6\", features = [\"all\"] }\n",
        "json-lines" => "serde_json = \"1\"\n",
        _ => "",
    };
    format!(
        "[package]\nname = \"my-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         publish = false\n\n[dependencies]\n{needs}"
    )
}

/// Writes `my/Cargo.toml`. It lists every folder that holds a Rust program, because a pattern
/// would also match folders that hold none, which Cargo refuses.
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
        "# Your own programs: `cargo xtask start TASK` adds one, and rewrites this file.\n\
         # Open this folder in your editor.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\n{}]\n",
        members.concat()
    );
    attempt("write my/Cargo.toml", replace(&mine.join("Cargo.toml"), &text))
}

/// Returns the command that runs the learner's own program for a task.
pub(crate) fn own_command(
    task: &Task,
    language: Option<Language>,
) -> Result<Vec<std::ffi::OsString>, CommandError> {
    let folder = mine().join(task.folder());
    let (manifest, script) = (folder.join("Cargo.toml"), folder.join("main.py"));
    let (name, shown) = (task.name, task.folder());
    let language = match (manifest.is_file(), script.is_file(), language) {
        (true, true, None) => Err(format!(
            "my/{shown} has a program in Rust and one in Python; say which: --lang rust, or \
             --lang python"
        )),
        (false, false, _) => Err(format!(
            "no program to check; try `cargo xtask check {name} -- python3 my_program.py`, \
             or `cargo xtask start {name}`"
        )),
        (false, _, Some(Language::Rust)) => Err(format!(
            "my/{shown} has no program in Rust; `cargo xtask start {name}` makes one"
        )),
        (_, false, Some(Language::Python)) => Err(format!(
            "my/{shown} has no program in Python; `cargo xtask start {name} --lang \
             python` makes one"
        )),
        (_, _, Some(language)) => Ok(language),
        (true, false, None) => Ok(Language::Rust),
        (false, true, None) => Ok(Language::Python),
    };
    match language.map_err(|message| CommandError(2, message))? {
        Language::Rust => Ok(vec![
            "cargo".into(),
            "run".into(),
            "--manifest-path".into(),
            manifest.into(),
        ]),
        Language::Python => Ok(vec!["python3".into(), script.into()]),
    }
}

/// Returns the folders whose files make up a program: the learner's own folder, or those of
/// the files that the command names, or else the current folder.
pub(crate) fn watched(
    task: &Task,
    command: &[std::ffi::OsString],
    own: bool,
) -> Vec<PathBuf> {
    if own {
        return vec![mine().join(task.folder())];
    }
    let files = command.iter().map(Path::new).filter(|path| path.is_file());
    let mut folders: Vec<PathBuf> = files
        .filter_map(|file| file.parent())
        .map(|folder| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        })
        .collect();
    if folders.is_empty() {
        folders.push(PathBuf::from("."));
    }
    folders.sort();
    folders.dedup();
    folders
}

/// The state of a task in `my/progress.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Passed,
    /// The first check that failed.
    Failed(String),
}

/// The contents of `my/progress.txt`: a line for each task, `framing passed` or `framing
/// failed at framing/3`, and a line for each check with hints given, `framing/3 hint 2`.
/// Other lines are ignored.
#[derive(Debug, Default)]
struct Progress {
    standings: BTreeMap<String, Standing>,
    hints: BTreeMap<String, usize>,
}

const PROGRESS: &str = "progress.txt";
const PROGRESS_HEAD: &str = "# What `cargo xtask check` saw last of each task. You may edit \
                             or delete this file.\n";

impl Progress {
    fn read(mine: &Path) -> Progress {
        let text = fs::read_to_string(mine.join(PROGRESS)).unwrap_or_default();
        let mut progress = Progress::default();
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [name, "passed"] => {
                    progress.standings.insert(name.to_owned(), Standing::Passed);
                }
                [name, "failed", "at", id] => {
                    let standing = Standing::Failed(id.to_owned());
                    progress.standings.insert(name.to_owned(), standing);
                }
                [id, "hint", number] => {
                    let number = number.parse().unwrap_or(0);
                    progress.hints.insert(id.to_owned(), number);
                }
                _ => {}
            }
        }
        progress
    }

    fn has_passed(&self, task: &str) -> bool {
        self.standings.get(task) == Some(&Standing::Passed)
    }

    /// Changes the file under a lock, since several `check`s may run at the same time. If the
    /// file is a symbolic link, the link is replaced, not followed.
    fn change(mine: &Path, change: impl FnOnce(&mut Progress)) -> io::Result<()> {
        fs::create_dir_all(mine)?;
        let lock = fs::File::open(mine)?;
        lock.lock()?;
        let mut progress = Progress::read(mine);
        change(&mut progress);
        let standing = |(name, standing): (&String, &Standing)| match standing {
            Standing::Passed => format!("{name} passed\n"),
            Standing::Failed(id) => format!("{name} failed at {id}\n"),
        };
        let mut text = PROGRESS_HEAD.to_owned();
        text.extend(progress.standings.iter().map(standing));
        text.extend(progress.hints.iter().map(|(id, at)| format!("{id} hint {at}\n")));
        replace(&mine.join(PROGRESS), &text)
    }
}

/// Replaces a file atomically: writes a new one beside it and renames that.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    fs::File::create_new(&beside)?.write_all(text.as_bytes())?;
    fs::rename(&beside, file)
}

/// Returns whether the caller is following the course: in the checkout, and not in CI.
fn is_learner() -> bool {
    let inside = || {
        let here = std::env::current_dir().and_then(|it| it.canonicalize());
        let root = root().canonicalize();
        here.is_ok_and(|here| root.is_ok_and(|root| here.starts_with(root)))
    };
    std::env::var_os("CI").is_none()
        && (std::env::var_os("CHECK_MY").is_some() || inside())
}

/// Saves the result of a run in `my/progress.txt`.
pub(crate) fn remember(task: &Task, judged: &[Judgement]) -> Result<(), CommandError> {
    // A task whose checks were all skipped has not passed.
    if !is_learner() || judged.iter().all(Judgement::is_skipped) {
        return Ok(());
    }
    let whole = judged.len() == task.checks.len();
    let failed = judged.iter().find(|judgement| judgement.failed(false));
    let standing = match failed {
        // A run that began with a later check says nothing about those before it.
        Some(first) if judged[0].id.ends_with("/1") => Standing::Failed(first.id.clone()),
        None if whole && !judged.iter().any(Judgement::is_broken) => Standing::Passed,
        _ => return Ok(()),
    };
    let change = |progress: &mut Progress| {
        // A task that has passed stays passed, even if the learner tries another program
        // later.
        if !progress.has_passed(task.name) {
            progress.standings.insert(task.name.to_owned(), standing);
        }
    };
    attempt("write my/progress.txt", Progress::change(&mine(), change))
}

/// Tells a person what to do next: fix the first failure, or continue with the course.
pub(crate) fn advice(
    task: &Task,
    judged: &[Judgement],
    numbers: &[usize],
    hint: bool,
    all: bool,
) -> Result<String, CommandError> {
    let name = task.name;
    if let Some(first) = judged.iter().find(|judgement| judgement.failed(false)) {
        let rest = if all { "" } else { " --all shows every failure." };
        let help = if hint { "" } else { " --hint helps." };
        let mut text =
            format!("Fix {}, then run the same command again.{help}{rest}\n", first.id);
        if hint {
            text.push_str(&self::hint(task, first)?);
        }
        return Ok(text);
    }
    let nothing = judged.iter().all(Judgement::is_skipped);
    if nothing || judged.iter().any(Judgement::is_broken) || judged.len() < numbers.len()
    {
        return Ok(String::new());
    }
    if numbers.len() < task.checks.len() {
        return Ok(format!("Now all of them: leave out --only ({name}).\n"));
    }
    let mut text = format!("\nWhat you know now: {}\n", task.learned);
    if is_learner() {
        text.push_str(&way_on(&Progress::read(&mine()), &mine()));
        text.push_str(&format!(
            "A worked program to compare: cargo xtask solution {name}\n"
        ));
    }
    Ok(text)
}

/// Returns the next, bigger hint for a check that failed. The last hint is repeated.
fn hint(task: &Task, failed: &Judgement) -> Result<String, CommandError> {
    let hints = hints(task, failed);
    let given = Progress::read(&mine()).hints.get(&failed.id).copied().unwrap_or(0);
    let at = given.min(hints.len() - 1);
    if is_learner() {
        let change = |progress: &mut Progress| {
            progress.hints.insert(failed.id.clone(), at + 1);
        };
        attempt("write my/progress.txt", Progress::change(&mine(), change))?;
    }
    Ok(format!("\nHint {} of {}: {}\n", at + 1, hints.len(), hints[at]))
}

/// Returns the hints for a check that failed, from the requirement to the page that
/// explains it.
fn hints(task: &Task, failed: &Judgement) -> Vec<String> {
    let (name, id) = (task.name, &failed.id);
    let number = id.rsplit('/').next().unwrap_or_default();
    let mut hints = Vec::new();
    let asked = asked::of_check(task, number.parse().unwrap_or(0));
    if !asked.is_empty() {
        hints.push(format!("the statement says:\n{}", asked.join("\n")));
    }
    hints.push(format!(
        "look at the calls at that moment: add --only {number} --flow to the command, and \
         find the last line that is as it should be. The cause is in the call after it; {}",
        calls(&failed.cause().unwrap_or_default())
    ));
    hints.push(format!(
        "read {}, and try its programs. If you are still stuck, `cargo xtask solution \
         {name} --anyway` shows a program that passes",
        failed.check.page
    ));
    hints
}

/// Returns words that point to the manual pages of the calls that a text names.
fn calls(text: &str) -> String {
    let words = text.split(|it: char| !(it.is_alphanumeric() || "_()".contains(it)));
    let mut pages: Vec<String> = words
        .filter_map(|word| word.strip_suffix("(2)"))
        .map(|call| format!("`man 2 {call}`"))
        .collect();
    pages.dedup();
    match pages.is_empty() {
        true => "the likely cause above says where to look".to_owned(),
        false => format!("read {}", pages.join(" and ")),
    }
}

/// Returns words that say how far the learner is, and what comes next.
fn way_on(progress: &Progress, mine: &Path) -> String {
    let course: Vec<Task> =
        checks::all().into_iter().filter(|task| !task.optional).collect();
    let passed = course.iter().filter(|task| progress.has_passed(task.name)).count();
    let mut text = format!("You have passed {passed} of {}.", course.len());
    match course.iter().find(|task| !progress.has_passed(task.name)) {
        None => {
            let projects = checks::all().into_iter().filter(|task| task.is_project());
            let names: Vec<&str> = projects
                .filter(|task| !progress.has_passed(task.name))
                .map(|task| task.name)
                .collect();
            text.push_str(" The course is done.\n");
            if !names.is_empty() {
                let names = names.join(", ");
                text.push_str(&format!("Projects to go on with: {names}\n"));
                text.push_str("  cargo xtask start PROJECT\n");
            }
            text.push_str(
                "The small services of RFC 862 to 868: cargo xtask next --all\n",
            );
        }
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
    text
}

pub(crate) fn next(options: &Next) -> Result<u8, CommandError> {
    let mine = &mine();
    let progress = Progress::read(mine);
    let mut text = String::new();
    for task in checks::all() {
        let standing = progress.standings.get(task.name);
        if task.optional && !options.all && standing.is_none() {
            continue;
        }
        let (mark, words) = match standing {
            Some(Standing::Passed) => ("✓", "passed".to_owned()),
            Some(Standing::Failed(id)) => {
                ("✗", format!("failed at {}", common::Escaped(id.as_bytes())))
            }
            None if mine.join(task.folder()).is_dir() => ("·", "begun".to_owned()),
            None => ("·", String::new()),
        };
        let line = format!("{mark} {:>2}  {:<22} {words}", task.lesson, task.name);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&way_on(&progress, mine));
    say(&text)?;
    Ok(0)
}

pub(crate) fn solution_of(options: &Solution) -> Result<u8, CommandError> {
    let mine = &mine();
    let task = checks::find(&options.task).map_err(|message| CommandError(2, message))?;
    let name = task.name;
    if !Progress::read(mine).has_passed(name) && !options.anyway {
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
