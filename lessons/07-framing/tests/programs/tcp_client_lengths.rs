//! The client whose messages begin with their length.

use crate::clients::{self, Client};

testkit::standard_cases! {
    "tcp-client-lengths":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
    signal_while_the_server_stays_silent("--port PORT one"),
    client_is_paused("--port PORT one", b"", b"\0\0\0\x09Echo: one"),
}

const CLIENT: Client = Client {
    program: PROGRAM,
    server: "tcp-server-lengths",
    frame: crate::with_length,
    fourteen_bytes_where_nine_are_allowed: "a message of 14 bytes, and 9 are allowed",
};

testkit::shared_cases! {
    clients(&CLIENT):
    messages_go_out_framed_and_replies_come_in_pieces,
    server_of_this_workspace_cuts_the_stream,
    server_closes_before_the_last_reply,
    reply_is_longer_than_any_that_was_asked_for,
    server_resets,
}
