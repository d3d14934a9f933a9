//! Runs the program.

use std::process::Command;

use testkit::Program;

testkit::standard_cases! {
    "tcp-both-ends-families":
    command_line_is_wrong(&["--port", "::1", "''"]),
    stdout_is_a_pipe_that_nobody_reads("", Peer::Nobody),
}

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

/// If the loopback interface is down, 127.0.0.1 can be bound, but there is no route to
/// it.
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
