//! ^C, `SIGTERM` and a closed terminal: they end the runs, which then leave nothing behind.
//!
//! The commands of a run are in process groups of their own, so the terminal's signals
//! reach only this process.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Listener = (u64, Box<dyn Fn() + Send>);

static LISTENERS: Mutex<(u64, Vec<Listener>)> = Mutex::new((0, Vec::new()));

fn listeners() -> MutexGuard<'static, (u64, Vec<Listener>)> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on `SIGINT`, `SIGTERM` and `SIGHUP` end the runs instead of the process, and
/// orphans of the runs fall to this process. A second signal ends the process as well.
///
/// It starts a thread: what needs a process of one thread comes before it.
///
/// # Errors
/// The system's refusal of a handler.
pub fn watch() -> std::io::Result<()> {
    netlab::process::adopt_orphans();
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::spawn(move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                listeners().1.iter().for_each(|(_, tell)| tell());
            }
        });
    }
    Ok(())
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
