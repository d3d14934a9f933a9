//! A project after lesson 9: a web server that keeps its connections.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, explained, fails, fails_because};
use crate::peer::{Connection, settle};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "http",
    lesson: 9,
    optional: true,
    role: Role::TcpServer,
    statement: statement!("http"),
    learned: "HTTP is framing: lines up to an empty one, then as many bytes as the head says. \
              A server that misreads a length takes a body for the next request.",
    checks: &[
        must(
            "it answers `GET /` with status 200 and the body `hello\\n`",
            "the head is not HTTP/1.1 with \\r\\n and Content-Length, or the body differs",
            page::FRAMING,
            hello,
        ),
        must(
            "it answers the next request on the same connection, and counts them",
            "the connection is closed after a response, or the count is not its own",
            page::FRAMING,
            keeps_alive,
        ),
        must(
            "after `Connection: close` it says so as well, and closes",
            "the field is not read, or it is compared byte by byte with `close`",
            page::GOODBYE,
            closes,
        ),
        must(
            "after an HTTP/1.0 request it closes",
            "HTTP/1.0 has no keep-alive: such a client waits for the end of the stream",
            page::GOODBYE,
            old_client,
        ),
        must(
            "`POST /echo` gets its body back, whatever bytes it has",
            "the body is decoded as text, or one recv(2) was taken for the whole of it",
            page::FRAMING,
            echoes,
        ),
        must(
            "it answers a request that comes in pieces of nine bytes",
            "the result of one recv(2) was taken for one request, or one line",
            page::FRAMING,
            in_small_pieces,
        ),
        must(
            "it answers three requests that come at once, in order",
            "whatever came after the first was thrown away, or a body was read as a head",
            page::FRAMING,
            at_once,
        ),
        must(
            "`HEAD` is answered like `GET`, without the body",
            "a body follows, and the client takes it for the next response",
            page::FRAMING,
            heads,
        ),
        must(
            "another path gets 404, another method 405 and `Allow`, and the connection stays",
            "every path is answered with 200, or an error closes the connection",
            page::FRAMING,
            not_there,
        ),
        must(
            "field names may be in any case, and values may have spaces around them",
            "names are compared byte by byte, or spaces are taken for part of the value",
            page::FRAMING,
            any_case,
        ),
        must(
            "a bad request gets status 400, and its connection alone is closed",
            "what cannot be read is answered with 200, waited for, or ends the server",
            page::FRAMING,
            bad_requests,
        ),
        must(
            "a head over 8,192 bytes gets 431, a body over 1,000,000 gets 413, at once",
            "there is no limit, or a different one, or the status comes only after the body",
            page::FRAMING,
            too_large,
        ),
        must(
            "a request with Transfer-Encoding gets status 501",
            "the body is not where Content-Length says, and is read as the next request",
            page::FRAMING,
            chunked,
        ),
        must(
            "each connection has a count of its own, and a silent one blocks nobody",
            "the count is kept for all together, or one client is served at a time",
            page::GOODBYE,
            together,
        ),
        must(
            "a client that leaves in the middle of a request does not end the server",
            "an error on one connection ends the program",
            page::GOODBYE,
            leaves,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

/// A response of the server.
struct Response {
    status: u16,
    /// The header fields, with their names in lower case.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Expects this status and, if one is given, this body.
    fn expect(&self, status: u16, body: Option<&[u8]>) -> Outcome {
        if self.status != status {
            return fails(format!("status {status}"), format!("status {}", self.status));
        }
        match body {
            Some(body) if body != self.body => {
                let decoded = Diagnosis::of_difference(body, &self.body)
                    .filter(|it| *it == Diagnosis::DecodedAsText);
                let expected = format!("the body {}", quoted(body));
                fails_because(expected, quoted(&self.body), decoded)
            }
            _ => Ok(()),
        }
    }

    /// Expects the response to say that the connection will be closed.
    fn expect_close(&self) -> Outcome {
        match self.field("connection") {
            Some(value) if value.eq_ignore_ascii_case("close") => Ok(()),
            other => fails(
                "the field `Connection: close` in the response",
                other.map_or("no such field".into(), |it| quoted(it.as_bytes())),
            ),
        }
    }
}

/// Reads one response. The response to `HEAD` has no body.
fn receive(client: &mut Connection, has_body: bool) -> Outcome<Response> {
    const MOST: usize = 16 * 1024;
    let head = client.expect_through(b"\r\n\r\n", MOST)?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default();
    let words: Vec<&str> = first.splitn(3, ' ').collect();
    let status = match words[..] {
        ["HTTP/1.1", status, ..] if status.len() == 3 => status.parse().ok(),
        _ => None,
    };
    let Some(status) = status else {
        return fails("a line such as `HTTP/1.1 200 OK`", quoted(first.as_bytes()));
    };
    let mut fields = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains(' ') => {
                fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => return fails("a header field, `Name: value`", quoted(line.as_bytes())),
        }
    }
    let mut response = Response { status, fields, body: Vec::new() };
    let length = response.field("content-length").and_then(|it| it.parse().ok());
    let Some(length) = length else {
        return fails("the field `Content-Length`, a number", quoted(&head));
    };
    if has_body {
        response.body = client.expect_bytes(length)?;
    }
    Ok(response)
}

/// Sends an HTTP/1.1 request, with additional fields, and reads the response.
fn asks(
    client: &mut Connection,
    line: &str,
    fields: &str,
    body: &[u8],
) -> Outcome<Response> {
    client.send(&request(line, fields, body))?;
    receive(client, !line.starts_with("HEAD"))
}

fn request(line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = match body {
        b"" => String::new(),
        body => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n");
    [head.as_bytes(), body].concat()
}

/// Expects that the server still serves this client.
fn is_alive(client: &mut Connection) -> Outcome {
    asks(client, "GET /", "", b"")?.expect(200, Some(b"hello\n"))
}

fn hello(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    is_alive(&mut client)?;
    client.expect_silence()
}

fn keeps_alive(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for count in 1..=3 {
        let body = format!("{count}\n");
        asks(&mut client, "GET /count", "", b"")?.expect(200, Some(body.as_bytes()))?;
    }
    Ok(())
}

fn closes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for fields in ["Connection: close\r\n", "connection: Close\r\n"] {
        let mut client = arena.connect(&server)?;
        is_alive(&mut client)?;
        let response = asks(&mut client, "GET /count", fields, b"")?;
        response.expect(200, Some(b"2\n"))?;
        response.expect_close()?;
        client.expect_end()?;
    }
    Ok(())
}

fn old_client(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"GET / HTTP/1.0\r\n\r\n")?;
    let response = receive(&mut client, true)?;
    response.expect(200, Some(b"hello\n"))?;
    response.expect_close()?;
    client.expect_end()
}

