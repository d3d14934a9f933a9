//! One processor for the tracer and the programs.
//!
//! At each stop of a program, the tracer works, and then the program goes on: never both
//! at once. With two processors, each change would wake the other one from its sleep,
//! which takes longer than all the rest together. So tracer and programs share one
//! processor (`sched_setaffinity(2)`). A program that starts a second thread or process
//! gets all processors back, and so does the new one; so do all programs once one of them
//! computes.
//!
//! A program does not notice: `sched_getaffinity(2)` is answered with the processors that
//! the program would have if untraced. (`/proc/self/status` is not.)

use std::io;

use super::sys;

/// Holds the calling thread on one processor; it gets the others back when this is
/// dropped.
pub(super) struct Processors {
    all: libc::cpu_set_t,
}

impl Processors {
    /// Binds the calling thread, and whatever it starts from now on, to the processor
    /// that it is on.
    ///
    /// # Errors
    /// `EINVAL` on a machine with more than 1024 processors; `EPERM` if a sandbox forbids
    /// it.
    pub(super) fn share() -> io::Result<Processors> {
        let all = sys::affinity()?;
        sys::set_affinity(0, &sys::this_processor()?)?;
        Ok(Processors { all })
    }

    /// Gives a thread all processors back. It is not an error if the thread is gone.
    pub(super) fn give_back(&self, tid: i32) {
        let _ = sys::set_affinity(tid, &self.all);
    }

    /// Overwrites what `sched_getaffinity(2)` has just returned to a thread: `length`
    /// bytes at `address`.
    pub(super) fn answer(&self, tid: i32, address: u64, length: usize) {
        sys::write_set(tid, address, &self.all, length);
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
