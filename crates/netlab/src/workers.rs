//! Runs work side by side and reports it in order.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Calls `work` with 0 up to `count`, on up to `workers` threads at a time, and passes
/// each result to `report` as soon as it and all results before it are there. Once
/// `report` returns false, no further work is begun and nothing more is reported.
///
/// # Errors
/// Not even one thread could be made (`EAGAIN`, `pthread_create(3)`), or `work` panicked:
/// neither its result nor any later one was reported.
pub fn in_order<T: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    report: impl FnMut(usize, T) -> bool,
) -> io::Result<()> {
    in_turns(workers, &(0..count).collect::<Vec<_>>(), work, report)
}

/// Does the same, but begins the work in these turns: a permutation of 0 up to its length. What
/// takes long is better begun early.
///
/// # Errors
/// The same.
pub fn in_turns<T: Send>(
    workers: usize,
    turns: &[usize],
    work: impl Fn(usize) -> T + Sync,
    mut report: impl FnMut(usize, T) -> bool,
) -> io::Result<()> {
    let count = turns.len();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..workers.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let worker = move || {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = turns.get(turn).copied() else { break };
                    let Ok(done) = on_a_thread(|| work(place)) else { break };
                    if sender.send((place, done)).is_err() {
                        break;
                    }
                }
            };
            match thread::Builder::new().spawn_scoped(scope, worker) {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(error),
                // The threads that we have do the work.
                Err(_) => break,
            }
        }
        drop(sender);
        let mut waiting: Vec<Option<T>> = (0..count).map(|_| None).collect();
        let mut reported = 0;
        for (place, done) in receiver {
            waiting[place] = Some(done);
            while let Some(done) = waiting.get_mut(reported).and_then(Option::take) {
                if !report(reported, done) {
                    next.store(count, Ordering::Relaxed);
                    return Ok(());
                }
                reported += 1;
            }
        }
        if reported < count {
            return Err(io::Error::other("one of the runs panicked"));
        }
        Ok(())
    })
}

/// Runs `work` on a thread of its own, so that what the kernel keeps for the thread ends
/// with it: its network namespace, and the children that die with it. If no more threads
/// can be made, runs it on this one.
fn on_a_thread<T: Send>(work: impl Fn() -> T + Sync) -> thread::Result<T> {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &work) {
        Ok(thread) => thread.join(),
        Err(_) => catch_unwind(AssertUnwindSafe(&work)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn work_is_begun_in_turns_and_reported_in_order() {
        let (begun, mut reported) = (Mutex::new(Vec::new()), Vec::new());
        let work = |place| begun.lock().unwrap().push(place);
        let report = |place, ()| {
            reported.push(place);
            true
        };
        assert!(in_turns(1, &[2, 0, 1], work, report).is_ok());
        assert_eq!(*begun.lock().unwrap(), [2, 0, 1]);
        assert_eq!(reported, [0, 1, 2]);
    }

    #[test]
    fn results_are_reported_in_order_until_the_report_says_no() {
        // The first waits until the others are done, so that they finish before it.
        let (release, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let work = |place: usize| {
            match place {
                0 => (0..3).for_each(|_| drop(wait.lock().map(|it| it.recv()))),
                _ => drop(release.clone().send(())),
            }
            place * 10
        };
        let mut reported = Vec::new();
        let report = |place, result| {
            reported.push((place, result));
            place < 2
        };
        assert!(in_order(4, 4, work, report).is_ok());
        assert_eq!(reported, [(0, 0), (1, 10), (2, 20)]);
    }

    #[test]
    fn a_panic_is_an_error_after_what_came_before_it() {
        let work = |place: usize| assert!(place != 1, "on purpose");
        let mut reported = Vec::new();
        let report = |place, ()| {
            reported.push(place);
            true
        };
        assert!(in_order(1, 3, work, report).is_err());
        assert_eq!(reported, [0]);
    }
}
