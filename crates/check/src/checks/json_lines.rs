//! A project after lesson 9: a server that answers requests in JSON, one per line.

use serde_json::{Value, json};

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, explained, fails, fails_because};
use crate::peer::{Connection, settle};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "json-lines",
    lesson: 9,
    optional: true,
    role: Role::TcpServer,
    statement: statement!("json-lines"),
    learned: "A line is a frame, and JSON fits into one: a parser reads a whole line, never \
              what one recv returned, and what it refuses gets an answer too.",
    checks: &[
        must(
            "it answers a request with one line of JSON: the id that came, and the result",
            "the answer is not one JSON object on one line, or its `id` or `result` differs",
            page::FRAMING,
            answers,
        ),
        must(
            "the id of an answer is a number for a number, a string for a string",
            "the id is turned into text, or counted by the server",
            page::FRAMING,
            ids,
        ),
        must(
            "`sum` adds any number of whole numbers: negative ones, a single one, none",
            "`sum` does not take any number of parameters",
            page::FRAMING,
            sums,
        ),
        must(
            "`echo` gives back any value: nested, null, and text with a newline in it",
            "a newline in a string must be written as \\n, and text as UTF-8 or as \\u escapes",
            page::FRAMING,
            values,
        ),
        must(
            "it answers a request that comes in small pieces",
            "the result of one recv(2) was taken for one line",
            page::FRAMING,
            byte_by_byte,
        ),
        must(
            "it answers three requests that come at once, in order",
            "whatever came after the first line was thrown away, or read as one request",
            page::FRAMING,
            at_once,
        ),
        must(
            "an unknown method, or wrong parameters, gets an error with the request's id",
            "the error of one request ends the connection, or has no `id` or `error`",
            page::FRAMING,
            errors,
        ),
        must(
            "a line that is not a request gets an error with the id null, and the connection stays",
            "an exception of the parser ends the connection, or the server",
            page::FRAMING,
            no_requests,
        ),
        must(
            "a line that is nested ten thousand times does not end the server",
            "a parser that calls itself for each `[` runs out of stack: limit the depth",
            page::FRAMING,
            deep,
        ),
        must(
            "a line of 65,536 bytes is a request; one that is longer ends that client alone",
            "there is no limit, or a different one, so memory grows with whatever a stranger sends",
            page::FRAMING,
            long_lines,
        ),
        must(
            "when the client's stream ends, the server answers what came, and closes",
            "the answer is lost at the end of the stream, or half a line is taken for a line",
            page::GOODBYE,
            ends,
        ),
        must(
            "each client has a count of its own, and a silent one blocks nobody",
            "the count is kept for all clients together, or one client is served at a time",
            page::GOODBYE,
            together,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error from recv(2) or send(2) ends the program",
            page::GOODBYE,
            resets,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

fn request(id: impl Into<Value>, method: &str, params: Value) -> Vec<u8> {
    let id: Value = id.into();
    let object = json!({ "id": id, "method": method, "params": params });
    format!("{object}\n").into_bytes()
}

/// Receives the next line, which must be a JSON object.
fn answer(client: &mut Connection) -> Outcome<Value> {
    const MOST: usize = 1 << 20;
    let line = client.expect_through(b"\n", MOST)?;
    match serde_json::from_slice(&line) {
        Ok(object @ Value::Object(_)) => Ok(object),
        _ => fails("one JSON object on one line", quoted(&line)),
    }
}

/// Waits for an answer with this id and this result, and with no error.
fn expect_result(
    client: &mut Connection,
    id: impl Into<Value>,
    result: Value,
) -> Outcome {
    let answer = answer(client)?;
    is_result(&answer, &id.into(), &result)
}

fn is_result(answer: &Value, id: &Value, result: &Value) -> Outcome {
    let is_right = alike(&answer["id"], id)
        && answer.get("result").is_some_and(|it| alike(it, result))
        && answer.get("error").is_none_or(Value::is_null);
    if is_right {
        return Ok(());
    }
    let expected = json!({ "id": id, "result": result }).to_string();
    let (expected, got) = (expected.as_bytes(), answer.to_string());
    let diagnosis = Diagnosis::of_difference(expected, got.as_bytes())
        .filter(|it| *it == Diagnosis::DecodedAsText);
    fails_because(quoted(expected), quoted(got.as_bytes()), diagnosis)
}

/// Waits for an answer to `count`.
fn expect_count(client: &mut Connection, id: impl Into<Value>, count: usize) -> Outcome {
    let answer = answer(client)?;
    let id: Value = id.into();
    let is_number = alike(&answer["id"], &id) && answer["result"].is_number();
    match is_result(&answer, &id, &json!(count)) {
        Err(Stop::Failed(finding)) if is_number => {
            let diagnosis = Some(Diagnosis::Other(
                "wrong-count",
                "not every line of this client is counted, or more than its lines: one that \
                 is no request counts, and so does that of `count` itself",
            ));
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        answered => answered,
    }
}

/// Waits for an answer with this id and an error, and with no result.
fn expect_error(client: &mut Connection, id: impl Into<Value>) -> Outcome {
    let answer = answer(client)?;
    let id: Value = id.into();
    let is_right = answer.get("id").is_some_and(|it| alike(it, &id))
        && answer["error"].is_string()
        && answer.get("result").is_none_or(Value::is_null);
    match is_right {
        true => Ok(()),
        false => fails(
            quoted(json!({ "id": id, "error": "…" }).to_string().as_bytes()),
            quoted(answer.to_string().as_bytes()),
        ),
    }
}

/// Returns whether two values are the same to JSON, which has only one kind of number: 5 is
/// 5.0.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| alike(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value): (&String, &Value)| {
                other.get(name).is_some_and(|it| alike(it, value))
            };
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

fn answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // Written by hand: with spaces, in another order, and with an unknown member.
    client.send(
        b"{ \"params\" : [\"hello\"], \"more\": [{}], \"method\":\"echo\", \"id\": 7 }\n",
    )?;
    expect_result(&mut client, 7, json!("hello"))?;
    client.expect_silence()
}

fn ids(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for id in [json!(0), json!("7"), json!(-3), json!(""), json!(900_000_000_000_i64)] {
        client.send(&request(id.clone(), "echo", json!(["x"])))?;
        expect_result(&mut client, id, json!("x"))?;
    }
    Ok(())
}

fn sums(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for (params, sum) in [
        (json!([2, 3]), 5),
        (json!([10, -4, 1, -20]), -13),
        (json!([8]), 8),
        (json!([]), 0),
        (json!([3_000_000_000_i64, 3_000_000_000_i64]), 6_000_000_000_i64),
    ] {
        client.send(&request(1, "sum", params))?;
        expect_result(&mut client, 1, json!(sum))?;
    }
    Ok(())
}

fn values(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for value in [
        json!(null),
        json!(false),
        json!(0),
        json!(""),
        json!([[], {}, [null, 1.5, "]"]]),
        json!({ "a": { "b": ["}\"\\", true] } }),
        json!("one\ntwo\r\n\ttab \"quoted\" \u{0} \u{1b}[31m"),
        json!("caf\u{e9} \u{20ac} \u{1f600}"),
    ] {
        client.send(&request("v", "echo", json!([value])))?;
        expect_result(&mut client, "v", value)?;
    }
    // The same character, escaped: \u00e9, and as two surrogates.
    client.send(
        b"{\"id\": 1, \"method\": \"echo\", \"params\": [\"caf\\u00e9 \\ud83d\\ude00\"]}\n",
    )?;
    expect_result(&mut client, 1, json!("caf\u{e9} \u{1f600}"))
}

fn byte_by_byte(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // Cut the line inside several tokens, and inside a character of two bytes.
    let line = request(12, "echo", json!(["\u{e9}"]));
    let cut = line.iter().position(|byte| *byte == 0xc3).map_or(0, |at| at + 1);
    client.send_in_pieces(line[..cut].chunks(9))?;
    client.send(&line[cut..])?;
    expect_result(&mut client, 12, json!("\u{e9}"))
}

fn at_once(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let three = [
        request("first", "echo", json!([1])),
        request("second", "sum", json!([1, 1])),
        request("third", "count", json!([])),
    ];
    client.send(&three.concat())?;
    expect_result(&mut client, "first", json!(1))?;
    expect_result(&mut client, "second", json!(2))?;
    expect_count(&mut client, "third", 3)?;
    // One and a half.
    let next = request("next", "echo", json!(["next"]));
    client.send(&[&next, &next[..9]].concat())?;
    servers::at_once(expect_result(&mut client, "next", json!("next")))?;
    client.send(&next[9..])?;
    expect_result(&mut client, "next", json!("next"))
}

/// A value that is no whole number was taken for one.
fn no_whole_number(answered: Outcome) -> Outcome {
    let diagnosis = Some(Diagnosis::Other(
        "no-whole-number",
        "true, or 1.5, was taken for a whole number: ask for its kind (in Python, True is an \
         int as well)",
    ));
    match answered {
        Err(Stop::Failed(finding)) if finding.diagnosis.is_none() => {
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        answered => answered,
    }
}

fn errors(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for (id, method, params) in [
        (json!(1), "dance", json!([])),
        (json!("two"), "echo", json!([])),
        (json!(3), "echo", json!([1, 2])),
        (json!(4), "sum", json!([1, "2"])),
        (json!(4), "sum", json!([1, true])),
        (json!(4), "sum", json!([1, 1.5])),
        (json!("five"), "count", json!([1])),
        (json!(6), "Echo", json!([1])),
        (json!(7), "", json!([])),
    ] {
        let is_whole = |it: &Value| !it.is_boolean() && !it.is_f64();
        let whole = params.as_array().is_none_or(|it| it.iter().all(is_whole));
        client.send(&request(id.clone(), method, params))?;
        let answered = expect_error(&mut client, id);
        if whole { answered? } else { no_whole_number(answered)? }
    }
    client.send(&request(8, "echo", json!(["still here"])))?;
    expect_result(&mut client, 8, json!("still here"))
}

const NOT_TEXT: Diagnosis = Diagnosis::Other(
    "not-text",
    "a line that is not UTF-8 is taken for a request, or is not answered: a decoder may replace \
     bytes, and a parser may not look into strings, so decode the line strictly first",
);

fn no_requests(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let lines = [
        &b""[..],
        b"hello",
        b"{\"id\": 1, \"method\": \"sum\", \"params\": [2, 3]",
        b"{\"id\": 1, \"method\": \"echo\", \"params\": [\"\xff\xfe\"]}",
        b"5",
        b"null",
        b"[1, \"sum\", [2, 3]]",
        b"{}",
        b"{\"method\": \"sum\", \"params\": [2, 3]}",
        b"{\"id\": [], \"method\": \"sum\", \"params\": [2, 3]}",
        b"{\"id\": true, \"method\": \"sum\", \"params\": [2, 3]}",
        b"{\"id\": 1.5, \"method\": \"sum\", \"params\": [2, 3]}",
        b"{\"id\": 1, \"params\": [2, 3]}",
        b"{\"id\": 1, \"method\": 5, \"params\": [2, 3]}",
        b"{\"id\": 1, \"method\": \"sum\"}",
        b"{\"id\": 1, \"method\": \"sum\", \"params\": {\"a\": 2}}",
    ];
    for line in lines {
        client.send(&[line, b"\n"].concat())?;
        let answered = expect_error(&mut client, Value::Null);
        match line {
            b"{\"id\": true, \"method\": \"sum\", \"params\": [2, 3]}"
            | b"{\"id\": 1.5, \"method\": \"sum\", \"params\": [2, 3]}" => {
                no_whole_number(answered)?;
            }
            line if std::str::from_utf8(line).is_err() => explained(answered, NOT_TEXT)?,
            _ => answered?,
        }
    }
    client.send(&request(1, "count", json!([])))?;
    expect_count(&mut client, 1, lines.len() + 1)
}

fn deep(arena: &mut Arena<'_>) -> Outcome {
    const DEPTH: usize = 10_000;
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let value = ["[".repeat(DEPTH), "]".repeat(DEPTH)].concat();
    let line = format!("{{\"id\": 1, \"method\": \"echo\", \"params\": [{value}]}}\n");
    client.send_if_it_can(line.as_bytes());
    // Read whatever comes, an answer, an error or the end, so that closing causes no reset.
    let _ = client.expect_open();
    client.close();
    let mut client = arena.connect(&server)?;
    client.send(&request(2, "echo", json!(["alive"])))?;
    expect_result(&mut client, 2, json!("alive"))
}

fn long_lines(arena: &mut Arena<'_>) -> Outcome {
    const MOST: usize = 65_536;
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let around = request(1, "echo", json!([""])).len() - 1;
    let text = "x".repeat(MOST - around);
    client.send(&request(1, "echo", json!([text])))?;
    expect_result(&mut client, 1, json!(text))?;
    // No newline comes: a server that waits for one would store whatever a stranger sends.
    client.send_if_it_can(&[b'y'; MOST + 2000]);
    client.read_to_any_end(MOST)?;
    let mut client = arena.connect(&server)?;
    client.send(&request(2, "echo", json!(["alive"])))?;
    expect_result(&mut client, 2, json!("alive"))?;
    // One byte too many, and the newline.
    client.send_if_it_can(&request(1, "echo", json!([format!("{text}x")])));
    servers::limits_whole_lines(is_cut_off(&mut client))
}

/// Expects the connection closed, perhaps after an error.
fn is_cut_off(client: &mut Connection) -> Outcome {
    let got = client.read_to_any_end(65_536)?;
    match serde_json::from_slice::<Value>(&got) {
        Ok(answer) if answer.get("result").is_some() => {
            fails("the connection closed, perhaps after an error", quoted(&got))
        }
        _ => Ok(()),
    }
}

fn ends(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let mut bytes = request(1, "echo", json!(["the last words"]));
    let cut = request(2, "echo", json!(["no newline"]));
    bytes.extend_from_slice(&cut[..cut.len() - 1]);
    client.send(&bytes)?;
    client.finish_sending()?;
    expect_result(&mut client, 1, json!("the last words"))?;
    client.expect_end()
}

fn together(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut silent = arena.connect(&server)?;
    silent.send(b"{\"id\": 0,")?;
    settle(&server);
    let mut first = arena.connect(&server)?;
    for count in 1..=2 {
        first.send(&request(count, "count", json!([])))?;
        expect_result(&mut first, count, json!(count))?;
    }
    let mut second = arena.connect(&server)?;
    second.send(&request("s", "count", json!([])))?;
    expect_result(&mut second, "s", json!(1))?;
    first.send(&request("f", "count", json!([])))?;
    expect_result(&mut first, "f", json!(3))?;
    silent.send(b" \"method\": \"count\", \"params\": []}\n")?;
    expect_result(&mut silent, 0, json!(1))
}

fn resets(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"{\"id\": 0,")?;
    client.settle();
    client.reset()?;
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(&request(2, "echo", json!(["alive"])))?;
    expect_result(&mut client, 2, json!("alive"))
}
