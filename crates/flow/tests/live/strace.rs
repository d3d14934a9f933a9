//! The calls are those that strace sees.

use flow::event::Event;
use libtest_mimic::{Failed, Trial};

use crate::tool::{self, find, log, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("as_strace_python_socketserver", &["strace", "python3"], socketserver),
        trial("as_strace_python_asyncio", &["strace", "python3"], asyncio),
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

/// Compares the calls of one program, thread by thread where there are several: the
/// threads' own orders are the program's, how they interleave is chance.
fn compare(command: &[&str]) -> Result<(), Failed> {
    let file = tool::scratch("strace");
    let name = file.to_str().expect("UTF-8");
    let args = ["-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o", name];
    let run = run(std::process::Command::new("strace").args(args).args(command));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let text = std::fs::read_to_string(&file).expect("strace's output");
    let mut theirs: Vec<String> = text
        .lines()
        .filter_map(|line| {
            // PID name(args) = result; a call that waited has `<... name resumed>` later.
            let call = line.split_once(' ')?.1.trim_start();
            let (name, rest) = call.split_once('(')?;
            let result = match rest.rsplit_once(" = ") {
                Some((_, result)) if !rest.contains("<unfinished") => result,
                _ => "waited",
            };
            NETWORK.contains(&name).then(|| shape(name, result))
        })
        .collect();
    let log = log(&["--free"], &[command]);
    let mut ours: Vec<String> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Call(call) if NETWORK.contains(&call.name.as_str()) => {
                Some(shape(&call.name, ""))
            }
            _ => None,
        })
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
    Ok(())
}

/// What is the same in two runs of a program: not which call waited.
fn shape(name: &str, _result: &str) -> String {
    name.to_owned()
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

fn node() -> Result<(), Failed> {
    let script = "const net = require('net');\n\
        const server = net.createServer(c => c.pipe(c)).listen(0, '127.0.0.1', () => {\n\
        const c = net.connect(server.address().port, '127.0.0.1', () => c.end('hi'));\n\
        c.on('data', () => server.close()); });\n";
    let node = find("node").expect("node");
    compare(&[node.to_str().expect("UTF-8"), "-e", script])
}
