//! `tcp-client-user-timeout`.

testkit::standard_cases! {
    "tcp-client-user-timeout":
    command_line_is_wrong(&["--port 65536", "--nonsense", "--timeout-ms 0"]),
    nobody_listens("--port PORT"),
}
