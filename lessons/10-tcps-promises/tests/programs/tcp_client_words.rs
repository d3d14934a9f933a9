//! `tcp-client-words`.

testkit::standard_cases! {
    "tcp-client-words":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
}
