//! The client whose messages end with a newline.

use testkit::Program;

use crate::clients::{self, Client};

testkit::standard_cases! {
    "tcp-client-lines":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    nobody_listens("--port PORT"),
    signal_while_the_server_stays_silent("--port PORT one"),
    client_is_paused("--port PORT one", b"", b"Echo: one\n"),
}

const CLIENT: Client = Client {
    program: PROGRAM,
    server: "tcp-server-lines",
    frame: crate::line,
    fourteen_bytes_where_nine_are_allowed: "no end of the message within 9 bytes",
};

testkit::shared_cases! {
    clients(&CLIENT):
    messages_go_out_framed_and_replies_come_in_pieces,
    server_of_this_workspace_cuts_the_stream,
    server_closes_before_the_last_reply,
    reply_is_longer_than_any_that_was_asked_for,
    server_resets,
}

#[test]
fn message_holds_a_newline() {
    Program::run(PROGRAM, &["one\ntwo"]).finish().expect(
        1,
        "",
        "send 7 bytes: the message holds a newline; \
         send it with tcp-client-lengths, or leave the newline out\n",
    );
}
