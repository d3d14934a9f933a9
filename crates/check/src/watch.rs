//! `--watch`: runs the checks again whenever a file of the program changes.
//!
//! Each round is a new process of this program, without `--watch`, so that it starts with a
//! single thread, as namespaces demand. Ctrl-C reaches both and ends both;
//! and a round is told to end when this process ends.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher};

use crate::outcome::CommandError;

/// Files that change within this time, such as when an editor saves, count as one change.
const TOGETHER: Duration = Duration::from_millis(100);

/// Runs the checks now, and again after each change in one of these folders, until Ctrl-C.
///
/// # Errors
/// Fails if the folders cannot be watched: there are too many watches, or no such folder.
pub(crate) fn run(folders: &[PathBuf]) -> Result<u8, CommandError> {
    let failed = |error: &dyn std::fmt::Display| {
        CommandError(
            77,
            format!("watch the program's files: {error}; check without --watch"),
        )
    };
    let folders = folders.iter().map(|folder| folder.canonicalize());
    let folders: Vec<PathBuf> =
        folders.collect::<io::Result<_>>().map_err(|error| failed(&error))?;
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        let _ = sender.send(event);
    })
    .map_err(|error| failed(&error))?;
    for folder in &folders {
        watcher
            .watch(folder, RecursiveMode::Recursive)
            .map_err(|error| failed(&error))?;
    }
    let own = std::env::current_exe().map_err(|error| failed(&error))?;
    let words: Vec<_> =
        std::env::args_os().skip(1).filter(|word| word != "--watch").collect();
    loop {
        let mut round = Command::new(&own);
        round.args(&words);
        netlab::process::tie(&mut round);
        let status = round.status().map_err(|error| failed(&error))?;
        if status.code() == Some(2) {
            return Ok(2);
        }
        let _ = writeln!(io::stderr(), "\nwaiting for a change; Ctrl-C ends it");
        loop {
            let Ok(event) = changes.recv() else { return Ok(1) };
            if event.is_ok_and(|event| is_change(&event, &folders)) {
                break;
            }
        }
        while changes.recv_timeout(TOGETHER).is_ok() {}
    }
}

/// Returns whether a file of the program was written: not just read, and not one that a tool
/// generates, such as the compiler of this very run.
fn is_change(event: &notify::Event, folders: &[PathBuf]) -> bool {
    // Only the part of the path inside the watched folder matters.
    let inside = |path: &Path| {
        let folder = folders.iter().find(|folder| path.starts_with(folder));
        let inside = folder.and_then(|folder| path.strip_prefix(folder).ok());
        inside.unwrap_or(path).to_owned()
    };
    !matches!(event.kind, EventKind::Access(_))
        && event.paths.iter().any(|path| !is_made(&inside(path)))
}

fn is_made(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        let made =
            ["target", "__pycache__", "node_modules", "progress.txt", "Cargo.lock"];
        made.contains(&&*name) || name.starts_with('.') && name.len() > 2
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_make_is_no_change() {
        for (path, made) in [
            ("my/02-tcp-echo/src/main.rs", false),
            ("my/target/debug/x", true),
            ("my/__pycache__/main.cpython.pyc", true),
            ("./.main.py.swp", true),
            ("./main.py", false),
            ("../main.py", false),
        ] {
            assert_eq!(is_made(Path::new(path)), made, "{path}");
        }
    }
}
