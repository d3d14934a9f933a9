//! Bytes, as a report shows them.

/// Returns bytes as escaped text in quotation marks. If there are more than 48, it shows the
/// first of them and says how many there are.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 48;
    if bytes.len() <= SHOWN {
        return format!("\"{}\"", common::Escaped(bytes));
    }
    format!("\"{}\"… ({} bytes)", common::Escaped(&bytes[..SHOWN]), bytes.len())
}
