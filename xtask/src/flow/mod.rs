//! `flow`: draws the calls and packets of a lesson's run, or of any programs.
//!
//! The work is done by the program `flow` (`crates/flow`), which is built only here: a
//! first
//! `cargo xtask demo` does not need the tracer. This module passes it a scene's commands, and
//! compares its drawing with the page.

mod verify;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

pub use verify::{Drawn, refusal, verify, verify_recording, write_recording};

use crate::arguments::PassedOn;
use crate::page::{Diagnostic, Page, Scene};
use crate::run::Programs;
use crate::{Error, Status, build, demo, jobs, run, screen, snapshot, workspace};

/// The width of the drawings on the pages, in columns.
pub const PAGE_COLUMNS: usize = 92;

/// The exit status of a program that the system does not let do its work.
const REFUSED: i32 = 77;

/// Runs the task. A lesson comes first: `cargo xtask flow udp-echo --exact`. All other
/// arguments are for the program `flow`: its options, a log to show, programs of your
/// own.
///
/// # Errors
/// Fails if there is no such lesson or scene, if a page is faulty, or if programs cannot be built
/// or started.
pub fn flow(arguments: &PassedOn) -> Result<Status, Error> {
    let root = workspace::root();
    let words = arguments.words();
    let end = words.iter().position(|word| word == "--");
    let (options, own) = words.split_at(end.unwrap_or(words.len()));
    let has = |name: &str| options.iter().any(|word| word == name);
    let first = options.first().and_then(|word| word.to_str());
    let lesson_word = first.filter(|word| !word.starts_with('-') && *word != "show");
    let is_own = !own.is_empty()
        || ["show", "--attach", "--help", "-h", "--version", "-V"].into_iter().any(has);
    if lesson_word.is_some() && !own.is_empty() {
        return Err(Error::usage(
            "flow: give a lesson or programs of your own, not both",
        ));
    }
    if is_own && lesson_word.is_none() {
        let programs = build::programs_of_and(&root, [], &["flow"])?;
        let mut command = flow_command(&programs);
        command.args(defaults(options)).args(options).args(own);
        if has("--help") || has("-h") {
            let usage = "cargo xtask flow [LESSON[/SCENE]] [OPTIONS] draws a lesson's run.\n\
                         All else is for the program flow:\n";
            writeln!(io::stdout(), "{usage}").map_err(Error::io("write to stdout"))?;
        }
        return become_it(command);
    }
    let options = if lesson_word.is_some() { &options[1..] } else { options };
    if let Some(second) = options.first().filter(|_| lesson_word.is_some())
        && !second.to_string_lossy().starts_with('-')
    {
        return Err(Error::usage("flow: one lesson at a time"));
    }
    let words = [defaults(options), options.to_vec()].concat();
    lesson(&root, lesson_word.unwrap_or(demo::FIRST), &words)
}

/// Returns the options for colour and width, unless the arguments have them.
pub(crate) fn defaults(options: &[OsString]) -> Vec<OsString> {
    let says =
        |name: &str| options.iter().any(|word| word.to_string_lossy().starts_with(name));
    let to_file = says("--output") || says("-o");
    let mut words: Vec<OsString> = Vec::new();
    if !says("--color") {
        words.extend(["--color".into(), color(to_file).into()]);
    }
    if !says("--width") {
        words.extend(["--width".into(), columns().to_string().into()]);
    }
    words
}

/// Returns whether to colour. This is decided here, because `NO_COLOR` is always set for
/// the programs of a lesson.
fn color(to_file: bool) -> &'static str {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let terminal = !to_file && io::stdout().is_terminal();
    if terminal && !no_color { "always" } else { "never" }
}

/// Returns the columns of the terminal, or those of the pages if standard output is not
/// one.
fn columns() -> usize {
    let terminal = screen::width().filter(|_| io::stdout().is_terminal());
    terminal.map_or(PAGE_COLUMNS, |columns| columns.clamp(40, 1000))
}

/// Draws a lesson's run, or the recording beside the page if the system does not allow a
/// run.
pub(crate) fn lesson(
    root: &Path,
    word: &str,
    words: &[OsString],
) -> Result<Status, Error> {
    let (lesson, only) = workspace::lesson_and_scene(root, word)?;
    let pages = lesson.pages(root)?;
    let jobs = jobs::jobs(&pages);
    let at = only.map_or(Ok(0), |word| jobs::find(&lesson, &jobs, word))?;
    let Some((page, scene)) = jobs.get(at) else {
        return Err(Error::new(format!(
            "{}: nothing on this page runs",
            lesson.directory
        )));
    };
    let programs = build::programs_of_and(root, &pages, &["flow"])?;
    become_it(scene_command(root, &programs, page, scene, words)?)
}

