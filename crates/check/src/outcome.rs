//! How a check ends.

use std::io;

use serde::Serialize;

/// What a check gives: nothing where the program did as asked.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a check stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The program did something else than what was asked.
    Fault(Fault),
    /// The check cannot be made on this system: what is missing.
    Skipped(String),
    /// The check came too late to say anything of the program: the machine is busy. It is
    /// made again.
    Late(String),
    /// The checker itself failed. That is never the program's fault.
    Broken(String),
}

/// Where what came differs from what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What the check waited for.
    pub wanted: String,
    /// What came in its place.
    pub came: String,
}

/// A fault of the program.
pub fn fault<T>(wanted: impl Into<String>, came: impl Into<String>) -> Outcome<T> {
    Err(Stop::Fault(Fault { wanted: wanted.into(), came: came.into() }))
}

/// An error of a call that the checker made for itself.
impl From<io::Error> for Stop {
    #[track_caller]
    fn from(error: io::Error) -> Self {
        let place = std::panic::Location::caller();
        Stop::Broken(format!("{error} ({}:{})", place.file(), place.line()))
    }
}
