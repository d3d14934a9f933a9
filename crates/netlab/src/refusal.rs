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
        write!(f, "{}: {}; {}", self.attempt, self.reason, self.remedy)
    }
}

impl std::error::Error for Refusal {}
