//! Runs side by side, reported in order.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does `work` for 0 to `count`, `workers` at a time if that many threads can be made, and gives
/// each result to `report` as soon as it and all before it are there. When `report` returns
/// false, no further work is begun and nothing more is reported.
///
/// # Errors
/// Not even one thread can be made (`EAGAIN`, `pthread_create(3)`), or `work` panicked: its
/// result was not reported, and neither was any after it.
pub fn in_order<T: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut report: impl FnMut(usize, T) -> bool,
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..workers.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let worker = move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    let Ok(done) = on_a_thread(|| work(place)) else { break };
                    if sender.send((place, done)).is_err() {
                        break;
                    }
                }
            };
            match thread::Builder::new().spawn_scoped(scope, worker) {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(error),
                // Those that are there do the work.
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

/// Does `work` on a thread of its own, whose end also ends what the kernel keeps for it: its
/// network namespace, the children that die with it. Where no more threads can be made, this
/// one does it.
fn on_a_thread<T: Send>(work: impl Fn() -> T + Sync) -> thread::Result<T> {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &work) {
        Ok(thread) => thread.join(),
        Err(_) => catch_unwind(AssertUnwindSafe(&work)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_reported_in_order_until_the_report_says_no() {
        // The first waits until the others are done, so that they come before it.
        let (release, wait) = mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
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
