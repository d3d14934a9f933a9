//! One command of a terminal: its process, its output, and how it ended.
//!
//! Standard output and standard error share one pipe, as they share a terminal, so their
//! order is the true one. This side also keeps a writing end of that pipe, and writes a
//! *mark* into it: when the mark comes out of the reading end, everything that the
//! command wrote before has come out as well. That is how "it exited, and this is all it
//! printed" is known without waiting for the end of the pipe, which a grandchild may hold
//! open.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, PipeWriter, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

#[cfg(unix)]
use netlab::process;
use netlab::process::Signal;

use super::reading::Reading;

/// What a command reports to the run.
#[derive(Debug)]
pub(super) enum News {
    /// It printed these bytes.
    Output(Vec<u8>),
    /// It printed more than it may: more than this limit. Nothing that follows is kept.
    Flood(String),
    /// All that it printed before [`RunningCommand::mark`] was called has been reported.
    Marked,
    /// It exited, and all that it printed has been reported.
    Exited,
}

/// Sets the environment so that nothing changes a program's output: no colours, no
/// translations, no debugging settings of this runner, and no buffering by Python when it
/// writes to a pipe.
pub(crate) fn lay_environment(command: &mut Command) {
    command
        .envs(netlab::environment::variables())
        .env_remove("RUST_BACKTRACE")
        .env_remove("COLUMNS");
}

/// A running command. Dropping it kills its process group and reaps it.
#[derive(Debug)]
pub(super) struct RunningCommand {
    pid: u32,
    child: Arc<Mutex<Child>>,
    marker: Marker,
    reaped: bool,
}

impl RunningCommand {
    /// Starts `program` in `folder`, with one additional variable, on the network where
    /// `place` puts it. `reading` reads its output, and `tell` turns its news into the
    /// events that are sent.
    #[expect(clippy::too_many_arguments, reason = "the parts of one start")]
    pub(super) fn start<T: Send + 'static>(
        program: &Path,
        arguments: &[String],
        folder: &Path,
        (name, value): (&str, &str),
        most: Most,
        (reading, sender): (&Reading, &Sender<T>),
        place: impl FnOnce(&mut Command),
        tell: impl Fn(News) -> T + Send + 'static,
    ) -> io::Result<RunningCommand> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer.try_clone()?)
            .env(name, value);
        lay_environment(&mut command);
        place(&mut command);
        #[cfg(unix)]
        process::isolate(&mut command);
        let child = command.spawn()?;
        // The `Command` holds writing ends of the pipe, so drop it.
        drop(command);
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        let mut token = RandomState::new().hash_one(pid).to_ne_bytes();
        // Output that ends like the beginning of a mark is held back until more comes.
        // Lines end with a line feed, so a mark must not begin with one.
        token[0] = 0;
        let marker = Marker { writer, token };
        // From here on, a failure ends and reaps the command.
        let running = RunningCommand { pid, child, marker, reaped: false };
        lock_live().push(pid);

        let sender = sender.clone();
        let mut hearing = Hearing::new(token, most);
        reading.add(reader, move |bytes| {
            hearing.hear(bytes, |news| sender.send(tell(news)).is_ok())
        })?;
        let (waiting, mut last) =
            (Arc::clone(&running.child), running.marker.try_clone()?);
        thread::Builder::new().name("waiting".into()).spawn(move || {
            wait(pid, &waiting);
            last.write(Mark::Exit);
        })?;
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks for [`News::Marked`]. Do not call it while the process prints at full speed,
    /// since writing to a full pipe would block.
    pub(super) fn mark(&mut self) {
        self.marker.write(Mark::Asked);
    }

    /// Sends a signal to the command's process group.
    pub(super) fn signal(&self, signal: Signal) {
        if self.reaped {
            return;
        }
        #[cfg(unix)]
        process::signal_group(self.pid, signal);
        #[cfg(not(unix))]
        if signal != Signal::Terminate {
            let _ = lock(&self.child).kill();
        }
    }

    /// Reaps a command that has exited, and returns its exit status.
    pub(super) fn status(&mut self) -> io::Result<ExitStatus> {
        self.reaped = true;
        lock_live().retain(|pid| *pid != self.pid);
        lock(&self.child).wait()
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::Kill);
            let _ = self.status();
        }
    }
}

/// The process ids of the commands, of all runs, that have not been reaped yet.
static LIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn lock_live() -> MutexGuard<'static, Vec<u32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the process groups of all commands of all runs, because this process is about to
/// end.
#[cfg(unix)]
pub(crate) fn kill_all() {
    lock_live().iter().for_each(|pid| process::signal_group(*pid, Signal::Kill));
}

#[cfg(unix)]
fn wait(pid: u32, _child: &Mutex<Child>) {
    // An error means that the child was reaped already, so it has ended as well.
    let _ = process::wait_exited(pid);
}

/// Without `waitid` it polls, so that the child can be killed in the meantime.
#[cfg(not(unix))]
fn wait(_pid: u32, child: &Mutex<Child>) {
    while matches!(lock(child).try_wait(), Ok(None)) {
        thread::park_timeout(std::time::Duration::from_millis(2));
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    Asked = b'A' as isize,
    Exit = b'X' as isize,
}

/// Writes marks: a token that no program can guess, followed by a letter.
#[derive(Debug)]
struct Marker {
    writer: PipeWriter,
    token: [u8; TOKEN_BYTES],
}

const TOKEN_BYTES: usize = 8;

impl Marker {
    fn try_clone(&self) -> io::Result<Marker> {
        Ok(Marker { writer: self.writer.try_clone()?, token: self.token })
    }

    fn write(&mut self, mark: Mark) {
        let mut bytes = self.token.to_vec();
        bytes.push(mark as u8);
        // A short write is atomic (pipe(7), PIPE_BUF). It fails once the reader has left,
        // but then nobody is waiting for the mark any more.
        let _ = self.writer.write_all(&bytes);
    }
}

/// The maximum that a command may print.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) bytes: usize,
    pub(super) lines: usize,
}

