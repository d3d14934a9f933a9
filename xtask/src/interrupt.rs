//! ^C, `SIGTERM` and a closed terminal: they end the runs, which then leave nothing behind.
//!
//! The commands of a run are in process groups of their own, so the terminal's signals
//! reach only this process.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
#[cfg(unix)]
use std::{thread, time::Duration};

use netlab::process::Guard;

use crate::run;

type Listener = (u64, Box<dyn Fn() + Send>);

static LISTENERS: Mutex<(u64, Vec<Listener>)> = Mutex::new((0, Vec::new()));

fn listeners() -> MutexGuard<'static, (u64, Vec<Listener>)> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a signal asked for the end.
static ASKED: AtomicBool = AtomicBool::new(false);

/// After this long the process ends even if its runs have not: one of them writes to a terminal
/// that takes nothing, or a cleaning up hangs.
#[cfg(unix)]
const GRACE: Duration = Duration::from_millis(350);

/// Whether a signal asked for the end: nothing new is begun.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// From now on `SIGINT`, `SIGTERM` and `SIGHUP` end the runs and then the process, within half
/// a second, and orphans of the runs fall to this process. If it is killed, a guard ends what
/// it ran.
///
/// It starts threads: what needs a process of one thread comes before it.
///
/// # Errors
/// The system's refusal of a handler, a thread or a process.
pub fn watch() -> std::io::Result<()> {
    netlab::process::adopt_orphans();
    guard()?;
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::low_level::emulate_default_handler;
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (first, asked) = mpsc::channel();
        // Made now: when the end is asked for, no thread may be had.
        thread::Builder::new().name("grace".into()).spawn(move || {
            let Ok(signal) = asked.recv() else { return };
            let _ = asked.recv_timeout(GRACE);
            run::kill_all();
            let _ = emulate_default_handler(signal);
        })?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                ASKED.store(true, Ordering::Relaxed);
                // The second signal ends the grace of the first.
                let _ = first.send(signal);
                listeners().1.iter().for_each(|(_, tell)| tell());
            }
        })?;
    }
    Ok(())
}

/// Starts the guard, once, that kills what this process ran if it is killed itself: what has
/// the variable of this name and value among its environment, or one of a run.
///
/// Call it first while the process has one thread.
///
/// # Errors
/// The system's refusal of a process.
pub(crate) fn guard() -> std::io::Result<(&'static str, String)> {
    let mut guard = guard_of_this_process();
    if guard.is_none() {
        *guard = Some(netlab::process::guard(&run::mark())?);
    }
    Ok((run::RUN, format!("{}-build", std::process::id())))
}

/// Ends the guard, for a process that ends in order, or that becomes another program.
pub fn dismiss_guard() {
    if let Some(guard) = guard_of_this_process().take() {
        guard.dismiss();
    }
}

fn guard_of_this_process() -> MutexGuard<'static, Option<Guard>> {
    static GUARD: Mutex<Option<Guard>> = Mutex::new(None);
    GUARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends `event` when a signal asks for the end, as long as the result lives.
pub(crate) fn tell<T: Send + 'static>(sender: &Sender<T>, event: fn() -> T) -> Interest {
    let sender = sender.clone();
    let tell = Box::new(move || {
        let _ = sender.send(event());
    });
    let mut listeners = listeners();
    listeners.0 += 1;
    let id = listeners.0;
    listeners.1.push((id, tell));
    Interest(id)
}

/// Listening ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Interest(u64);

impl Drop for Interest {
    fn drop(&mut self) {
        listeners().1.retain(|(id, _)| *id != self.0);
    }
}
