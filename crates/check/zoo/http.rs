//! A web server that keeps its connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Flaw, serve_each};

static COUNT_OF_ALL: AtomicU64 = AtomicU64::new(0);

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    serve_each(flaw, "reset-ends", serve)
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
    keep: bool,
}

/// Why there is no request: the stream ended, or it deserves an error status.
enum End {
    Stream,
    Bad(u16),
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut held = Vec::new();
    for own in 1.. {
        let request = match receive(flaw, &mut reader)? {
            Ok(request) => request,
            Err(End::Stream) => break,
            Err(End::Bad(_)) if flaw.is("bad-closes") => break,
            Err(End::Bad(_)) if flaw.is("bad-ends") => std::process::exit(1),
            Err(End::Bad(status)) => {
                let response = format!(
                    "HTTP/1.1 {status} Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                return client.write_all(response.as_bytes());
            }
        };
        let of_all = COUNT_OF_ALL.fetch_add(1, Ordering::Relaxed) + 1;
        let count = if flaw.is("shares-count") { of_all } else { own };
        let response = respond(flaw, &request, count);
        held.extend(response);
        if !flaw.is("holds-back") || reader.buffer().is_empty() {
            client.write_all(&std::mem::take(&mut held))?;
        }
        if flaw.is("drops-rest") {
            reader.consume(reader.buffer().len());
        }
        if !request.keep || flaw.is("always-closes") {
            break;
        }
    }
    Ok(())
}

fn receive(
    flaw: &Flaw,
    reader: &mut BufReader<TcpStream>,
) -> io::Result<Result<Request, End>> {
    let mut room = if flaw.is("low-limit") { 2000 } else { 8192 };
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if flaw.is("one-recv") && lines.is_empty() {
            // Takes the result of the first recv(2) for a whole head.
            let piece = reader.fill_buf()?.to_vec();
            let end = piece.windows(4).position(|it| it == b"\r\n\r\n");
            if end.is_none() && !piece.is_empty() {
                return Ok(Err(End::Bad(400)));
            }
        }
        if flaw.is("no-limit") {
            reader.read_until(b'\n', &mut line)?;
        } else {
            reader.take(room + 1).read_until(b'\n', &mut line)?;
            if line.len() as u64 > room {
                return Ok(Err(End::Bad(431)));
            }
            room -= line.len() as u64;
        }
        if !line.ends_with(b"\r\n") {
            return Ok(Err(End::Stream));
        }
        line.truncate(line.len() - 2);
        if line.is_empty() {
            break;
        }
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    let mut fields = Vec::new();
    for line in lines.iter().skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Err(End::Bad(400)));
        };
        let name = match flaw.is("strict-case") {
            true => name.to_owned(),
            false => name.to_ascii_lowercase(),
        };
        fields.push((name, value.trim().to_owned()));
    }
    let values = |name: &str| -> Vec<&str> {
        let of_name = |it: &&(String, String)| match flaw.is("strict-case") {
            true => {
                it.0.to_ascii_lowercase() == name && it.0.starts_with(char::is_uppercase)
            }
            false => it.0 == name,
        };
        fields.iter().filter(of_name).map(|it| it.1.as_str()).collect()
    };
    let words: Vec<&str> = lines.first().map_or("", String::as_str).split(' ').collect();
    let (method, path, is_new) = match words[..] {
        [method, path, "HTTP/1.1"] => (method, path, true),
        [method, path, "HTTP/1.0"] => (method, path, false),
        _ => return Ok(Err(End::Bad(400))),
    };
    let is_method = method.bytes().all(|it| it.is_ascii_uppercase());
    let needs_host = is_new && !flaw.is("no-host");
    if !is_method || needs_host && values("host").is_empty() {
        return Ok(Err(End::Bad(400)));
    }
    if !values("transfer-encoding").is_empty() && !flaw.is("ignores-chunked") {
        return Ok(Err(End::Bad(501)));
    }
    let lengths = values("content-length");
    let is_number =
        |it: &&str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let length = match lengths[..] {
        [] => 0,
        [text, ..] if flaw.is("any-number") => text.parse().unwrap_or(0),
        ["+5"] if flaw.is("takes-sign") => 5,
        [text, ..] if lengths.iter().all(|it| is_number(it) && *it == text) => {
            text.parse().unwrap_or(usize::MAX)
        }
        _ => return Ok(Err(End::Bad(400))),
    };
    if length > 1_000_000 && flaw.is("waits-for-body") {
        io::copy(&mut reader.take(length as u64), &mut io::sink())?;
    }
    if length > 1_000_000 {
        return Ok(Err(End::Bad(413)));
    }
    let mut body = vec![0; length];
    if flaw.is("body-is-one-recv") && length > 0 {
        let _ = reader.read(&mut body)?;
    } else {
        reader.read_exact(&mut body)?;
    }
    if flaw.is("lossy") {
        body = String::from_utf8_lossy(&body).into_owned().into_bytes();
    }
    let connection = values("connection").join(",").to_ascii_lowercase();
    let closes = connection == "close" && !flaw.is("never-closes");
    let keep = (is_new || flaw.is("old-stays")) && !closes;
    Ok(Ok(Request { method: method.to_owned(), path: path.to_owned(), body, keep }))
}

fn respond(flaw: &Flaw, request: &Request, count: u64) -> Vec<u8> {
    let (methods, text) = match request.path.as_str() {
        "/" => ("GET, HEAD", b"hello\n".to_vec()),
        "/count" => ("GET, HEAD", format!("{count}\n").into_bytes()),
        "/echo" => ("POST", request.body.clone()),
        _ => ("", Vec::new()),
    };
    let is_right = methods.split(", ").any(|it| it == request.method);
    let (status, text) = match () {
        () if flaw.is("always-ok") => ("200 OK", text),
        () if methods.is_empty() => ("404 Not Found", b"no such page\n".to_vec()),
        () if !is_right => ("405 Method Not Allowed", b"no\n".to_vec()),
        () => ("200 OK", text),
    };
    let mut head = format!("HTTP/1.1 {status}\r\n");
    if !flaw.is("no-length") {
        head += &format!("Content-Length: {}\r\n", text.len());
    }
    if !is_right && !methods.is_empty() && !flaw.is("no-allow") {
        head += &format!("Allow: {methods}\r\n");
    }
    if !request.keep && !flaw.is("no-close-field") {
        head += "Connection: close\r\n";
    }
    head += "\r\n";
    if flaw.is("newline") {
        head = head.replace("\r\n", "\n");
    }
    match request.method == "HEAD" && !flaw.is("head-body") {
        true => head.into_bytes(),
        false => [head.as_bytes(), &text].concat(),
    }
}
