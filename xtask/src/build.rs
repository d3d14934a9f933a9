//! Builds the workspace's programs with cargo.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::interrupt;
use crate::page::Page;
use crate::run::Programs;
use crate::run::places::{self, Target};
use crate::workspace;

/// Builds the programs that `pages` run, and returns where they are.
///
/// # Errors
/// Fails if they do not build, with a message that says what was to be built; cargo's own messages
/// are on the terminal.
pub fn programs_of<'a>(
    root: &Path,
    pages: impl IntoIterator<Item = &'a Page>,
) -> Result<Programs, String> {
    programs_of_and(root, pages, &[])
}

/// The same, and also builds the instruments `more`: packages whose program has the same
/// name.
///
/// # Errors
/// The same as [`programs_of`].
pub fn programs_of_and<'a>(
    root: &Path,
    pages: impl IntoIterator<Item = &'a Page>,
    more: &[&str],
) -> Result<Programs, String> {
    let mut wanted = BTreeSet::new();
    for page in pages {
        let folder = root.join(page.path.parent().unwrap_or(Path::new("")));
        let own = workspace::package_name(&folder);
        let terminals = page.scenes.iter().flat_map(|scene| &scene.terminals);
        let steps = terminals.flat_map(|terminal| &terminal.steps);
        for Target { package, binary } in
            steps.flat_map(|step| places::targets(&step.words))
        {
            // Leave out what the workspace does not have: that is a fault of the page,
            // which is reported later, with its line.
            if let Some(package) = package.map(str::to_owned).or_else(|| own.clone())
                && has_program(root, &package, binary)
            {
                wanted.insert((package, binary.to_owned()));
            }
        }
    }
    wanted.extend(more.iter().map(|name| ((*name).to_owned(), (*name).to_owned())));
    let binaries =
        binaries().map_err(|error| format!("find the built programs: {error}"))?;
    if !wanted.is_empty() {
        build(root, &binaries, &wanted)?;
    }
    Ok(Programs { binaries })
}

/// Returns whether the package has the program where cargo looks for it: in `src/main.rs`
/// or
/// `src/bin/NAME.rs`.
fn has_program(root: &Path, package: &str, binary: &str) -> bool {
    workspace::package_folder(root, package).is_some_and(|folder| {
        folder.join(format!("src/bin/{binary}.rs")).is_file()
            || (binary == package && folder.join("src/main.rs").is_file())
    })
}

fn build(
    root: &Path,
    binaries: &Path,
    wanted: &BTreeSet<(String, String)>,
) -> Result<(), String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet"]);
    if io::stderr().is_terminal() {
        build.args(PROGRESS);
    }
    match binaries.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            build.args(["--profile", profile]);
        }
    }
    let packages: BTreeSet<&str> = wanted.iter().map(|(package, _)| &**package).collect();
    for package in packages {
        build.args(["-p", package]);
    }
    for (_, binary) in wanted {
        build.args(["--bin", binary]);
    }
    build.current_dir(root).stdin(Stdio::null());
    let names: Vec<&str> = wanted.iter().map(|(_, binary)| &**binary).collect();
    let what = format!("build {}", names.join(", "));
    match status(&mut build) {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{what}: cargo failed; fix what it reports above")),
        Err(error) => {
            let remedy = netlab::remedy(&error).unwrap_or("is cargo on PATH?");
            Err(format!("{what}: {error}; {remedy}"))
        }
    }
}

/// Runs a program, such as cargo, and waits for it. If this process is killed in the meantime,
/// the program and all that it started end as well.
///
/// Call it while this process has a single thread.
///
/// # Errors
/// Fails if the system refuses the process, or the one that guards it.
pub fn status(build: &mut Command) -> io::Result<ExitStatus> {
    let (name, value) = interrupt::guard()?;
    build.env(name, value).status()
}

/// The same, and returns what it printed.
///
/// # Errors
/// The same as [`status`].
pub fn output(command: &mut Command) -> io::Result<Output> {
    let (name, value) = interrupt::guard()?;
    command.env(name, value).output()
}

/// Makes a quiet cargo show its progress, but nothing if there is nothing to build. The
/// alias in
/// `.cargo/config.toml` does the same for the build of this program.
const PROGRESS: [&str; 4] =
    ["--config", "term.progress.when='always'", "--config", "term.progress.width=80"];

/// Returns the folder of this binary, or, in a test, the one above it.
fn binaries() -> io::Result<PathBuf> {
    let mut folder = env::current_exe()?;
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    Ok(folder)
}
