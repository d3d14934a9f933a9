//! Who closes first stays in TIME_WAIT, in every run.

use std::process::Command;

use testkit::Program;

fn run(arguments: &[&str]) -> Program {
    Program::start(
        Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-close-order")).args(arguments),
    )
}

#[cfg(target_os = "linux")]
#[test]
fn who_closes_first_waits() {
    let expected = "\
The server closes first: its end of the connection is in TIME_WAIT
The client closes first: its end of the connection is in TIME_WAIT, not the server's
The server resets: no end is in TIME_WAIT
";
    for _ in 0..20 {
        run(&["--port", "0"]).finish().expect(0, expected, "");
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
fn command_line_is_wrong() {
    for arguments in [["--port", "65536"], ["--port", "-1"], ["--nonsense", "1"]] {
        let finished = run(&arguments).finish();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-both-ends-close-order"));
    command.args(["--port", "0"]);
    Program::start_with_stdout(&mut command, pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

#[test]
fn help() {
    let finished = run(&["--help"]).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
