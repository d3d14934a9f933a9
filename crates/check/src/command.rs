//! The command that starts the program under test: finding its executable, and building it
//! first if the command is `cargo run`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use netlab::environment::{executable, on_path};

use crate::outcome::CommandError;

/// Checks that the command's program exists, before every check fails because it does not. If
/// `{port}` is part of its name, that is left to the first check.
pub(crate) fn find(command: &[OsString], folder: &Path) -> Result<(), CommandError> {
    let Some(program) = command.first() else { return Ok(()) };
    let shown = common::Escaped(program.as_encoded_bytes()).to_string();
    if shown.contains('{') {
        return Ok(());
    }
    let found = if shown.contains('/') {
        executable(&folder.join(program))
    } else {
        let found = on_path(program).map(drop);
        found.ok_or(io::Error::other(
            "it is not on PATH; for a program in this folder, write ./NAME",
        ))
    };
    found.map_err(|reason| {
        CommandError(2, format!("start {shown}: {reason}; is it there, and executable?"))
    })
}

/// Turns `cargo run …` into the command of its executable, which is built once, outside the
/// fence. Returns any other command as it is.
pub(crate) fn built(
    command: &[OsString],
    folder: &Path,
) -> Result<Vec<OsString>, CommandError> {
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
        .current_dir(folder)
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
