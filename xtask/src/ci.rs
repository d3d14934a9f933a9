//! `ci`: what CI runs after `cargo test`, in the same way on a maintainer's machine.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::workspace;
use crate::{Error, Status};

/// How often the lessons are run again, to catch one that passes by luck.
const REPEATS: usize = 20;

/// Where insta, during the tests, writes the snapshots that it compared with.
const REFERENCES: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// Runs all steps, also after one that failed, and says which failed.
///
/// # Errors
/// A step cannot be started.
pub fn ci() -> Result<Status, Error> {
    let root = workspace::root();
    let mut failed = Vec::new();
    let mut step = |name: &str, work: &mut dyn FnMut() -> Result<bool, Error>| {
        say(&format!("ci: {name}"))?;
        let start = Instant::now();
        let good = work()?;
        let verdict = if good { "passed" } else { "FAILED" };
        say(&format!("ci: {name}: {verdict} in {:.1} s", start.elapsed().as_secs_f64()))?;
        if !good {
            failed.push(name.to_owned());
        }
        Ok::<(), Error>(())
    };
    step("format", &mut || cargo(&root, &["fmt", "--all", "--check"], &[]))?;
    step("clippy", &mut || {
        let all =
            ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        cargo(&root, &all, &[])
    })?;
    step("rustdoc", &mut || {
        let all =
            ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
        cargo(&root, &all, &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    step("stale snapshots", &mut || stale_snapshots(&root))?;
    step("lessons on the host's network", &mut || {
        cargo(
            &root,
            &["test", "--quiet", "-p", "lessons"],
            &[("LESSONS_NETWORK", "host")],
        )
    })?;
    step(&format!("lessons {REPEATS} times"), &mut || {
        for _ in 0..REPEATS {
            let again = ["test", "--quiet", "-p", "lessons", "--", "--quiet"];
            if !cargo(&root, &again, &[])? {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    if failed.is_empty() {
        say("ci: all steps passed")?;
        return Ok(Status::AsDocumented);
    }
    say(&format!("ci: failed: {}", failed.join(", ")))?;
    Ok(Status::Failed)
}

fn say(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::io("write to stdout"))
}

fn cargo(
    root: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<bool, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(root)
        .status()
        .map_err(Error::io(&format!("start cargo {}", arguments.join(" "))))?;
    Ok(status.success())
}

/// Every snapshot of the programs' tests must have been compared with in a whole run of
/// the tests. (Those of the lessons are verified by `tidy`.)
fn stale_snapshots(root: &Path) -> Result<bool, Error> {
    let file = match env::var_os(REFERENCES).map(PathBuf::from) {
        Some(file) if file.is_file() => file,
        _ => {
            let file = env::temp_dir().join(format!("references-{}", std::process::id()));
            let name = file.to_string_lossy().into_owned();
            cargo(root, &["test", "--quiet", "--workspace"], &[(REFERENCES, &name)])?;
            file
        }
    };
    let text = fs::read_to_string(&file).map_err(Error::io(&format!(
        "read the snapshots that the tests used, {}",
        file.display()
    )))?;
    let used: BTreeSet<PathBuf> =
        text.lines().filter_map(|line| Path::new(line).canonicalize().ok()).collect();
    let mut stale = Vec::new();
    for tests in ["crates", "lessons", "xtask"] {
        snapshots(&root.join(tests), &mut stale);
    }
    let of_pages = workspace::lessons(root).map_err(Error::io("read lessons/"))?;
    let of_pages = of_pages.iter().map(|lesson| lesson.folder(root).join("snapshots"));
    let of_pages: Vec<PathBuf> = of_pages.collect();
    stale.retain(|file| !of_pages.iter().any(|folder| file.starts_with(folder)));
    stale.retain(|file| file.canonicalize().is_ok_and(|file| !used.contains(&file)));
    for file in &stale {
        let file = file.strip_prefix(root).unwrap_or(file);
        say(&format!("{}: no test uses this snapshot: delete it", file.display()))?;
    }
    Ok(stale.is_empty())
}

fn snapshots(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in
        fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()))
    {
        if path.is_dir() {
            snapshots(&path, found);
        } else if path.extension() == Some(OsStr::new("snap")) {
            found.push(path);
        }
    }
}
