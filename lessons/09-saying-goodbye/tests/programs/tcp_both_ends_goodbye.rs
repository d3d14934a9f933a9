//! Both ends in one program: it prints the same in every run.

testkit::standard_cases! {
    "tcp-both-ends-goodbye":
    command_line_is_wrong(&["--port 65536", "--port -1", "--nonsense 1"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("--port 0", Peer::Nobody),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

/// Only Linux promises that what arrived before a reset can still be received.
#[cfg(target_os = "linux")]
#[test]
fn every_goodbye_is_seen_the_same_a_hundred_times() {
    let first = testkit::Program::run(PROGRAM, &["--port", "0"]).finish();
    insta::assert_snapshot!(first.stdout);
    for _ in 0..100 {
        testkit::Program::run(PROGRAM, &["--port", "0"]).finish().expect(
            0,
            &first.stdout,
            "",
        );
    }
}
