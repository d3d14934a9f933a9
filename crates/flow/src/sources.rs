//! The source files that a log names, provided they are the ones that ran.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use crate::event::{self, Event, Log};

/// The largest source file that is shown, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why a source file cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It has changed since the run.
    Changed,
    /// The log has no hash for it.
    Unknown,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stale::Unreadable(why) => f.write_str(why),
            Stale::Changed => f.write_str("it is not the file that ran"),
            Stale::Unknown => f.write_str("the log does not say which file ran"),
        }
    }
}

/// The text of each source file that the log names, in order of appearance. Relative
/// paths start from `folder`. The text is returned only if its hash is the one from the
/// run, so that a log from a stranger cannot reveal a file that the stranger does not
/// have.
pub fn read(log: &Log, folder: &Path) -> Vec<(String, Result<String, Stale>)> {
    let mut hashes: HashMap<&str, &str> = HashMap::new();
    let mut files: Vec<&str> = Vec::new();
    for event in &log.events {
        let Event::Call(call) = event else { continue };
        let Some(source) = &call.source else { continue };
        if !files.contains(&source.file.as_str()) {
            files.push(&source.file);
        }
        if let Some(hash) = &call.observed.source_hash {
            hashes.entry(&source.file).or_insert(hash);
        }
    }
    let text = |file: &str| {
        let hash = hashes.get(file).ok_or(Stale::Unknown)?;
        let path = folder.join(file);
        let unreadable = |error: std::io::Error| Stale::Unreadable(error.to_string());
        let mut bytes = Vec::new();
        let file = netlab::files::open(&path).map_err(unreadable)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Stale::Unreadable("it is too large to be shown".to_owned()));
        }
        if event::hash(&bytes) != **hash {
            return Err(Stale::Changed);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    files.into_iter().map(|file| (file.to_owned(), text(file))).collect()
}
