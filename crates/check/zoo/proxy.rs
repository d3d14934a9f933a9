//! A proxy that copies both ways.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::{Flaw, loopback, tcp_listener};

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    let upstream = std::env::var("UPSTREAM").ok().and_then(|port| port.parse().ok());
    let upstream = loopback(upstream.unwrap_or(12346));
    let mut kept = Vec::new();
    loop {
        let (client, _) = listener.accept()?;
        let server = match TcpStream::connect(upstream) {
            Err(error) if flaw.is("refused-ends") => return Err(error),
            Err(_) => continue,
            Ok(server) => server,
        };
        if flaw.is("leaks") {
            kept.push(server.try_clone()?);
            kept.push(client.try_clone()?);
        }
        let flaw = flaw.clone();
        let one_by_one = flaw.is("one-by-one");
        let serving = thread::spawn(move || serve(&flaw, &client, &server));
        if one_by_one {
            drop(serving.join());
        }
    }
}

fn serve(flaw: &Flaw, client: &TcpStream, server: &TcpStream) {
    let ended = AtomicBool::new(false);
    if flaw.is("one-way") {
        copy(flaw, client, server, true, &ended);
        return;
    }
    if flaw.is("client-first") {
        let mut byte = [0];
        if client.peek(&mut byte).is_err() {
            return;
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| copy(flaw, client, server, true, &ended));
        copy(flaw, server, client, false, &ended);
    });
}

/// Copies one direction: what the client sends, or what comes back. `ended` says whether
/// either has ended, and is set before the other side can learn of it.
fn copy(
    flaw: &Flaw,
    mut from: &TcpStream,
    mut to: &TcpStream,
    there: bool,
    ended: &AtomicBool,
) {
    let short = flaw.is(if there { "short-writes" } else { "short-back" });
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let mut piece = buffer[..length].to_vec();
                if flaw.is("lossy") {
                    piece = String::from_utf8_lossy(&piece).into_owned().into_bytes();
                }
                let written = match short {
                    true => {
                        // Calls send(2) once, without blocking, and drops what it did not
                        // take.
                        const MSG_DONTWAIT: i32 = 0x40;
                        let socket = socket2::SockRef::from(to);
                        let _ = socket.send_with_flags(&piece, MSG_DONTWAIT);
                        Ok(())
                    }
                    false => to.write_all(&piece),
                };
                if written.is_err() {
                    return close(from, to);
                }
                // What comes after the end of the other direction must follow at once.
                if flaw.is("gives-up") && ended.load(Ordering::SeqCst) {
                    let _ = from.set_read_timeout(Some(Duration::from_millis(1)));
                }
            }
            Err(_) if flaw.is("reset-ends") => std::process::exit(1),
            Err(_) if flaw.is("keeps-other") => return,
            Err(_) => return close(from, to),
        }
    }
    ended.store(true, Ordering::SeqCst);
    match () {
        () if flaw.is("swallows-end") => {}
        () if flaw.is("closes-both") => close(from, to),
        () => drop(to.shutdown(Shutdown::Write)),
    }
}

fn close(from: &TcpStream, to: &TcpStream) {
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
