//! How a task ends: with an exit status, or with a message that says why it failed.

use std::fmt;
use std::io;

use common::Visible;

use crate::page::Diagnostic;

/// The way a task ended, which determines the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As documented: status 0.
    AsDocumented,
    /// Something differs or failed: status 1.
    Failed,
    /// It could not be run here: status 77.
    Skipped,
}

/// The reason why a task could not do its work: `attempt: reason; what to do`, on one line.
#[derive(Debug)]
pub struct Error {
    message: String,
    status: u8,
}

impl Error {
    /// Creates an error with this message; the exit status is 1.
    pub fn new(message: impl Into<String>) -> Self {
        Error { message: message.into(), status: 1 }
    }

    /// Creates an error for a wrong command line, such as one that names a lesson that
    /// does not exist; the exit status is 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Error { message: message.into(), status: 2 }
    }

    /// Returns the exit status.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Returns a function that turns the system's error into one that begins with this
    /// attempt.
    pub fn io(attempt: &str) -> impl FnOnce(io::Error) -> Error {
        move |error| Error::new(format!("{attempt}: {}", netlab::with_remedy(&error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message may contain what a user typed or what a file holds, so escape it.
        // Several errors are several lines.
        for (at, line) in self.message.split('\n').enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", Visible(line.as_bytes()))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::new(message)
    }
}

impl From<Vec<Diagnostic>> for Error {
    fn from(faults: Vec<Diagnostic>) -> Self {
        let faults = faults.iter().map(ToString::to_string);
        Error::new(faults.collect::<Vec<_>>().join("\n"))
    }
}
