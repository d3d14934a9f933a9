//! Diagnoses: observations that explain a failure, and often several. The program did not
//! start, is never idle, waits for a newline.
//!
//! A diagnosis takes precedence over the likely cause that a check names: the check's cause
//! is about the network call that it tests, and may have nothing to do with what went
//! wrong.

use crate::subject::Exit;

/// An observation that explains a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// The checker stopped the program for exceeding this limit.
    Limit(String),
    /// It ended before it did anything, or could not be started: how, and its own message.
    DidNotStart(String, Option<String>),
    /// It is running, but neither listens nor connects.
    NeverBegins,
    /// It waits for clients at this address, and not at the one that it was told.
    ListensElsewhere(String),
    /// It ended when it was started again, and its message, if it printed one, does not
    /// mention an address in use.
    NotAgain(Option<String>),
    /// It answers once a newline has come.
    WaitsForNewline,
    /// It answers once the client's stream has ended.
    WaitsForEnd,
    /// It serves this client once the others have gone: one at a time, or a pool of a few.
    OneAtATime,
    /// It serves this client once another one has come.
    WaitsForAnother,
    /// It uses the processor without a pause, perhaps after the end of the stream.
    NeverRests {
        /// Whether the checker had ended its side of the stream.
        at_the_end: bool,
    },
    /// It ended after a client had reset its connection: its own message.
    DiesOfReset(Option<String>),
    /// It sent what was expected, followed by a newline.
    NewlineAdded,
    /// It sent what was expected, followed by more.
    More,
    /// Bytes that are not text came back changed, or its error message mentions decoding.
    DecodedAsText,
    /// It sent what was expected, without the newline at the end.
    NewlineMissing,
    /// It asked for more memory than there is.
    AsksForMemory,
    /// Something else that a check observed: a short name, and the cause.
    Other(&'static str, &'static str),
}