/// Returns the command that draws a scene's run, or its recording if the system does not
/// allow a run.
pub(crate) fn scene_command(
    root: &Path,
    programs: &Programs,
    page: &Page,
    scene: &Scene,
    words: &[OsString],
) -> Result<Command, Error> {
    let mut command = flow_command(programs);
    command.args(words);
    let folder = folder(root, page);
    let sides = sides(programs, &folder, page, scene).map_err(|reason| match reason {
        Unable::Page(fault) => Error::new(fault.to_string()),
        Unable::Missing(what) => {
            Error::new(format!("draw scene `{}`: {what}; install it first", scene.name))
        }
    })?;
    // Do not show what the programs print: `demo` does.
    command.arg("--quiet");
    run::lay_environment(&mut command);
    let recording = recording(root, page, &scene.name);
    if recording.is_file() {
        command.arg("--recording").arg(&recording);
    }
    command.args(sides);
    Ok(command)
}

pub(crate) fn flow_command(programs: &Programs) -> Command {
    Command::new(program(programs))
}

fn program(programs: &Programs) -> PathBuf {
    programs.binaries.join(format!("flow{}", std::env::consts::EXE_SUFFIX))
}

fn folder(root: &Path, page: &Page) -> PathBuf {
    root.join(page.path.parent().unwrap_or(Path::new("")))
}

/// Returns the path of the recorded log of a scene's run.
fn recording(root: &Path, page: &Page, scene: &str) -> PathBuf {
    let name = format!("{}.json", snapshot::flow_name(page, scene));
    root.join(snapshot::folder(page)).join(name)
}

/// The reason why a scene cannot be passed to `flow`.
enum Unable {
    /// One of its programs is not installed.
    Missing(String),
    /// The page asks for something that `flow` cannot do.
    Page(Diagnostic),
}

/// Returns the command lines of a scene, each after a `--`, and the options that they need.
fn sides(
    programs: &Programs,
    folder: &Path,
    page: &Page,
    scene: &Scene,
) -> Result<Vec<OsString>, Unable> {
    let fault = |line, message| {
        Unable::Page(Diagnostic { path: page.path.clone(), line, message })
    };
    let mut words: Vec<OsString> = Vec::new();
    for (at, terminal) in scene.terminals.iter().enumerate() {
        // `flow` starts each side when the one before is ready, but the second command of a
        // terminal must start when the first has ended. Only in the last terminal is that the
        // same.
        if let (Some(second), true) =
            (terminal.steps.get(1), at + 1 < scene.terminals.len())
        {
            let message = format!(
                "terminal {} has several commands, and others come after it: `flow` cannot \
                 draw this scene",
                terminal.name
            );
            return Err(fault(second.line, message));
        }
        for step in &terminal.steps {
            if step.words.first().is_some_and(|word| word == "strace") {
                let message = "strace traces this program, and a program has one tracer: \
                               `flow` cannot draw this scene";
                return Err(fault(step.line, message.to_owned()));
            }
            let (program, arguments) =
                programs.resolve(&step.words, folder).map_err(|missing| {
                    if missing.is_not_installed() {
                        Unable::Missing(missing.to_string())
                    } else {
                        fault(step.line, missing.to_string())
                    }
                })?;
            words.extend(["--".into(), program.into()]);
            words.extend(arguments.iter().map(OsString::from));
        }
    }
    // The commands run in the page's folder.
    let mut options: Vec<OsString> = vec!["--directory".into(), folder.into()];
    for rule in scene.wire.iter().flatten() {
        options.extend(["--rule".into(), rule.into()]);
    }
    words.splice(0..0, options);
    Ok(words)
}

/// Replaces this process with the command, so that the command gets all signals.
#[cfg(unix)]
pub(crate) fn become_it(mut command: Command) -> Result<Status, Error> {
    use std::os::unix::process::CommandExt as _;
    crate::interrupt::dismiss_guard();
    let error = command.exec();
    let program = command.get_program().to_string_lossy();
    Err(Error::new(format!("start {program}: {error}")))
}

/// Runs the command and waits for it. A terminal's ^C ends both.
#[cfg(not(unix))]
pub(crate) fn become_it(mut command: Command) -> Result<Status, Error> {
    let status = command.status().map_err(|error| {
        Error::new(format!("start {}: {error}", command.get_program().to_string_lossy()))
    })?;
    Ok(match status.code() {
        Some(0) => Status::AsDocumented,
        Some(REFUSED) => Status::Skipped,
        _ => Status::Failed,
    })
}
