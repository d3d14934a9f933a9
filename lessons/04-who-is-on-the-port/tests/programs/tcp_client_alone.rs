//! Runs the program.

testkit::standard_cases! {
    "tcp-client-alone":
    command_line_is_wrong(&["--port 65536", "--port -1", "--host ::1"]),
    port_is_already_in_use("--port PORT"),
    stdout_is_a_pipe_that_nobody_reads("", Peer::Nobody),
    paused_at_any_moment(""),
}

#[cfg(target_os = "linux")]
#[test]
fn it_talks_to_itself() {
    for _ in 0..50 {
        let finished = testkit::Program::run(PROGRAM, &[]).finish();
        let port = finished.stdout.split([',', ')']).nth(1).expect("a port").trim();
        let expected = format!(
            "connected: local ('127.0.0.1', {port}), peer ('127.0.0.1', {port})\n\
             received: Is anybody there?\n"
        );
        finished.expect(0, &expected, "");
    }
}