fn echoes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for body in [&b"hello"[..], b"\0\xff\xfe\r\n\r\nGET / HTTP/1.1\r\n\r\n", b""] {
        asks(&mut client, "POST /echo", "", body)?.expect(200, Some(body))?;
    }
    // The body comes long after the head, and in pieces.
    let body = servers::pattern(3000);
    let bytes = request("POST /echo", "", &body);
    let head = bytes.len() - body.len();
    client.send_in_pieces([&bytes[..head], &body[..1000], &body[1000..]])?;
    receive(&mut client, true)?.expect(200, Some(&body))
}

fn in_small_pieces(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // The last piece is part of the body.
    let bytes = request("POST /echo", "", b"hello");
    client.send_in_pieces(bytes.chunks(9))?;
    receive(&mut client, true)?.expect(200, Some(b"hello"))
}

fn at_once(arena: &mut Arena<'_>) -> Outcome {
    const BODY: &[u8] = b"GET /nowhere HTTP/1.1\r\n\r\n";
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let three = [
        request("GET /", "", b""),
        request("POST /echo", "", BODY),
        request("GET /count", "", b""),
    ];
    client.send(&three.concat())?;
    receive(&mut client, true)?.expect(200, Some(b"hello\n"))?;
    receive(&mut client, true)?.expect(200, Some(BODY))?;
    receive(&mut client, true)?.expect(200, Some(b"3\n"))?;
    // One and a half.
    let next = request("GET /", "", b"");
    client.send(&[&next, &next[..9]].concat())?;
    let response = receive(&mut client, true);
    servers::at_once(response.and_then(|it| it.expect(200, Some(b"hello\n"))))?;
    client.send(&next[9..])?;
    receive(&mut client, true)?.expect(200, Some(b"hello\n"))
}

fn heads(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for (line, length) in [("HEAD /", "6"), ("HEAD /count", "2")] {
        let response = asks(&mut client, line, "", b"")?;
        response.expect(200, None)?;
        if response.field("content-length") != Some(length) {
            let got = response.field("content-length").unwrap_or_default();
            return fails(format!("Content-Length: {length}"), quoted(got.as_bytes()));
        }
        client.expect_silence()?;
    }
    asks(&mut client, "GET /count", "", b"")?.expect(200, Some(b"3\n"))
}

fn not_there(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for line in ["GET /nowhere", "POST /counts", "HEAD /echo/", "DELETE /nowhere"] {
        asks(&mut client, line, "", b"")?.expect(404, None)?;
    }
    for (line, allowed) in [
        ("POST /", &["GET", "HEAD"][..]),
        ("DELETE /count", &["GET", "HEAD"]),
        ("GET /echo", &["POST"]),
    ] {
        let response = asks(&mut client, line, "", b"")?;
        response.expect(405, None)?;
        let allow = response.field("allow").unwrap_or_default();
        let methods: Vec<&str> = allow.split(',').map(str::trim).collect();
        if !allowed.iter().all(|it| methods.contains(it)) {
            let expected = format!("the field `Allow: {}`", allowed.join(", "));
            return fails(expected, quoted(allow.as_bytes()));
        }
    }
    is_alive(&mut client)
}

