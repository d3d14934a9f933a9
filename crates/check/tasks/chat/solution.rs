//! A chat with names. Each client has two threads: one reads its lines, one writes what is
//! waiting for it. So nobody waits for a client that does not read.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The maximum length of a line in bytes, without its newline.
const MOST_BYTES: u64 = 1000;
/// The maximum number of lines that wait for a client.
const MOST_LINES: usize = 1000;

struct Member {
    name: String,
    lines: SyncSender<Vec<u8>>,
    connection: TcpStream,
}

/// Everyone who has joined, in the order in which they came.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<Member>>>);

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    let room = Room::default();
    loop {
        let (connection, client) = listener.accept()?;
        let room = room.clone();
        thread::spawn(move || {
            if let Err(error) = serve(connection, &room) {
                let _ = writeln!(io::stderr(), "serve {client}: {error}");
            }
        });
    }
}

fn serve(mut connection: TcpStream, room: &Room) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    connection.write_all(b"name?\n")?;
    let Some(line) = receive(&mut reader)? else { return Ok(()) };
    let name = match String::from_utf8(line) {
        Ok(name) if is_name(&name) => name,
        _ => return connection.write_all(b"error: that is not a name\n"),
    };
    if !room.join(&name, &connection)? {
        return connection.write_all(b"error: that name is taken\n");
    }
    let talked = talk(&mut reader, &name, room);
    room.leave(&name);
    talked
}

/// Passes on what a member says, until it leaves.
fn talk(reader: &mut impl BufRead, name: &str, room: &Room) -> io::Result<()> {
    while let Some(line) = receive(reader)? {
        room.tell(name, &[format!("[{name}] ").as_bytes(), &line, b"\n"].concat());
    }
    Ok(())
}

/// Returns the next line without its newline, or `None` at the end of the stream.
fn receive(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(MOST_BYTES + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 == MOST_BYTES => {
            Err(io::Error::other("a line is too long"))
        }
        // What comes before the end of the stream without a newline is not a line.
        _ => Ok(None),
    }
}

fn is_name(name: &str) -> bool {
    (1..=16).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Room {
    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client with this name join. Returns whether the name was free.
    fn join(&self, name: &str, connection: &TcpStream) -> io::Result<bool> {
        // Hold the lock until everyone is told, so that all hear things in the same order.
        let mut members = self.members();
        if members.iter().any(|member| member.name == name) {
            return Ok(false);
        }
        let (lines, waiting) = mpsc::sync_channel::<Vec<u8>>(MOST_LINES);
        let mut writer = connection.try_clone()?;
        thread::spawn(move || {
            for line in waiting {
                if writer.write_all(&line).is_err() {
                    break;
                }
            }
            let _ = writer.shutdown(Shutdown::Both);
        });
        let mut here = "* here:".to_owned();
        for member in members.iter() {
            here = format!("{here} {}", member.name);
        }
        let _ = lines.try_send(format!("{here}\n").into_bytes());
        let connection = connection.try_clone()?;
        members.push(Member { name: name.to_owned(), lines, connection });
        tell(&members, name, format!("* {name} came\n").as_bytes());
        Ok(true)
    }

    fn leave(&self, name: &str) {
        let mut members = self.members();
        members.retain(|member| member.name != name);
        tell(&members, name, format!("* {name} left\n").as_bytes());
    }

    fn tell(&self, name: &str, line: &[u8]) {
        tell(&self.members(), name, line);
    }
}

/// Tells everyone but one.
fn tell(members: &[Member], except: &str, line: &[u8]) {
    for member in members.iter().filter(|member| member.name != except) {
        if member.lines.try_send(line.to_vec()).is_err() {
            // Too much is waiting for it: its own thread notices the end, and lets it leave.
            let _ = member.connection.shutdown(Shutdown::Both);
        }
    }
}
