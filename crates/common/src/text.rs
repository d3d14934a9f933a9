//! What the programs print: Python's form of an address, bytes that no terminal obeys.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};
use std::net::SocketAddr;

use crate::{During, Failure};

/// Writes one line to stdout and flushes it, as `say!("Connected by {}", client)?`.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::write_line(format_args!($($text)*)) };
}

/// What [`say!`] calls: the text and a newline, in one write(2), flushed.
///
/// `println!` would panic where this returns an error. A stdout that was already closed
/// when the program started is no error: std opens /dev/null in its place.
///
/// # Errors
/// `EPIPE`: the reader of the pipe is gone. `ENOSPC`: the device is full. See write(2).
pub fn write_line(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(format!("{text}\n").as_bytes());
    written.and_then(|()| stdout.flush()).during("write", "stdout")
}

/// Shows an address as Python's `socket` module does: `('127.0.0.1', 47794)`, or
/// `('::1', 47794, 0, 0)` with the flow label and the scope of IPv6.
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

/// Shows bytes so that a terminal has nothing to obey and a reader can tell what they
/// were.
///
/// UTF-8 that prints stands as it is. The rest is `\n`, `\r`, `\t`, or `\x1b` for each
/// byte: control characters (C0, DEL, C1), invisible and direction-changing characters,
/// and bytes that are not UTF-8. A backslash is `\\`, so no two byte strings look the
/// same.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    '\\' => formatter.write_str("\\\\")?,
                    '\n' => formatter.write_str("\\n")?,
                    '\r' => formatter.write_str("\\r")?,
                    '\t' => formatter.write_str("\\t")?,
                    _ if is_hidden(letter) => {
                        hexadecimal(
                            formatter,
                            letter.encode_utf8(&mut [0; 4]).as_bytes(),
                        )?;
                    }
                    _ => formatter.write_char(letter)?,
                }
            }
            hexadecimal(formatter, chunk.invalid())?;
        }
        Ok(())
    }
}

fn hexadecimal(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "\\x{byte:02x}"))
}

/// Whether a terminal would obey the character or show nothing for it: Unicode's
/// categories Cc (control), Cf (format), Zl and Zp (line and paragraph separator), and
/// the other characters that are ignored where they cannot be shown
/// (`Default_Ignorable_Code_Point`).
fn is_hidden(letter: char) -> bool {
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
