//! `check TASK -- COMMAND`: tests a program against the requirements of a lesson.
//! `cargo xtask check` runs it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == "__fence") {
        return netlab::fence::run(arguments);
    }
    if let Err(message) = netlab::process::begin() {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "check: {message}");
        return ExitCode::FAILURE;
    }
    check::cli::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write;
    let words = "check: this needs Linux, for its private networks and its fences; run it \
                 in a virtual machine or a container\n";
    let _ = std::io::stderr().write_all(words.as_bytes());
    ExitCode::from(77)
}
