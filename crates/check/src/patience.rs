//! How long the checker waits for the program.
//!
//! Not by the clock alone: it waits as long as the program works, and gives up soon after
//! it has come to rest. So a right program is never cut short on a busy machine, and a
//! program that waits for something that will not come is not waited for long. One that
//! never rests, since it polls, is given a measure of processor time: that is the same on
//! every machine, however busy.

use std::thread;
use std::time::{Duration, Instant};

use crate::subject::Subject;

/// Between two looks at the program.
const LOOK: Duration = Duration::from_millis(10);
/// A program that was seen at rest so many times does nothing more by itself.
const RESTS: u32 = 50;
/// A program that was seen at work has so many of its rests taken back: not all, since a virtual
/// machine that waits wakes up for a moment now and then.
const TAKEN_BACK: u32 = 2;
/// For a silence: so many.
const SHORT_RESTS: u32 = 6;
/// Processor time for something that the program is to do: far more than any answer needs.
const BUSY: Duration = Duration::from_millis(1500);
/// The same for a program that used up all of that in another check, and did nothing with it.
const BUSY_AGAIN: Duration = Duration::from_millis(500);
/// For a silence: what is done after so much is done by a program that polls.
const SHORT_BUSY: Duration = Duration::from_millis(300);
/// Before a program has begun with its task: a virtual machine that starts is at work.
const BUSY_AT_FIRST: Duration = Duration::from_secs(8);
/// A program that gets no processor and says nothing is given up after this.
const LATE: Duration = Duration::from_secs(120);
/// Between two questions whether something has come, where the kernel sends no event.
const TICK: Duration = Duration::from_millis(1);

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// The program waits for something itself.
    Rests,
    /// It has ended.
    Ended,
    /// It is busy, has used a good deal of processor time, and nothing came.
    Busy,
    /// Its time is over.
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
    /// The processor time that the program had used when it was first seen at work.
    spent: Option<Duration>,
    budget: Duration,
    /// There was a reason to give up when it was asked for last.
    warned: bool,
}

impl<'a> Patience<'a> {
    /// For something that the program is to do.
    pub fn new(program: &'a Subject) -> Self {
        let now = Instant::now();
        Patience {
            program,
            until: now + LATE,
            latest: now + LATE,
            looked: now,
            rests: 0,
            enough: RESTS,
            spent: None,
            budget: BUSY,
            warned: false,
        }
    }

    /// For something that the program must not do.
    pub fn for_silence(program: &'a Subject) -> Self {
        Patience { enough: SHORT_RESTS, budget: SHORT_BUSY, ..Patience::new(program) }
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
        let rests = self.program.rests();
        self.rests = match self.enough == SHORT_RESTS {
            _ if rests => self.rests + 1,
            true => 0,
            false => self.rests.saturating_sub(TAKEN_BACK),
        };
        if !rests {
            self.until = (self.until + (self.looked - before)).min(self.latest);
            return self.is_exhausted().then_some(GaveUp::Busy);
        }
        if self.program.is_over() {
            return Some(GaveUp::Ended);
        }
        let mut enough = self.enough;
        if enough == RESTS {
            let may_take = self.program.may_take().as_millis() / LOOK.as_millis();
            enough = enough.max(u32::try_from(may_take).unwrap_or(u32::MAX));
        }
        (self.rests >= enough).then_some(GaveUp::Rests)
    }

    /// Whether the program, which is at work, has used up the processor time of this wait.
    fn is_exhausted(&mut self) -> bool {
        let now = self.program.processor_time();
        let first = *self.spent.get_or_insert(now);
        let budget = match self.program.may_take() {
            // Nobody knows yet how long it takes to start.
            time if time > BUSY_AT_FIRST / 2 => self.budget.max(BUSY_AT_FIRST),
            time if self.budget == BUSY && self.program.is_restless() => {
                BUSY_AGAIN.max(time)
            }
            time => self.budget.max(time),
        };
        let is_exhausted = now.saturating_sub(first) >= budget;
        if is_exhausted && self.budget == BUSY {
            self.program.is_seen_restless();
        }
        is_exhausted
    }

    /// Whether the program has been at rest for long, whatever it may be about to begin.
    pub(crate) fn has_rested(&self) -> bool {
        self.rests >= RESTS
    }

    /// Lets some time go by before the next question. Of a program at rest nothing quick is
    /// awaited, and on a busy machine each nap ends late.
    pub fn nap(&self) {
        thread::park_timeout(if self.rests == 0 { TICK } else { LOOK / 2 });
    }
}
