//! A web server that keeps its connections, one thread per client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const MOST_HEAD_BYTES: usize = 8192;
const MOST_BODY_BYTES: usize = 1_000_000;

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

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
    /// Whether another request may follow.
    keep: bool,
}

/// Why there is no further request.
enum End {
    /// The stream has ended, perhaps in the middle of one.
    Stream,
    /// Nobody knows where the next one would begin; the status says why.
    Bad(u16),
    Error(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => End::Stream,
            _ => End::Error(error),
        }
    }
}

fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    for count in 1_u64.. {
        let request = match receive(&mut reader) {
            Ok(request) => request,
            Err(End::Stream) => break,
            Err(End::Error(error)) => return Err(error),
            Err(End::Bad(status)) => {
                return connection.write_all(&response(status, b"", "", false, true));
            }
        };
        let (status, text, methods) = answer(&request, count);
        let with_body = request.method != "HEAD";
        connection.write_all(&response(
            status,
            &text,
            methods,
            request.keep,
            with_body,
        ))?;
        if !request.keep {
            break;
        }
    }
    Ok(())
}

fn receive(reader: &mut impl BufRead) -> Result<Request, End> {
    let mut room = MOST_HEAD_BYTES;
    let first = line(reader, &mut room)?;
    let mut fields: Vec<(String, String)> = Vec::new();
    loop {
        let line = line(reader, &mut room)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(End::Bad(400))?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(End::Bad(400));
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let values = |name: &'static str| {
        fields.iter().filter(move |it| it.0 == name).map(|it| it.1.as_str())
    };
    let words: Vec<&str> = first.split(' ').collect();
    let (method, path, is_new) = match words[..] {
        [method, path, "HTTP/1.1"] => (method, path, true),
        [method, path, "HTTP/1.0"] => (method, path, false),
        _ => return Err(End::Bad(400)),
    };
    let is_method =
        !method.is_empty() && method.bytes().all(|it| it.is_ascii_uppercase());
    let has_host = values("host").next().is_some();
    if !is_method || !path.starts_with('/') || is_new && !has_host {
        return Err(End::Bad(400));
    }
    if values("transfer-encoding").next().is_some() {
        return Err(End::Bad(501));
    }
    let mut body = vec![0; length(values("content-length"))?];
    reader.read_exact(&mut body)?;
    let closes = values("connection")
        .flat_map(|value| value.split(','))
        .any(|wish| wish.trim().eq_ignore_ascii_case("close"));
    let keep = is_new && !closes;
    Ok(Request { method: method.to_owned(), path: path.to_owned(), body, keep })
}

/// Returns the next line of a head without its `\r\n`. All lines together must fit into `room`.
fn line(reader: &mut impl BufRead, room: &mut usize) -> Result<String, End> {
    let mut line = Vec::new();
    reader.take(*room as u64 + 1).read_until(b'\n', &mut line)?;
    *room = room.checked_sub(line.len()).ok_or(End::Bad(431))?;
    if line.last() != Some(&b'\n') {
        return Err(End::Stream);
    }
    let line = line.strip_suffix(b"\r\n").ok_or(End::Bad(400))?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// Returns the number of bytes in the body, from all values of `Content-Length`.
fn length<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<usize, End> {
    let Some(text) = values.next() else { return Ok(0) };
    // parse() accepts +5 as well.
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number || values.any(|other| other != text) {
        return Err(End::Bad(400));
    }
    // What does not fit into an integer is too large as well.
    match text.parse() {
        Ok(length) if length <= MOST_BODY_BYTES => Ok(length),
        _ => Err(End::Bad(413)),
    }
}

/// Returns the status, the body, and the methods that the path has.
fn answer(request: &Request, count: u64) -> (u16, Vec<u8>, &'static str) {
    let (methods, text) = match request.path.as_str() {
        "/" => ("GET, HEAD", b"hello\n".to_vec()),
        "/count" => ("GET, HEAD", format!("{count}\n").into_bytes()),
        "/echo" => ("POST", request.body.clone()),
        _ => return (404, b"no such page\n".to_vec(), ""),
    };
    match methods.split(", ").any(|it| it == request.method) {
        true => (200, text, ""),
        false => (405, b"not with this method\n".to_vec(), methods),
    }
}

fn response(
    status: u16,
    text: &[u8],
    methods: &str,
    keep: bool,
    with_body: bool,
) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Not Implemented",
    };
    let length = text.len();
    let mut head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\n");
    if !methods.is_empty() {
        head += &format!("Allow: {methods}\r\n");
    }
    if !keep {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    let body = if with_body { text } else { b"" };
    [head.as_bytes(), body].concat()
}
