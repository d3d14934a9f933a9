//! What is drawn of well-known programs.

use flow::draw;
use flow::event::{Event, Protocol};
use libtest_mimic::{Failed, Trial};

use crate::tool::{self, find, flow, log, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("python_echo_with_packets", &["python3"], python_echo),
        trial("lines_output_and_kernel_are_measured", &["python3"], measured),
        trial("python_asyncio", &["python3"], asyncio),
        trial("python_socketserver_with_threads", &["python3"], socketserver),
        trial("python_http_server_and_client", &["python3"], http),
        trial("netcat_both_ways", &["nc"], netcat),
        trial("socat_forks_and_executes", &["socat"], socat),
        trial("node", &["node"], node),
        trial("refused_is_drawn_with_its_reset", &["python3"], refused),
        trial("sendfile_and_splice", &["python3"], sendfile),
        trial("every_kind_of_call", &["python3"], every_call),
        trial("datagrams_over_ipv6", &["python3"], datagrams),
        trial("the_same_drawing_each_time", &["python3"], same_each_time),
        trial("pcapng_is_read_by_tshark", &["python3", "tshark"], tshark),
        trial("pcapng_is_read_by_tcpdump", &["python3", "tcpdump"], tcpdump),
    ]
}

const SERVER: &str = "import socket\n\
    listener = socket.create_server(('127.0.0.1', 12345))\n\
    connection, _ = listener.accept()\n\
    data = connection.recv(1024)\n\
    connection.sendall(b'Echo: ' + data)\n\
    connection.close(); listener.close()\n";
const CLIENT: &str = "import socket\n\
    connection = socket.create_connection(('127.0.0.1', 12345))\n\
    connection.sendall(b'Hello')\n\
    assert connection.recv(1024) == b'Echo: Hello'\n\
    connection.close()\n";

pub(crate) fn drawn(log: &flow::event::Log) -> String {
    draw::text(log, &draw::Options::default())
}

/// Where a private network is refused, there are only the calls.
pub(crate) fn has_network(log: &flow::event::Log) -> bool {
    !log.events
        .iter()
        .any(|it| matches!(it, Event::Note(it) if it.text.contains("no packets")))
}

fn python_echo() -> Result<(), Failed> {
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", SERVER], &[&python, "-c", CLIENT]]);
    let calls = tool::calls(&log, 0);
    for name in ["socket", "bind", "listen", "accept4", "recvfrom", "sendto", "close"] {
        assert!(calls.iter().any(|it| it == name), "{name} in {calls:?}");
    }
    if has_network(&log) {
        let flags: Vec<String> = log
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Packet(packet) => match &packet.protocol {
                    Protocol::Tcp { flags, .. } => Some(flags.to_string()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(flags[..4], ["SYN", "SYN ACK", "ACK", "PSH ACK"]);
    }
    Ok(())
}

/// What is recorded beside the events: lines of Python, through a function of its own and
/// one of the library; the hash of the file; what was printed; what the kernel held.
fn measured() -> Result<(), Failed> {
    const FILE: &str = "import socket\n\
        def greeting():\n    return b'Hello'\n\
        print('before')\n\
        a = socket.create_server(('127.0.0.1', 0))\n\
        b = socket.create_connection(a.getsockname())\n\
        b.sendall(\n    greeting())\n\
        c, _ = a.accept()\n\
        b.close(); c.close()\n";
    let file = tool::scratch("both ends.py");
    std::fs::write(&file, FILE)?;
    let (python, name) = (tool::python(), file.to_str().expect("a path in UTF-8"));
    let log = log(&["--quiet"], &[&[&python, name]]);
    let calls: Vec<_> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Call(call) => Some(call),
            _ => None,
        })
        .collect();
    let line = |name: &str| {
        let call = calls.iter().find(|call| call.name == name);
        let source = call.and_then(|call| call.source.as_ref());
        source.map(|it| (it.file.as_str(), it.line))
    };
    for (call, at) in
        [("bind", 5), ("connect", 6), ("sendto", 7), ("accept4", 9), ("close", 10)]
    {
        assert_eq!(line(call), Some((name, at)), "{call}");
    }
    let hashes: Vec<_> =
        calls.iter().filter_map(|call| call.observed.source_hash.as_deref()).collect();
    assert_eq!(hashes, [flow::event::hash(FILE.as_bytes())], "once");

    let observed = || {
        log.events.iter().filter_map(|event| match event {
            Event::Call(it) => Some(&it.observed),
            Event::Return(it) => Some(&it.observed),
            Event::Process(it) => Some(&it.observed),
            _ => None,
        })
    };
    let printed: Vec<u8> = observed()
        .flat_map(|it| &it.printed)
        .filter(|it| it.fd == 1)
        .flat_map(|it| it.data.bytes.clone())
        .collect();
    assert_eq!(printed, b"before\n");
    if has_network(&log) && log.header.measured.iter().any(|it| it == "kernel") {
        // What was sent before anyone accepted is waiting in a connection that belongs to
        // nobody.
        let waits = |held: &flow::event::Held| {
            held.recv_q == 5
                && held.state.as_deref() == Some("ESTABLISHED")
                && held.socket.is_none()
        };
        let mut all = observed().filter_map(|it| it.kernel.as_ref()).flatten();
        assert!(all.any(waits), "{:?}", observed().collect::<Vec<_>>());
    }
    Ok(())
}

