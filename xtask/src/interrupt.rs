//! Handles ^C, `SIGTERM` and a closed terminal, which end the runs and leave nothing
//! behind.
//!
//! The commands of a run are in process groups of their own, so the terminal's signals
//! reach only this process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
#[cfg(unix)]
use std::{
    thread,
    time::{Duration, Instant},
};

use netlab::process::Guard;

use crate::run;

type Listener = (u64, Box<dyn Fn() + Send>);

static LISTENERS: Mutex<(u64, Vec<Listener>)> = Mutex::new((0, Vec::new()));

fn listeners() -> MutexGuard<'static, (u64, Vec<Listener>)> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a signal has asked for the end.
static ASKED: AtomicBool = AtomicBool::new(false);

/// After this time the process ends even if its runs have not: one of them may be writing
/// to a terminal that takes nothing, or its cleanup may hang.
#[cfg(unix)]
const GRACE: Duration = Duration::from_millis(350);

/// Returns whether a signal has asked for the end, so that nothing new is started.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Makes `SIGINT`, `SIGTERM` and `SIGHUP` end the runs and then the process, within half
/// a second, and makes this process adopt the runs' orphans. If this process is killed, a
/// guard ends what it ran.
///
/// It starts threads, so do first whatever needs a process with a single thread.
///
/// # Errors
/// Fails if the system refuses a signal handler, a thread or a process.
pub fn watch() -> io::Result<()> {
    netlab::process::adopt_orphans();
    guard()?;
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::low_level::emulate_default_handler;
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (first, asked) = mpsc::channel();
        // Start this thread now: when a signal comes, there may be no thread to be had.
        thread::Builder::new().name("grace".into()).spawn(move || {
            let Ok(signal) = asked.recv() else { return };
            let _ = asked.recv_timeout(GRACE);
            run::kill_all();
            kill_descendants();
            let _ = remove_scratch();
            let _ = emulate_default_handler(signal);
        })?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                ASKED.store(true, Ordering::Relaxed);
                // A second signal cuts the grace period of the first short.
                let _ = first.send(signal);
                listeners().1.iter().for_each(|(_, tell)| tell());
            }
        })?;
    }
    Ok(())
}

/// Kills whatever left the group that it was started in: when its parent is dead, it comes to
/// this process as an orphan. The guard would do this, unless somebody has killed it.
#[cfg(unix)]
pub fn kill_descendants() {
    let guard = guard_of_this_process().as_ref().map(Guard::pid);
    let own = std::process::id();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        let left = netlab::process::family(own).into_iter().filter(|pid| {
            *pid != own && Some(*pid) != guard && !netlab::process::has_ended(*pid)
        });
        if left.map(netlab::process::kill).count() == 0 {
            return;
        }
    }
}

static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A folder for one run of a task. It is also removed when a signal ends this process, if it
/// [watches](watch) for signals. There is one at a time.
///
/// The crate `tempfile` would not remove it then.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates the folder, and removes first what a process that was killed has left of it.
    ///
    /// # Errors
    /// The old one cannot be removed, or the new one cannot be made.
    pub fn new(folder: PathBuf) -> io::Result<Scratch> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.clone());
        Ok(Scratch(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        remove_scratch()
    }
}

/// Removes the folder, if there is one. Whoever asks meanwhile waits.
fn remove_scratch() -> io::Result<()> {
    let mut scratch = SCRATCH.lock().unwrap_or_else(PoisonError::into_inner);
    scratch.take().map_or(Ok(()), fs::remove_dir_all)
}

/// Starts the guard, once: a process that kills what this process ran, if this process is
/// killed itself. The guard recognizes what to kill by an environment variable, whose
/// name and value this returns; the commands of a run have one of their own.
///
/// Call it for the first time while this process has a single thread.
///
/// # Errors
/// Fails if the system refuses a process.
pub(crate) fn guard() -> io::Result<(&'static str, String)> {
    let mut guard = guard_of_this_process();
    if guard.is_none() {
        *guard = Some(netlab::process::guard(&run::mark())?);
    }
    Ok((run::RUN, format!("{}-build", std::process::id())))
}

/// Ends the guard, before this process ends normally or becomes another program.
pub fn dismiss_guard() {
    if let Some(guard) = guard_of_this_process().take() {
        guard.dismiss();
    }
}

fn guard_of_this_process() -> MutexGuard<'static, Option<Guard>> {
    static GUARD: Mutex<Option<Guard>> = Mutex::new(None);
    GUARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends `event` when a signal asks for the end, for as long as the returned value lives.
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

/// A registered listener; dropping this removes it.
#[derive(Debug)]
pub(crate) struct Interest(u64);

impl Drop for Interest {
    fn drop(&mut self) {
        listeners().1.retain(|(id, _)| *id != self.0);
    }
}
