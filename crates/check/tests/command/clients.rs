//! The solutions of projects serve real clients: `curl`, `redis-cli`.

use std::process::{Command, Output};

use testkit::Program;

use crate::{stderr, stdout};

/// Runs the solutions of a task, in each language that is installed, each on a port of its
/// own.
fn serve(test: &str, task: &str, mut talk: impl FnMut(u16)) {
    let tasks = concat!(env!("CARGO_MANIFEST_DIR"), "/tasks");
    let build = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["build", "--quiet", "-p", "check", "--example"])
        .arg(format!("solution-{task}"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(build.unwrap().success(), "cargo build --example solution-{task}");
    let rust = std::path::Path::new(crate::CHECK)
        .with_file_name("examples")
        .join(format!("solution-{task}"));
    let mut programs = vec![Command::new(rust)];
    match testkit::python(&format!("{tasks}/{task}/solution.py")) {
        Some(python) => programs.push(python),
        None => testkit::skip(test, "python3 is not installed"),
    }
    for mut command in programs {
        let server = Program::start(command.env("PORT", "0"));
        let mut port = None;
        testkit::until("the server listens", || {
            let waits = netlab::sockets::family_waits(server.id());
            port = waits.first().map(|(_, address)| address.port());
            port.is_some()
        });
        talk(port.unwrap());
    }
}

/// Returns whether the client is installed; if not, prints a line that says what is skipped.
fn has(test: &str, client: &str) -> bool {
    let found = netlab::environment::on_path(client).is_some();
    if !found {
        testkit::skip(test, &format!("{client} is not installed"));
    }
    found
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

#[test]
fn curl_keeps_its_connection() {
    let test = "curl_keeps_its_connection";
    if !has(test, "curl") {
        return;
    }
    serve(test, "http", |port| {
        let curl = |arguments: &[&str], paths: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--noproxy", "*"]).args(arguments);
            for path in paths {
                curl.arg(format!("http://127.0.0.1:{port}{path}"));
            }
            succeeded(&curl.output().unwrap())
        };
        // %{num_connects} counts the connections that a transfer had to make.
        let connects = ["--write-out", "%{http_code} %{num_connects}\n"];
        let text = curl(&connects, &["/count", "/count", "/nowhere", "/"]);
        let expected = "1\n200 1\n2\n200 0\nno such page\n404 0\nhello\n200 0\n";
        assert_eq!(text, expected);
        assert_eq!(curl(&["--http1.0"], &["/"]), "hello\n");
        assert!(curl(&["--head"], &["/"]).contains("Content-Length: 6\r\n"));
        // Before a body this long curl asks for `100 Continue`, and then does without it.
        let body = "x".repeat(900_000);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &body).unwrap();
        let data = format!("@{}", file.path().display());
        let echoed = curl(&["--data-binary", &data], &["/echo"]);
        assert!(echoed == body, "{} bytes", echoed.len());
        let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        let large = [&status[..], &["--header", "Content-Length: 2000000", "--request"]];
        assert_eq!(curl(&[&large.concat()[..], &["POST"]].concat(), &["/echo"]), "413");
    });
}

#[test]
fn redis_cli_is_understood() {
    let test = "redis_cli_is_understood";
    if !has(test, "redis-cli") {
        return;
    }
    serve(test, "resp", |port| {
        let redis = |arguments: &[&str]| {
            let mut redis = Command::new("redis-cli");
            redis.args(["-p", &port.to_string()]).args(arguments);
            succeeded(&redis.output().unwrap())
        };
        assert_eq!(redis(&["ping"]), "PONG\n");
        assert_eq!(redis(&["echo", "two words"]), "two words\n");
        assert_eq!(redis(&["set", "colour", "blue"]), "OK\n");
        assert_eq!(redis(&["get", "colour"]), "blue\n");
        assert_eq!(redis(&["--no-raw", "get", "nothing"]), "(nil)\n");
        assert!(redis(&["dance"]).starts_with("ERR "));
    });
}
