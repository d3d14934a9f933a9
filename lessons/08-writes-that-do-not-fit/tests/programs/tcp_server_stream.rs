//! The server that holds one piece of the stream at a time.

use crate::servers;

testkit::standard_cases! {
    "tcp-server-stream":
    command_line_is_wrong(&["--timeout-ms -1", "--timeout-ms 4294967296"]),
    port_is_already_in_use("--port PORT"),
    signal_while_the_client_stays_silent(b""),
    client_resets(b"", ""),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
}

testkit::shared_cases! { servers(PROGRAM): stream_comes_back }

#[cfg(target_os = "linux")]
testkit::shared_cases! { servers(PROGRAM): server_is_paused_while_it_waits_for_room }

/// The client sends until both ends are full; the server's timeout ends it.
#[cfg(unix)]
#[test]
fn client_never_receives() {
    use std::io::Write;

    let (program, mut client, address) = servers::start(PROGRAM, &["--timeout-ms", "30"]);
    while client.write_all(&[0; 65536]).is_ok() {}
    let finished = program.finish();
    let message = format!(
        "send {address}: nothing was taken in time (EAGAIN); \
         the peer does not receive; does it wait for us to?\n"
    );
    finished.expect(1, &finished.stdout, &message);
}
