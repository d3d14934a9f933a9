//! How a check ends, and why a command may not run any.

use std::io;

use serde::Serialize;

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
}

/// The program fails a check.
pub fn fails<T>(expected: impl Into<String>, got: impl Into<String>) -> Outcome<T> {
    Err(Stop::Failed(Finding { expected: expected.into(), got: got.into() }))
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
