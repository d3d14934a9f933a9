//! The server whose messages begin with their length.

use std::io::{Read, Write};

use crate::servers::{self, Server, start};

testkit::standard_cases! {
    "tcp-server-lengths":
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
    frame: crate::with_length,
    part_bytes: 6,
    nine_bytes_where_eight_are_allowed: "a message of 9 bytes, and 8 are allowed",
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

#[test]
fn length_is_four_gibibytes() {
    let (program, mut client, _, address) = start(&SERVER, &[]);
    client.write_all(b"\xff\xff\xff\xff").expect("send");
    assert_eq!(client.read(&mut [0; 9]).expect("receive"), 0);
    let finished = program.finish();
    finished.expect(
        1,
        &finished.stdout,
        &format!(
            "recv {address}: a message of 4294967295 bytes, and 65536 are allowed; \
             the connection is closed\n"
        ),
    );
}
