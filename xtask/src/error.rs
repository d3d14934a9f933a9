//! How a task ends: with an exit status, or with a message that says why it could not.

use std::fmt;
use std::io;

use crate::page::Diagnostic;

/// How a task ended: an exit status with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As documented: status 0.
    AsDocumented,
    /// Something differs or failed: status 1.
    Failed,
    /// It could not be run here: status 77.
    Skipped,
}

/// Why a task could not do its work: `attempt: reason; what to do`, on one line.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Error(message.into())
    }

    /// Puts the attempt before the system's reason.
    pub(crate) fn io(attempt: &str) -> impl FnOnce(io::Error) -> Error {
        move |error| Error::new(format!("{attempt}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        Error(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}
