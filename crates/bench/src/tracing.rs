//! `bench flow`: what tracing costs, beside strace and beside a tracer that does nothing at its
//! stops. The measurement itself is an example of the package `flow`, which it starts.

use std::process::Command;

use xtask::{Error, Status, build, workspace};

/// What `bench flow` was asked.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Runs of each way
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
}

/// Builds `flow` for a release, and measures it.
///
/// # Errors
/// cargo that cannot be started, or a measurement that fails, which has said why.
pub(crate) fn tracing(options: &Options) -> Result<Status, Error> {
    let root = workspace::root();
    cargo(&root, &["build", "--release", "--quiet", "--package", "flow"])?;
    let runs = options.runs.to_string();
    let run = ["run", "--release", "--quiet", "--package", "flow", "--example"];
    cargo(&root, &[&run[..], &["round_trips", "--", &runs]].concat())?;
    Ok(Status::AsDocumented)
}

pub(super) fn cargo(root: &std::path::Path, words: &[&str]) -> Result<(), Error> {
    let attempt = format!("cargo {}", words.join(" "));
    let mut cargo = Command::new("cargo");
    cargo.args(words).current_dir(root);
    let status = build::status(&mut cargo).map_err(Error::io(&attempt))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::new(format!("{attempt}: {status}")))
    }
}
