//! Work done side by side, and told in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does `work` for 0 to `count`, `jobs` at a time, each on a thread of its own, and gives
/// each result to `tell` as soon as it and all before it are there. Where `tell` says no, no
/// further work is begun, and none is told. What a thread that panics, or cannot be made, was to do
/// is not told, nor what comes after it.
pub(crate) fn in_order<T: Send>(
    jobs: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut tell: impl FnMut(usize, T) -> bool,
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let worker = move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    let done = thread::scope(|one| {
                        let thread = thread::Builder::new();
                        thread.spawn_scoped(one, || work(place)).ok()?.join().ok()
                    });
                    let Some(done) = done else { break };
                    if sender.send((place, done)).is_err() {
                        break;
                    }
                }
            };
            // Where no more threads can be made, those that are there do the work.
            if thread::Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        drop(sender);
        let mut waiting: Vec<Option<T>> = (0..count).map(|_| None).collect();
        let mut told = 0;
        for (place, done) in receiver {
            waiting[place] = Some(done);
            while let Some(done) = waiting.get_mut(told).and_then(Option::take) {
                if !tell(told, done) {
                    next.store(count, Ordering::Relaxed);
                    return;
                }
                told += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_order_and_no_more_than_wanted() {
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
        let mut told = Vec::new();
        in_order(4, 4, work, |place, result| {
            told.push((place, result));
            place < 2
        });
        assert_eq!(told, [(0, 0), (1, 10), (2, 20)]);
    }
}
