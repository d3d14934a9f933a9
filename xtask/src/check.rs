//! `check`, `start`, `next` and `solution`: runs the checker, which is a program of its own so that
//! this one stays quick to build.

use std::env;
use std::io;
use std::process::{Command, ExitCode, Stdio};

use crate::Error;
use crate::arguments::PassedOn;
use crate::workspace;

/// Builds the checker and runs it, with the subcommand `task` if there is one. Returns
/// its exit status.
///
/// # Errors
/// Fails if the checker cannot be built or started.
pub fn check(task: Option<&str>, arguments: &PassedOn) -> Result<ExitCode, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "check", "--bin", "check"]);
    let arguments = arguments.words();
    if arguments.iter().take_while(|word| *word != "--").any(|it| it == "--flow") {
        build.args(["-p", "flow", "--bin", "flow"]);
    }
    build.current_dir(workspace::root()).stdin(Stdio::null());
    let built =
        crate::build::status(&mut build).map_err(Error::io("build the checker"))?;
    if !built.success() {
        let reason = "cargo failed; fix what it reports above";
        return Err(Error::new(format!("build the checker: {reason}")));
    }
    let own = env::current_exe().map_err(Error::io("find this program's own file"))?;
    let checker = own.with_file_name(format!("check{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(&checker);
    command.args(task).args(&arguments);
    hand_over(command).map_err(Error::io("start the checker"))
}

/// Replaces this process with the command, so that the command gets all signals.
#[cfg(unix)]
fn hand_over(mut command: Command) -> io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    crate::interrupt::dismiss_guard();
    Err(command.exec())
}

#[cfg(not(unix))]
fn hand_over(mut command: Command) -> io::Result<ExitCode> {
    let status = command.status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
