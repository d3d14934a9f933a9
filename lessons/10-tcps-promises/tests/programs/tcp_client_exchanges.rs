//! `tcp-client-exchanges`.

testkit::standard_cases! {
    "tcp-client-exchanges":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
}
