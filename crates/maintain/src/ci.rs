//! `ci`: runs what CI runs after `cargo test`, on a maintainer's machine too.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use xtask::{Error, Status, build, workspace};

/// How often the lessons are run again, to catch one that passes by luck.
const REPEATS: usize = 20;

/// The variable that tells insta where to list the snapshots that the tests compared with.
const REFERENCES: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// Runs all steps, even after one that failed, and says which failed.
///
/// # Errors
/// Fails if a step cannot be started.
pub fn ci() -> Result<Status, Error> {
    let root = workspace::root();
    let mut failed = Vec::new();
    let whole = Instant::now();
    say("ci: 7 steps, some 10 minutes on two processors")?;
    let mut number = 0;
    let mut step = |name: &str, work: &mut dyn FnMut() -> Result<bool, Error>| {
        number += 1;
        let passed = whole.elapsed().as_secs();
        say(&format!(
            "ci: {number} of 7, after {} min {} s: {name}",
            passed / 60,
            passed % 60
        ))?;
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
    step("other systems", &mut || other_systems(&root))?;
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
            let again =
                ["test", "--quiet", "-p", "lessons", "--test", "check", "--", "--quiet"];
            if !cargo(&root, &again, &[])? {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    if failed.is_empty() {
        let passed = whole.elapsed().as_secs();
        say(&format!("ci: all steps passed, in {} min {} s", passed / 60, passed % 60))?;
        return Ok(Status::AsDocumented);
    }
    say(&format!("ci: failed: {}", failed.join(", ")))?;
    Ok(Status::Failed)
}

/// The systems that the workspace is type-checked for, and the compiler's name for each.
const OTHER_SYSTEMS: [(&str, &str); 3] = [
    ("Windows", "x86_64-pc-windows-gnu"),
    ("macOS", "aarch64-apple-darwin"),
    ("Linux on aarch64", "aarch64-unknown-linux-gnu"),
];

/// Type-checks everything, including tests, for other systems. If the compiler has no
/// standard library for one of them, and rustup cannot fetch it, that is reported, but is
/// not a failure.
fn other_systems(root: &Path) -> Result<bool, Error> {
    let mut good = true;
    for (system, target) in OTHER_SYSTEMS {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", target]).current_dir(root);
        rustup.stdout(Stdio::null()).stderr(Stdio::null());
        if !has_library(root, target)
            && !rustup.status().is_ok_and(|status| status.success())
        {
            say(&format!(
                "ci: {system} skipped: no standard library; try rustup target add {target}"
            ))?;
            continue;
        }
        // Use a separate target folder: each of these builds is as large as the main one.
        let mut arguments = vec!["check", "--quiet", "--workspace", "--all-targets"];
        arguments.extend(["--target", target, "--target-dir", "target/other-systems"]);
        let passed = cargo(root, &arguments, &[])?;
        say(&format!("ci: {system}: {}", if passed { "type-checks" } else { "FAILED" }))?;
        good &= passed;
    }
    Ok(good)
}

/// Returns whether the compiler has the standard library of a target.
fn has_library(root: &Path, target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(root);
    rustc.output().is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| file.file_name().to_string_lossy().contains("libstd"))
    })
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
    let mut command = Command::new(cargo);
    command.args(arguments).envs(variables.iter().copied()).current_dir(root);
    let status = build::status(&mut command)
        .map_err(Error::io(&format!("start cargo {}", arguments.join(" "))))?;
    Ok(status.success())
}

/// Checks that a whole run of the tests compares with every snapshot of the programs.
/// (`tidy` checks those of the lessons.)
fn stale_snapshots(root: &Path) -> Result<bool, Error> {
    let file = match env::var_os(REFERENCES).map(PathBuf::from) {
        Some(file) if file.is_file() => file,
        _ => {
            let file = root.join("target/snapshots-used");
            // insta adds to it.
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let attempt = format!("remove {}", file.display());
                    return Err(Error::io(&attempt)(error));
                }
                _ => {}
            }
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
