//! What programs say to the kernel, and what the kernel says to the network, in one
//! drawing.
//!
//! The `trace` module runs programs and writes an event log ([`event`]); the log is
//! stored as text ([`json`]) and drawn ([`draw`]). Tracing needs Linux; everything else
//! works anywhere, so the same code draws a log that was recorded on Linux on any system.
//! `README.md` says how to use the program.

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

/// The name of a side in a drawing: for `python3 server.py` the name of the script,
/// otherwise that of the program. A URL is no script.
pub fn side_name(command: &[String]) -> String {
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    const SCRIPTS: &[&str] = &[".py", ".js", ".mjs", ".rb", ".pl", ".sh", ".php"];
    let script = command
        .iter()
        .skip(1)
        .take(4)
        .filter(|word| !word.contains("://"))
        .find(|word| SCRIPTS.iter().any(|ending| word.ends_with(ending)));
    script.or(command.first()).map_or_else(|| "?".to_owned(), |word| base(word))
}

#[cfg(test)]
mod tests {
    use super::side_name;

    #[test]
    fn a_side_has_the_name_of_its_script_or_program() {
        for (command, name) in [
            ("python3 -u lessons/server.py --port 1", "server.py"),
            ("/usr/bin/curl -s http://10.77.0.2:8000/app.js", "curl"),
            ("target/debug/tcp-client", "tcp-client"),
            ("", "?"),
        ] {
            let words: Vec<String> =
                command.split_whitespace().map(str::to_owned).collect();
            assert_eq!(side_name(&words), name);
        }
    }
}
