//! A server that answers requests in JSON, one per line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{Flaw, serve_each};

static COUNT_OF_ALL: AtomicU64 = AtomicU64::new(0);

pub(crate) fn run(flaw: &Flaw) -> io::Result<()> {
    serve_each(flaw, "reset-ends", serve)
}

/// A client, and what it has sent that is not a whole line yet.
struct Lines {
    reader: BufReader<TcpStream>,
}

impl Lines {
    /// Returns the next line without its newline, or `None` if no whole one comes.
    fn next(&mut self, flaw: &Flaw) -> io::Result<Option<Vec<u8>>> {
        const MOST: u64 = 65_536;
        let mut line = Vec::new();
        if flaw.is("one-recv") {
            line = vec![0; 128 * 1024];
            let length = self.reader.read(&mut line)?;
            line.truncate(length);
            return Ok((length > 0).then_some(line));
        }
        if flaw.is("decodes-pieces") {
            return self.decode_pieces();
        }
        if flaw.is("no-limit") {
            self.reader.read_until(b'\n', &mut line)?;
        } else if flaw.is("limits-parts") {
            // Looks at the limit once for each buffer, and only while no newline has come.
            while !line.ends_with(b"\n") && line.len() as u64 <= MOST {
                let most = 1024;
                if (&mut self.reader).take(most).read_until(b'\n', &mut line)? == 0 {
                    break;
                }
            }
        } else {
            let most = if flaw.is("low-limit") { 4096 } else { MOST };
            (&mut self.reader).take(most + 1).read_until(b'\n', &mut line)?;
        }
        if flaw.is("drops-rest") {
            self.reader.consume(self.reader.buffer().len());
        }
        match line.pop() {
            Some(b'\n') => Ok(Some(line)),
            Some(last) if flaw.is("answers-half") => {
                line.push(last);
                Ok(Some(line))
            }
            _ => Ok(None),
        }
    }

    /// The next line, of which each piece is decoded by itself.
    fn decode_pieces(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() <= 65_536 {
            let piece = self.reader.fill_buf()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |end| end + 1);
            if length == 0 {
                return Ok(None);
            }
            line.extend_from_slice(String::from_utf8_lossy(&piece[..length]).as_bytes());
            self.reader.consume(length);
        }
        let is_whole = line.pop() == Some(b'\n');
        Ok((is_whole && line.len() <= 65_536).then_some(line))
    }
}

fn serve(flaw: &Flaw, mut client: TcpStream) -> io::Result<()> {
    let mut lines = Lines { reader: BufReader::new(client.try_clone()?) };
    let mut held = Vec::new();
    let mut no_requests = 0;
    for own in 1.. {
        let Some(line) = lines.next(flaw)? else { break };
        let of_all = COUNT_OF_ALL.fetch_add(1, Ordering::Relaxed) + 1;
        let count = match () {
            () if flaw.is("shares-count") => of_all,
            () if flaw.is("counts-requests") => own - no_requests,
            () => own,
        };
        let answer = answer(flaw, &line, count);
        no_requests += u64::from(answer["id"].is_null());
        if flaw.is("error-closes") && answer.get("error").is_some() {
            break;
        }
        let text = match flaw.is("pretty") {
            true => serde_json::to_string_pretty(&answer)?,
            false => answer.to_string(),
        };
        let text = if flaw.is("raw-newline") { text.replace("\\n", "\n") } else { text };
        let end = if flaw.is("no-newline") { "" } else { "\n" };
        held.extend_from_slice(format!("{text}{end}").as_bytes());
        let more = flaw.is("holds-back") && !lines.reader.buffer().is_empty();
        if !flaw.is("at-the-end") && !more {
            client.write_all(&held)?;
            held.clear();
        }
    }
    client.write_all(&held)?;
    if flaw.is("never-ends") {
        crate::for_ever();
    }
    Ok(())
}

fn answer(flaw: &Flaw, line: &[u8], count: u64) -> Value {
    let line = match flaw.is("lossy") {
        true => String::from_utf8_lossy(line).into_owned().into_bytes(),
        false => line.to_vec(),
    };
    // This is how a parser ends that calls itself for each `[`.
    if flaw.is("deep-ends") && line.iter().filter(|byte| **byte == b'[').count() > 5000 {
        std::process::abort();
    }
    let request: Value = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(_) if flaw.is("bad-ends") => std::process::exit(1),
        Err(error) => return json!({ "id": null, "error": error.to_string() }),
    };
    let is_whole = |value: &Value| match () {
        () if flaw.is("true-is-one") && value.is_boolean() => true,
        () if flaw.is("any-number") => value.is_number(),
        () => value.is_i64() || value.is_u64(),
    };
    let (id, method) = (&request["id"], &request["method"]);
    let id_is_right = is_whole(id) || id.is_string() || flaw.is("any-id");
    let (true, Some(method), Some(params)) =
        (id_is_right, method.as_str(), request["params"].as_array())
    else {
        return json!({ "id": null, "error": "not a request" });
    };
    let result = match (method, params.as_slice()) {
        ("echo", [value]) if flaw.is("drops-null") && value.is_null() => {
            return json!({ "id": id });
        }
        ("echo", [value]) => Some(value.clone()),
        ("sum", [one, other]) if flaw.is("sums-two") => {
            sum(&[one.clone(), other.clone()])
        }
        ("sum", _) if flaw.is("sums-two") => None,
        ("sum", numbers) if flaw.is("true-is-one") => {
            let one =
                |it: &Value| it.as_bool().map_or(it.clone(), |it| Value::from(it as u8));
            sum(&numbers.iter().map(one).collect::<Vec<_>>())
        }
        ("sum", numbers) if flaw.is("any-number") => {
            let all: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
            all.map(|all| Value::from(all.iter().sum::<f64>()))
        }
        ("sum", numbers) => sum(numbers),
        ("count", []) => Some(Value::from(count)),
        _ => None,
    };
    let id = match flaw.is("id-is-text") {
        true => Value::from(id.as_str().map_or(id.to_string(), str::to_owned)),
        false => id.clone(),
    };
    match result {
        Some(result) => json!({ "id": id, "result": result }),
        None if flaw.is("error-without-id") => json!({ "id": null, "error": "wrong" }),
        None => json!({ "id": id, "error": "wrong" }),
    }
}

fn sum(numbers: &[Value]) -> Option<Value> {
    let add = |sum: i64, number: &Value| sum.checked_add(number.as_i64()?);
    numbers.iter().try_fold(0, add).map(Value::from)
}