fn asyncio() -> Result<(), Failed> {
    let script = "import asyncio\n\
        async def serve(r, w): w.write(await r.readline()); await w.drain(); w.close()\n\
        async def main():\n\
        \x20 server = await asyncio.start_server(serve, '127.0.0.1', 12345)\n\
        \x20 r, w = await asyncio.open_connection('127.0.0.1', 12345)\n\
        \x20 w.write(b'over asyncio\\n'); assert await r.readline() == b'over asyncio\\n'\n\
        \x20 w.close(); server.close()\n\
        asyncio.run(main())\n";
    let drawn = drawn(&log(&[], &[&[&tool::python(), "-c", script]]));
    for piece in ["epoll_ctl", "epoll_wait", "over asyncio", "exits 0"] {
        assert!(drawn.contains(piece), "{piece} in\n{drawn}");
    }
    Ok(())
}

fn socketserver() -> Result<(), Failed> {
    let server = "import socketserver\n\
        class Echo(socketserver.StreamRequestHandler):\n\
        \x20 def handle(self): self.wfile.write(self.rfile.readline())\n\
        socketserver.ThreadingTCPServer.allow_reuse_address = True\n\
        with socketserver.ThreadingTCPServer(('127.0.0.1', 12345), Echo) as server:\n\
        \x20 server.handle_request(); server.handle_request()\n";
    let client = "import socket\n\
        for _ in range(2):\n\
        \x20 with socket.create_connection(('127.0.0.1', 12345)) as c:\n\
        \x20\x20 c.sendall(b'line\\n'); assert c.recv(10) == b'line\\n'\n";
    let python = tool::python();
    let drawn = drawn(&log(&[], &[&[&python, "-c", server], &[&python, "-c", client]]));
    assert!(drawn.contains("(2) "), "a second thread in\n{drawn}");
    assert_eq!(drawn.matches("exits 0").count(), 2, "{drawn}");
    Ok(())
}

fn http() -> Result<(), Failed> {
    let server = "import http.server\n\
        class Hello(http.server.BaseHTTPRequestHandler):\n\
        \x20 def do_GET(self):\n\
        \x20\x20 self.send_response(200); self.end_headers(); self.wfile.write(b'hello')\n\
        \x20 def log_message(self, *_): pass\n\
        http.server.HTTPServer(('127.0.0.1', 8000), Hello).handle_request()\n";
    let client = "import urllib.request\n\
        assert urllib.request.urlopen('http://127.0.0.1:8000/').read() == b'hello'\n";
    let python = tool::python();
    let drawn = drawn(&log(&[], &[&[&python, "-c", server], &[&python, "-c", client]]));
    assert!(drawn.contains("GET / HTTP/1.1"), "{drawn}");
    assert_eq!(drawn.matches("exits 0").count(), 2, "{drawn}");
    Ok(())
}

fn netcat() -> Result<(), Failed> {
    let client = "printf over-netcat | nc -N 127.0.0.1 12345";
    let log = log(&[], &[&["nc", "-l", "12345"], &["sh", "-c", client]]);
    assert!(drawn(&log).contains("\"over-netcat\""), "{}", drawn(&log));
    Ok(())
}

