//! Who closes first stays in TIME-WAIT, in every run.

testkit::standard_cases! {
    "tcp-both-ends-close-order":
    command_line_is_wrong(&["--port 65536", "--port -1", "--nonsense 1"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

#[cfg(target_os = "linux")]
#[test]
fn who_closes_first_waits() {
    let expected = "\
The server closes first: its end of the connection is in TIME-WAIT
The client closes first: its end of the connection is in TIME-WAIT, not the server's
The server resets: no end is in TIME-WAIT
";
    for _ in 0..20 {
        testkit::Program::run(PROGRAM, &["--port", "0"]).finish().expect(0, expected, "");
    }
}
