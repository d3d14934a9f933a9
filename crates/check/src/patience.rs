//! How long the checker waits for the program.
//!
//! The clock alone does not decide: the checker waits as long as the program works, and gives
//! up soon after it has become idle. So a correct program is never cut short on a busy
//! machine, and the checker does not wait long for a program that itself waits for something
//! that will never come. A program that is never idle, because it polls, is given a budget of
//! processor time, which is the same on every machine, however busy.

use std::thread;
use std::time::{Duration, Instant};

use crate::subject::Subject;

/// The time between two looks at the program.
const LOOK: Duration = Duration::from_millis(10);
/// A program that was found idle this many times will do nothing more by itself.
const RESTS: u32 = 50;
/// How many of those times are taken back when the program is found working. Not all of them:
/// the virtual machine of a language wakes up for a moment now and then even while it waits.
const TAKEN_BACK: u32 = 2;
/// The same number when a silence is expected.
const SHORT_RESTS: u32 = 6;
/// The budget of processor time when something is expected of the program: far more than any
/// answer needs.
const BUSY: Duration = Duration::from_millis(1500);
/// The budget for a program that used up all of that in another check, to no effect.
const BUSY_AGAIN: Duration = Duration::from_millis(500);
/// The budget when a silence is expected: a program that uses this much is polling.
const SHORT_BUSY: Duration = Duration::from_millis(300);
/// The budget before a program has begun its task: a language's virtual machine is busy while
/// it starts.
const BUSY_AT_FIRST: Duration = Duration::from_secs(8);
/// The checker gives up on a program that gets no processor and says nothing after this time.
const LATE: Duration = Duration::from_secs(120);
/// The time between two looks for something of which the kernel sends no event.
const TICK: Duration = Duration::from_millis(1);

/// The reason for giving up on a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// The program is idle: it is waiting for something itself.
    Rests,
    /// It has ended.
    Ended,
    /// It is busy and has used up its budget of processor time, but nothing came.
    Busy,
    /// Its time is up.
    Late,
}

/// The patience of one wait.
#[derive(Debug)]
pub struct Patience<'a> {
    program: &'a Subject,
    until: Instant,
    /// `until` is never moved beyond this.
    latest: Instant,
    looked: Instant,
    rests: u32,
    enough: u32,
    /// The processor time that the program had used when it was first found working.
    spent: Option<Duration>,
    budget: Duration,
    /// The last look found a reason to give up.
    warned: bool,
}

impl<'a> Patience<'a> {
    /// Patience for something that the program is expected to do.
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

    /// Patience for something that the program must not do.
    pub fn for_silence(program: &'a Subject) -> Self {
        Patience { enough: SHORT_RESTS, budget: SHORT_BUSY, ..Patience::new(program) }
    }

    /// Patience for something that the program may do only after a time, such as a timeout. Time
    /// in which it is working does not count towards `within`: on a busy machine it may wait
    /// for a processor longer than everything else takes.
    pub fn with_deadline(program: &'a Subject, within: Duration) -> Self {
        let until = Instant::now() + within;
        Patience { until, enough: u32::MAX, ..Patience::new(program) }
    }

    fn late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Looks at the program, if it is time to, and returns a reason to give up if two looks in
    /// a row have found one. Between the two the caller checks once more for what it awaits,
    /// since that may have come after its last check and before the first of these looks.
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
        // A look that comes late, because this process was not running, counts only once.
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
        if enough == RESTS && !(self.rests >= RESTS && self.program.waits_for_ever()) {
            let may_take = self.program.may_take().as_millis() / LOOK.as_millis();
            enough = enough.max(u32::try_from(may_take).unwrap_or(u32::MAX));
        }
        (self.rests >= enough).then_some(GaveUp::Rests)
    }

    /// Returns whether the program, which is working, has used up the budget of this wait.
    fn is_exhausted(&mut self) -> bool {
        let now = self.program.processor_time();
        let first = *self.spent.get_or_insert(now);
        let budget = match self.program.may_take() {
            // It is not known yet how long the program takes to start.
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

    /// Returns whether the program has been idle for long, even if it may still be starting.
    pub(crate) fn has_rested(&self) -> bool {
        self.rests >= RESTS
    }

    /// Lets some time pass before the caller's next check. The nap is longer if the program is
    /// idle, since then nothing is likely to happen soon.
    pub fn nap(&self) {
        thread::park_timeout(if self.rests == 0 { TICK } else { LOOK / 2 });
    }
}
