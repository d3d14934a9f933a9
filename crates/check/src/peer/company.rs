//! The clients of one check, who may stand in each other's way: what one of them cannot see,
//! the others tell.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::diagnosis::Diagnosis;
use crate::subject::Subject;

/// All clients of one check.
#[derive(Debug, Default)]
pub(crate) struct Company {
    streams: Mutex<Vec<Weak<TcpStream>>>,
    /// One of them has reset its connection.
    reset: AtomicBool,
}

impl Company {
    pub(super) fn add(&self, stream: &Arc<TcpStream>) {
        self.lock().push(Arc::downgrade(stream));
    }

    /// One of them resets its connection.
    pub(super) fn resets(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Closes the connections of all others, in both directions; whether there were any.
    pub(super) fn dismiss_others(&self, own: &Arc<TcpStream>) -> bool {
        let mut any = false;
        for other in self.lock().iter().filter_map(Weak::upgrade) {
            if !Arc::ptr_eq(&other, own) {
                any |= other.shutdown(Shutdown::Both).is_ok();
            }
        }
        any
    }

    /// What a program that ended, while it was to serve its clients, may have died of.
    pub(crate) fn of_an_end(&self, program: &Subject) -> Option<Diagnosis> {
        let words = program.last_words();
        if !program.is_over() {
            return None;
        }
        match Diagnosis::of_words(words.as_deref()) {
            Some(diagnosis) => Some(diagnosis),
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
