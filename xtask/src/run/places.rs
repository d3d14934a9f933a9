//! Finds the programs of a page's commands.
//!
//! A learner types `cargo run -q --bin NAME -- ARGUMENTS` for a program of the lesson,
//! and `cargo run -q -p NAME` for one of the document's own; here it has been built
//! already, and the binary is run. `cargo xtask` is this program. Everything else is
//! looked up as a shell does: relative to the page if the name has a slash, otherwise on
//! `PATH`.

use std::env::consts::EXE_SUFFIX;
use std::fmt;
use std::path::{Path, PathBuf};

/// The programs that commands can name: the workspace's own, and the system's.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The folder of cargo's binaries: `target/debug`.
    pub binaries: PathBuf,
}

/// The error for a command whose program cannot be found.
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
    /// Returns whether the machine lacks the program, so that the page cannot be checked
    /// here. Otherwise the page is wrong.
    pub fn is_not_installed(&self) -> bool {
        self.kind == Kind::NotOnPath
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = &self.program;
        match self.kind {
            Kind::NotBuilt => write!(f, "{program} is not in this workspace"),
            Kind::NotBeside => write!(f, "{program} is not in the page's folder"),
            Kind::NotOnPath => write!(f, "{program} is not installed"),
            Kind::OtherCargo => {
                write!(
                    f,
                    "`{program}`: the only cargo command that a page runs is `cargo run -q --bin \
                     NAME`, or `-p NAME` for a program in `crates/`"
                )
            }
        }
    }
}

/// A program of the workspace, as a command names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The package, or `None` if `--bin` alone names one of the page's own programs.
    pub(crate) package: Option<&'a str>,
    /// The name of the binary.
    pub(crate) binary: &'a str,
}

impl<'a> Target<'a> {
    const XTASK: Target<'static> = Target { package: Some("xtask"), binary: "xtask" };

    /// Returns the program that `-p PACKAGE` and `--bin NAME` mean. A package's main
    /// program has its name.
    fn named(package: Option<&'a str>, binary: Option<&'a str>) -> Option<Target<'a>> {
        Some(Target { package, binary: binary.or(package)? })
    }
}

/// Returns the programs that `cargo run` names in a command, even inside another program's
/// arguments: `strace cargo run -q -p NAME`, `sh -c 'cargo run -q --bin NAME | …'`.
pub(crate) fn targets(words: &[String]) -> impl Iterator<Item = Target<'_>> {
    let words: Vec<&str> =
        words.iter().flat_map(|word| word.split_whitespace()).collect();
    let mut targets = Vec::new();
    for at in 0..words.len() {
        if words[at..].starts_with(&["cargo", "xtask"]) {
            targets.push(Target::XTASK);
        } else if words[at..].starts_with(&["cargo", "run"]) {
            let options = words[at + 2..].iter().take_while(|word| **word != "--");
            let options: Vec<&str> = options.copied().collect();
            let after = |long: &str, short: &str| {
                let at =
                    options.iter().position(|word| *word == long || *word == short)?;
                options.get(at + 1).copied()
            };
            targets
                .extend(Target::named(after("--package", "-p"), after("--bin", "--bin")));
        }
    }
    targets.into_iter()
}

/// Parses `cargo run [-q] [-p PACKAGE] [--bin NAME] [-- ARGUMENTS]`, with at least one of
/// the two names, and `cargo xtask ARGUMENTS`. Returns `None` for any other form.
fn parts(words: &[String]) -> Option<(Target<'_>, &[String])> {
    let (cargo, rest) = words.split_first()?;
    let (command, mut rest) = rest.split_first()?;
    match (cargo.as_str(), command.as_str()) {
        ("cargo", "xtask") => return Some((Target::XTASK, rest)),
        ("cargo", "run") => {}
        _ => return None,
    }
    let (mut package, mut binary) = (None, None);
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let name = match word.as_str() {
            "-q" | "--quiet" => continue,
            "-p" | "--package" => &mut package,
            "--bin" => &mut binary,
            "--" => break,
            _ => return None,
        };
        let (value, after) = rest.split_first()?;
        (*name, rest) = (Some(value.as_str()), after);
    }
    Some((Target::named(package, binary)?, rest))
}

impl Programs {
    /// Returns the path of the program that `words` name, and its arguments. `folder` is
    /// the page's.
    ///
    /// # Errors
    /// Fails with [`Missing`] if there is no such program.
    pub fn resolve<'a>(
        &self,
        words: &'a [String],
        folder: &Path,
    ) -> Result<(PathBuf, &'a [String]), Missing> {
        let (name, arguments) =
            words.split_first().map_or(("", words), |(name, rest)| (name.as_str(), rest));
        let missing = |program: &str, kind| Missing { program: program.to_owned(), kind };
        if name == "cargo" {
            let Some((target, arguments)) = parts(words) else {
                return Err(missing(&words.join(" "), Kind::OtherCargo));
            };
            let binary = self.binaries.join(format!("{}{EXE_SUFFIX}", target.binary));
            return if binary.is_file() {
                Ok((binary, arguments))
            } else {
                Err(missing(target.binary, Kind::NotBuilt))
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
        netlab::environment::on_path(name)
            .map(|program| (program, arguments))
            .ok_or_else(|| missing(name, Kind::NotOnPath))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn cargo_run_names_a_program_and_its_arguments() {
        let target = |package, binary| Target { package, binary };
        for (command, expected) in [
            ("cargo run -q -p tcp-server", target(Some("tcp-server"), "tcp-server")),
            (
                "cargo run --quiet --package udp-client",
                target(Some("udp-client"), "udp-client"),
            ),
            ("cargo run -q --bin tcp-server-late", target(None, "tcp-server-late")),
            (
                "cargo run -q -p late --bin tcp-server-late",
                target(Some("late"), "tcp-server-late"),
            ),
        ] {
            let command = words(&format!("{command} -- -p 0"));
            assert!(targets(&command).eq([expected]), "{command:?}");
            let (found, arguments) = parts(&command).unwrap();
            assert_eq!((found, arguments.join(" ")), (expected, "-p 0".into()));
        }
        let inside =
            ["sh".to_owned(), "-c".to_owned(), "cargo run -q --bin a | cat".to_owned()];
        assert!(targets(&inside).eq([target(None, "a")]));
    }

    #[test]
    fn other_forms_of_cargo_are_refused() {
        let programs = Programs { binaries: PathBuf::from("none") };
        for command in [
            "cargo build",
            "cargo run",
            "cargo run --release -p x",
            "cargo run -p",
            "cargo run --bin",
        ] {
            let missing = programs.resolve(&words(command), Path::new(".")).unwrap_err();
            assert!(missing.to_string().contains("the only cargo command"), "{missing}");
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
        assert_eq!(resolve("./nowhere.py"), "./nowhere.py is not in the page's folder");
        assert_eq!(resolve("cargo run -p nothing"), "nothing is not in this workspace");
    }
}
