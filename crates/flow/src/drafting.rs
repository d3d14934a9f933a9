//! Draws a run while it is running.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flow::draw::{self, Live};
use flow::event::{Event, Header};

/// When nothing has happened for this long, the last call is drawn as one that waits.
const AT_REST: Duration = Duration::from_millis(100);
/// Drawing takes at most one part in this many of the time.
const SHARE: u32 = 4;

/// A thread that draws the events that it is given.
pub(crate) struct Drafting {
    to: Sender<Event>,
    thread: JoinHandle<Live>,
}

impl Drafting {
    pub(crate) fn begin(
        header: Header,
        options: draw::Options,
        sides: &[String],
        is_on_wire: bool,
    ) -> Drafting {
        let (to, events) = mpsc::channel();
        let host = |number| match number {
            _ if !is_on_wire => None,
            0 => Some("b"),
            _ => Some("a"),
        };
        let sides: Vec<_> = sides
            .iter()
            .enumerate()
            .map(|(number, name)| (name.clone(), host(number)))
            .collect();
        let live = Live::new(header, options, &sides);
        Drafting { to, thread: std::thread::spawn(move || draft(live, &events)) }
    }

    pub(crate) fn push(&self, event: Event) {
        // If the thread has ended, there is nobody to draw for.
        let _ = self.to.send(event);
    }

    /// Returns what was drawn; `None` if the thread panicked.
    pub(crate) fn end(self) -> Option<Live> {
        drop(self.to);
        self.thread.join().ok()
    }
}

fn draft(mut live: Live, events: &Receiver<Event>) -> Live {
    let mut is_told = true;
    loop {
        let at_rest = match events.recv_timeout(AT_REST) {
            Ok(event) => {
                live.push(event);
                events.try_iter().for_each(|event| live.push(event));
                false
            }
            Err(RecvTimeoutError::Timeout) if is_told => continue,
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => return live,
        };
        let begin = Instant::now();
        let more = live.more(at_rest);
        let mut out = io::stdout().lock();
        if out.write_all(more.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Nobody is reading; the drawing at the end says so.
            return live;
        }
        is_told = at_rest;
        drop(out);
        // The longer the run, the longer a drawing takes, and the programs come first.
        if let Some(rest) =
            (begin.elapsed() * (SHARE - 1)).checked_sub(Duration::from_millis(2))
        {
            std::thread::sleep(rest.min(Duration::from_secs(1)));
        }
    }
}
