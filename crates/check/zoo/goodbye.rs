//! Lesson 9's server.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
use signal_hook::{consts::SIGTERM, iterator::Signals};

use crate::{Flaw, keeps_something, tcp_listener};

/// Whether SIGTERM has come.
static FLAG: AtomicBool = AtomicBool::new(false);

enum News {
    Client(TcpStream),
    Done,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has the signal"))]
    Terminate,
}

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    let (sender, news) = mpsc::channel();
    #[cfg(unix)]
    if !flaw.is("no-handler") {
        let mut signals = Signals::new([SIGTERM])?;
        let sender = sender.clone();
        thread::spawn(move || {
            signals.forever().for_each(|_| drop(sender.send(News::Terminate)))
        });
    }
    // The accepting thread has a copy of the listener; shutdown(2) wakes it up.
    let accepting = listener.try_clone()?;
    let to = sender.clone();
    let keeping = flaw.clone();
    thread::spawn(move || accept(&keeping, &accepting, &to));
    let mut listener = Some(listener);
    let mut clients = 0;
    let mut until = None;
    loop {
        let left = match until {
            Some(_) if flaw.is("waits-for-ever") => Duration::from_secs(3600),
            Some(until) => Instant::saturating_duration_since(&until, Instant::now()),
            None => Duration::from_secs(3600),
        };
        match news.recv_timeout(left) {
            Ok(News::Client(_))
                if flaw.is("flag-only") && FLAG.load(Ordering::Relaxed) =>
            {
                return Ok(());
            }
            Ok(News::Client(client)) if until.is_none() || flaw.is("keeps-listening") => {
                clients += 1;
                let (flaw, sender) = (flaw.clone(), sender.clone());
                let one_by_one = flaw.is("one-by-one");
                let served = thread::spawn(move || {
                    let result = serve(&flaw, client);
                    if result.is_err() && flaw.is("reset-ends") {
                        std::process::exit(1);
                    }
                    drop(sender.send(News::Done));
                });
                if one_by_one {
                    drop(served.join());
                }
            }
            Ok(News::Client(_)) => {}
            Ok(News::Done) => clients -= 1,
            Ok(News::Terminate) => {
                match () {
                    () if flaw.is("ignores-term") || flaw.is("flag-only") => {
                        FLAG.store(true, Ordering::Relaxed);
                        continue;
                    }
                    () if flaw.is("dies-at-once") => return Ok(()),
                    () if flaw.is("status-143") => std::process::exit(143),
                    () => {}
                }
                let grace_ms = match () {
                    () if flaw.is("short-grace") => 200,
                    () if flaw.is("long-grace") => 4000,
                    () => 1000,
                };
                until = Some(Instant::now() + Duration::from_millis(grace_ms));
                if !flaw.is("keeps-listening")
                    && let Some(listener) = listener.take()
                {
                    socket2::SockRef::from(&listener)
                        .shutdown(std::net::Shutdown::Both)?;
                }
            }
            Err(RecvTimeoutError::Timeout) if flaw.is("cut-off-is-error") => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if until.is_some() && clients == 0 {
            return Ok(());
        }
    }
}

fn accept(flaw: &Flaw, listener: &TcpListener, to: &Sender<News>) {
    // It fails once the listener is shut down.
    while let Ok((client, _)) = listener.accept() {
        drop(keeps_something(flaw));
        if to.send(News::Client(client)).is_err() {
            return;
        }
    }
}

/// The number of bytes from all clients.
static ALL: AtomicUsize = AtomicUsize::new(0);

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut count = 0;
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        match flaw.is("lossy") {
            true => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                client.write_all(text.as_bytes())?;
            }
            false => client.write_all(&buffer[..length])?,
        }
        match () {
            () if flaw.is("counts-calls") => count += 1,
            () if flaw.is("counts-last") => count = length,
            () if flaw.is("counts-characters") => {
                // A character begins with a byte that does not continue one.
                let begins = |byte: &&u8| **byte & 0xc0 != 0x80;
                count += buffer[..length].iter().filter(begins).count();
            }
            () if flaw.is("counts-all") => {
                count = ALL.fetch_add(length, Ordering::Relaxed) + length;
            }
            () => count += length,
        }
        if flaw.is("one-recv") {
            break;
        }
    }
    match () {
        () if flaw.is("closes-at-once") => {}
        () if flaw.is("silent-gets-none") && count == 0 => {}
        () if flaw.is("no-newline") => {
            client.write_all(format!("bye {count}").as_bytes())?
        }
        () => client.write_all(format!("bye {count}\n").as_bytes())?,
    }
    if flaw.is("keeps-open") {
        crate::for_ever();
    }
    Ok(())
}
