//! `tcp-client-pieces`.

testkit::standard_cases! {
    "tcp-client-pieces":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
}
