//! A server that answers requests in JSON, one thread per client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

/// The maximum length of a line in bytes, without its `\n`.
const MOST_BYTES: u64 = 65_536;

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
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut line = Vec::new();
    for count in 1.. {
        line.clear();
        (&mut reader).take(MOST_BYTES + 1).read_until(b'\n', &mut line)?;
        // A longer line comes without its newline, like one that the stream cut off.
        if line.pop() != Some(b'\n') {
            break;
        }
        // A `Value` is written without line breaks: the answer is one line, and one write.
        connection.write_all(format!("{}\n", answer(&line, count)).as_bytes())?;
    }
    Ok(())
}

fn answer(line: &[u8], count: u64) -> Value {
    let request: Value = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return json!({ "id": null, "error": error.to_string() }),
    };
    let (id, method) = (&request["id"], &request["method"]);
    let (true, Some(method), Some(params)) =
        (is_whole(id) || id.is_string(), method.as_str(), request["params"].as_array())
    else {
        return json!({ "id": null, "error": "not a request" });
    };
    let result = match (method, params.as_slice()) {
        ("echo", [value]) => Some(value.clone()),
        ("sum", numbers) => sum(numbers).map(Value::from),
        ("count", []) => Some(Value::from(count)),
        _ => None,
    };
    match result {
        Some(result) => json!({ "id": id, "result": result }),
        None => json!({ "id": id, "error": "no such method, or wrong parameters" }),
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

/// Returns the sum, if these are whole numbers and it is not too large.
fn sum(numbers: &[Value]) -> Option<i64> {
    numbers.iter().try_fold(0_i64, |sum, number| sum.checked_add(number.as_i64()?))
}
