//! The server that keeps the whole stream.

use crate::servers;

testkit::standard_cases! {
    "tcp-server-hoard":
    command_line_is_wrong(&["--timeout-ms -1", "--timeout-ms 4294967296"]),
    port_is_already_in_use("--port PORT"),
    signal_while_the_client_stays_silent(b""),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

testkit::shared_cases! { servers(PROGRAM): stream_comes_back }

#[cfg(target_os = "linux")]
testkit::shared_cases! { servers(PROGRAM): server_is_paused_while_it_waits_for_room }
