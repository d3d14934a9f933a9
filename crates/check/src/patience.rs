//! How long the checker waits for the program.
//!
//! Not by the clock alone: it waits as long as the program works, and gives up soon after
//! it has come to rest. So a right program is never cut short on a busy machine, and a
//! program that waits for something that will not come is not waited for long.

use std::thread;
use std::time::{Duration, Instant};

use crate::subject::Subject;

/// Between two looks at the program.
const LOOK: Duration = Duration::from_millis(10);
/// A program that was seen at rest so many times in a row does nothing more by itself.
const RESTS: u32 = 50;
/// For a silence: so many.
const SHORT_RESTS: u32 = 6;
/// A program that is busy and gets nowhere is given up after this. Its limit of processor
/// time ends it before, unless the machine has none to give.
const LATE: Duration = Duration::from_secs(30);
/// Between two questions whether something has come, where the kernel sends no event.
const TICK: Duration = Duration::from_millis(1);

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// The program waits for something itself.
    Rests,
    /// It has ended.
    Ended,
    /// Its time is over, or it is busy, and nothing came for long.
    Late,
}

/// The patience of one wait.
#[derive(Debug)]
pub struct Patience<'a> {
    program: &'a Subject,
    until: Instant,
    /// `until` is not moved beyond it.
    latest: Instant,
    looked: Instant,
    rests: u32,
    enough: u32,
    /// There was a reason to give up when it was asked for last.
    warned: bool,
}

impl<'a> Patience<'a> {
    /// For something that the program shall do.
    pub fn new(program: &'a Subject) -> Self {
        let now = Instant::now();
        Patience {
            program,
            until: now + LATE,
            latest: now + LATE,
            looked: now,
            rests: 0,
            enough: RESTS,
            warned: false,
        }
    }

    /// For something that the program shall not do.
    pub fn for_silence(program: &'a Subject) -> Self {
        Patience { enough: SHORT_RESTS, ..Patience::new(program) }
    }

    /// For something that may take the program a time of its own, such as a timeout. The time
    /// in which it is at work is not a part of it: on a busy machine it may wait for a
    /// processor for longer than all else takes.
    pub fn with_deadline(program: &'a Subject, within: Duration) -> Self {
        let until = Instant::now() + within;
        Patience { until, enough: u32::MAX, ..Patience::new(program) }
    }

    fn late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Looks at the program, if it is time; says when to give up: when there was a reason
    /// twice in a row, with a question of the caller's between. For what the program did
    /// last may have come after the caller asked and before this looked.
    pub fn tick(&mut self) -> Option<GaveUp> {
        let late = self.late().then_some(GaveUp::Late);
        if late.is_none() && self.looked.elapsed() < LOOK {
            return None;
        }
        let reason = self.look().or(late);
        let warned = std::mem::replace(&mut self.warned, reason.is_some());
        reason.filter(|_| warned)
    }

    fn look(&mut self) -> Option<GaveUp> {
        let before = std::mem::replace(&mut self.looked, Instant::now());
        // Looks that come late, since this process did not run, count once.
        self.rests = if self.program.rests() { self.rests + 1 } else { 0 };
        if self.rests == 0 {
            self.until = (self.until + (self.looked - before)).min(self.latest);
        }
        if self.program.is_over() && self.rests > 0 {
            Some(GaveUp::Ended)
        } else {
            (self.rests >= self.enough).then_some(GaveUp::Rests)
        }
    }

    /// Lets some time go by before the next question. Of a program at rest nothing quick is
    /// awaited, and on a busy machine each nap ends late.
    pub fn nap(&self) {
        thread::park_timeout(if self.rests == 0 { TICK } else { LOOK / 2 });
    }
}
