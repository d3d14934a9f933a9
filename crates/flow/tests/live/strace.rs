//! The calls are those that strace sees.

use flow::event::Event;
use libtest_mimic::{Failed, Trial};

use crate::tool::{self, find, log, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("as_strace_python_socketserver", &["strace", "python3"], socketserver),
        trial("as_strace_python_asyncio", &["strace", "python3"], asyncio),
        trial("as_strace_python_http", &["strace", "python3"], http),
        trial("as_strace_every_call", &["strace", "python3"], every_call),
        trial("as_strace_netcat", &["strace", "nc"], netcat),
        trial("as_strace_socat", &["strace", "socat"], socat),
        trial("as_strace_node", &["strace", "node"], node),
    ]
}

/// The calls that `strace -e trace=network` traces, of those that flow traces.
const NETWORK: &[&str] = &[
    "socket",
    "socketpair",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "shutdown",
    "getsockname",
    "getpeername",
    "setsockopt",
    "getsockopt",
];

/// Compares the calls of one program: names, errors, and the arguments that both print
/// alike. In order where one thread makes them all; else as a heap, for how threads
/// interleave is chance.
fn compare(command: &[&str]) -> Result<(), Failed> {
    let file = tool::scratch("strace");
    let name = file.to_str().expect("UTF-8");
    let args = ["-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o", name];
    let run = run(std::process::Command::new("strace").args(args).args(command));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let text = std::fs::read_to_string(&file).expect("strace's output");
    // PID name(args) = result; a call that waited says `<unfinished ...>` instead.
    let (mut threads, mut theirs) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
        if NETWORK.contains(&name) {
            threads.push(thread.to_owned());
            // The names of the levels in socket(2) are older than those in tcp(7).
            let rest = rest.replace("SOL_TCP", "IPPROTO_TCP");
            let rest = rest.replace("SOL_IPV6", "IPPROTO_IPV6");
            let rest = rest.replace(" <unfinished ...>", "");
            let args: Vec<&str> = rest.split([',', ')']).map(str::trim).collect();
            theirs.push(shape(name, &args));
        }
    }
    let log = log(&["--free", "--host-network"], &[command]);
    let mut ours: Vec<String> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Call(call) if NETWORK.contains(&call.name.as_str()) => {
                let args: Vec<&str> =
                    call.args.iter().map(|arg| arg.value.as_str()).collect();
                Some(shape(&call.name, &args))
            }
            _ => None,
        })
        .collect();
    threads.sort();
    threads.dedup();
    if threads.len() > 1 {
        theirs.sort();
        ours.sort();
    }
    assert!(!theirs.is_empty());
    assert_eq!(ours, theirs);
    Ok(())
}

/// A call with the arguments whose text is the same in both: numbers and names.
fn shape(name: &str, args: &[&str]) -> String {
    let known = match name {
        "setsockopt" | "getsockopt" => 3,
        "socket" | "listen" | "shutdown" => 2,
        "socketpair" => 2,
        _ => 1,
    };
    format!("{name}({})", args.get(..known).unwrap_or(args).join(", "))
}

fn socketserver() -> Result<(), Failed> {
    let script = "import socket, socketserver, threading\n\
        class Echo(socketserver.StreamRequestHandler):\n\
        \x20 def handle(self): self.wfile.write(self.rfile.readline())\n\
        with socketserver.ThreadingTCPServer(('127.0.0.1', 0), Echo) as server:\n\
        \x20 thread = threading.Thread(target=server.handle_request); thread.start()\n\
        \x20 with socket.create_connection(server.server_address) as c:\n\
        \x20\x20 c.sendall(b'line\\n'); c.recv(10)\n\
        \x20 thread.join()\n";
    compare(&[&tool::python(), "-c", script])
}

// The reply is one send: how many receives take two is chance.
fn http() -> Result<(), Failed> {
    let script = "import http.client, http.server, threading\n\
        class Hello(http.server.BaseHTTPRequestHandler):\n\
        \x20 def do_GET(self):\n\
        \x20\x20 self.wfile.write(b'HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello')\n\
        \x20 def log_message(self, *_): pass\n\
        server = http.server.HTTPServer(('127.0.0.1', 0), Hello)\n\
        thread = threading.Thread(target=server.handle_request); thread.start()\n\
        client = http.client.HTTPConnection(*server.server_address)\n\
        client.request('GET', '/'); assert client.getresponse().read() == b'hello'\n\
        thread.join(); server.server_close()\n";
    compare(&[&tool::python(), "-c", script])
}

fn asyncio() -> Result<(), Failed> {
    let script = "import asyncio\n\
        async def serve(r, w): w.write(await r.readline()); await w.drain(); w.close()\n\
        async def main():\n\
        \x20 server = await asyncio.start_server(serve, '127.0.0.1', 0)\n\
        \x20 r, w = await asyncio.open_connection(*server.sockets[0].getsockname())\n\
        \x20 w.write(b'hi\\n'); await r.readline(); w.close(); await w.wait_closed()\n\
        asyncio.run(main())\n";
    compare(&[&tool::python(), "-c", script])
}

fn every_call() -> Result<(), Failed> {
    compare(&[&tool::python(), "-c", tool::EVERY_CALL])
}

/// Both tracers run a client; what it talks to answers from this process, untraced.
fn compare_client(client: impl Fn(u16) -> Vec<String>) -> Result<(), Failed> {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("accept");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("receive");
            // A client that has gone is no failure of this side.
            let _ = stream.write_all(&all);
        }
    });
    let command = client(port);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    compare(&words)
}

fn netcat() -> Result<(), Failed> {
    compare_client(|port| {
        let client = format!("printf hello | nc -N 127.0.0.1 {port}");
        ["sh", "-c", &client].map(str::to_owned).into()
    })
}

fn socat() -> Result<(), Failed> {
    compare_client(|port| {
        let client = format!("printf hello | socat - TCP:127.0.0.1:{port}");
        ["sh", "-c", &client].map(str::to_owned).into()
    })
}

fn node() -> Result<(), Failed> {
    let script = "const net = require('net');\n\
        const server = net.createServer(c => c.pipe(c)).listen(0, '127.0.0.1', () => {\n\
        const c = net.connect(server.address().port, '127.0.0.1', () => c.end('hi'));\n\
        c.on('data', () => server.close()); });\n";
    let node = find("node").expect("node");
    compare(&[node.to_str().expect("UTF-8"), "-e", script])
}
