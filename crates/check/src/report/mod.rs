//! Tells what came of the checks: to a person, or to a program.

mod human;
mod json;
mod junit;
mod tap;

use std::io::{self, Write};

use clap::ValueEnum;

use crate::run::Judgement;
use crate::task::Task;

pub use human::{Human, list};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Human,
    /// One JSON object, fields as the Exercism test-runner interface has them.
    Json,
    /// JUnit XML, as CI systems read it.
    Junit,
    /// The Test Anything Protocol, version 14.
    Tap,
}

/// Writes the report of a whole run in a form for programs.
///
/// # Errors
/// The output is closed or full.
pub fn write(
    to: &mut dyn Write,
    format: Format,
    task: &Task,
    verdicts: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    match format {
        Format::Human => Ok(()),
        Format::Json => json::write(to, task, verdicts, strict),
        Format::Junit => junit::write(to, task, verdicts, strict),
        Format::Tap => tap::write(to, task, verdicts, strict),
    }
}
