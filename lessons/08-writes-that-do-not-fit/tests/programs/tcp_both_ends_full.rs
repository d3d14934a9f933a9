//! Both ends in one program: it prints the same in every run, however much the kernel
//! took.

use testkit::Program;

testkit::standard_cases! {
    "tcp-both-ends-full":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

#[test]
fn a_full_connection_takes_a_part_then_nothing_and_loses_nothing() {
    let finished = Program::run(PROGRAM, &["--port", "0"]).finish();
    for line in [
        "  send, non-blocking: a part of 10000000 bytes",
        "  send again and again: EAGAIN",
        "  recv: as it was sent",
        "  send: a part of the rest",
    ] {
        assert!(finished.stdout.lines().any(|came| came == line), "{line}: {finished:?}");
    }
    finished.expect(0, &finished.stdout, "");
}