/// Turns what comes out of the pipe into news.
struct Hearing {
    splitter: Splitter,
    most: Most,
    left: Most,
    flooded: bool,
}

impl Hearing {
    fn new(token: [u8; TOKEN_BYTES], most: Most) -> Hearing {
        let splitter = Splitter { token, held: Vec::new() };
        Hearing { splitter, most, left: most, flooded: false }
    }

    /// Cuts off what exceeds a limit, and returns the limit, if any was exceeded.
    fn cut(&mut self, bytes: &mut Vec<u8>) -> Option<String> {
        let Most { bytes: left, lines } = &mut self.left;
        let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let too_many = ends.nth(*lines).map(|(at, _)| at);
        let flood = if bytes.len().min(too_many.unwrap_or(usize::MAX)) > *left {
            bytes.truncate(*left);
            Some(format!("{} bytes", self.most.bytes))
        } else if let Some(at) = too_many {
            bytes.truncate(at);
            Some(format!("{} lines", self.most.lines))
        } else {
            None
        };
        *left -= bytes.len();
        *lines -= bytes.iter().filter(|byte| **byte == b'\n').count();
        flood
    }

    /// Passes the news in `bytes` to `tell`. Returns whether `tell` wants more: it
    /// returns false once nobody is listening.
    fn hear(&mut self, bytes: &[u8], tell: impl Fn(News) -> bool) -> bool {
        self.splitter.split(bytes).into_iter().all(|news| match news {
            News::Output(mut bytes) if !self.flooded => {
                let flood = self.cut(&mut bytes);
                self.flooded = flood.is_some();
                tell(News::Output(bytes))
                    && flood.is_none_or(|most| tell(News::Flood(most)))
            }
            News::Output(_) => true,
            other => tell(other),
        })
    }
}

/// Separates the marks from the output, in a stream that may be cut anywhere.
struct Splitter {
    token: [u8; TOKEN_BYTES],
    /// Bytes that may be the beginning of a mark.
    held: Vec<u8>,
}

impl Splitter {
    fn split(&mut self, bytes: &[u8]) -> Vec<News> {
        self.held.extend_from_slice(bytes);
        let mut news = Vec::new();
        let output = |bytes: Vec<u8>, news: &mut Vec<News>| {
            if !bytes.is_empty() {
                news.push(News::Output(bytes));
            }
        };
        while let Some(at) = self
            .held
            .windows(TOKEN_BYTES + 1)
            .position(|w| w[..TOKEN_BYTES] == self.token)
        {
            let rest = self.held.split_off(at + TOKEN_BYTES + 1);
            let letter = self.held[at + TOKEN_BYTES];
            self.held.truncate(at);
            output(std::mem::replace(&mut self.held, rest), &mut news);
            news.push(if letter == Mark::Exit as u8 {
                News::Exited
            } else {
                News::Marked
            });
        }
        let whole = (1..=TOKEN_BYTES.min(self.held.len()))
            .rev()
            .find(|length| self.held.ends_with(&self.token[..*length]))
            .map_or(self.held.len(), |length| self.held.len() - length);
        let rest = self.held.split_off(whole);
        output(std::mem::replace(&mut self.held, rest), &mut news);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the output of a splitter for these pieces, with `<A>` and `<X>` for the
    /// marks.
    fn split(pieces: &[&[u8]]) -> String {
        let token = *b"12345678";
        let mut splitter = Splitter { token, held: Vec::new() };
        let mut out = String::new();
        for news in pieces.iter().flat_map(|piece| splitter.split(piece)) {
            match news {
                News::Output(bytes) => out.push_str(&String::from_utf8(bytes).unwrap()),
                News::Marked => out.push_str("<A>"),
                News::Exited => out.push_str("<X>"),
                News::Flood(_) => out.push_str("<F>"),
            }
        }
        out
    }

    #[test]
    fn marks_are_found_however_the_stream_is_cut() {
        let stream = b"ab12345678Acd1234567e12345678X12345678A";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces =
                    [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(split(&pieces), "ab<A>cd1234567e<X><A>");
            }
        }
    }

    #[test]
    fn a_flood_is_told_once_and_what_follows_is_dropped() {
        let most = Most { bytes: 300, lines: 20 };
        for (line, kept, said) in
            [(&b"x"[..], 300, "300 bytes"), (b"1\n", 41, "20 lines")]
        {
            flood(most, &line.repeat(1000), kept, said);
        }
    }

    fn flood(most: Most, stream: &[u8], bytes: usize, said: &str) {
        let told = Mutex::new(Vec::new());
        let mut hearing = Hearing::new(*b"12345678", most);
        let stream = [stream, b"12345678X"].concat();
        for piece in stream.chunks(70) {
            assert!(hearing.hear(piece, |news| {
                told.lock().unwrap().push(news);
                true
            }));
        }
        let told = told.into_inner().unwrap();
        let kept =
            |news: &News| if let News::Output(bytes) = news { bytes.len() } else { 0 };
        assert_eq!(told.iter().map(kept).sum::<usize>(), bytes);
        let floods: Vec<&str> = told
            .iter()
            .filter_map(
                |news| if let News::Flood(most) = news { Some(&**most) } else { None },
            )
            .collect();
        assert_eq!(floods, [said]);
        assert!(matches!(told.last(), Some(News::Exited)));
    }
}
