//! Reports the results of the checks, to a person or to a program.

mod exercism;
mod human;
mod json;
mod junit;
mod table;
mod tap;

use std::io::{self, Write};

use clap::ValueEnum;

use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Task;
use crate::timeline::{Entry, What};

pub use human::{Human, list};
pub(crate) use table::table;
pub use table::{RowTest, TableRow};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person
    Human,
    /// One JSON object, written as the checks are judged
    Json,
    /// JUnit XML, as CI systems read it
    Junit,
    /// A table with commas, of the programs of a --batch
    Csv,
    /// The Test Anything Protocol, version 13, as `prove` reads it
    Tap,
    /// The results.json of Exercism's test-runner interface, version 2
    Exercism,
}

/// Writes a report for programs, piece by piece as the checks are judged if the format
/// allows.
pub struct Machine<'a> {
    to: &'a mut dyn Write,
    format: Format,
    task: Task,
    strict: bool,
    told: usize,
}

impl<'a> Machine<'a> {
    /// Begins the report of `count` checks.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn begin(
        to: &'a mut dyn Write,
        format: Format,
        task: Task,
        count: usize,
        strict: bool,
    ) -> io::Result<Self> {
        match format {
            Format::Json => json::begin(to, &task)?,
            Format::Tap => tap::begin(to, &task, count)?,
            Format::Human | Format::Csv | Format::Junit | Format::Exercism => {}
        }
        Ok(Machine { to, format, task, strict, told: 0 })
    }

    /// Writes one judgement.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn tell(&mut self, judgement: &Judgement) -> io::Result<()> {
        self.told += 1;
        match self.format {
            Format::Json => json::tell(self.to, self.told, judgement),
            Format::Tap => tap::tell(self.to, self.told, judgement, self.strict),
            Format::Human | Format::Csv | Format::Junit | Format::Exercism => Ok(()),
        }
    }

    /// Ends the report.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn end(self, judged: &[Judgement]) -> io::Result<()> {
        match self.format {
            Format::Json => json::end(self.to, judged, self.strict),
            Format::Junit => junit::write(self.to, &self.task, judged, self.strict),
            Format::Exercism => exercism::write(self.to, judged, self.strict),
            Format::Human | Format::Csv | Format::Tap => Ok(()),
        }
    }
}

/// Returns what a report says about a check that did not pass. If a limit was exceeded, that
/// comes first.
pub(crate) fn message(judgement: &Judgement) -> Option<String> {
    match &judgement.result {
        Ok(()) => None,
        Err(Stop::Failed(finding)) => {
            let limit = finding.limit().map(|it| format!("limit hit: {it}\n"));
            let limit = limit.unwrap_or_default();
            let (expected, got) = (&finding.expected, &finding.got);
            Some(format!("{limit}expected: {expected}\ngot: {got}"))
        }
        Err(Stop::Skipped(why) | Stop::Broken(why) | Stop::Late(why)) => {
            Some(why.clone())
        }
    }
}

/// Returns what the program printed, line by line.
fn printed(entries: &[Entry]) -> String {
    let lines = entries.iter().filter_map(|entry| match &entry.what {
        What::Prints { text, .. } => Some(format!("{text}\n")),
        _ => None,
    });
    lines.collect()
}