fn socat() -> Result<(), Failed> {
    let server = ["socat", "TCP-LISTEN:12345,reuseaddr", "EXEC:cat"];
    let client = "printf over-socat | socat - TCP:127.0.0.1:12345";
    let log = log(&[], &[&server, &["sh", "-c", client]]);
    assert!(drawn(&log).contains("runs cat"), "{}", drawn(&log));
    assert!(drawn(&log).contains("10 bytes \"over-socat\""), "{}", drawn(&log));
    Ok(())
}

fn node() -> Result<(), Failed> {
    let script = "const net = require('net');\n\
        const server = net.createServer(c => c.pipe(c)).listen(12345, '127.0.0.1', () => {\n\
        const c = net.connect(12345, '127.0.0.1', () => c.end('over node'));\n\
        c.on('data', () => server.close()); });\n";
    let node = find("node").expect("node");
    let log = log(&[], &[&[node.to_str().expect("UTF-8"), "-e", script]]);
    assert!(drawn(&log).contains("over node"), "{}", drawn(&log));
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let script = "import socket\n\
        try: socket.create_connection(('127.0.0.1', 9))\n\
        except ConnectionRefusedError: pass\n";
    let log = log(&[], &[&[&tool::python(), "-c", script]]);
    let drawn = drawn(&log);
    assert!(drawn.contains("= -1 ECONNREFUSED"), "{drawn}");
    assert!(!has_network(&log) || drawn.contains(" RST "), "{drawn}");
    assert!(!has_network(&log) || drawn.contains("(no program)"), "{drawn}");
    Ok(())
}

fn sendfile() -> Result<(), Failed> {
    let script = "import os, socket\n\
        a, b = socket.socketpair()\n\
        file = os.open('/proc/self/exe', os.O_RDONLY)\n\
        assert os.sendfile(a.fileno(), file, 0, 100) == 100\n\
        r, w = os.pipe()\n\
        assert os.splice(b.fileno(), w, 100) == 100\n";
    let calls = tool::calls(&log(&[], &[&[&tool::python(), "-c", script]]), 0);
    assert!(calls.iter().any(|it| it == "sendfile"), "{calls:?}");
    assert!(calls.iter().any(|it| it == "splice"), "{calls:?}");
    Ok(())
}

fn every_call() -> Result<(), Failed> {
    let log = log(&[], &[&[&tool::python(), "-c", tool::EVERY_CALL]]);
    let calls = tool::calls(&log, 0);
    for one_of in [
        &["socket"][..],
        &["socketpair"],
        &["bind"],
        &["listen"],
        &["accept", "accept4"],
        &["connect"],
        &["sendto"],
        &["recvfrom"],
        &["sendmsg"],
        &["recvmsg"],
        &["read"],
        &["write"],
        &["readv"],
        &["writev"],
        &["select", "pselect6"],
        &["poll", "ppoll"],
        &["epoll_ctl"],
        &["epoll_wait", "epoll_pwait", "epoll_pwait2"],
        &["setsockopt"],
        &["getsockopt"],
        &["getsockname"],
        &["getpeername"],
        &["shutdown"],
        &["close"],
    ] {
        let found = calls.iter().any(|call| one_of.contains(&call.as_str()));
        assert!(found, "none of {one_of:?} in {calls:?}");
    }
    let drawn = drawn(&log);
    for piece in [
        "AF_INET6, SOCK_STREAM",
        "IPV6_V6ONLY, 1)",
        "TCP_NODELAY",
        "[::1]:",
        "SHUT_WR",
        "end of stream",
        "\"sendmsg\"",
        "\"writev\"",
        "AF_UNIX",
        "POLLIN",
        "EPOLLIN",
        "ECONNREFUSED",
        "/name)",
    ] {
        assert!(drawn.contains(piece), "{piece} in\n{drawn}");
    }
    Ok(())
}

fn datagrams() -> Result<(), Failed> {
    let (server, client) = DATAGRAMS;
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", server], &[&python, "-c", client]]);
    let drawn = drawn(&log);
    assert!(!has_network(&log) || drawn.contains(" 4 bytes \"ping\" "), "{drawn}");
    assert!(!has_network(&log) || drawn.contains(" 0 bytes "), "{drawn}");
    assert!(drawn.contains("[::1]:12345"), "{drawn}");
    Ok(())
}

