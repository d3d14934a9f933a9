//! What a check can expect of the program itself: that it stops, that it ends, its exit
//! status, what it prints.

use std::time::Duration;

use netlab::process::Signal;
use netlab::sockets;

use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::{GaveUp, Patience};
use crate::subject::{Exit, Subject, signal_name};
use crate::text::quoted;

/// A line was printed, up to its newline.
const NOT_ENDED: Diagnosis = Diagnosis::Other(
    "line-not-ended",
    "it prints the line without a newline at its end: what is printed next stands on the same line",
);

impl Subject {
    /// Sends `SIGSTOP`, and returns when all its threads have stopped.
    pub fn freeze(&self) -> Outcome {
        self.signal(Signal::Stop);
        let mut patience = Patience::with_deadline(self, Duration::from_secs(5));
        // While flow draws it, it also stops for a moment at each of its calls.
        let drawn = self.is_drawn();
        let enough = if drawn { 40 } else { 1 };
        let mut seen = 0;
        loop {
            let still = self.is_frozen();
            seen = if still { seen + 1 } else { 0 };
            if seen >= enough {
                return Ok(());
            }
            if patience.tick().is_some() {
                return fails("the program stops on SIGSTOP", self.condition());
            }
            patience.nap();
        }
    }

    /// Waits until it no longer listens for TCP clients. Pass a short patience: a program that
    /// ends closes its listener too.
    pub fn waits_no_more(&self, mut patience: Patience<'_>) -> Outcome {
        let port = self.address()?.port();
        while sockets::is_listened_at(port) {
            if patience.tick().is_some() {
                return fails("it closes its listener", self.condition());
            }
            patience.nap();
        }
        Ok(())
    }

    /// Waits until it has ended and all its output has been read.
    ///
    /// # Errors
    /// Fails if it does not end, or was stopped for exceeding a limit.
    pub fn wait_end(&self, mut patience: Patience<'_>) -> Outcome<Exit> {
        loop {
            if let Some(ended) = self.drained() {
                return Ok(ended);
            }
            if let Some(why) = self.stopped() {
                return fails("the program ends by itself", format!("stopped: {why}"));
            }
            match patience.tick() {
                Some(GaveUp::Busy) => {
                    let diagnosis = Diagnosis::NeverRests { at_the_end: false };
                    let got = self.condition();
                    return fails_because("the program ends", got, Some(diagnosis));
                }
                Some(GaveUp::Rests | GaveUp::Late) => {
                    return fails("the program ends", self.condition());
                }
                Some(GaveUp::Ended) | None => {}
            }
            patience.nap();
        }
    }

    /// Returns how it ended, if it has, once all its output has been read as well.
    fn drained(&self) -> Option<Exit> {
        let ended = self.ended()?;
        self.hear_out();
        Some(ended)
    }

    /// Expects it not to end for so long.
    pub fn expect_to_stay(&self, time: Duration) -> Outcome {
        let mut patience = Patience::with_deadline(self, time);
        while patience.tick().is_none() {
            patience.nap();
        }
        match self.is_over() {
            true => fails("the program goes on waiting", self.condition()),
            false => Ok(()),
        }
    }

    /// Expects it to exit now, with status 0.
    pub fn expect_success(&self) -> Outcome {
        match self.wait_end(Patience::new(self))? {
            Exit::Status(0) => Ok(()),
            other => fails("exit status 0", other.to_string()),
        }
    }

    /// Expects it to exit now, with a non-zero status, and to say why on standard error.
    pub fn expect_failure(&self) -> Outcome {
        self.expect_failure_after(Patience::new(self))
    }

    /// The same, for a program that may first wait for something else, such as a timeout.
    pub fn expect_failure_within(&self, within: Duration) -> Outcome {
        self.expect_failure_after(Patience::with_deadline(self, within))
    }

    fn expect_failure_after(&self, patience: Patience<'_>) -> Outcome {
        match self.wait_end(patience)? {
            Exit::Status(0) => fails("an exit status that is not 0", "exit status 0"),
            Exit::Signal(signal) => {
                let name = signal_name(signal);
                fails("an exit status that is not 0", format!("killed by {name}"))
            }
            Exit::Status(_) if self.stderr().trim_ascii().is_empty() => {
                fails("a line on standard error that says why", "no such line")
            }
            Exit::Status(_) => Ok(()),
        }
    }

    /// Waits until it has printed `line`, as a whole line, on standard output.
    pub fn expect_line(&self, line: &[u8]) -> Outcome {
        let whole = [line, b"\n"].concat();
        let printed =
            || self.stdout().split_inclusive(|byte| *byte == b'\n').any(|it| it == whole);
        let mut patience = Patience::new(self);
        while !printed() {
            if patience.tick().is_some() {
                // It may have ended while its last output is still on its way to us.
                if self.drained().is_some() && printed() {
                    break;
                }
                let stdout = self.stdout();
                let expected = format!("the line {} on standard output", quoted(line));
                let got = match stdout.is_empty() {
                    true => "it printed nothing there".to_owned(),
                    false => format!("it printed {}", quoted(&stdout)),
                };
                let last = stdout.split(|byte| *byte == b'\n').next_back();
                let diagnosis = (last == Some(line)).then_some(NOT_ENDED);
                return fails_because(expected, got, diagnosis);
            }
            patience.nap();
        }
        Ok(())
    }

    /// Ends it, and expects that nothing it printed is a command to a terminal.
    pub fn expect_safe_output(&self) -> Outcome {
        self.stop();
        let printed = [self.stdout(), self.stderr()].concat();
        match printed.iter().any(|byte| matches!(byte, 0x1b | 0x07)) {
            true => fails("escapes such as \\x1b in what it prints", quoted(&printed)),
            false => Ok(()),
        }
    }
}
