//! `tcp-client-keepalive`.

testkit::standard_cases! {
    "tcp-client-keepalive":
    command_line_is_wrong(&["--port 65536", "--nonsense", "--count 128"]),
    nobody_listens("--port PORT"),
}
