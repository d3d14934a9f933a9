//! Both ends in one program: the same words in every run.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(
        Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-goodbye")).args(arguments),
    )
}

/// What comes before a reset can still be received: Linux alone promises that.
#[cfg(target_os = "linux")]
#[test]
fn every_goodbye_is_seen_the_same_a_hundred_times() {
    let first = run(&["--port", "0"]).finish();
    insta::assert_snapshot!(first.stdout);
    for _ in 0..100 {
        run(&["--port", "0"]).finish().expect(0, &first.stdout, "");
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    run(&["--port", &port.to_string()]).finish().expect(1, "", &message);
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
