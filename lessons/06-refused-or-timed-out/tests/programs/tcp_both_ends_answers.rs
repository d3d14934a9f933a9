//! Runs the program.

testkit::standard_cases! {
    "tcp-both-ends-answers":
    command_line_is_wrong(&[
        "--port",
        "::1",
        "''",
        "--timeout-ms=0",
        "--timeout-ms=3600001",
    ]),
    stdout_is_a_pipe_that_nobody_reads("", Peer::Nobody),
    too_few_files_may_be_open("", Peer::Nobody),
    paused_at_any_moment(""),
}

/// The lines without their times.
#[cfg(target_os = "linux")]
fn answers(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| Some(line.split_once(" after ")?.0)).collect()
}

/// How long a queue of length 0 is, and what happens to a SYN that finds it full, differs
/// between systems.
#[cfg(target_os = "linux")]
#[test]
fn refused_connected_and_no_answer() {
    for timeout in ["20", "100"] {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(["--timeout-ms", timeout]);
        let finished = testkit::Program::start(&mut command).finish();
        assert_eq!(
            answers(&finished.stdout),
            [
                "bound, not listening: refused",
                "listening:            connected",
                "the queue is full:    no answer",
            ],
            "{finished:?}"
        );
        finished.expect(0, &finished.stdout, "");
    }
}
