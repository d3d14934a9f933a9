//! Runs the `flow` program on real programs: what it draws, that they behave as untraced,
//! and that its calls are those that strace sees.
//!
//! A test that needs a program which is not installed is reported as ignored, with the
//! program's name.

#![allow(clippy::expect_used, reason = "a test fails by panic; this harness is its own")]

#[cfg(target_os = "linux")]
mod behaviour;
#[cfg(target_os = "linux")]
mod causes;
#[cfg(target_os = "linux")]
mod conversations;
#[cfg(target_os = "linux")]
mod owners;
#[cfg(target_os = "linux")]
mod strace;
#[cfg(target_os = "linux")]
mod strangers;
#[cfg(target_os = "linux")]
mod telling;
#[cfg(target_os = "linux")]
mod tool;
#[cfg(target_os = "linux")]
mod wire;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    #[cfg(target_os = "linux")]
    {
        trials.extend(behaviour::trials());
        trials.extend(causes::trials());
        trials.extend(conversations::trials());
        trials.extend(owners::trials());
        trials.extend(strace::trials());
        trials.extend(wire::trials());
        trials.extend(strangers::trials());
        trials.extend(telling::trials());
    }
    #[cfg(not(target_os = "linux"))]
    trials.push(Trial::test("tracing_needs_linux", || Ok(())).with_ignored_flag(true));
    libtest_mimic::run(&arguments, trials).exit_code()
}