impl Diagnosis {
    /// Returns a short name, for the formats that programs read and for the tests.
    pub fn name(&self) -> &'static str {
        match self {
            Diagnosis::Limit(_) => "limit",
            Diagnosis::DidNotStart(..) => "did-not-start",
            Diagnosis::NeverBegins => "never-begins",
            Diagnosis::ListensElsewhere(_) => "listens-elsewhere",
            Diagnosis::NotAgain(_) => "not-again",
            Diagnosis::WaitsForNewline => "waits-for-newline",
            Diagnosis::WaitsForEnd => "waits-for-end",
            Diagnosis::OneAtATime => "one-at-a-time",
            Diagnosis::WaitsForAnother => "waits-for-another",
            Diagnosis::NeverRests { .. } => "never-rests",
            Diagnosis::DiesOfReset(_) => "dies-of-reset",
            Diagnosis::NewlineAdded => "newline-added",
            Diagnosis::More => "more",
            Diagnosis::DecodedAsText => "decoded-as-text",
            Diagnosis::NewlineMissing => "newline-missing",
            Diagnosis::AsksForMemory => "asks-for-memory",
            Diagnosis::Other(name, _) => name,
        }
    }

    /// Returns the likely cause, for a person to read.
    pub fn cause(&self) -> String {
        let says = |words: &Option<String>| {
            words.as_ref().map_or(String::new(), |it| format!("; it says: {it}"))
        };
        match self {
            Diagnosis::Limit(why) => format!(
                "a loop without an end, or more than the task needs: {why}"
            ),
            Diagnosis::DidNotStart(how, words) => match words {
                Some(words) => format!("the program itself says why: {words}"),
                None => format!("it did not get as far as the network: {how}"),
            },
            Diagnosis::NeverBegins => "it waits for something else first (a lock, a key, \
                                       another program), or the call is missing"
                .into(),
            Diagnosis::ListensElsewhere(address) => format!(
                "it waits at {address}: read PORT from the environment (and HOST, if the task has \
                 it), and bind to that port of 127.0.0.1 (or of HOST)"
            ),
            Diagnosis::NotAgain(words) => {
                format!("the second start failed, and not because of the port{}", says(words))
            }
            Diagnosis::WaitsForNewline => "it reads a line, and the client sends no newline: \
                                           when the checker sent one, an answer came"
                .into(),
            Diagnosis::WaitsForEnd => "it reads to the end of the stream: when the checker \
                                       ended its side, an answer came"
                .into(),
            Diagnosis::OneAtATime => "it serves one client at a time, or a few: when the \
                                      checker closed its other connections, this one was \
                                      served"
                .into(),
            Diagnosis::WaitsForAnother => "it waits in accept(2) while a client that is there \
                                           has sent something: when another client came, \
                                           this one was served"
                .into(),
            Diagnosis::NeverRests { at_the_end: true } => {
                "recv(2) returns 0 again and again at the end of the stream, and the loop \
                 goes on"
                    .into()
            }
            Diagnosis::NeverRests { at_the_end: false } => {
                "it is in a loop that never waits, and gets nowhere".into()
            }
            Diagnosis::DiesOfReset(words) => format!(
                "a client reset its connection, and that ended the program: handle \
                 ECONNRESET and EPIPE for that one client{}",
                says(words)
            ),
            Diagnosis::NewlineAdded => "a newline is added to what is sent".into(),
            Diagnosis::More => "more is sent than was asked for".into(),
            Diagnosis::DecodedAsText => "the bytes are decoded as text on their way; a \
                                         message is bytes, and may be cut inside a character"
                .into(),
            Diagnosis::NewlineMissing => {
                "the newline at the end of what is sent is missing".into()
            }
            Diagnosis::AsksForMemory => "memory for the message is asked for before its \
                                         length is compared with the limit"
                .into(),
            Diagnosis::Other(_, cause) => (*cause).into(),
        }
    }

    /// Returns whether nothing else can be said about the program, so that no other check
    /// need run.
    pub fn is_total(&self) -> bool {
        matches!(
            self,
            Diagnosis::DidNotStart(..)
                | Diagnosis::NeverBegins
                | Diagnosis::ListensElsewhere(_)
        )
    }

    /// Returns the diagnosis of a program that ended before it did anything.
    pub(crate) fn did_not_start(ended: Option<Exit>, words: Option<String>) -> Diagnosis {
        let how = ended.map_or("it ended".to_owned(), |ended| ended.to_string());
        Diagnosis::DidNotStart(how, words)
    }

    /// Returns the diagnosis that the difference between the expected and the received bytes
    /// shows, if any.
    pub(crate) fn of_difference(expected: &[u8], got: &[u8]) -> Option<Diagnosis> {
        let newline = got.strip_prefix(expected);
        match newline {
            Some(b"\n" | b"\r\n") => return Some(Diagnosis::NewlineAdded),
            Some(more)
                if more.len() >= REST_OF_BUFFER && more.iter().all(|it| *it == 0) =>
            {
                return Some(WHOLE_BUFFER);
            }
            Some([_, ..]) => return Some(Diagnosis::More),
            _ => {}
        }
        if is_stripped(expected, got) {
            return Some(STRIPPED);
        }
        if expected.strip_suffix(b"\n") == Some(got) && !got.is_empty() {
            return Some(Diagnosis::NewlineMissing);
        }
        if let Some(diagnosis) = of_line_end(expected, got) {
            return Some(diagnosis);
        }
        // U+FFFD, the replacement character for what cannot be decoded.
        let replaced = |bytes: &[u8]| bytes.windows(3).any(|it| it == b"\xef\xbf\xbd");
        let lost =
            std::str::from_utf8(expected).is_err() && got.is_ascii() && !got.is_empty();
        let same_head = expected.first() == got.first();
        (replaced(got) && !replaced(expected) || lost && same_head)
            .then_some(Diagnosis::DecodedAsText)
    }

    /// The same of a message that came whole, a datagram.
    pub(crate) fn of_message(expected: &[u8], got: &[u8]) -> Option<Diagnosis> {
        let rest = expected.strip_prefix(got).filter(|_| !got.is_empty());
        match rest {
            Some([0, ..]) => Some(CUT_AT_ZERO),
            // White space at the end may have been taken away.
            Some(rest) if rest.trim_ascii().is_empty() => {
                Diagnosis::of_difference(expected, got)
            }
            Some([b'\n', ..]) => Some(CUT_AT_NEWLINE),
            // Less of the same was not changed on its way.
            Some(_) => None,
            None => Diagnosis::of_difference(expected, got),
        }
    }

    /// Returns the diagnosis that the program's own error message suggests, if any.
    pub(crate) fn of_words(words: Option<&str>) -> Option<Diagnosis> {
        let words = words?.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if has(&["unicodedecode", "utf-8", "utf8"]) {
            Some(Diagnosis::DecodedAsText)
        } else if has(&[
            "memoryerror",
            "memory allocation",
            "out of memory",
            "bad_alloc",
            "cannot allocate memory",
            "outofmemory",
        ]) {
            Some(Diagnosis::AsksForMemory)
        } else {
            None
        }
    }
}

const CUT_AT_ZERO: Diagnosis = Diagnosis::Other(
    "cut-at-zero",
    "a zero byte was taken for the end of the message: its length is what recv(2) gave",
);

const CUT_AT_NEWLINE: Diagnosis = Diagnosis::Other(
    "cut-at-newline",
    "a newline was taken for the end of the message: its length is what recv(2) gave",
);

/// The ends of a message, or of a line, are missing.
pub(crate) const STRIPPED: Diagnosis = Diagnosis::Other(
    "stripped",
    "white space at the ends was taken away (a blank, a newline, a \\r): it belongs to what came",
);

/// So many zero bytes are the rest of a buffer. A few may be a message of their own, such as
/// an empty one behind its length.
const REST_OF_BUFFER: usize = 16;

