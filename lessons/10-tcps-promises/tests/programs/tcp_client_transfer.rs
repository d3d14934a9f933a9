//! `tcp-client-transfer`.

testkit::standard_cases! {
    "tcp-client-transfer":
    command_line_is_wrong(&["--port 65536", "--nonsense", "--bytes x"]),
    nobody_listens("--port PORT"),
}
