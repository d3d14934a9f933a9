//! Drawing the conversation of a program under test: `flow` attaches to it before its first
//! instruction, and prints the drawing when it has ended.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netlab::process::{self, Signal};
use netlab::wire::{Host, Sighting};

/// How long `flow` may take to attach, and again to draw.
const DEADLINE: Duration = Duration::from_secs(10);
/// The maximum number of rows of a drawing.
const ROWS: &str = "200";

/// A running `flow` that traces one program.
#[derive(Debug)]
pub(crate) struct Drawing {
    flow: Child,
    words: [JoinHandle<String>; 2],
}

impl Drawing {
    /// Waits until `keeper` has created the process that will become the program, and which
    /// stops itself; attaches `flow` to it, and lets it continue. With `packets`, the drawing
    /// has packets too; the network of the calling thread must then be the program's alone.
    /// If the program is on a host of a wire, they are what [`Drawing::finish`] is given.
    ///
    /// # Errors
    /// Fails if `flow` cannot be started, or if the program does not appear. If the system
    /// forbids attaching to it, the program runs without a drawing, and [`Drawing::finish`]
    /// says why.
    pub(crate) fn join(
        flow: &Path,
        keeper: u32,
        packets: bool,
        host: Option<Host>,
    ) -> io::Result<Drawing> {
        let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, what.to_owned());
        let until = Instant::now() + DEADLINE;
        let pid = loop {
            let stopped =
                process::family(keeper).into_iter().find(|it| process::is_stopped(*it));
            if let Some(pid) = stopped {
                break pid;
            }
            if process::has_ended(keeper) || Instant::now() > until {
                return Err(late("the program did not stop for it"));
            }
            thread::park_timeout(Duration::from_millis(1));
        };
        let mut command = Command::new(flow);
        command
            .args(["--attach", &pid.to_string(), "--name", "program"])
            .args(["--color", "always", "--rows", ROWS])
            .args(packets.then_some("--packets").filter(|_| host.is_none()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(host) = host {
            command.args(["--on-host", &host.to_string()]).stdin(Stdio::piped());
        }
        process::isolate(&mut command);
        let mut flow = command.spawn()?;
        let words = [read(flow.stdout.take()), read(flow.stderr.take())];
        while process::tracer(pid).is_none() && flow.try_wait()?.is_none() {
            if Instant::now() > until {
                let _ = flow.kill();
                let _ = flow.wait();
                return Err(late("flow did not join it"));
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        process::signal_group(pid, Signal::Continue);
        Ok(Drawing { flow, words })
    }

    /// Returns the drawing, once the program has ended, or a line that says why there is
    /// none. `sightings` is what the program's wire saw, if it is on one.
    pub(crate) fn finish(mut self, sightings: &[Sighting]) -> String {
        if let Some(mut to) = self.flow.stdin.take() {
            let lines: String = sightings.iter().map(|it| it.to_line() + "\n").collect();
            // It reads when the program has ended; if it has failed, it says why.
            thread::spawn(move || to.write_all(lines.as_bytes()));
        }
        let until = Instant::now() + DEADLINE;
        while matches!(self.flow.try_wait(), Ok(None)) && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(1));
        }
        // It has ended, or will not end by itself.
        let _ = self.flow.kill();
        let _ = self.flow.wait();
        let [drawn, refused] = self.words.map(|it| it.join().unwrap_or_default());
        if drawn.is_empty() { format!("no drawing: {refused}") } else { drawn }
    }
}

fn read(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