const WHOLE_BUFFER: Diagnosis = Diagnosis::Other(
    "whole-buffer",
    "zero bytes follow: the whole buffer is sent, and not as many bytes as recv(2) gave",
);

/// Returns whether white space is missing at the ends of a message, perhaps behind a prefix.
/// Bytes that are not text are a message: the end of a line of text is the protocol's.
fn is_stripped(expected: &[u8], got: &[u8]) -> bool {
    let alike = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let (wanted, came) = (&expected[alike..], &got[alike..]);
    let is_message = std::str::from_utf8(expected).is_err();
    is_message && wanted.len() > came.len() && !got.is_empty() && {
        came == wanted.trim_ascii() || came == wanted.trim_ascii_start()
    }
}

/// One end of a line in place of the other. As many bytes came as were expected, at most.
fn of_line_end(expected: &[u8], got: &[u8]) -> Option<Diagnosis> {
    let alone = |bytes: &[u8]| Some(bytes.strip_suffix(b"\n")?.to_vec());
    let two = |bytes: &[u8]| Some(bytes.strip_suffix(b"\r\n")?.to_vec());
    let is_two = two(expected).is_some();
    if is_two && two(expected) == alone(got) {
        return Some(Diagnosis::Other(
            "newline-alone",
            "the line ends with \\n alone; this protocol ends its lines with \\r\\n",
        ));
    }
    let text = alone(expected).filter(|_| !is_two)?;
    matches!(got.strip_prefix(text.as_slice()), Some(b"\r" | b"\r\n")).then_some(
        Diagnosis::Other(
            "return-added",
            "the line ends with \\r\\n; this protocol ends its lines with \\n alone",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_line_is_told_from_the_other_one() {
        let name = |expected: &[u8], got: &[u8]| {
            Diagnosis::of_difference(expected, got).map(|it| it.name())
        };
        assert_eq!(name(b"Hello\n", b"Hello\r"), Some("return-added"));
        assert_eq!(name(b"Hello\n", b"Hello\r\n"), Some("return-added"));
        assert_eq!(name(b"+OK\r\n", b"+OK\n"), Some("newline-alone"));
        assert_eq!(name(b"+OK\r\n", b"+OK"), None);
        let name = |got: &[u8]| Diagnosis::of_message(b"a\0b", got).map(|it| it.name());
        assert_eq!(name(b"a"), Some("cut-at-zero"));
        assert_eq!(name(b""), None);
        let name =
            |got: &[u8]| Diagnosis::of_message(b"a\nb\xff", got).map(|it| it.name());
        assert_eq!(name(b"a"), Some("cut-at-newline"));
        assert_eq!(name(b"a\n"), None);
        let followed_by = |zeros: usize| {
            let got = [&b"a"[..], &vec![0; zeros]].concat();
            Diagnosis::of_message(b"a", &got).map(|it| it.name())
        };
        assert_eq!(followed_by(REST_OF_BUFFER), Some("whole-buffer"));
        assert_eq!(followed_by(4), Some("more"));
        for got in [&b": \xff x"[..], b":  \xff x", b": \xff x\r\n", b":  \xff x\r"] {
            let diagnosis = Diagnosis::of_message(b":  \xff x\r\n", got);
            assert_eq!(diagnosis.map(|it| it.name()), Some("stripped"));
        }
        assert!(!is_stripped(b":  \xff x\r\n", b":  \xff x\r\n"));
        assert_eq!(name(b"a\nb?"), Some("decoded-as-text"));
    }

    #[test]
    fn a_difference_tells_what_was_done_to_the_bytes() {
        for (expected, got, diagnosis) in [
            (&b"Echo: x"[..], &b"Echo: x\n"[..], Some(Diagnosis::NewlineAdded)),
            (b"Echo: x", b"Echo: xEcho: x", Some(Diagnosis::More)),
            (b"\xff\xfe", b"\xef\xbf\xbd\xef\xbf\xbd", Some(Diagnosis::DecodedAsText)),
            (b"a\xff\xfe", b"a??", Some(Diagnosis::DecodedAsText)),
            (b"bye 5\n", b"bye 5", Some(Diagnosis::NewlineMissing)),
            (b"bye 5\n", b"bye 4\n", None),
            (b"Echo: x", b"x", None),
            (b"Echo: x", b"", None),
        ] {
            assert_eq!(Diagnosis::of_difference(expected, got), diagnosis);
        }
    }

    #[test]
    fn words_of_the_program_are_understood() {
        let words = "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff";
        assert_eq!(Diagnosis::of_words(Some(words)), Some(Diagnosis::DecodedAsText));
        let words = "memory allocation of 4294967295 bytes failed";
        assert_eq!(Diagnosis::of_words(Some(words)), Some(Diagnosis::AsksForMemory));
        assert_eq!(Diagnosis::of_words(Some("Connection reset by peer")), None);
    }
}