fn any_case(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for head in [
        "POST /echo HTTP/1.1\r\nhost:localhost\r\ncontent-length:5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHOST: localhost\r\nCONTENT-LENGTH:   5  \r\n\r\n",
        "POST /echo HTTP/1.1\r\nhOsT: x\r\nX-Other: Content-Length: 7\r\n\
         Content-length: \t5\r\n\r\n",
    ] {
        client.send(&[head.as_bytes(), b"12345"].concat())?;
        receive(&mut client, true)?.expect(200, Some(b"12345"))?;
    }
    Ok(())
}

/// Expects a response with this status, and that the connection is closed. A server that
/// closes before it has read everything causes a reset, which may overtake its response.
fn is_refused(client: &mut Connection, status: u16) -> Outcome {
    let (answer, is_reset) = client.read_to_reset(64 * 1024)?;
    let line = format!("HTTP/1.1 {status} ");
    match answer.starts_with(line.as_bytes()) || answer.is_empty() && is_reset {
        true => Ok(()),
        false => fails(format!("a response with status {status}"), quoted(&answer)),
    }
}

fn bad_requests(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for bad in [
        &b"hello\r\n\r\n"[..],
        b"GET /\r\n\r\n",
        b"\xff\xfe / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 or so\r\nHost: x\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\nhellohello",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ] {
        let mut client = arena.connect(&server)?;
        client.send(bad)?;
        let refused = is_refused(&mut client, 400);
        let has_sign = bad.windows(2).any(|it| matches!(it, b" +" | b" -" | b"1_"));
        if has_sign { explained(refused, servers::MORE_THAN_DIGITS)? } else { refused? }
    }
    is_alive(&mut arena.connect(&server)?)
}

fn too_large(arena: &mut Arena<'_>) -> Outcome {
    const MOST_HEAD: usize = 8192;
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let head = |bytes: usize| {
        let rest = request("GET /", "X-Long: \r\n", b"").len();
        let field = format!("X-Long: {}\r\n", "x".repeat(bytes - rest));
        request("GET /", &field, b"")
    };
    client.send(&head(MOST_HEAD))?;
    receive(&mut client, true)?.expect(200, Some(b"hello\n"))?;
    client.close();
    let mut client = arena.connect(&server)?;
    client.send_if_it_can(&head(MOST_HEAD + 1));
    is_refused(&mut client, 431)?;
    // A head that never ends.
    let mut client = arena.connect(&server)?;
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")?;
    client.send_if_it_can(&b"X-Field: and so on\r\n".repeat(1000));
    is_refused(&mut client, 431)?;
    let mut client = arena.connect(&server)?;
    let body = servers::pattern(1_000_000);
    client.send_while_receiving(&request("POST /echo", "", &body), |client| {
        receive(client, true)?.expect(200, Some(&body))
    })?;
    client.close();
    // Send no byte of the body.
    for length in ["1000001", "99999999999999999999999"] {
        let mut client = arena.connect(&server)?;
        let field = format!("Content-Length: {length}\r\n");
        client.send(&request("POST /echo", &field, b""))?;
        is_refused(&mut client, 413)?;
    }
    is_alive(&mut arena.connect(&server)?)
}

fn chunked(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(&request("POST /echo", "Transfer-Encoding: chunked\r\n", b""))?;
    is_refused(&mut client, 501)?;
    is_alive(&mut arena.connect(&server)?)
}

fn together(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut silent = arena.connect(&server)?;
    silent.send(b"GET /count HTTP/1.1\r\nHo")?;
    settle(&server);
    let mut first = arena.connect(&server)?;
    for body in [b"1\n", b"2\n"] {
        asks(&mut first, "GET /count", "", b"")?.expect(200, Some(body))?;
    }
    let mut second = arena.connect(&server)?;
    asks(&mut second, "GET /count", "", b"")?.expect(200, Some(b"1\n"))?;
    asks(&mut first, "GET /count", "", b"")?.expect(200, Some(b"3\n"))?;
    silent.send(b"st: x\r\n\r\n")?;
    receive(&mut silent, true)?.expect(200, Some(b"1\n"))
}

fn leaves(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for cut in
        ["GET / HTT", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"]
    {
        let mut client = arena.connect(&server)?;
        client.send(cut.as_bytes())?;
        client.finish_sending()?;
        client.drain()?;
        client.close();
        let mut client = arena.connect(&server)?;
        client.send(cut.as_bytes())?;
        client.settle();
        client.reset()?;
        settle(&server);
    }
    is_alive(&mut arena.connect(&server)?)
}
