//! A session on a thread of its own, for a runner that starts and ends the sides itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::session::{Options, Session, TraceError};
use crate::event::Event;

type Task = Box<dyn FnOnce(&mut Session) + Send>;

/// A session that runs on a thread of its own. Ask it with [`Observer::with`]; end it with
/// [`Observer::finish`]. Deadlines are the caller's business.
///
/// ```no_run
/// use flow::trace::{Observer, Options, Program};
///
/// let observer = Observer::start(
///     Options::default(),
///     Box::new(|event| println!("{event:?}")),
///     |session| session.capture(Default::default()),
/// );
/// let server = observer.with(|session| {
///     session.spawn("server".to_owned(), &Program::new(["./server"]))
/// });
/// let ready = observer.with(|session| session.is_ready(0));
/// observer.finish();
/// ```
#[derive(Debug)]
pub struct Observer {
    tasks: Sender<Task>,
    thread: JoinHandle<Result<(), TraceError>>,
}

impl Observer {
    /// Starts the thread. `prepare` runs on it first: there it may enter a private network
    /// (what it returns is kept until the end) and begin the capture. The programs that
    /// the session starts run on that thread's network.
    pub fn start<T>(
        options: Options,
        sink: Box<dyn FnMut(Event) + Send>,
        prepare: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Observer {
        let (tasks, received) = channel();
        let thread = std::thread::spawn(move || {
            let mut session = Session::new(options, sink);
            let _kept = prepare(&mut session);
            serve(&mut session, &received)
        });
        Observer { tasks, thread }
    }

    /// Does something with the session on its thread, and waits for the answer; none if
    /// the session has failed.
    pub fn with<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = channel();
        let task: Task = Box::new(move |session| {
            // The asker waits below; if it is gone nobody misses the answer.
            let _ = answer.send(task(session));
        });
        self.tasks.send(task).ok()?;
        answered.recv().ok()
    }

    /// Takes the last packets, ends what still runs, and waits for the thread.
    ///
    /// # Errors
    /// What the session failed of.
    pub fn finish(self) -> Result<(), TraceError> {
        drop(self.tasks);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Follows the programs and does what is asked, until nobody can ask any more.
fn serve(session: &mut Session, tasks: &Receiver<Task>) -> Result<(), TraceError> {
    const SHORTEST: Duration = Duration::from_micros(20);
    const LONGEST: Duration = Duration::from_millis(1);
    let mut pause = SHORTEST;
    loop {
        if session.step()? {
            pause = SHORTEST;
        }
        match tasks.recv_timeout(pause) {
            Ok(task) => {
                task(session);
                pause = SHORTEST;
            }
            Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST),
            Err(RecvTimeoutError::Disconnected) => {
                session.finish();
                return Ok(());
            }
        }
    }
}
