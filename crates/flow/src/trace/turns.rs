//! One thread at a time.
//!
//! Left to themselves, two programs run at once, and it is chance who closes first or
//! whose call returns first. In turn, one thread of all the sides runs until one of its
//! socket calls returns or until it sleeps; then comes the next one that can run, in
//! order of side and age. Every such run is one that could have happened by chance; this
//! way, the same one happens each time.
//!
//! With many threads, the sides alternate, and within a side whoever accepts connections comes
//! first. If all threads came in one order, two hundred clients would have a turn each for
//! every one of their server: its accept queue would be full, the kernel would drop their SYNs,
//! and it would send them again only a second later.
//!
//! A turn passes on only when every other thread is stopped or asleep. A thread that
//! computes for a tenth of a second without a stop is left to itself until it stops
//! again; one that waits for a disk keeps the others waiting for at most [`PATIENCE`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::thread::Thread;

/// With more threads than this, the sides alternate. And a thread that sleeps in a call on a TCP
/// socket is not asked about again before a packet has come to its port, or a call of its own
/// process may have ended its sleep: a turn of two hundred threads asked the kernel two hundred
/// times. A signal may wake it, too; then the next turn may begin before it has come to its
/// handler.
pub(super) const MANY: usize = 16;

/// How long one running thread may keep another waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) enabled: bool,
    pub(super) current: Option<i32>,
    /// The thread whose call's return ended the last turn and has not been written down
    /// yet.
    pub(super) returned: Option<i32>,
    last: (usize, u64),
    /// The last thread of each side that had a turn.
    last_of: BTreeMap<usize, u64>,
    since: Instant,
    /// A thread that was active when it was last looked at.
    busy: Option<i32>,
    /// A thread that will come to a stop soon: until then there is nothing to look at.
    pub(super) expected: Option<i32>,
    /// The thread that was let go last, if nobody has looked since whether it has stopped.
    pub(super) let_go: Option<i32>,
    /// For how many looks more others are taken to want this processor as well.
    pub(super) busy_looks: u32,
}

impl Turns {
    pub(super) fn new(enabled: bool) -> Turns {
        Turns {
            enabled,
            current: None,
            returned: None,
            last: (0, 0),
            last_of: BTreeMap::new(),
            since: Instant::now(),
            busy: None,
            expected: None,
            let_go: None,
            busy_looks: 0,
        }
    }

    /// Ends the turn of the current thread, which stopped where turns end.
    pub(super) fn end(&mut self) {
        self.current = None;
        self.since = Instant::now();
    }

    /// Whether it is time for the next turn: some thread is waiting for it, and no other
    /// thread is active.
    pub(super) fn may_pass(&mut self, threads: &mut BTreeMap<i32, Thread>) -> bool {
        if !threads.values().any(|thread| thread.parked.is_some()) {
            return false;
        }
        if self.since.elapsed() >= PATIENCE {
            return true;
        }
        // A thread that was active a moment ago most likely still is, and then the others
        // need not be looked at. Once it has come to rest, all are looked at: it may have
        // woken any of them.
        let busy = self.busy.and_then(|tid| threads.get_mut(&tid));
        if busy.is_some_and(|thread| !thread.is_quiet()) {
            return false;
        }
        let many = threads.len() > MANY;
        let mut awake =
            threads.values_mut().filter(|thread| !(many && thread.is_known_to_sleep()));
        let busy = awake.find_map(|thread| (!thread.is_quiet()).then_some(thread.tid));
        self.busy = busy;
        // Something has woken it in its call, which returns.
        self.expected = busy.filter(|tid| {
            threads.get(tid).is_some_and(|it| it.was_woken() && !it.keeps_waiting)
        });
        self.busy.is_none()
    }

    /// Returns the thread whose turn it is now.
    pub(super) fn next(&mut self, threads: &mut BTreeMap<i32, Thread>) -> Option<i32> {
        let mut living = 0;
        let (mut sides, mut acceptors) = (BTreeSet::new(), BTreeSet::new());
        for thread in threads.values_mut() {
            thread.sleeps();
            // When a thread that ends is gone is up to the kernel.
            living += usize::from(!thread.ends);
            if thread.parked.is_some() {
                sides.insert(thread.side);
                if thread.accepts() {
                    acceptors.insert(thread.side);
                }
            }
        }
        let many = living > MANY;
        if many {
            let side = following(sides.into_iter(), self.last.0)?;
            let last = self.last_of.get(&side).copied().unwrap_or(0);
            self.last = (side, last);
        }
        let (side, birth) = self.last;
        let accept = acceptors.contains(&side);
        let candidates = threads.values().filter(|it| {
            it.parked.is_some() && (!many || it.side == side && it.accepts() == accept)
        });
        let candidates = candidates.map(|it| (it.side, it.birth, it.tid));
        let (side, birth, tid) = following(candidates, (side, birth, i32::MAX))?;
        self.last = (side, birth);
        self.last_of.insert(side, birth);
        self.current = Some(tid);
        self.since = Instant::now();
        Some(tid)
    }
}

/// The one that comes after `last` in a circle: the first that is greater, or the first of all.
fn following<T: Copy + Ord>(all: impl Iterator<Item = T>, last: T) -> Option<T> {
    // What is greater comes before what is not.
    all.min_by_key(|it| (*it <= last, *it))
}

#[cfg(test)]
mod tests {
    use super::following;

    #[test]
    fn turns_go_round_in_a_circle() {
        for (last, next) in [(0, 1), (1, 3), (2, 3), (3, 5), (5, 1), (9, 1)] {
            assert_eq!(
                following([5, 1, 3].into_iter(), last),
                Some(next),
                "after {last}"
            );
        }
        assert_eq!(following([3].into_iter(), 3), Some(3), "alone");
        assert_eq!(following(std::iter::empty::<i32>(), 3), None);
    }
}
