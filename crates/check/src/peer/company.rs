//! The clients of one check. They may get in each other's way, so to explain what happens to
//! one of them the checker must know of the others.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::diagnosis::Diagnosis;
use crate::subject::Subject;

/// All clients of one check.
#[derive(Debug, Default)]
pub(crate) struct Company {
    streams: Mutex<Vec<Weak<TcpStream>>>,
    /// Whether any of them has reset its connection.
    reset: AtomicBool,
}

impl Company {
    pub(super) fn add(&self, stream: &Arc<TcpStream>) {
        self.lock().push(Arc::downgrade(stream));
    }

    /// Records that one of them resets its connection.
    pub(super) fn resets(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Shuts down the connections of all the others, in both directions. Returns whether there
    /// were any.
    pub(super) fn dismiss_others(&self, own: &Arc<TcpStream>) -> bool {
        let mut any = false;
        for other in self.lock().iter().filter_map(Weak::upgrade) {
            if !Arc::ptr_eq(&other, own) {
                any |= other.shutdown(Shutdown::Both).is_ok();
            }
        }
        any
    }

    /// Returns whether there is no client but this one.
    pub(super) fn is_only(&self, own: &Arc<TcpStream>) -> bool {
        self.lock().iter().filter_map(Weak::upgrade).all(|it| Arc::ptr_eq(&it, own))
    }

    /// Returns what may have killed a program that ended while it should have been serving
    /// its clients.
    pub(crate) fn of_an_end(&self, program: &Subject) -> Option<Diagnosis> {
        let words = program.last_words();
        if !program.is_over() {
            return None;
        }
        let message = words.as_deref().unwrap_or_default().to_lowercase();
        let has_no_files = ["open files", "emfile"].iter().any(|it| message.contains(it));
        match Diagnosis::of_words(words.as_deref()) {
            Some(diagnosis) => Some(diagnosis),
            // It lost them to clients that came earlier.
            None if has_no_files => None,
            None => self
                .reset
                .load(Ordering::Relaxed)
                .then_some(Diagnosis::DiesOfReset(words)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<TcpStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
