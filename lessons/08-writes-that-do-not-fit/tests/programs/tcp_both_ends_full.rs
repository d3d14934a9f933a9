//! Both ends in one program: the same words in every run, whatever the kernel took.

use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-full")).args(arguments))
}

#[test]
fn a_full_connection_takes_a_part_then_nothing_and_loses_nothing() {
    let finished = run(&["--port", "0"]).finish();
    for line in [
        "  send, non-blocking: a part of 10000000 bytes",
        "  send again and again: EAGAIN",
        "  recv: as it was sent",
        "  send: a part of the rest",
    ] {
        assert!(finished.stdout.lines().any(|came| came == line), "{line}: {finished:?}");
    }
    finished.expect(0, &finished.stdout, "");
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
