//! Where a cause is explained: the list of errors, `lessons/errors.md`.

/// The page of the course that explains every cause that a drawing names.
const BOOK: &str = "lessons/errors.md";

/// What a cause is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A reset instead of a FIN, or after one.
    Reset,
    /// Nobody listens on that address.
    Refused,
    /// The port belongs to somebody, or to the past.
    PortInUse,
    /// No ephemeral port is left.
    PortsUsedUp,
    /// No file descriptor is left.
    Descriptors,
    /// The queue of connections waiting to be accepted is full.
    QueueFull,
    /// The kernel has answered a SYN, and no program has the connection.
    Unanswered,
    /// Bytes are there, and the call that waits does not tell.
    Untold,
    /// A socket has no peer, or none any more.
    NoPeer,
    /// Nothing came back for too long.
    TimedOut,
    /// The socket is not in the state for this call.
    Invalid,
    /// A send into a stream that is over.
    BrokenPipe,
    /// The end of the stream has been received a second time.
    EndOfStream,
    /// The program may not do that.
    Permission,
    /// A datagram is longer than any can be.
    TooLong,
    /// Datagrams found no room.
    Dropped,
    /// The end of a datagram did not fit.
    CutOff,
    /// A small segment is waiting for an acknowledgment.
    Nagle,
    /// The peer has no room.
    Window,
    /// The peer has closed, and this end has not.
    CloseWait,
    /// One end is gone, and the other does not know.
    HalfOpen,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 21] = [
        Topic::Reset,
        Topic::Refused,
        Topic::PortInUse,
        Topic::PortsUsedUp,
        Topic::Descriptors,
        Topic::QueueFull,
        Topic::Unanswered,
        Topic::Untold,
        Topic::NoPeer,
        Topic::TimedOut,
        Topic::Invalid,
        Topic::BrokenPipe,
        Topic::EndOfStream,
        Topic::Permission,
        Topic::TooLong,
        Topic::Dropped,
        Topic::CutOff,
        Topic::Nagle,
        Topic::Window,
        Topic::CloseWait,
        Topic::HalfOpen,
    ];

    /// The heading of its entry in `BOOK`.
    pub fn heading(self) -> &'static str {
        match self {
            Topic::Reset => "ECONNRESET: connection reset by peer",
            Topic::Refused => "ECONNREFUSED: connection refused",
            Topic::PortInUse => "EADDRINUSE: address already in use",
            Topic::PortsUsedUp => "EADDRNOTAVAIL: address not available",
            Topic::Descriptors => "EMFILE, ENFILE: too many open files",
            Topic::QueueFull => "connect hangs",
            Topic::Unanswered => "connect succeeds, and nobody answers",
            Topic::Untold => "poll waits, and bytes are there",
            Topic::NoPeer => "EDESTADDRREQ: destination address required",
            Topic::TimedOut => "ETIMEDOUT: timed out",
            Topic::Invalid => "EINVAL: invalid argument",
            Topic::BrokenPipe => "EPIPE: broken pipe",
            Topic::EndOfStream => "recv gives 0 again and again",
            Topic::Permission => "EACCES: permission denied",
            Topic::TooLong => "EMSGSIZE: message too long",
            Topic::Dropped => "A datagram never comes",
            Topic::CutOff => "The end of a datagram is missing",
            Topic::Nagle => "Each request takes 40 ms too long",
            Topic::Window => "Both ends hang after much data",
            Topic::CloseWait => "Connections in CLOSE-WAIT grow in number",
            Topic::HalfOpen => "How do I know that the peer is gone?",
        }
    }
}

/// Where to read on about these topics; `None` if there are none.
pub(super) fn note(topics: impl IntoIterator<Item = Topic>) -> Option<String> {
    let mut topics: Vec<Topic> = topics.into_iter().collect();
    topics.sort_unstable();
    topics.dedup();
    let headings: Vec<String> =
        topics.iter().map(|topic| format!("\"{}\"", topic.heading())).collect();
    (!headings.is_empty()).then(|| format!("More in {BOOK}: {}", headings.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_an_entry_in_the_book() {
        let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lessons/errors.md");
        let book = std::fs::read_to_string(book).expect("read the book of errors");
        let headings: Vec<String> = book
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .map(|heading| heading.replace('`', ""))
            .collect();
        for topic in Topic::ALL {
            let heading = topic.heading();
            assert!(headings.iter().any(|it| it == heading), "no entry \"{heading}\"");
        }
    }

    #[test]
    fn each_entry_is_named_once() {
        let topics = [Topic::Nagle, Topic::Reset, Topic::Nagle];
        let note = note(topics).expect("a note");
        assert_eq!(
            note,
            "More in lessons/errors.md: \"ECONNRESET: connection reset by peer\", \
             \"Each request takes 40 ms too long\""
        );
        assert_eq!(super::note([]), None);
    }
}
