//! A client that sends without a pause, and others that expect to be served beside it.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Connection, LOOK};
use crate::outcome::{Outcome, fails};
use crate::patience::{GaveUp, Patience};
use crate::subject::Subject;
use crate::text::quoted;

/// More of the flood than can be on its way, in both directions, when another client asks.
const MOST_BYTES: usize = 32 << 20;
/// How long another client is waited for, not counting the time that the program spends waiting
/// for a processor.
const ENOUGH: Duration = Duration::from_millis(500);

/// A flood that goes on until it is over, and the number of its bytes that have come back.
#[derive(Debug, Default)]
pub struct Flood {
    over: AtomicBool,
    back: AtomicUsize,
}

impl Connection {
    /// Sends without a pause, and reads what comes back, while `work` is done.
    pub fn while_flooding(&self, work: impl FnOnce(&Flood) -> Outcome) -> Outcome {
        self.timeline.does(&self.name, "begins to send without a pause");
        self.stream.set_write_timeout(Some(LOOK))?;
        let (flood, stream) = (Flood::default(), &*self.stream);
        let goes_on = |result: std::io::Result<usize>| match result {
            Ok(length) => length > 0,
            Err(error) => matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
            ),
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, bytes) = (stream, vec![b'f'; 64 * 1024]);
                while !flood.over.load(Ordering::Relaxed) {
                    if !goes_on(stream.write(&bytes)) {
                        break;
                    }
                }
            });
            scope.spawn(|| {
                let (mut stream, mut buffer) = (stream, vec![0; 64 * 1024]);
                while !flood.over.load(Ordering::Relaxed) {
                    let read = stream.read(&mut buffer);
                    flood.back.fetch_add(*read.as_ref().unwrap_or(&0), Ordering::Relaxed);
                    if !goes_on(read) {
                        break;
                    }
                }
            });
            // Also where the work panics.
            let _end = End(&flood);
            // On a busy machine, the work could be done before the first byte is sent.
            let mut patience = Patience::new(&self.program);
            while flood.back.load(Ordering::Relaxed) == 0 && patience.tick().is_none() {
                patience.nap();
            }
            work(&flood)
        })
    }

    /// Expects these bytes beside a flood. They are held up if the program sends a lot of the
    /// flood back before them, which it does or does not on a slow machine, too.
    pub fn expect_beside(&mut self, expected: &[u8], flood: &Flood) -> Outcome {
        let program = std::sync::Arc::clone(&self.program);
        let mut held_up = HeldUp::begin(&program, flood);
        let mut got = Vec::new();
        let mut buffer = [0; 1024];
        let mut last = None;
        while got.len() < expected.len() {
            match (&*self.stream).read(&mut buffer) {
                Ok(0) => return fails(quoted(expected), "the end of the stream"),
                Ok(length) => got.extend_from_slice(&buffer[..length]),
                Err(_) => {
                    // They may have come while that was found out: ask once more.
                    if let Some(why) = last {
                        return fails(quoted(expected), why);
                    }
                    last = held_up.why();
                }
            }
        }
        match got == expected {
            true => Ok(()),
            false => fails(quoted(expected), quoted(&got)),
        }
    }
}

/// What a program does while a client waits for it beside a flood.
struct HeldUp<'a> {
    program: &'a Subject,
    flood: &'a Flood,
    patience: Patience<'a>,
    began: Instant,
    back: usize,
    waited: Duration,
}

impl<'a> HeldUp<'a> {
    fn begin(program: &'a Subject, flood: &'a Flood) -> Self {
        HeldUp {
            program,
            flood,
            patience: Patience::new(program),
            began: Instant::now(),
            back: flood.back.load(Ordering::Relaxed),
            waited: program.waited_for_processor(),
        }
    }

    /// Returns the reason not to wait any longer, if there is one.
    fn why(&mut self) -> Option<String> {
        let back = self.flood.back.load(Ordering::Relaxed) - self.back;
        let gave_up = self.patience.tick();
        let rests = matches!(gave_up, Some(GaveUp::Rests | GaveUp::Ended | GaveUp::Late));
        let has_run = || {
            let waited = self.program.waited_for_processor().saturating_sub(self.waited);
            self.began.elapsed().saturating_sub(waited) > ENOUGH
        };
        (rests || back > MOST_BYTES && has_run()).then(|| {
            format!(
                "nothing, while {} MiB of the flood came back; {}",
                back >> 20,
                self.program.condition()
            )
        })
    }
}

/// Ends a flood when it is dropped.
struct End<'a>(&'a Flood);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}
