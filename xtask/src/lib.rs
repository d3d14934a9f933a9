//! Runs what the lessons say, and holds it against what they show.
//!
//! One module a task (`demo`, `update`, `tidy`, `new_lesson`, `ci`, `bench`), on top of what they share:
//! a page is read by [`page`], its scenes are run by [`run`] and judged by [`verdict`],
//! which compares with [`transcript`]. The tests of `lessons/` use the same.

pub mod build;
pub mod bytes;
pub mod interrupt;
mod markdown;
pub mod page;
pub mod run;
pub mod snapshot;
pub mod transcript;
pub mod verdict;
pub mod workspace;

pub mod bench;
pub mod check;
pub mod ci;
pub mod demo;
pub mod flow;
pub mod new_lesson;
mod screen;
pub mod tidy;
pub mod update;

use std::fmt;
use std::io;

use run::{Limits, Network};
use verdict::Stage;

/// How a task ended: an exit status with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As documented: status 0.
    Well,
    /// Something differs or failed: status 1.
    Badly,
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

    fn io(attempt: &str) -> impl FnOnce(io::Error) -> Error {
        move |error| Error(format!("{attempt}: {error}"))
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
        Error(message)
    }
}

impl From<Vec<page::Fault>> for Error {
    fn from(faults: Vec<page::Fault>) -> Self {
        Error(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

/// Chooses the network of this process's runs, and readies it for them: a private one
/// unless `host` asks otherwise or the system refuses, which is told to `say`.
///
/// Call it while the process has one thread.
///
/// # Errors
/// Signals cannot be watched.
pub fn choose_network(host: bool, say: impl FnOnce(&str)) -> Result<Network, Error> {
    let network = if host {
        Network::Host
    } else {
        match netlab::enter_user_namespace() {
            Ok(()) => Network::Private,
            Err(refusal) => {
                say(&format!("no private network, so the host's is used: {refusal}"));
                Network::Host
            }
        }
    };
    interrupt::watch().map_err(Error::io("watch for signals"))?;
    Ok(network)
}

/// A stage on `network` with the limits of every day.
pub fn stage(programs: run::Programs, network: Network) -> Stage {
    Stage { programs, network, limits: Limits::default() }
}
