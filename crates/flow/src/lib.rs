//! What programs said to the kernel, and the kernel to the network, in one drawing.
//!
//! The `trace` module runs programs and writes an event log ([`event`]); the log is kept as text
//! ([`json`]) and drawn ([`draw`]). Tracing needs Linux; everything else works anywhere, so
//! that a log recorded on Linux is drawn by the same code on any system. How to use the
//! program: `README.md`.

pub mod bytes;
pub mod draw;
pub mod event;
pub mod json;
pub mod keep;
pub mod packet;
pub mod pcapng;
pub mod sources;

#[cfg(target_os = "linux")]
pub mod trace;

/// What a drawing calls a side: the script's name for `python3 server.py`, else the
/// program's.
pub fn side_name(command: &[String]) -> String {
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    const SCRIPTS: &[&str] = &[".py", ".js", ".mjs", ".rb", ".pl", ".sh", ".php"];
    let script = command
        .iter()
        .skip(1)
        .take(4)
        .find(|word| SCRIPTS.iter().any(|ending| word.ends_with(ending)));
    script.or(command.first()).map_or_else(|| "?".to_owned(), |word| base(word))
}
