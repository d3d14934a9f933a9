//! What the system refused, and what would allow it.

use std::fmt;
use std::io;

/// A step that the system refused, with the reason and a remedy.
///
/// Displays as one line: `attempt: reason; remedy`.
#[derive(Debug)]
pub struct Refusal {
    attempt: &'static str,
    reason: io::Error,
    remedy: &'static str,
}

impl Refusal {
    pub(crate) fn new(
        attempt: &'static str,
        reason: io::Error,
        remedy: &'static str,
    ) -> Self {
        Refusal { attempt, reason, remedy }
    }

    /// What was attempted, in the words of the manual page: `unshare(CLONE_NEWUSER)`.
    pub fn attempt(&self) -> &'static str {
        self.attempt
    }

    /// The system's own error.
    pub fn reason(&self) -> &io::Error {
        &self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = remedy(&self.reason).unwrap_or(self.remedy);
        write!(f, "{}: {}; {remedy}", self.attempt, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// The remedy for an error that has the same one whatever was attempted: a limit of this
/// process, or a full disk. `None` if it depends on the attempt.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    #[cfg(unix)]
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        return Some("raise the limit of open files: ulimit -n 1024");
    }
    Some(match error.kind() {
        // EAGAIN of fork(2) and clone(2).
        io::ErrorKind::WouldBlock => {
            "the limit of processes is reached: end some, or raise it with ulimit -u"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit of a file's size: ulimit -f unlimited"
        }
        io::ErrorKind::OutOfMemory => "raise the limit of memory: ulimit -v unlimited",
        io::ErrorKind::StorageFull => "make room, or write elsewhere",
        _ => return None,
    })
}

/// The error, with its [`remedy`] if it has one.
pub fn with_remedy(error: &io::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_its_own_remedy_whatever_was_attempted() {
        let refusal = |number| {
            let reason = io::Error::from_raw_os_error(number);
            Refusal::new("open /proc/self/x", reason, "mount /proc").to_string()
        };
        assert!(refusal(libc::ENOENT).ends_with("; mount /proc"));
        for (number, words) in [
            (libc::EMFILE, "ulimit -n"),
            (libc::EAGAIN, "ulimit -u"),
            (libc::EFBIG, "ulimit -f"),
            (libc::ENOSPC, "make room"),
        ] {
            let said = refusal(number);
            assert!(said.contains(words) && !said.contains("mount"), "{said}");
        }
    }
}
