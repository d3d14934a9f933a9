//! `demo --slow`: shows the output of a run a line at a time, as fast as people read. A key shows
//! the next line at once.
//!
//! The run itself is not slowed down: its lines are kept in order and shown afterwards.

use std::time::Duration;

#[cfg(unix)]
use crate::interrupt;

/// Returns how long a line is shown before the next one comes: about 40 characters a
/// second, as fast as people read, but never so long that they have to wait.
pub(crate) fn reading_time(line: &str) -> Duration {
    let characters = u64::try_from(line.chars().count()).unwrap_or(u64::MAX);
    Duration::from_millis((300 + characters.saturating_mul(25)).min(2_500))
}

/// The keyboard of the terminal on standard input, read key by key, without Enter.
/// Dropping it restores the terminal.
#[cfg(unix)]
pub(crate) struct Keys {
    before: libc::termios,
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "termios(3) and poll(2) have no form in std")]
impl Keys {
    /// Returns the keyboard, or `None` if standard input is not a terminal.
    pub(crate) fn listen() -> Option<Keys> {
        // SAFETY: a termios of zeros is valid, and tcgetattr fills it before it is read.
        let before = unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(libc::STDIN_FILENO, &raw mut before) == 0)
                .then_some(before)?
        };
        let mut now = before;
        // Leave ISIG set, so that ^C keeps its meaning.
        now.c_lflag &= !(libc::ICANON | libc::ECHO);
        // SAFETY: tcsetattr reads one termios, which outlives the call.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const now) };
        Some(Keys { before })
    }

    /// Waits for a key, but no longer than `time`, and only until a signal asks for the
    /// end.
    pub(crate) fn wait(&self, time: Duration) {
        let deadline = std::time::Instant::now() + time;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || interrupt::asked() {
                return;
            }
            let slice = left.min(Duration::from_millis(50)).as_millis();
            let events = libc::POLLIN;
            let mut keyboard =
                libc::pollfd { fd: libc::STDIN_FILENO, events, revents: 0 };
            let slice = libc::c_int::try_from(slice).unwrap_or(0).max(1);
            // SAFETY: poll is given one pollfd, which outlives the call.
            if unsafe { libc::poll(&raw mut keyboard, 1, slice) } > 0 {
                let mut key = [0_u8; 16];
                // SAFETY: read writes at most 16 bytes to a buffer of 16.
                unsafe { libc::read(libc::STDIN_FILENO, key.as_mut_ptr().cast(), 16) };
                return;
            }
        }
    }
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "termios(3) has no form in std")]
impl Drop for Keys {
    fn drop(&mut self) {
        // SAFETY: tcsetattr reads one termios, which outlives the call.
        unsafe {
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const self.before)
        };
    }
}

/// Waits only for the time to pass, on systems where keys cannot be read one by one.
#[cfg(not(unix))]
pub(crate) struct Keys;

#[cfg(not(unix))]
impl Keys {
    pub(crate) fn listen() -> Option<Keys> {
        use std::io::IsTerminal as _;
        std::io::stdout().is_terminal().then_some(Keys)
    }

    pub(crate) fn wait(&self, time: Duration) {
        let deadline = std::time::Instant::now() + time;
        while let Some(left) = deadline.checked_duration_since(std::time::Instant::now())
        {
            std::thread::park_timeout(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_looked_at_longer_than_a_short_one() {
        let time = |length: usize| reading_time(&"x".repeat(length));
        assert!(time(0) < time(40) && time(40) < time(80));
        assert_eq!(
            (time(40), time(100_000)),
            (Duration::from_millis(1300), Duration::from_millis(2500))
        );
    }
}
