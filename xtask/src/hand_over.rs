//! Tasks that are programs of their own, so that a first `cargo xtask demo` need not build them:
//! builds one, and becomes it. And the `main` that the maintainer's programs have in common.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};

use clap::Parser;

use crate::arguments::PassedOn;
use crate::{Error, Status, build, interrupt, workspace};

/// Builds the package `name` and runs its program of that name, with the subcommand `task` if
/// there is one. Returns its exit status.
///
/// # Errors
/// Fails if the program cannot be built or started.
pub fn hand_over(
    name: &str,
    task: Option<&str>,
    arguments: &PassedOn,
) -> Result<ExitCode, Error> {
    let words = arguments.words();
    let mut packages = vec![name];
    if name == "check" && draws(&words) {
        packages.push("flow");
    }
    let programs = build::programs_of_and(&workspace::root(), [], &packages)?;
    let program = programs.binaries.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.args(task).args(&words);
    become_it(command).map_err(Error::io(&format!("start {name}")))
}

/// Returns whether the checker is asked to draw what it has seen, which `flow` does for it.
fn draws(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--flow")
}

/// Replaces this process with the command, so that the command gets all signals.
#[cfg(unix)]
fn become_it(mut command: Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    interrupt::dismiss_guard();
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> io::Result<ExitCode> {
    let status = command.status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Parses the command line, does the task, and returns its exit status; an error is one line
/// on standard error.
pub fn main_of<T: Parser, E: Into<ExitCode>>(
    task: impl FnOnce(T) -> Result<E, Error>,
) -> ExitCode {
    if let Err(message) = netlab::process::begin() {
        let _ = writeln!(io::stderr(), "{message}");
        return ExitCode::FAILURE;
    }
    let ended = task(common::parse_arguments::<T>());
    interrupt::dismiss_guard();
    ended.map_or_else(
        |error| {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(error.status())
        },
        Into::into,
    )
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::AsDocumented => ExitCode::SUCCESS,
            Status::Failed => ExitCode::FAILURE,
            Status::Skipped => ExitCode::from(77),
        }
    }
}
