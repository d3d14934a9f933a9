//! Tests of the checker itself: see `trials.rs`. They need Linux, as the checker does.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod trials;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    trials::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: the zoo: the checker needs Linux");
    ExitCode::SUCCESS
}
