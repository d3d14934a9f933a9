//! Runs the program.

testkit::standard_cases! {
    "tcp-both-ends-window":
    command_line_is_wrong(&["--port", "::1", "--timeout-ms=0", "--timeout-ms=3600001"]),
    port_is_already_in_use("--port PORT"),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

/// How much fits, and what happens to a send that waited too long, differs between
/// systems.
#[cfg(target_os = "linux")]
#[test]
fn the_window_closes_and_opens_again() {
    for timeout in ["1", "100"] {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(["--port", "0", "--timeout-ms", timeout]);
        let finished = testkit::Program::start(&mut command).finish();
        let (before, after) = finished.stdout.split_once(", after ").unwrap_or_default();
        assert_eq!(
            before, "The peer does not receive.\n  send: a part of 10000000 bytes",
            "{finished:?}"
        );
        assert!(
            after.ends_with(
                " ms\nThe peer receives.\n  recv: as it was sent\n  send: 1000 of 1000 bytes\n  \
                 recv: end of stream\n"
            ),
            "{finished:?}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}
