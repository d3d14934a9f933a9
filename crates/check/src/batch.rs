//! A whole class at once: every folder inside a folder holds a program, and all are checked
//! side by side. No shell is involved, and nothing is written except what was asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use netlab::workers;
use serde::{Deserialize, Serialize};

use crate::outcome::CommandError;
use crate::report::{self, Format, TableRow};
use crate::run::{self, Judgement, Setting, Until};
use crate::task::Task;

/// The programs to check, and how to report on them.
pub(crate) struct Order<'a> {
    pub(crate) task: Task,
    /// The numbers of the checks.
    pub(crate) numbers: Vec<usize>,
    /// The folder that contains the programs' folders.
    pub(crate) folder: &'a Path,
    /// The file that keeps the results between runs.
    pub(crate) resume: Option<&'a Path>,
    pub(crate) format: Format,
    pub(crate) strict: bool,
}

/// A line of the file of results, in JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    task: String,
    /// The numbers of the checks that were run.
    numbers: Vec<usize>,
    strict: bool,
    #[serde(flatten)]
    row: TableRow,
}

/// Checks all programs and returns the exit status. `setting` returns the settings for one
/// program, given its command and its folder.
///
/// # Errors
/// Fails if the folder cannot be read or the results cannot be written.
pub(crate) fn run(
    order: &Order<'_>,
    command: &[OsString],
    setting: impl Fn(&[OsString], &Path) -> Result<Setting, CommandError> + Sync,
) -> Result<u8, CommandError> {
    let programs = programs(order.folder)?;
    let mut rows = match order.resume {
        Some(file) => kept(file, order)?,
        None => BTreeMap::new(),
    };
    let mut keeper = order.resume.map(open_to_append).transpose()?;
    let names = programs.keys().cloned();
    let left: Vec<String> = names.filter(|name| !rows.contains_key(name)).collect();
    let (count, before) = (programs.len(), programs.len() - left.len());
    if before > 0 {
        let _ = writeln!(io::stderr(), "{before} of {count} have a result already");
    }
    // Each program has several checks in progress, and most of a check is waiting.
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut result = Ok(());
    let made = workers::in_order(
        jobs,
        left.len(),
        |place| row(order, &left[place], &programs[&left[place]], command, &setting),
        |place, row| {
            let done = before + place + 1;
            let (name, outcome) = (&left[place], row.outcome());
            let _ = writeln!(io::stderr(), "{done} of {count}: {name}: {outcome}");
            if let Some(keeper) = &mut keeper {
                result = keep(keeper, order, &row);
            }
            rows.insert(left[place].clone(), row);
            result.is_ok()
        },
    );
    made.map_err(|error| CommandError(70, format!("run the checks: {error}")))?;
    result.map_err(|error| CommandError(1, format!("write the results: {error}")))?;
    // Leave out results whose folders no longer exist.
    let rows: Vec<TableRow> =
        programs.keys().filter_map(|name| rows.get(name)).cloned().collect();
    let mut out = anstream::stdout();
    match report::table(&mut out, order.format, &order.task, &rows) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        result => result
            .map_err(|error| CommandError(1, format!("write to stdout: {error}")))?,
    }
    Ok(match () {
        () if rows.iter().any(|row| row.status == "error") => 70,
        () => u8::from(rows.iter().any(|row| row.status != "pass")),
    })
}

/// Returns the folders inside a folder, by name. Hidden ones are left out.
fn programs(folder: &Path) -> Result<BTreeMap<String, PathBuf>, CommandError> {
    let attempt = |error: io::Error| {
        let folder = shown(&folder.to_string_lossy());
        CommandError(
            2,
            format!("read {folder}: {error}; --batch takes a folder of folders"),
        )
    };
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(attempt)? {
        let entry = entry.map_err(attempt)?;
        // In the form in which every report may show it; two names that are not UTF-8 stay two.
        let name = common::Escaped(entry.file_name().as_encoded_bytes()).to_string();
        if entry.path().is_dir() && !name.starts_with('.') {
            programs.insert(name, entry.path().canonicalize().map_err(attempt)?);
        }
    }
    match programs.is_empty() {
        false => Ok(programs),
        true => Err(attempt(io::Error::other("it contains no folders"))),
    }
}

