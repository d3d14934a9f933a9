//! One processor for the tracer and the programs.
//!
//! At each stop of a program the tracer works, and then the program goes on: never both at
//! once. On two processors each change wakes the other one from its sleep, which takes
//! longer than all the rest together. So tracer and programs share one processor
//! (`sched_setaffinity(2)`). A program that starts a second thread or process gets all of
//! them back, with that one; so do all programs once one of them computes.
//!
//! A program does not notice: `sched_getaffinity(2)` is answered with the processors that
//! it would have untraced. (`/proc/self/status` is not.)

use std::io;

use super::sys;

/// The calling thread on one processor; it gets the others back when this is dropped.
pub(super) struct Processors {
    all: libc::cpu_set_t,
}

impl Processors {
    /// Puts the calling thread, and with it what it starts from now on, on the processor
    /// that it is on.
    ///
    /// # Errors
    /// `EINVAL` on a machine of more than 1024 processors; `EPERM` where a sandbox forbids it.
    pub(super) fn share() -> io::Result<Processors> {
        let all = sys::affinity()?;
        sys::set_affinity(0, &sys::this_processor()?)?;
        Ok(Processors { all })
    }

    /// Gives a thread all processors back. One that is gone is no error.
    pub(super) fn give_back(&self, tid: i32) {
        let _ = sys::set_affinity(tid, &self.all);
    }

    /// Writes over what `sched_getaffinity(2)` has just given to a thread: `length` bytes at
    /// `address`.
    pub(super) fn answer(&self, tid: i32, address: u64, length: usize) {
        sys::write_set(tid, address, &self.all, length);
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
