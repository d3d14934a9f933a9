//! A chat with names.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{Flaw, keeps_something, tcp_listener};

struct Member {
    name: String,
    lines: Sender<Vec<u8>>,
    stream: TcpStream,
}

static ROOM: Mutex<Vec<Member>> = Mutex::new(Vec::new());

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    let listener = tcp_listener(flaw)?;
    loop {
        let (client, _) = listener.accept()?;
        keeps_something(flaw)?;
        let flaw = flaw.clone();
        thread::spawn(move || {
            if serve(&flaw, client).is_err() && flaw.is("reset-ends") {
                std::process::exit(1);
            }
        });
    }
}

/// What has come and is not a whole line yet.
struct Lines {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Lines {
    fn next(&mut self, flaw: &Flaw) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.held.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.held.drain(..=at).collect();
                line.pop();
                let limits_parts = flaw.is("limits-parts") || flaw.is("no-limit");
                if line.len() > 1000 && !limits_parts {
                    return Ok(None);
                }
                if flaw.is("drops-rest") {
                    self.held.clear();
                }
                return Ok(Some(line));
            }
            if self.held.len() > 1000 && !flaw.is("no-limit") {
                return Ok(None);
            }
            let length = self.stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(None);
            }
            self.held.extend_from_slice(&buffer[..length]);
            if flaw.is("one-recv") {
                return Ok(Some(self.held.drain(..).filter(|it| *it != b'\n').collect()));
            }
        }
    }
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut lines = Lines { stream: client.try_clone()?, held: Vec::new() };
    if flaw.is("tells-nameless") {
        join(flaw, "", &client)?;
    }
    if !flaw.is("waits") {
        client.write_all(b"name?\n")?;
    }
    let Some(line) = lines.next(flaw)? else { return Ok(()) };
    let mut name = String::from_utf8_lossy(&line).into_owned();
    if flaw.is("strips-name") {
        name = name.trim().to_owned();
    }
    let is_letter =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' && flaw.is("underscore");
    let good = (1..=16).contains(&name.len()) && name.bytes().all(is_letter);
    if !good && !flaw.is("any-name") {
        return client.write_all(b"error: not a name\n");
    }
    let is_taken = room().iter().any(|member| member.name == name);
    if is_taken && !flaw.is("takes-name") {
        return client.write_all(b"error: taken\n");
    }
    join(flaw, &name, &client)?;
    let result = loop {
        match lines.next(flaw) {
            Ok(Some(line)) => {
                let line = match flaw.is("strips") {
                    true => line.trim_ascii().to_vec(),
                    false => line,
                };
                let except = if flaw.is("echoes") { "" } else { &name };
                tell(
                    flaw,
                    except,
                    &[format!("[{name}] ").as_bytes(), &line, b"\n"].concat(),
                );
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if result.is_err() && flaw.is("reset-stays") {
        return result;
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    if !flaw.is("stays") {
        room().retain(|member| member.name != name);
        tell(flaw, &name, format!("* {name} left\n").as_bytes());
    }
    result
}

fn room() -> std::sync::MutexGuard<'static, Vec<Member>> {
    ROOM.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(flaw: &Flaw, name: &str, client: &TcpStream) -> io::Result<()> {
    let (lines, waiting) = mpsc::channel::<Vec<u8>>();
    let mut writer = client.try_clone()?;
    thread::spawn(move || {
        waiting.into_iter().try_for_each(|line| writer.write_all(&line))
    });
    let mut room = room();
    let names = room.iter().map(|member| format!(" {}", member.name));
    if !name.is_empty() {
        let here = format!("* here:{}\n", names.collect::<String>());
        let _ = lines.send(here.into_bytes());
    }
    if !flaw.is("silent-join") && !name.is_empty() {
        let line = format!("* {name} came\n");
        room.iter().for_each(|member| drop(member.lines.send(line.clone().into_bytes())));
    }
    room.push(Member { name: name.to_owned(), lines, stream: client.try_clone()? });
    Ok(())
}

fn tell(flaw: &Flaw, except: &str, line: &[u8]) {
    let room = room();
    if flaw.is("awaits-each") {
        // Waits for each, without the lock: others may come and talk meanwhile.
        let others = room.iter().filter(|member| member.name != except);
        let streams = others.map(|it| it.stream.try_clone());
        let streams: Vec<TcpStream> = streams.filter_map(Result::ok).collect();
        drop(room);
        return streams.iter().for_each(|mut it| drop(it.write_all(line)));
    }
    for member in room.iter().filter(|member| member.name != except) {
        match flaw.is("writes-itself") {
            true => drop((&member.stream).write_all(line)),
            false => drop(member.lines.send(line.to_vec())),
        }
    }
}
