//! Sends as many bytes as a client asks for. Each client has a thread, so that one that does
//! not read stops no other; and each thread has one small piece, sent again and again, so
//! that memory does not grow with what is asked for.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const MOST: usize = 100_000_000;
/// 23 letters, a thousand times: the piece begins and ends with the pattern.
const PIECE_BYTES: usize = 23_000;

fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(12345)))?;
    loop {
        let (connection, client) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = serve(connection) {
                let _ = writeln!(io::stderr(), "serve {client}: {error}");
            }
        });
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let Some(mut left) = request(&mut connection)? else { return Ok(()) };
    let piece: Vec<u8> = (0..PIECE_BYTES).map(|at| b'a' + (at % 23) as u8).collect();
    while left > 0 {
        let some = &piece[..left.min(PIECE_BYTES)];
        // write_all calls send(2) until the kernel has taken all. A client that does not
        // read makes it wait: here, in its own thread.
        connection.write_all(some)?;
        left -= some.len();
    }
    Ok(())
}

/// Returns the number in the client's line, or `None` if there is none.
fn request(connection: &mut TcpStream) -> io::Result<Option<usize>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        // Reading byte by byte is slow, but takes nothing beyond the line.
        if connection.read(&mut byte)? == 0 || line.len() == 10 {
            return Ok(None);
        }
        line.extend_from_slice(&byte);
    }
    let digits = &line[..line.len() - 1];
    if !digits.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let count = String::from_utf8_lossy(digits).parse().ok();
    Ok(count.filter(|count| *count <= MOST))
}