/// Checks one program.
fn row(
    order: &Order<'_>,
    name: &str,
    folder: &Path,
    command: &[OsString],
    setting: &impl Fn(&[OsString], &Path) -> Result<Setting, CommandError>,
) -> TableRow {
    let judged = own_command(command, folder)
        .and_then(|command| setting(&command, folder))
        .map(|setting| {
            run::run(&order.task, &order.numbers, &setting, Until::TheEnd, |_| {})
        });
    match judged {
        Ok(judged) => TableRow::of(name, &judged, order),
        Err(CommandError(_, why)) => TableRow::not_run(name, order.numbers.len(), &why),
    }
}

/// Returns the command for a program: the one given, or else one that suits the files in its
/// folder.
fn own_command(
    command: &[OsString],
    folder: &Path,
) -> Result<Vec<OsString>, CommandError> {
    let has = |file: &str| folder.join(file).is_file();
    match () {
        () if !command.is_empty() => Ok(command.to_vec()),
        () if has("main.py") => Ok(vec!["python3".into(), "main.py".into()]),
        () if has("Cargo.toml") => Ok(vec!["cargo".into(), "run".into()]),
        () => Err(CommandError(
            2,
            "it contains neither main.py nor Cargo.toml; give the command after --"
                .into(),
        )),
    }
}

/// Many times the results of a class. A device like `/dev/zero` has no end.
const LONGEST_FILE_BYTES: u64 = 16 << 20;

/// Returns the results that a file already holds for this task and these checks. A last
/// line that was cut off does not count.
fn kept(
    file: &Path,
    order: &Order<'_>,
) -> Result<BTreeMap<String, TableRow>, CommandError> {
    let wrong = |why: &dyn std::fmt::Display| {
        CommandError(2, format!("read {}: {why}", shown(&file.to_string_lossy())))
    };
    let mut text = String::new();
    match netlab::files::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(&error)),
        Ok(file) => {
            let read = file.take(LONGEST_FILE_BYTES).read_to_string(&mut text);
            if read.map_err(|error| wrong(&error))? as u64 == LONGEST_FILE_BYTES {
                let most = LONGEST_FILE_BYTES >> 20;
                return Err(wrong(&format!(
                    "it has more than {most} MiB; name a file that --resume has written"
                )));
            }
        }
    }
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Kept>(line).ok());
    let same = lines.filter(|kept| {
        kept.task == order.task.name
            && kept.numbers == order.numbers
            && kept.strict == order.strict
            // A program that the checker could not judge is checked again.
            && kept.row.status != "error"
    });
    Ok(same.map(|kept| (kept.row.name.clone(), kept.row)).collect())
}

fn open_to_append(file: &Path) -> Result<File, CommandError> {
    File::options().create(true).append(true).open(file).map_err(|error| {
        CommandError(2, format!("write {}: {error}", shown(&file.to_string_lossy())))
    })
}

/// Appends one line, with one call, so that a run that is killed leaves whole lines.
fn keep(keeper: &mut File, order: &Order<'_>, row: &TableRow) -> io::Result<()> {
    let kept = Kept {
        task: order.task.name.to_owned(),
        numbers: order.numbers.clone(),
        strict: order.strict,
        row: row.clone(),
    };
    keeper.write_all(format!("\n{}\n", serde_json::to_string(&kept)?).as_bytes())
}

fn shown(name: &str) -> String {
    common::Escaped(name.as_bytes()).to_string()
}

/// Makes the result of one program from those of its checks.
impl TableRow {
    fn of(name: &str, judged: &[Judgement], order: &Order<'_>) -> TableRow {
        let strict = order.strict;
        let first = judged.iter().find(|it| it.is_broken() || it.failed(strict));
        let status = match first {
            Some(first) if first.is_broken() => "error",
            _ if judged.iter().any(Judgement::is_broken) => "error",
            // The thread of a check could not be created.
            _ if judged.len() < order.numbers.len() => "error",
            Some(_) => "fail",
            None => "pass",
        };
        TableRow {
            name: name.to_owned(),
            status: status.to_owned(),
            passed: judged.iter().filter(|it| it.passed()).count(),
            checks: judged.len(),
            first: first.map(|it| it.id.clone()),
            message: first.and_then(report::message),
            cause: first.and_then(Judgement::cause),
            tests: judged.iter().map(report::RowTest::of).collect(),
        }
    }

    fn not_run(name: &str, checks: usize, why: &str) -> TableRow {
        TableRow {
            name: name.to_owned(),
            status: "fail".to_owned(),
            passed: 0,
            checks,
            first: None,
            message: Some(why.to_owned()),
            cause: None,
            tests: Vec::new(),
        }
    }
}
