//! The two clients that frame messages, against servers that answer in pieces, too
//! little, too much, or not at all.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use testkit::Program;

/// A client, its server, and how they frame messages.
pub(crate) struct Client {
    pub(crate) program: &'static str,
    pub(crate) server: &'static str,
    pub(crate) frame: fn(&[u8]) -> Vec<u8>,
    pub(crate) fourteen_bytes_where_nine_are_allowed: &'static str,
}

fn start(client: &Client, port: u16, messages: &[&str]) -> Program {
    Program::run(client.program, &[&["--port", &port.to_string()], messages].concat())
}

pub(crate) fn messages_go_out_framed_and_replies_come_in_pieces(client: &Client) {
    let (listener, port) = testkit::listen();
    let program = start(client, port, &["one", "", "three"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.set_nodelay(true).expect("TCP_NODELAY");
    let sent =
        [(client.frame)(b"one"), (client.frame)(b""), (client.frame)(b"three")].concat();
    let mut came = vec![0; sent.len()];
    connection.read_exact(&mut came).expect("receive");
    assert_eq!(came, sent);
    for byte in [
        (client.frame)(b"Echo: one"),
        (client.frame)(b"Echo: "),
        (client.frame)(b"\x1b[2J"),
    ]
    .concat()
    {
        connection.write_all(&[byte]).expect("send");
    }
    assert_eq!(connection.read(&mut [0]).expect("receive"), 0, "it closes in order");
    let shown = "Server says: Echo: one\nServer says: Echo: \nServer says: \\x1b[2J\n";
    program.finish().expect(0, shown, "");
}

pub(crate) fn server_of_this_workspace_cuts_the_stream(client: &Client) {
    let Some(server) = testkit::sibling(client.program, client.server) else {
        return testkit::skip("server_of_this_workspace_cuts_the_stream", "not built");
    };
    let mut server =
        Program::start(Command::new(server).args(["--port", "0", "--recv-bytes", "3"]));
    let shown =
        "Server says: Echo: one\nServer says: Echo: two\nServer says: Echo: three\n";
    start(client, server.port(), &[]).finish().expect(0, shown, "");
    let finished = server.finish();
    finished.expect(0, &finished.stdout, "");
}

pub(crate) fn server_closes_before_the_last_reply(client: &Client) {
    let (listener, port) = testkit::listen();
    let program = start(client, port, &["one", "two"]);
    let (mut connection, _) = testkit::accept(&listener);
    let sent = [(client.frame)(b"one"), (client.frame)(b"two")].concat();
    connection.read_exact(&mut vec![0; sent.len()]).expect("receive");
    connection.write_all(&(client.frame)(b"Echo: one")).expect("send");
    connection.shutdown(Shutdown::Write).expect("half-close");
    program.finish().expect(
        1,
        "Server says: Echo: one\n",
        &format!(
            "recv 127.0.0.1:{port} (1 of 2 replies came): end of stream; \
             the server closed before its last reply; what does it say?\n"
        ),
    );
}

pub(crate) fn reply_is_longer_than_any_that_was_asked_for(client: &Client) {
    let (listener, port) = testkit::listen();
    let program = start(client, port, &["one"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_exact(&mut vec![0; (client.frame)(b"one").len()]).expect("receive");
    connection.write_all(&(client.frame)(b"Echo: one, two")).expect("send");
    program.finish().expect(
        1,
        "",
        &format!(
            "recv 127.0.0.1:{port} (0 of 1 replies came): {}; is it {}?\n",
            client.fourteen_bytes_where_nine_are_allowed, client.server
        ),
    );
}

pub(crate) fn server_resets(client: &Client) {
    let (listener, port) = testkit::listen();
    let program = start(client, port, &["one"]);
    let (mut connection, _) = testkit::accept(&listener);
    connection.read_exact(&mut vec![0; (client.frame)(b"one").len()]).expect("receive");
    testkit::reset(connection);
    let finished = program.finish();
    let expected = "connection reset by peer (ECONNRESET)";
    assert!(finished.stderr.contains(expected), "{finished:?}");
    finished.expect(1, "", &finished.stderr);
}
