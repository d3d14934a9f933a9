//! Both ends in one program: the same cuts in every run.

use testkit::Program;

testkit::standard_cases! {
    "tcp-both-ends-stream":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    port_is_already_in_use("--port PORT"),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

/// No cut is luck: a hundred runs give the same.
#[test]
fn every_run_cuts_the_same() {
    let first = Program::run(PROGRAM, &["--port", "0"]).finish();
    insta::assert_snapshot!(first.stdout);
    for _ in 0..100 {
        Program::run(PROGRAM, &["--port", "0"]).finish().expect(0, &first.stdout, "");
    }
}
