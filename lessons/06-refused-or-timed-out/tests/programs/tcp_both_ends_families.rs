//! Runs the program.

use std::process::Command;

use testkit::Program;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp-both-ends-families");

#[test]
fn every_listener_and_every_client() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return testkit::skip("every_listener_and_every_client", "no IPv6 on loopback");
    }
    Program::start(&mut Command::new(PROGRAM)).finish().expect(
        0,
        "listens on   V6ONLY   127.0.0.1          ::1            ::ffff:127.0.0.1\n\
         127.0.0.1    -        127.0.0.1          ECONNREFUSED   127.0.0.1\n\
         ::1          0        ECONNREFUSED       ::1            ECONNREFUSED\n\
         0.0.0.0      -        127.0.0.1          ECONNREFUSED   127.0.0.1\n\
         ::           0        ::ffff:127.0.0.1   ::1            ::ffff:127.0.0.1\n\
         ::           1        ECONNREFUSED       ::1            ECONNREFUSED\n",
        "",
    );
}

#[test]
fn command_line_is_wrong() {
    for argument in ["--port", "::1", ""] {
        let finished = Program::start(Command::new(PROGRAM).arg(argument)).finish();
        assert_eq!(finished.status.code(), Some(2), "{argument:?}: {finished:?}");
        assert_eq!(finished.stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn stdout_is_a_pipe_that_nobody_reads() {
    let pipe = testkit::pipe_without_reader();
    Program::start_with_stdout(&mut Command::new(PROGRAM), pipe.into()).finish().expect(
        1,
        "",
        "write stdout: broken pipe (EPIPE); whoever read this output is gone\n",
    );
}

/// Where the loopback is down, 127.0.0.1 can be bound, but no way leads there.
#[cfg(target_os = "linux")]
#[test]
fn network_is_down() {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", PROGRAM]);
    let piped = std::process::Stdio::piped();
    let Ok(program) = Program::try_start(&mut command, piped) else {
        return testkit::skip("network_is_down", "unshare is not installed");
    };
    let finished = program.finish();
    if finished.stderr.contains("unshare") {
        return testkit::skip("network_is_down", finished.stderr.trim());
    }
    let stderr = &finished.stderr;
    assert!(stderr.starts_with("connect 127.0.0.1:"), "{stderr}");
    assert!(stderr.contains("network is unreachable (ENETUNREACH)"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
    assert_eq!(finished.status.code(), Some(1));
}

#[test]
fn help() {
    let finished = Program::start(Command::new(PROGRAM).arg("--help")).finish();
    insta::assert_snapshot!(finished.stdout);
    finished.expect(0, &finished.stdout, "");
}
