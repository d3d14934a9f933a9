//! Reads the pipes of a run's commands, in the order in which they were written to.
//!
//! One thread waits for all of them. The kernel queues a pipe when something is written
//! to it, and returns pipes from the front of that queue (`epoll(7)`, edge-triggered;
//! `kqueue(2)`). So a line that a server printed before it answered is read before the
//! line that the client printed about the answer. With a thread for each pipe, the order
//! would depend on which thread happens to wake up first. Only one case can still come
//! out of order: two lines of one pipe with a line of another between them, all printed
//! before this thread woke up.

use std::io::{self, PipeReader};

pub(super) use system::Reading;

/// Receives what comes out of a pipe. Returns `false` to end that.
type Hear = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// A pipe, and the function that receives what comes out of it.
struct Source {
    pipe: PipeReader,
    hear: Hear,
}

impl Source {
    /// Reads once. Returns whether there may be more.
    fn read(&mut self, buffer: &mut [u8]) -> bool {
        match io::Read::read(&mut self.pipe, buffer) {
            Ok(0) => false,
            Ok(count) => (self.hear)(&buffer[..count]),
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }
}

const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(unix)]
mod system {
    use std::collections::HashMap;
    use std::io::{self, PipeReader};
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token, Waker};

    use super::{BUFFER_BYTES, Source};

    /// The token of the waker; the pipes count from 0.
    const WAKE: Token = Token(usize::MAX);

    /// The thread that reads a run's pipes. Dropping this ends it.
    pub(in crate::run) struct Reading {
        sources: Option<Sender<Source>>,
        waker: Waker,
    }

    impl Reading {
        pub(in crate::run) fn start() -> io::Result<Reading> {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let (sources, added) = channel();
            let name = thread::Builder::new().name("reading".into());
            name.spawn(move || read(poll, &added))?;
            Ok(Reading { sources: Some(sources), waker })
        }

        /// Reads `pipe` from now on, until its end or until `hear` returns `false`.
        pub(in crate::run) fn add(
            &self,
            pipe: PipeReader,
            hear: impl FnMut(&[u8]) -> bool + Send + 'static,
        ) -> io::Result<()> {
            if let Some(sources) = &self.sources {
                let _ = sources.send(Source { pipe, hear: Box::new(hear) });
            }
            self.waker.wake()
        }
    }

    impl Drop for Reading {
        fn drop(&mut self) {
            self.sources = None;
            let _ = self.waker.wake();
        }
    }

    fn read(mut poll: Poll, added: &Receiver<Source>) {
        let mut sources = HashMap::new();
        let mut next = 0;
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match poll.poll(&mut events, None) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            }
            for event in &events {
                let token = event.token();
                if token == WAKE {
                    loop {
                        match added.try_recv() {
                            Ok(source) => {
                                let fd = source.pipe.as_raw_fd();
                                let mut fd = SourceFd(&fd);
                                let registry = poll.registry();
                                let token = Token(next);
                                next += 1;
                                if registry
                                    .register(&mut fd, token, Interest::READABLE)
                                    .is_ok()
                                {
                                    sources.insert(token, source);
                                }
                            }
                            Err(std::sync::mpsc::TryRecvError::Empty) => break,
                            Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                        }
                    }
                } else if let Some(source) = sources.get_mut(&token) {
                    let fd = source.pipe.as_raw_fd();
                    let mut fd = SourceFd(&fd);
                    let more = source.read(&mut buffer);
                    let registry = poll.registry();
                    // Read once, then put the pipe at the end of the queue if there is
                    // more, so that one that never stops printing does not keep the
                    // others waiting.
                    if !more
                        || registry
                            .reregister(&mut fd, token, Interest::READABLE)
                            .is_err()
                    {
                        let _ = registry.deregister(&mut fd);
                        sources.remove(&token);
                    }
                }
            }
        }
    }
}

/// On systems where one thread cannot wait for several pipes, each pipe has a thread.
#[cfg(not(unix))]
mod system {
    use std::io::{self, PipeReader};
    use std::thread;

    use super::{BUFFER_BYTES, Source};

    pub(in crate::run) struct Reading;

    impl Reading {
        pub(in crate::run) fn start() -> io::Result<Reading> {
            Ok(Reading)
        }

        pub(in crate::run) fn add(
            &self,
            pipe: PipeReader,
            hear: impl FnMut(&[u8]) -> bool + Send + 'static,
        ) -> io::Result<()> {
            let mut source = Source { pipe, hear: Box::new(hear) };
            thread::Builder::new().name("reading".into()).spawn(move || {
                let mut buffer = vec![0; BUFFER_BYTES];
                while source.read(&mut buffer) {}
            })?;
            Ok(())
        }
    }
}
