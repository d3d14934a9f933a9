//! The client that sends and receives at the same time.

use crate::clients;

testkit::standard_cases! {
    "tcp-client-both-ways":
    command_line_is_wrong(&["--bytes -1", "--bytes x", "--timeout-ms -1"]),
    nobody_listens("--port PORT"),
    signal_while_the_server_stays_silent("--port PORT --bytes 1"),
    client_is_paused("--port PORT --bytes 0 --timeout-ms 60000", b"", b""),
}

testkit::shared_cases! { clients(PROGRAM): echo_comes_back, echo_is_damaged_or_cut_short }

#[cfg(unix)]
testkit::shared_cases! { clients(PROGRAM): server_does_not_receive }
