//! How a check ends, and why a command could not run any.

use std::io;

use serde::Serialize;

use crate::diagnosis::Diagnosis;

/// The result of a check: `Ok` if the program did what was asked.
pub type Outcome<T = ()> = Result<T, Stop>;

/// The reason why a check did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The program did something other than what was asked.
    Failed(Finding),
    /// The check cannot be run on this system; says what is missing.
    Skipped(String),
    /// The machine is so busy that the check came too late to say anything about the program.
    /// It is run again.
    Late(String),
    /// The checker itself failed. That is never the program's fault.
    Broken(String),
}

/// What a check found wrong with the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What the check expected.
    pub expected: String,
    /// What it got instead.
    pub got: String,
    /// An observation that explains it, if there is one.
    #[serde(skip)]
    pub diagnosis: Option<Diagnosis>,
}

impl Finding {
    /// Returns the limit that was exceeded, if any: it explains everything else.
    pub fn limit(&self) -> Option<&str> {
        match &self.diagnosis {
            Some(Diagnosis::Limit(why)) => Some(why),
            _ => None,
        }
    }
}

/// Returns a failure of the program, with what was expected and what came instead.
pub fn fails<T>(expected: impl Into<String>, got: impl Into<String>) -> Outcome<T> {
    fails_because(expected, got, None)
}

/// The same, with an observation that explains it.
pub fn fails_because<T>(
    expected: impl Into<String>,
    got: impl Into<String>,
    diagnosis: Option<Diagnosis>,
) -> Outcome<T> {
    Err(Stop::Failed(Finding { expected: expected.into(), got: got.into(), diagnosis }))
}

/// Adds an observation that explains a failure, unless there is one already.
pub fn explained<T>(outcome: Outcome<T>, diagnosis: Diagnosis) -> Outcome<T> {
    match outcome {
        Err(Stop::Failed(finding)) if finding.diagnosis.is_none() => {
            Err(Stop::Failed(Finding { diagnosis: Some(diagnosis), ..finding }))
        }
        outcome => outcome,
    }
}

/// Turns the error of a call that the checker made for itself into a broken check.
impl From<io::Error> for Stop {
    #[track_caller]
    fn from(error: io::Error) -> Self {
        let place = std::panic::Location::caller();
        Stop::Broken(format!("{error} ({}:{})", place.file(), place.line()))
    }
}

/// The reason why a command failed: the exit status, and a message.
#[derive(Debug)]
pub(crate) struct CommandError(pub(crate) u8, pub(crate) String);
