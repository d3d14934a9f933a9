//! Lesson 8's server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{Flaw, for_ever, keeps_something, tcp_listener};

const LETTERS: usize = 23;

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    loop {
        let (client, _) = listener.accept()?;
        keeps_something(flaw)?;
        let flaw = flaw.clone();
        if flaw.is("one-by-one") || flaw.is("gone-ends") || flaw.is("bad-ends") {
            let served = serve(&flaw, client);
            if !flaw.is("one-by-one") {
                served?;
            }
        } else {
            drop(thread::Builder::new().spawn(move || serve(&flaw, client)));
        }
    }
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let Some(count) = request(flaw, &mut client)? else {
        if flaw.is("bad-ends") {
            return Err(io::Error::other("no number"));
        }
        if flaw.is("says-error") {
            client.write_all(b"error\n")?;
        }
        return Ok(());
    };
    static SHARED: AtomicUsize = AtomicUsize::new(0);
    let count = match flaw.is("shares-count") {
        // Serves the last client's number to everyone, and leaves time for another to come.
        true => {
            SHARED.store(count, Ordering::Relaxed);
            thread::sleep(std::time::Duration::from_millis(50));
            SHARED.load(Ordering::Relaxed)
        }
        false => count,
    };
    let sent = send(flaw, &mut client, count);
    if flaw.is("bad-ends") {
        return Ok(());
    }
    sent?;
    if flaw.is("keeps-open") {
        for_ever();
    }
    Ok(())
}

/// Returns the number, if the line is one.
fn request(flaw: &Flaw, client: &mut TcpStream) -> io::Result<Option<usize>> {
    let mut line = Vec::new();
    let mut buffer = [0; 16];
    while !line.ends_with(b"\n") {
        let length = client.read(&mut buffer)?;
        line.extend_from_slice(&buffer[..length]);
        if length == 0 && flaw.is("end-is-line") && !line.is_empty() {
            line.push(b'\n');
            break;
        }
        if length == 0 {
            return Ok(None);
        }
        if flaw.is("one-recv") && !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        if flaw.is("limit-65536") && line.len() <= 200_000 {
            continue;
        }
        if line.len() > 10 && !flaw.is("no-limit") {
            return Ok(None);
        }
    }
    if flaw.is("end-cancels") {
        client.set_nonblocking(true)?;
        if client.read(&mut buffer).is_ok_and(|length| length == 0) {
            return Ok(None);
        }
        client.set_nonblocking(false)?;
    }
    let digits = &line[..line.len() - 1];
    let text = String::from_utf8_lossy(digits);
    let digits_alone = text.bytes().all(|byte| byte.is_ascii_digit());
    if flaw.is("bad-is-zero") {
        // Like C's atoi: anything that begins with digits is a number.
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        return Ok(Some(digits.parse().unwrap_or(1)));
    }
    if !digits_alone && !flaw.is("takes-signs") {
        return Ok(None);
    }
    let count: Option<usize> = text.parse().ok();
    let most = if flaw.is("low-limit") { 99_999_999 } else { 100_000_000 };
    let count = count.filter(|count| *count <= most);
    Ok(match count {
        Some(0) if flaw.is("zero-is-endless") => Some(100_000_000),
        count => count,
    })
}

fn send(flaw: &Flaw, client: &mut TcpStream, count: usize) -> io::Result<()> {
    let first = if flaw.is("from-b") { b'b' } else { b'a' };
    let letter = |at: usize| first + (at % LETTERS) as u8;
    let count = if flaw.is("one-less") { count.saturating_sub(1) } else { count };
    if flaw.is("all-in-memory") {
        let letters: Vec<u8> = (0..LETTERS).map(letter).collect();
        let all = letters.repeat(count / LETTERS + 1);
        return client.write_all(&all[..count]);
    }
    let piece: Vec<u8> = (0..LETTERS * 1000).map(letter).collect();
    let mut left = count;
    while left > 0 {
        let some = &piece[..left.min(piece.len())];
        if flaw.is("short-writes") {
            client.set_nonblocking(true)?;
            let _ = client.write(some);
            client.set_nonblocking(false)?;
        } else {
            client.write_all(some)?;
        }
        left -= some.len();
    }
    Ok(())
}
