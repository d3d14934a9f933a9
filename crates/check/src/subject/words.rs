//! Finds the one line of a program's standard error that says what went wrong.

/// Returns the message, escaped and cut to a reasonable length: the last line of a Python
/// traceback, the reason of a Rust or Go panic, the exception above another language's stack
/// trace, a compiler's first error, or otherwise the last line.
pub(super) fn message(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let panic = lines
        .iter()
        .rposition(|line| line.starts_with("thread '") && line.contains(" panicked at "));
    let text = if let Some(at) = panic {
        // The location is on this line, the reason on the next.
        let place = lines[at].split_once(" panicked at ").map_or("", |(_, place)| place);
        let reason = lines.get(at + 1).filter(|line| !line.starts_with("note: "));
        format!("panicked at {place} {}", reason.unwrap_or(&""))
    } else if let Some(line) = lines.iter().rfind(|line| is_heading(line)) {
        (*line).to_owned()
    } else if let Some(line) = lines.iter().find(|line| is_error_of_a_compiler(line)) {
        (*line).to_owned()
    } else {
        let own = lines.iter().rfind(|line| !is_frame(line));
        (*own.or(lines.last())?).to_owned()
    };
    const MOST: usize = 200;
    let text: String = text.trim().chars().take(MOST).collect();
    Some(common::Escaped(text.as_bytes()).to_string())
}

/// Returns whether this line is followed by a stack trace, rather than preceded by one.
fn is_heading(line: &str) -> bool {
    // Go; Java; C# and Dart; PHP and OCaml; Elixir.
    const HEADINGS: &[&str] = &[
        "panic: ",
        "fatal error: ",
        "Exception in thread ",
        "Unhandled exception",
        "PHP Fatal error: ",
        "Fatal error: ",
        "** (",
    ];
    HEADINGS.iter().any(|heading| line.starts_with(heading))
        // Node.js. In Python such a line is the last one anyway.
        || line.split_once(": ").is_some_and(|(name, _)| {
            name.ends_with("Error") && name.chars().all(|it| it.is_alphanumeric())
        })
}

/// Returns whether this line is a compiler's error. Later errors are often mere consequences of
/// the first, and the last line only counts them.
fn is_error_of_a_compiler(line: &str) -> bool {
    // Rust; Perl; then C, Java and others.
    line.starts_with("error[")
        || line.starts_with("error: ")
        || line.starts_with("syntax error at ")
        || line.contains(": error: ")
}

/// Returns whether the line says only where something happened.
fn is_frame(line: &str) -> bool {
    let line = line.trim_start();
    let frames = [
        "at ",
        "from ",
        "in ",
        "...",
        "[C]:",
        "stack traceback:",
        "note: ",
        "BEGIN failed--",
    ];
    frames.iter().any(|frame| line.starts_with(frame))
        || line
            .strip_prefix('#')
            .is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_found_in_what_languages_print() {
        for (stderr, expected) in [
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1\n    x(\n     ^\n\
              SyntaxError: '(' was never closed\n",
                "SyntaxError: '(' was never closed",
            ),
            (
                "\nthread 'main' (7) panicked at src/main.rs:3:5:\nno port\nnote: run with \
              `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
                "panicked at src/main.rs:3:5: no port",
            ),
            (
                "panic: listen tcp: in use\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:9\n",
                "panic: listen tcp: in use",
            ),
            (
                "Exception in thread \"main\" java.net.BindException: in use\n\tat A.b(A.java)\n",
                "Exception in thread \"main\" java.net.BindException: in use",
            ),
            (
                "node:events:497\n      throw er;\n\nError: listen EADDRINUSE\n    at Server.x\n\
              \nNode.js v20.0.0\n",
                "Error: listen EADDRINUSE",
            ),
            ("bind: Address already in use\n\n", "bind: Address already in use"),
            (
                "syntax error at a.pl line 2, near \"my \"\nBEGIN failed--compilation aborted \
              at a.pl line 2.\n",
                "syntax error at a.pl line 2, near \"my \"",
            ),
            (
                "a.rb:1:in `bind': Address in use (Errno::EADDRINUSE)\n\tfrom a.rb:1:in `m'\n",
                "a.rb:1:in `bind': Address in use (Errno::EADDRINUSE)",
            ),
            (
                "lua: a.lua:1: no port\nstack traceback:\n\t[C]: in function 'error'\n\
              \t[C]: in ?\n",
                "lua: a.lua:1: no port",
            ),
            (
                "A.java:3: error: ';' expected\n        int a\n             ^\n1 error\n",
                "A.java:3: error: ';' expected",
            ),
            (
                "error[E0425]: cannot find value `x`\n --> src/main.rs:2:5\n\nerror: could \
              not compile `a`\n",
                "error[E0425]: cannot find value `x`",
            ),
            (
                "Unhandled exception. System.Net.Sockets.SocketException (98): in use\n   at \
              A.Main()\n",
                "Unhandled exception. System.Net.Sockets.SocketException (98): in use",
            ),
        ] {
            assert_eq!(message(stderr).as_deref(), Some(expected), "{stderr}");
        }
        assert_eq!(message(" \n"), None);
    }
}
