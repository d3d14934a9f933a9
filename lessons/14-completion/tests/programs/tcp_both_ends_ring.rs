//! Both ends in one program: it prints the same in every run.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-both-ends-ring");

fn run(arguments: &[&str]) -> Program {
    Program::start(Command::new(PROGRAM).args(arguments))
}

#[test]
fn requests_are_done_and_one_fails() {
    if !testkit::ladder::allowed(env!("CARGO_BIN_EXE_tcp-server-io-uring"), "ring") {
        return;
    }
    let finished = run(&["--port", "0"]).finish();
    for line in [
        "done: 2 sent 5 bytes",
        "done: 1 received hello",
        "done: 2 send: -EBADF, there is no descriptor -1",
        "done: 3 half-close: 0",
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

#[test]
fn word_is_not_for_a_terminal() {
    testkit::standard::word_is_not_for_a_terminal(PROGRAM);
}
