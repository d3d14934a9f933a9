//! Bytes from other programs, made safe for a terminal.

use std::fmt::Write as _;

/// `bytes` as text: printable characters as they are, control characters and invalid
/// UTF-8 as `\xNN`, `\t` as it is.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\t' || !(c.is_control() || invisible(c)) {
                text.push(c);
            } else if c.is_ascii() {
                let _ = write!(text, "\\x{:02x}", u32::from(c));
            } else {
                let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Characters that change the direction or the place of others (Unicode UAX #9).
fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(shown(b"a\x1b[2Jb\0\r"), "a\\x1b[2Jb\\x00\\x0d");
        assert_eq!(shown("\u{9b}31m \u{202e}x é".as_bytes()), "\\u{9b}31m \\u{202e}x é");
        assert_eq!(shown(b"\xff\xc3(\t"), "\\xff\\xc3(\t");
    }
}
