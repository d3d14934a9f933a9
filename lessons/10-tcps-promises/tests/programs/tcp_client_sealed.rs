//! `tcp-client-sealed`.

testkit::standard_cases! {
    "tcp-client-sealed":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
}
