//! Runs a program under test and plays its peer. For tests only.
//!
//! Nothing sleeps: a test waits for a line, an exit or a connection. Every wait ends at
//! the [`DEADLINE`] with a panic that says what did not happen. A [`Program`] that goes
//! out of scope, as it does when a test panics, is killed and reaped.
//!
//! What a test closes may not be closed yet: a child that another test is starting has
//! copies of all descriptors, from fork(2) to its exec(3). Where that matters, these
//! avoid the problem: [`reset`], [`closed_port`], and on Unix `pipe_without_reader` and
//! `copy_program`.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

#[cfg(target_os = "linux")]
mod filter;
pub mod ladder;
mod peer;
mod program;
pub mod standard;
#[cfg(unix)]
mod unix;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[cfg(target_os = "linux")]
pub use filter::Filter;
pub use peer::{
    accept, closed_port, connect, datagram_socket, listen, port_of_both, reset,
};
pub use program::{Finished, Program, command, python, sibling};
#[cfg(unix)]
pub use unix::{
    SIGCONT, SIGINT, SIGSTOP, SIGTERM, as_ordinary_user, copy_program,
    pipe_without_reader, signals,
};

/// The longest that any wait may take, far more than an event needs on a loaded machine:
/// it ends a test that would otherwise hang, and measures nothing.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `wait` on a thread of its own and returns its result.
///
/// # Panics
/// At the [`DEADLINE`], saying that `what` did not happen. The thread is then left
/// running.
#[track_caller]
pub fn within<T: Send + 'static>(
    what: &str,
    wait: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(wait()));
    match receiver.recv_timeout(DEADLINE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: not within {DEADLINE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: panicked"),
    }
}

/// Polls until `condition` holds, for conditions that cause no event.
///
/// # Panics
/// At the [`DEADLINE`], saying that `what` did not happen.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        thread::yield_now();
    }
}

/// Polls until `condition` holds, which takes less than `limit` on an idle machine, and returns
/// whether it does. On a busy machine each look takes longer, as does what is looked for: so
/// the time is up after as many looks as there are 5 ms in it.
pub fn soon(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    const BETWEEN: Duration = Duration::from_millis(5);
    let mut left = limit;
    while !condition() {
        left = left.saturating_sub(BETWEEN);
        if left.is_zero() {
            return false;
        }
        thread::park_timeout(BETWEEN);
    }
    true
}

/// Prints a line that says that the rest of the test did not run, and why. The test
/// harness captures what `println!` prints and shows it only for failed tests, so this
/// bypasses it.
pub fn skip(test: &str, why: &str) {
    let _ = std::io::stderr().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}
