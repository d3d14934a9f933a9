//! The services of RFC 862 to 868, over TCP and over UDP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Flaw, loopback, tcp_listener, udp_socket};

pub(crate) fn run_tcp(service: &str, flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    let mut kept = Vec::new();
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // Out of descriptors: other clients will leave, and then it can continue.
            Err(error) if is_exhausted(&error) && !flaw.is("exhausted-ends") => {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            Err(error) if is_exhausted(&error) => return Err(error),
            Err(_) => continue,
        };
        if flaw.is("asks-peer") {
            stream.peer_addr()?;
        }
        if flaw.is("leaks") {
            kept.push(stream.try_clone()?);
        }
        if flaw.is("zombies") {
            // Starts a process for each client, and never waits for it.
            drop(std::process::Command::new("true").spawn()?);
        }
        let (service, flaw) = (service.to_owned(), flaw.clone());
        if flaw.is("one-by-one") || flaw.is("reset-ends") || flaw.is("one-client") {
            let result = serve(&service, &flaw, stream);
            if flaw.is("reset-ends") {
                result?;
            }
            if flaw.is("one-client") {
                return Ok(());
            }
        } else {
            let served =
                thread::Builder::new().spawn(move || serve(&service, &flaw, stream));
            drop(served);
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    error.raw_os_error() == Some(EMFILE)
}

fn serve(service: &str, flaw: &Flaw, stream: TcpStream) -> io::Result<()> {
    match service {
        "rfc862" => echo(flaw, stream),
        "rfc863" => discard(flaw, stream),
        "rfc864" => chargen(flaw, stream),
        "rfc867" => short(flaw, stream, &date(flaw)),
        _ => short(flaw, stream, &seconds(flaw)),
    }
}

/// What all clients have sent, for a flaw that sends all of it to each.
static ALL: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn echo(flaw: &Flaw, mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    if flaw.is("greets") {
        stream.write_all(b"hello\r\n")?;
    }
    // Neither is wrong, but the first never rests.
    let pauses = flaw.is("polls-at-times");
    let polls = flaw.is("polls") || pauses;
    if polls {
        stream.set_nonblocking(true)?;
    }
    if flaw.is("reads-to-end") {
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        return stream.write_all(&all);
    }
    loop {
        let length = match stream.read(&mut buffer) {
            Err(error) if polls && error.kind() == ErrorKind::WouldBlock => {
                if pauses {
                    thread::sleep(Duration::from_millis(10));
                }
                continue;
            }
            length => length?,
        };
        if length == 0 {
            match () {
                () if flaw.is("never-ends") => crate::for_ever(),
                () if flaw.is("spins-at-the-end") => continue,
                () if flaw.is("keeps-threads") => {
                    drop(stream);
                    crate::for_ever();
                }
                () => return Ok(()),
            }
        }
        let piece = &buffer[..length];
        if flaw.is("chatty") {
            println!("received {}", crate::escaped(piece));
        }
        match () {
            () if flaw.is("sends-all") => {
                let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend_from_slice(piece);
                stream.write_all(if all.len() < 100 { &all } else { piece })?;
            }
            () if polls => {
                let mut left = piece;
                while !left.is_empty() {
                    match stream.write(left) {
                        Ok(sent) => left = &left[sent..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            () if flaw.is("lossy") => {
                stream.write_all(String::from_utf8_lossy(piece).as_bytes())?;
            }
            () if flaw.is("prefix") => stream.write_all(&[b"Echo: ", piece].concat())?,
            () if flaw.is("short-writes") => {
                // Calls send(2) once, and forgets what it did not take.
                stream.set_nonblocking(true)?;
                let sent = stream.write(piece);
                stream.set_nonblocking(false)?;
                match sent {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    sent => drop(sent?),
                }
            }
            () => stream.write_all(piece)?,
        }
        if flaw.is("one-message") {
            return Ok(());
        }
        if flaw.is("times-out") {
            // After one message, the next must come soon.
            let soon = Duration::from_millis(400);
            stream.set_read_timeout((length < 100).then_some(soon))?;
        }
    }
}

fn discard(flaw: &Flaw, mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    if flaw.is("reads-nothing") {
        crate::for_ever();
    }
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            if flaw.is("never-ends") {
                crate::for_ever();
            }
            return Ok(());
        }
        if flaw.is("answers") {
            stream.write_all(b"ok\r\n")?;
        }
    }
}

fn chargen(flaw: &Flaw, mut stream: TcpStream) -> io::Result<()> {
    if flaw.is("waits") {
        stream.read_exact(&mut [0])?;
    }
    if !flaw.is("reads-nothing") {
        let mut reading = stream.try_clone()?;
        thread::spawn(move || io::copy(&mut reading, &mut io::sink()));
    }
    for number in 0_usize.. {
        if flaw.is("stops") && number == 1000 {
            break;
        }
        let ring = |at: usize| b' ' + ((number + at) % 95) as u8;
        let mut line: Vec<u8> = (0..72).map(ring).collect();
        if flaw.is("no-shift") {
            line = (b' '..b' ' + 72).collect();
        }
        line.extend_from_slice(if flaw.is("newline") { b"\n" } else { b"\r\n" });
        if let Err(error) = stream.write_all(&line) {
            if flaw.is("gone-ends") {
                std::process::exit(1);
            }
            return Err(error);
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// Sends the answer, discards what came, and closes without a reset.
fn short(flaw: &Flaw, mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    if flaw.is("waits") {
        stream.read_exact(&mut [0])?;
    }
    stream.write_all(answer)?;
    if flaw.is("keeps-open") {
        crate::for_ever();
    }
    if flaw.is("leaves-unread") {
        return Ok(());
    }
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Returns a date that is right to the day: `2026-11-24 03:04:05 UTC`.
fn date(flaw: &Flaw) -> Vec<u8> {
    let seconds = now_s();
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days.
    let z = day + 719_468;
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let date = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let year = if flaw.is("two-digits") { year % 100 } else { year };
    let mut text =
        format!("{year}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02} UTC");
    match () {
        () if flaw.is("newline") => text.push('\n'),
        () if flaw.is("zero-byte") => text.push_str("\r\n\0"),
        () if flaw.is("not-ascii") => text.push_str(" \u{1f570}\r\n"),
        () => text.push_str("\r\n"),
    }
    text.into_bytes()
}

fn seconds(flaw: &Flaw) -> Vec<u8> {
    let from_1900 = if flaw.is("since-1970") { 0 } else { 2_208_988_800 };
    let seconds = (now_s() + from_1900) as u32;
    match () {
        () if flaw.is("little-endian") => seconds.to_le_bytes().to_vec(),
        () if flaw.is("eight-bytes") => u64::from(seconds).to_be_bytes().to_vec(),
        () => seconds.to_be_bytes().to_vec(),
    }
}

pub(crate) fn run_udp(service: &str, flaw: &Flaw) -> io::Result<()> {
    let socket = udp_socket(flaw)?;
    let size = match () {
        () if flaw.is("buffer-1024") => 1024,
        () if flaw.is("buffer-16k") => 16 * 1024,
        () => 65_536,
    };
    let mut buffer = vec![0; size];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        if length == 0 {
            match () {
                () if flaw.is("empty-is-the-end") => return Ok(()),
                () if flaw.is("skips-empty") => continue,
                () => {}
            }
        }
        if flaw.is("connects") {
            socket.connect(client)?;
        }
        let message = &buffer[..length];
        let answer = match service {
            "rfc862-udp" if flaw.is("lossy") => {
                String::from_utf8_lossy(message).into_owned().into_bytes()
            }
            "rfc862-udp" if flaw.is("prefix") => [b"Echo: ", message].concat(),
            "rfc862-udp" => message.to_vec(),
            "rfc863-udp" if flaw.is("answers") => b"ok".to_vec(),
            "rfc863-udp" => continue,
            "rfc864-udp" if flaw.is("long") => vec![b'x'; 513],
            "rfc864-udp" if flaw.is("not-ascii") => vec![0x80; 72],
            "rfc864-udp" => (b' '..=b'~').collect(),
            "rfc867-udp" => date(flaw),
            _ => seconds(flaw),
        };
        let times = if flaw.is("twice") { 2 } else { 1 };
        for _ in 0..times {
            let sent = match () {
                () if flaw.is("other-port") => {
                    UdpSocket::bind(loopback(0))?.send_to(&answer, client)
                }
                () if flaw.is("connects") => socket.send(&answer),
                () => socket.send_to(&answer, client),
            };
            // One client that cannot be reached is no reason to stop serving the others.
            drop(sent);
        }
    }
}
