//! Runs the program.

testkit::standard_cases! {
    "tcp-both-ends-time-wait":
    command_line_is_wrong(&["--port", "x", "''"]),
    stdout_is_a_pipe_that_nobody_reads("", Peer::Nobody),
    too_few_files_may_be_open("", Peer::Nobody),
    paused_at_any_moment(""),
}

/// What SO_REUSEADDR allows differs between systems: this is Linux's answer.
#[cfg(target_os = "linux")]
#[test]
fn five_cases_a_hundred_times() {
    for _ in 0..100 {
        testkit::Program::start(&mut std::process::Command::new(PROGRAM))
            .finish()
            .expect(
                0,
                "closes first   old listener   new listener   bind again\n\
             server         -              -              EADDRINUSE\n\
             server         -              SO_REUSEADDR   EADDRINUSE\n\
             server         SO_REUSEADDR   -              EADDRINUSE\n\
             server         SO_REUSEADDR   SO_REUSEADDR   succeeds\n\
             client         -              -              succeeds\n",
                "",
            );
    }
}
