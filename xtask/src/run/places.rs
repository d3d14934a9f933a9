//! Where a page's commands are found.
//!
//! `cargo run -q -p NAME -- ARGUMENTS` is what a learner types; here it is built once, and
//! then the binary is run. `cargo xtask` is this program. All else is looked up as a shell
//! does: beside the page where the name has a slash, or on `PATH`.

use std::env::consts::EXE_SUFFIX;
use std::fmt;
use std::path::{Path, PathBuf};

/// The folder of the workspace's own binaries, and the rest of the system's.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Where cargo put the binaries: `target/debug`.
    pub binaries: PathBuf,
}

/// A command that cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    program: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    NotBuilt,
    NotBeside,
    NotOnPath,
    OtherCargo,
}

impl Missing {
    /// Whether the machine lacks it, so that the page cannot be checked here; otherwise the
    /// page is wrong.
    pub fn is_not_installed(&self) -> bool {
        self.kind == Kind::NotOnPath
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = &self.program;
        match self.kind {
            Kind::NotBuilt => write!(f, "{program} is no program of this workspace"),
            Kind::NotBeside => write!(f, "{program} does not stand beside the page"),
            Kind::NotOnPath => write!(f, "{program} is not installed"),
            Kind::OtherCargo => {
                write!(
                    f,
                    "`{program}`: of cargo's commands a page has `cargo run -q -p NAME`"
                )
            }
        }
    }
}

/// The packages that `cargo run` names in a command, also inside of another program's
/// arguments: `strace cargo run -q -p NAME`, `sh -c 'cargo run -q -p NAME | …'`.
pub(crate) fn packages(words: &[String]) -> impl Iterator<Item = &str> {
    let words: Vec<&str> =
        words.iter().flat_map(|word| word.split_whitespace()).collect();
    let mut packages = Vec::new();
    for at in 0..words.len() {
        if words[at..].starts_with(&["cargo", "xtask"]) {
            packages.push("xtask");
        } else if words[at..].starts_with(&["cargo", "run"]) {
            let mut name = words[at..]
                .iter()
                .skip_while(|word| !matches!(**word, "-p" | "--package"));
            packages.extend(name.nth(1).copied());
        }
    }
    packages.into_iter()
}

enum Cargo<'a> {
    Run { package: &'a str, arguments: &'a [String] },
    Xtask(&'a [String]),
}

/// `cargo run [-q] -p NAME [-- ARGUMENTS]` and `cargo xtask ARGUMENTS`, no other form.
fn parts(words: &[String]) -> Option<Cargo<'_>> {
    let (cargo, rest) = words.split_first()?;
    let (command, mut rest) = rest.split_first()?;
    match (cargo.as_str(), command.as_str()) {
        ("cargo", "xtask") => return Some(Cargo::Xtask(rest)),
        ("cargo", "run") => {}
        _ => return None,
    }
    let mut package = None;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        match word.as_str() {
            "-q" | "--quiet" => {}
            "-p" | "--package" => {
                let (name, after) = rest.split_first()?;
                (package, rest) = (Some(name.as_str()), after);
            }
            "--" => return Some(Cargo::Run { package: package?, arguments: rest }),
            _ => return None,
        }
    }
    Some(Cargo::Run { package: package?, arguments: &[] })
}

impl Programs {
    /// The program that `words` name, and its arguments.
    ///
    /// # Errors
    /// [`Missing`] where there is no such program.
    pub fn resolve<'a>(
        &self,
        words: &'a [String],
        folder: &Path,
    ) -> Result<(PathBuf, &'a [String]), Missing> {
        let (name, arguments) =
            words.split_first().map_or(("", words), |(name, rest)| (name.as_str(), rest));
        let missing = |program: &str, kind| Missing { program: program.to_owned(), kind };
        if name == "cargo" {
            let (program, arguments) = match parts(words) {
                Some(Cargo::Run { package, arguments }) => (package, arguments),
                Some(Cargo::Xtask(arguments)) => ("xtask", arguments),
                None => return Err(missing(&words.join(" "), Kind::OtherCargo)),
            };
            let binary = self.binaries.join(format!("{program}{EXE_SUFFIX}"));
            return if binary.is_file() {
                Ok((binary, arguments))
            } else {
                Err(missing(program, Kind::NotBuilt))
            };
        }
        if name.contains('/') {
            let beside = folder.join(name);
            return if beside.is_file() {
                Ok((beside, arguments))
            } else {
                Err(missing(name, Kind::NotBeside))
            };
        }
        on_path(name)
            .map(|program| (program, arguments))
            .ok_or_else(|| missing(name, Kind::NotOnPath))
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(format!("{name}{EXE_SUFFIX}")))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn cargo_run_names_a_package_and_its_arguments() {
        let command = words("cargo run -q -p tcp-server -- --port 0");
        assert!(packages(&command).eq(["tcp-server"]));
        let Some(Cargo::Run { arguments, .. }) = parts(&command) else { panic!() };
        assert_eq!(arguments, ["--port", "0"]);
        assert!(
            packages(&words("cargo run --quiet --package udp-client")).eq(["udp-client"])
        );
    }

    #[test]
    fn other_forms_of_cargo_are_refused() {
        let programs = Programs { binaries: PathBuf::from("none") };
        for command in
            ["cargo build", "cargo run", "cargo run --release -p x", "cargo run -p"]
        {
            let missing = programs.resolve(&words(command), Path::new(".")).unwrap_err();
            assert!(missing.to_string().contains("of cargo's commands"), "{missing}");
            assert!(!missing.is_not_installed());
        }
    }

    #[test]
    fn a_program_that_is_nowhere_is_named() {
        let programs = Programs { binaries: PathBuf::from("none") };
        let resolve = |text: &str| {
            programs.resolve(&words(text), Path::new(".")).unwrap_err().to_string()
        };
        assert_eq!(resolve("no-such-program x"), "no-such-program is not installed");
        assert_eq!(
            resolve("./nowhere.py"),
            "./nowhere.py does not stand beside the page"
        );
        assert_eq!(
            resolve("cargo run -p nothing"),
            "nothing is no program of this workspace"
        );
    }
}
