//! Bytes as a report shows them.

/// Bytes between quotation marks, cut where they are many.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 48;
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", common::Escaped(bytes));
    }
    format!("\"{}\"… ({} bytes)", common::Escaped(&bytes[..SHOWN]), bytes.len())
}
