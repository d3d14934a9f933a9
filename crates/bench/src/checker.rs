//! `bench check`: how long right programs take to pass, one task after the other. The measurement
//! itself is an example of the package `check`, which it starts.

use super::tracing::cargo;
use xtask::{Error, Status, workspace};

/// Builds the checker and the solutions, and measures.
///
/// # Errors
/// cargo that cannot be started, or a solution that does not pass.
pub(crate) fn checker() -> Result<Status, Error> {
    let root = workspace::root();
    let package = ["--quiet", "--package", "check"];
    let build = [&["build"], &package[..], &["--bin", "check", "--examples"]];
    cargo(&root, &build.concat())?;
    cargo(&root, &[&["run"], &package[..], &["--example", "sequence"]].concat())?;
    Ok(Status::AsDocumented)
}
