//! How a check ends, and why a command may not run any.

use std::io;

use serde::Serialize;

use crate::diagnosis::Diagnosis;

/// What a check returns: nothing when the program did as asked.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a check stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The program did something other than what was asked.
    Failed(Finding),
    /// The check cannot be made on this system: what is missing.
    Skipped(String),
    /// The check came too late to say anything about the program, because the machine is
    /// busy. It is made again.
    Late(String),
    /// The checker itself failed. That is never the program's fault.
    Broken(String),
}

/// Where what came differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the check waited for.
    pub expected: String,
    /// What came instead.
    pub got: String,
    /// What explains it, where an observation does.
    #[serde(skip)]
    pub diagnosis: Option<Diagnosis>,
}

impl Finding {
    /// The limit that was hit, which everything else follows from.
    pub fn limit(&self) -> Option<&str> {
        match &self.diagnosis {
            Some(Diagnosis::Limit(why)) => Some(why),
            _ => None,
        }
    }
}

/// The program fails a check.
pub fn fails<T>(expected: impl Into<String>, got: impl Into<String>) -> Outcome<T> {
    fails_because(expected, got, None)
}

/// The program fails a check, and what was observed says why.
pub fn fails_because<T>(
    expected: impl Into<String>,
    got: impl Into<String>,
    diagnosis: Option<Diagnosis>,
) -> Outcome<T> {
    Err(Stop::Failed(Finding { expected: expected.into(), got: got.into(), diagnosis }))
}

/// An error of a call that the checker made for itself.
impl From<io::Error> for Stop {
    #[track_caller]
    fn from(error: io::Error) -> Self {
        let place = std::panic::Location::caller();
        Stop::Broken(format!("{error} ({}:{})", place.file(), place.line()))
    }
}

/// Why a command did nothing: the exit status, and a message.
#[derive(Debug)]
pub(crate) struct CommandError(pub(crate) u8, pub(crate) String);
