//! What the programs print: addresses in Python's form, and bytes that no terminal obeys.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};
use std::net::SocketAddr;

use crate::{During, Failure};

/// Writes one line to stdout and flushes it: `say!("Connected by {}", client)?`.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::write_line(format_args!($($text)*)) };
}

/// Writes the text and a newline to stdout in one write(2), and flushes. This is what
/// [`say!`] calls.
///
/// `println!` would panic where this returns an error. It is not an error if stdout was
/// already closed when the program started: std opens /dev/null in its place.
///
/// # Errors
/// `EPIPE` if the reader of the pipe is gone, `ENOSPC` if the device is full; see
/// write(2).
pub fn write_line(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(format!("{text}\n").as_bytes());
    written.and_then(|()| stdout.flush()).during("write", "stdout")
}

/// Displays an address as Python's `socket` module does: `('127.0.0.1', 47794)`, or
/// `('::1', 47794, 0, 0)` with the flow label and the scope id of IPv6.
#[derive(Clone, Copy, Debug)]
pub struct PythonAddress(pub SocketAddr);

impl Display for PythonAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.ip(), self.0.port());
        match self.0 {
            SocketAddr::V4(_) => write!(formatter, "('{host}', {port})"),
            SocketAddr::V6(address) => {
                let (flow, scope) = (address.flowinfo(), address.scope_id());
                write!(formatter, "('{host}', {port}, {flow}, {scope})")
            }
        }
    }
}

/// Displays bytes so that there is nothing for a terminal to obey, and a reader can tell
/// what they were.
///
/// Printable UTF-8 is shown as it is. Everything else becomes `\n`, `\r`, `\t`, or `\x1b`
/// for each byte: control characters (C0, DEL, C1), invisible and direction-changing
/// characters, and bytes that are not UTF-8. A backslash becomes `\\`, so no two byte
/// strings look the same.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(formatter, self.0, |letter| match letter {
            '\\' => Some("\\\\"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            _ => None,
        })
    }
}

/// Displays a line that another program wrote for a terminal, or a word from the user,
/// without anything that a terminal would obey.
///
/// It hides what [`Escaped`] hides, in the same form, but leaves backslashes and tabs as
/// they are, so that text which is already escaped is not escaped again.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a>(pub &'a [u8]);

impl Display for Visible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let as_it_is = |letter| (letter == '\t').then_some("\t");
        escape(formatter, self.0, as_it_is)
    }
}

/// Writes `bytes`: a character in its `special` form if it has one, hidden characters and
/// invalid UTF-8 in hexadecimal, and everything else as it is.
fn escape(
    formatter: &mut fmt::Formatter<'_>,
    bytes: &[u8],
    special: impl Fn(char) -> Option<&'static str>,
) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if let Some(form) = special(letter) {
                formatter.write_str(form)?;
            } else if is_hidden(letter) {
                hexadecimal(formatter, letter.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                formatter.write_char(letter)?;
            }
        }
        hexadecimal(formatter, chunk.invalid())?;
    }
    Ok(())
}

fn hexadecimal(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "\\x{byte:02x}"))
}

/// Whether a terminal would obey the character or show nothing for it. These are
/// Unicode's categories Cc (control), Cf (format), Zl and Zp (line and paragraph
/// separator), and the other characters that are ignored where they cannot be shown
/// (`Default_Ignorable_Code_Point`).
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
            | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_pythons_form() {
        let show = |address: &str| PythonAddress(address.parse().unwrap()).to_string();
        assert_eq!(show("127.0.0.1:47794"), "('127.0.0.1', 47794)");
        assert_eq!(show("[::1]:47794"), "('::1', 47794, 0, 0)");
        assert_eq!(show("[fe80::1%2]:80"), "('fe80::1', 80, 0, 2)");
    }

    fn show(bytes: &[u8]) -> String {
        Escaped(bytes).to_string()
    }

    #[test]
    fn text_that_prints_stands_as_it_is() {
        let text = "Hello, TCP Server's \"é\" e\u{301} 日本\u{3000}語 नमस्ते 🦀";
        assert_eq!(show(text.as_bytes()), text);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(show(b"\x1b[2J\x07\0\x7f\r\n\t"), r"\x1b[2J\x07\x00\x7f\r\n\t");
        // C1 controls; U+009B begins a sequence, as ESC [ does.
        assert_eq!(show("\u{80}\u{9b}2J".as_bytes()), r"\xc2\x80\xc2\x9b2J");
    }

    #[test]
    fn what_misleads_the_eye_is_escaped() {
        let hidden =
            "\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{feff}\u{2028}\u{ad}\u{e0041}";
        assert!(show(hidden.as_bytes()).is_ascii(), "{}", show(hidden.as_bytes()));
        assert_eq!(show("a\u{202e}b".as_bytes()), r"a\xe2\x80\xaeb");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_escaped() {
        assert_eq!(show(b"\xff\x80a\xc3"), r"\xff\x80a\xc3");
        // A character cut in half, a surrogate, an overlong form.
        assert_eq!(show(b"\xf0\x9f\xa6"), r"\xf0\x9f\xa6");
        assert_eq!(show(b"\xed\xa0\x80"), r"\xed\xa0\x80");
        assert_eq!(show(b"\xc0\x9b"), r"\xc0\x9b");
    }

    /// Undoes what [`Escaped`] does, which shows that nothing is lost and no two inputs
    /// look the same.
    fn unescape(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            let (byte, length) = match (first, after) {
                (b'\\', [b'x', high, low, ..]) => {
                    let digits = [*high, *low];
                    let digits = str::from_utf8(&digits).unwrap();
                    (u8::from_str_radix(digits, 16).unwrap(), 4)
                }
                (b'\\', [b'n', ..]) => (b'\n', 2),
                (b'\\', [b'r', ..]) => (b'\r', 2),
                (b'\\', [b't', ..]) => (b'\t', 2),
                (b'\\', [b'\\', ..]) => (b'\\', 2),
                (byte, _) => (*byte, 1),
            };
            bytes.push(byte);
            rest = &rest[length..];
        }
        bytes
    }

    #[test]
    fn every_character_and_every_pair_of_bytes_can_be_read_back() {
        for letter in '\0'..=char::MAX {
            let bytes = letter.to_string().into_bytes();
            assert_eq!(unescape(&show(&bytes)), bytes);
        }
        for pair in 0..=u16::MAX {
            let bytes = pair.to_be_bytes();
            let shown = show(&bytes);
            assert_eq!(unescape(&shown), bytes);
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
        assert_eq!(show(br"\x1b"), r"\\x1b");
    }

    #[test]
    fn a_line_hides_what_bytes_hide_and_keeps_backslashes_and_tabs() {
        let line = |bytes: &[u8]| Visible(bytes).to_string();
        assert_eq!(
            line(b"a\\x1b[2J\x1b[2J\tb\r\n\xff"),
            "a\\x1b[2J\\x1b[2J\tb\\x0d\\x0a\\xff"
        );
        for letter in ('\0'..=char::MAX)
            .filter(|letter| !matches!(letter, '\\' | '\t' | '\n' | '\r'))
        {
            let bytes = letter.to_string().into_bytes();
            assert_eq!(line(&bytes), show(&bytes));
        }
    }
}
