//! Bytes as text that can be turned back into the bytes: the form used in the log, which
//! holds nothing but printable ASCII. Text that is only displayed goes through `common`'s
//! `Escaped` or `Visible`.

use std::fmt::Write as _;

use common::Escaped;

use crate::event::Data;

/// The bytes with everything but printable ASCII escaped: `\n`, `\"`, `\x1b`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

/// The bytes that [`escape`] made this text from; `None` if it did not.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' => b'\\',
            b'"' => b'"',
            b'x' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// Text from outside (a program's argument, a path, a stranger's log) without anything
/// that a terminal would obey. Backslashes stay: it may be escaped already.
pub fn printable(text: &str) -> String {
    let parts = text.split('\\').map(|part| Escaped(part.as_bytes()).to_string());
    parts.collect::<Vec<_>>().join("\\")
}

/// The most bytes shown of what is sent or received.
const SHOWN: usize = 48;

/// The first bytes, as many as are shown. If all are the same byte, four of them say as
/// much.
pub(crate) fn beginning(data: &Data) -> &[u8] {
    let first = &data.bytes[..data.bytes.len().min(SHOWN)];
    let is_cut = (first.len() as u64) < data.length;
    let same = first.windows(2).all(|pair| pair[0] == pair[1]);
    if is_cut && same { &first[..first.len().min(4)] } else { first }
}

/// Bytes in quotes, escaped. Long ones are cut, with their length.
pub(crate) fn quoted(data: &Data) -> String {
    let first = beginning(data);
    let text = format!("\"{}\"", escape(first));
    if first.len() as u64 == data.length {
        text
    } else {
        format!("{text}… {} bytes", grouped(data.length))
    }
}

/// A number with commas: `65,507`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The escaped form used in the JSON log.
pub(crate) mod escaped {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        bytes: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::escape(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        super::unescape(&text).ok_or_else(|| D::Error::custom("not escaped bytes"))
    }
}