/// A server that answers with an empty datagram, and its client.
const DATAGRAMS: (&str, &str) = (
    "import socket\n\
     s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::1', 12345))\n\
     data, peer = s.recvfrom(99); s.sendto(b'', peer)\n",
    "import socket\n\
     s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n\
     s.sendto(b'ping', ('::1', 12345)); assert s.recv(99) == b''\n",
);

fn same_each_time() -> Result<(), Failed> {
    let python = tool::python();
    let draw_once = || {
        let log = log(&[], &[&[&python, "-c", SERVER], &[&python, "-c", CLIENT]]);
        // The kernel chooses the client's port.
        let port = log.events.iter().find_map(|event| match event {
            Event::Socket(socket) if socket.side == 1 => {
                socket.local.as_ref()?.rsplit_once(':').map(|(_, port)| port.to_owned())
            }
            _ => None,
        });
        drawn(&log).replace(&format!(":{}", port.unwrap_or_default()), ":EPHEMERAL")
    };
    let first = draw_once();
    for _ in 0..5 {
        assert_eq!(draw_once(), first);
    }
    Ok(())
}

/// The captures that the tests write: a stream, datagrams over IPv6, a packet of the
/// largest size. Empty if the system refuses a private network, which another test
/// reports.
fn captures() -> Vec<tool::Scratch> {
    let large = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 9))\n\
        s.sendto(b'x' * 65507, ('127.0.0.1', 9)); s.recv(65507)\n";
    let python = tool::python();
    let mut files = Vec::new();
    let conversations = [&[SERVER, CLIENT][..], &[DATAGRAMS.0, DATAGRAMS.1], &[large]];
    for scripts in conversations {
        let file = tool::scratch("capture.pcapng");
        let mut args = vec!["--pcap", file.to_str().expect("UTF-8")];
        for script in scripts {
            args.extend(["--", &python, "-c", script]);
        }
        let run = run(&mut flow(&args));
        assert!(matches!(run.status, Some(0 | 77)), "{}", run.stderr);
        if run.status == Some(0) {
            files.push(file);
        }
    }
    files
}

/// What a reader of captures prints for each capture.
fn read_captures(program: &str, before: &[&str], after: &[&str]) -> Vec<String> {
    let files = captures();
    let texts = files.iter().map(|file| {
        let mut reader = std::process::Command::new(program);
        let run = run(reader.args(before).arg(&**file).args(after));
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        assert!(!run.stderr.contains("cut short"), "{}", run.stderr);
        run.stdout
    });
    texts.collect()
}

fn tshark() -> Result<(), Failed> {
    let fields = ["-T", "fields", "-e", "tcp.flags.str", "-e", "frame.comment"];
    let lengths = ["-e", "tcp.len", "-e", "udp.length"];
    let texts = read_captures("tshark", &["-r"], &[&fields[..], &lengths].concat());
    let [stream, datagrams, large] = &texts[..] else { return Ok(()) };
    assert!(stream.lines().count() >= 9, "{stream}");
    // A comment names the call that a packet comes from; most packets come from none.
    for line in stream.lines() {
        let call = [("connect", "S·"), ("sendto", "P·"), ("close", "F")];
        let named = call.iter().find(|(call, _)| line.contains(&format!(": {call}")));
        match named {
            Some((_, flag)) => assert!(line.contains(flag), "{stream}"),
            None => assert!(!line.contains(": "), "{stream}"),
        }
    }
    for call in ["connect", "sendto", "close"] {
        assert!(stream.contains(&format!(": {call}")), "{call} in {stream}");
    }
    assert_eq!(datagrams.lines().count(), 2, "{datagrams}");
    assert!(datagrams.contains("12\n") && datagrams.contains("8\n"), "{datagrams}");
    assert!(large.contains("65515\n"), "{large}");
    Ok(())
}

fn tcpdump() -> Result<(), Failed> {
    let texts = read_captures("tcpdump", &["-n", "-r"], &[]);
    let [stream, datagrams, large] = &texts[..] else { return Ok(()) };
    assert!(stream.contains("127.0.0.1.12345: Flags [S]"), "{stream}");
    assert!(datagrams.contains("> ::1.12345: UDP, length 4"), "{datagrams}");
    assert!(large.contains("UDP, length 65507"), "{large}");
    Ok(())
}
