//! `udp-both-ends-loop`.

testkit::standard_cases! {
    "udp-both-ends-loop":
    command_line_is_wrong(&["--limit x", "--nonsense"]),
}

#[test]
fn it_stops_at_its_limit_alone() {
    let said = "10 echoes of one datagram; stopped by our own limit\n";
    testkit::Program::run(PROGRAM, &["--limit", "10"]).finish().expect(0, said, "");
}
