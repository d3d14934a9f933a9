//! The server whose messages end with a newline.

use crate::servers::{self, Server};

testkit::standard_cases! {
    "tcp-server-lines":
    command_line_is_wrong(&[
        "--recv-bytes 0",
        "--recv-bytes 65536",
        "--most-bytes -1",
        "--most-bytes 4294967296",
    ]),
    port_is_already_in_use("--port PORT"),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

const SERVER: Server = Server {
    program: PROGRAM,
    frame: crate::line,
    part_bytes: 3,
    nine_bytes_where_eight_are_allowed: "no end of the message within 8 bytes",
};

testkit::shared_cases! {
    servers(&SERVER):
    messages_are_echoed_for_every_recv_size,
    message_comes_byte_by_byte,
    client_sends_nothing,
    stream_ends_inside_a_message,
    message_is_too_long,
}

#[cfg(unix)]
testkit::shared_cases! { servers(&SERVER): signal_inside_a_message }
