//! Both ends in one program: every line, and the one error that a learner will meet.

use testkit::Program;

testkit::standard_cases! {
    "tcp-both-ends":
    command_line_is_wrong(&["--port 65536", "--nonsense"]),
    too_few_files_may_be_open("--port 0", Peer::Nobody),
    paused_at_any_moment("--port 0"),
}

/// The descriptors are left to the page of the lesson: cargo and a test runner may leave
/// others open.
#[test]
fn addresses_mirror_each_other() {
    let finished = Program::run(PROGRAM, &["--port", "0"]).finish();
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let [_, bind, listen, _, connect, _, accept, rest @ ..] = lines.as_slice() else {
        panic!("{finished:?}");
    };

    let listener = bind.strip_prefix("bind     local ").expect("a local address");
    let listener = listener.strip_suffix(", no peer").expect("no peer");
    assert_eq!(*listen, format!("listen   local {listener}, no peer"));
    let client = connect.strip_prefix("connect  local ").expect("a local address");
    let client =
        client.strip_suffix(&format!(", peer {listener}")).expect("the listener");
    assert_eq!(*accept, format!("         local {listener}, peer {client}"));
    assert_eq!(
        rest,
        [
            "send     5 bytes",
            "recv     5 bytes: Hello",
            "close    the client's socket",
            "recv     0 bytes: end of stream",
            "close    the other two",
        ]
    );
    finished.expect(0, &finished.stdout, "");
}

#[test]
fn port_is_already_in_use() {
    let (_listener, port) = testkit::listen();
    let finished = Program::run(PROGRAM, &["--port", &port.to_string()]).finish();
    let message = format!(
        "bind 127.0.0.1:{port}: address already in use (EADDRINUSE); is another server \
         running? try --port 0\n"
    );
    finished.expect(1, &finished.stdout, &message);
}
