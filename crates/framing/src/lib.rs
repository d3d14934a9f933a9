//! Messages in a byte stream, framed in two ways: [`Lines`] ends each with a newline,
//! [`Lengths`] puts its length before it.
//!
//! It belongs to lesson 7, `lessons/07-framing`. Nothing here makes a system call. The
//! program calls recv(2) and pushes what has arrived, however much that is; then it takes the
//! messages that are whole by now: none, one or several. The remainder waits for more.
//!
//! ```
//! let mut lines = framing::Lines::new(100);
//! lines.push(b"one\ntw");
//! assert_eq!(lines.next_message(), Ok(Some(b"one".to_vec())));
//! assert_eq!(lines.next_message(), Ok(None));
//! lines.push(b"o\n");
//! assert_eq!(lines.next_message(), Ok(Some(b"two".to_vec())));
//! assert_eq!(lines.end(), Ok(()));
//! ```

mod lengths;
mod lines;

use std::fmt;

pub use lengths::{Lengths, with_length};
pub use lines::{Lines, with_newline};

/// What is wrong with the messages in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message is longer than the reader allows. The stream cannot be used any further,
    /// because nobody knows where the next message begins.
    TooLong {
        /// How long a message may be, in bytes, not counting its frame.
        most_bytes: usize,
        /// How long this one claims to be; `None` where the frame does not say.
        bytes: Option<usize>,
    },
    /// The stream ended inside a message.
    CutShort {
        /// How many bytes of the message had arrived, including its frame.
        came_bytes: usize,
    },
    /// A message that is to be sent holds the newline that would end it.
    HoldsNewline,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLong { most_bytes, bytes: Some(bytes) } => {
                write!(
                    formatter,
                    "a message of {bytes} bytes, and {most_bytes} are allowed"
                )
            }
            Fault::TooLong { most_bytes, bytes: None } => {
                write!(formatter, "no end of the message within {most_bytes} bytes")
            }
            Fault::CutShort { came_bytes } => {
                write!(
                    formatter,
                    "end of stream inside a message ({came_bytes} bytes of it came)"
                )
            }
            Fault::HoldsNewline => formatter.write_str("the message holds a newline"),
        }
    }
}

impl std::error::Error for Fault {}
