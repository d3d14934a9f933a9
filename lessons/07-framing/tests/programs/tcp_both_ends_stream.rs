//! Both ends in one program: the same cuts in every run.

use std::process::Command;

use testkit::Program;

fn both_ends(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-stream"));
    Program::start(command.args(arguments))
}

/// That no cut is luck: a hundred runs give the same.
#[test]
fn every_run_cuts_the_same() {
    let first = both_ends(&["--port", "0"]).finish();
    insta::assert_snapshot!(first.stdout);
    for _ in 0..100 {
        both_ends(&["--port", "0"]).finish().expect(0, &first.stdout, "");
    }
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); \
         is another server running? try --port 0\n"
    );
    both_ends(&["--port", &port.to_string()]).finish().expect(1, "", &message);
}

#[test]
fn help() {
    let finished = both_ends(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
