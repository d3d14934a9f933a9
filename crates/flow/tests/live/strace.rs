//! The calls are those that strace sees: call by call if a program always makes the same
//! ones; otherwise, each kind of call that strace sees is one that flow sees, and vice
//! versa.

use std::collections::BTreeSet;

use flow::event::Event;
use libtest_mimic::{Failed, Trial};

use crate::tool::{self, find, log, run, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("as_strace_python_socketserver", &["strace", "python3"], socketserver),
        trial("as_strace_python_asyncio", &["strace", "python3"], asyncio),
        trial("as_strace_python_http", &["strace", "python3"], http),
        trial("as_strace_every_call", &["strace", "python3"], every_call),
        trial("as_strace_netcat", &["strace", "nc"], netcat),
        trial("as_strace_socat", &["strace", "socat"], socat),
        trial("as_strace_node", &["strace", "node"], node),
        trial("as_strace_tokio", &["strace"], tokio),
        trial("as_strace_go", &["strace", "go"], go),
        trial("as_strace_perl", &["strace", "perl"], perl),
    ];
    trials.extend(PAIRS.iter().map(|pair| {
        let mut needs = vec!["strace", "python3", "unshare"];
        needs.extend(pair.needs);
        trial(pair.name, &needs, || compare_pair(pair))
    }));
    trials
}

/// A server and its client, and what both need. `{}` is the folder in which `file` is,
/// and to which they may write.
struct Pair {
    name: &'static str,
    needs: &'static [&'static str],
    server: &'static str,
    client: &'static str,
    /// The name and the text of a file.
    file: Option<(&'static str, &'static str)>,
}

/// Each pair is on a network of its own, so that the port can be fixed: 12345.
const PAIRS: &[Pair] = &[
    Pair {
        name: "as_strace_nginx_curl",
        needs: &["nginx", "curl"],
        server: "nginx -p {} -e {}/errors -c {}/nginx.conf",
        client: "curl -s http://127.0.0.1:12345/nginx.conf",
        file: Some((
            "nginx.conf",
            "daemon off; worker_processes 1; pid pid; user root;\n\
             events {} http { access_log off; client_body_temp_path t;\n\
             proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;\n\
             server { listen 127.0.0.1:12345; root .; } }\n",
        )),
    },
    Pair {
        name: "as_strace_redis",
        needs: &["redis-server", "redis-cli"],
        server: "redis-server --port 12345 --save  --dir {}",
        client: "redis-cli -p 12345 set key value",
        file: None,
    },
    Pair {
        name: "as_strace_memcached",
        needs: &["memcached", "nc"],
        server: "memcached -u root -l 127.0.0.1 -p 12345 -t 2",
        client: "sh -c nc␣-N␣127.0.0.1␣12345␣<{}/commands",
        file: Some(("commands", "set key 0 0 5\r\nvalue\r\nget key\r\nquit\r\n")),
    },
    Pair {
        name: "as_strace_dnsmasq",
        needs: &["dnsmasq"],
        server: "dnsmasq -k -u root -C {}/dnsmasq.conf",
        client: "python3 -c import␣socket;s=socket.socket(2,2);\
                 s.connect(('127.0.0.1',12345));\
                 s.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4name\\0\\0\\1\\0\\1');s.recv(99)",
        file: Some((
            "dnsmasq.conf",
            "port=12345\nno-resolv\nno-hosts\naddress=/name/127.0.0.9\npid-file=\n\
             listen-address=127.0.0.1\nbind-interfaces\n",
        )),
    },
    Pair {
        name: "as_strace_iperf3",
        needs: &["iperf3"],
        server: "iperf3 -s -1 -p 12345",
        client: "iperf3 -c 127.0.0.1 -p 12345 -n 1M",
        file: None,
    },
    Pair {
        name: "as_strace_busybox",
        needs: &["busybox"],
        server: "busybox httpd -f -p 127.0.0.1:12345 -h {}",
        client: "busybox wget -q -O - http://127.0.0.1:12345/page",
        file: Some(("page", "hello\n")),
    },
    Pair {
        name: "as_strace_ncat",
        needs: &["ncat"],
        server: "ncat -l 127.0.0.1 12345 --keep-open --exec /bin/cat",
        client: "sh -c ncat␣127.0.0.1␣12345␣<{}/text",
        file: Some(("text", "hello\n")),
    },
    Pair {
        name: "as_strace_socat_server",
        needs: &["socat"],
        server: "socat TCP-LISTEN:12345,reuseaddr,fork EXEC:cat",
        client: "sh -c socat␣-t␣30␣-␣TCP:127.0.0.1:12345␣<{}/text",
        file: Some(("text", "hello\n")),
    },
    Pair {
        name: "as_strace_openssl",
        needs: &["openssl"],
        server: "openssl s_server -www -quiet -nocert -psk 0123 -accept 127.0.0.1:12345",
        client: "sh -c openssl␣s_client␣-quiet␣-psk␣0123␣-connect␣127.0.0.1:12345␣<{}/text",
        file: Some(("text", "GET / HTTP/1.0\r\n\r\n")),
    },
    Pair {
        name: "as_strace_java",
        needs: &["java", "javac"],
        server: "java {}/Echo.java",
        client: "sh -c printf␣hello|nc␣-N␣127.0.0.1␣12345",
        file: Some((
            "Echo.java",
            "import java.net.*;\npublic class Echo { public static void main(String[] a) \
             throws Exception {\n  try (var s = new ServerSocket(12345); var c = s.accept()) \
             {\n    c.getInputStream().transferTo(c.getOutputStream()); } } }\n",
        )),
    },
];

/// Brings up the loopback interface, starts the server, waits until something is on the
/// port, runs the client, and ends the server.
const DRIVER: &str = "import fcntl, os, signal, socket, struct, subprocess, sys, time\n\
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n\
    \x20 up = struct.pack('16sH', b'lo', 1)\n\
    \x20 fcntl.ioctl(s, 0x8914, up + bytes(22))\n\
    words = lambda text: [it.replace('␣', ' ') for it in text.split(' ')]\n\
    server = subprocess.Popen(words(sys.argv[1]), stdin=subprocess.DEVNULL)\n\
    deadline = time.monotonic() + 30\n\
    def is_there():\n\
    \x20 for name in ('tcp', 'tcp6', 'udp', 'udp6'):\n\
    \x20\x20 for line in open('/proc/self/net/' + name).readlines()[1:]:\n\
    \x20\x20\x20 if line.split()[1].endswith(':3039'): return True\n\
    while not is_there():\n\
    \x20 if server.poll() is not None: sys.exit('the server has ended')\n\
    \x20 if time.monotonic() > deadline: sys.exit('nobody was at port 12345')\n\
    \x20 time.sleep(0.01)\n\
    client = subprocess.run(words(sys.argv[2]), stdout=subprocess.DEVNULL)\n\
    server.terminate()\n\
    try: server.wait(10)\n\
    except subprocess.TimeoutExpired: server.kill(); server.wait()\n\
    sys.exit(client.returncode)\n";

/// The calls traced by `strace -e trace=network` that flow traces too.
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

/// Calls on any file, which flow traces if one of their descriptors is a socket. Those
/// that wait, `poll(2)` and its kin, are not among them: some programs wait only if there
/// is nothing to read at first, which is chance.
const FILES: &[&str] = &[
    "read",
    "write",
    "readv",
    "writev",
    "close",
    "sendfile",
    "splice",
    "dup2",
    "dup3",
    "epoll_ctl",
];

/// Compares the calls of one program: names, errors, and the arguments that both print
/// alike. In order if one thread makes them all; otherwise as a multiset, because how
/// threads interleave is chance.
fn compare(command: &[&str]) -> Result<(), Failed> {
    let (threads, mut theirs) = by_strace(command, NETWORK, shape);
    let mut ours = by_flow(command, NETWORK, shape);
    if threads > 1 {
        theirs.sort();
        ours.sort();
    }
    assert!(!theirs.is_empty());
    assert_eq!(ours, theirs);
    Ok(())
}

/// Compares the kinds of calls of programs that do not make the same calls each time: how
/// often they look for what has not come yet is chance.
fn compare_kinds(command: &[&str]) -> Result<(), Failed> {
    let names = [NETWORK, FILES].concat();
    let (_, theirs) = by_strace(command, &names, kind);
    let theirs: BTreeSet<String> = theirs.into_iter().collect();
    let ours = by_flow(command, &names, kind);
    let ours: BTreeSet<String> = ours.into_iter().collect();
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    let added: Vec<&String> = ours.difference(&theirs).collect();
    assert!(theirs.len() > 3, "{theirs:?}");
    assert!(
        missing.is_empty() && added.is_empty(),
        "strace alone: {missing:#?}\nflow alone: {added:#?}"
    );
    Ok(())
}

fn compare_pair(pair: &Pair) -> Result<(), Failed> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    if let Some((name, text)) = pair.file {
        std::fs::write(scratch.path().join(name), text)?;
    }
    let folder = scratch.path().to_str().expect("UTF-8");
    let [server, client] = [pair.server, pair.client].map(|it| it.replace("{}", folder));
    let mut alone = vec!["unshare", "--net"];
    if !tool::is_root() {
        alone.extend(["--user", "--map-root-user"]);
    }
    let tried = run(std::process::Command::new(alone[0]).args(&alone[1..]).arg("true"));
    if tried.status != Some(0) {
        testkit::skip(pair.name, "there is no private network here");
        return Ok(());
    }
    let python = tool::python();
    alone.extend([&python, "-c", DRIVER, &server, &client]);
    compare_kinds(&alone)
}

/// The calls with these names on sockets that strace sees, in the form that `shape` gives
/// them for comparison, and how many threads made them.
fn by_strace(
    command: &[&str],
    names: &[&str],
    shape: fn(&str, &[&str]) -> String,
) -> (usize, Vec<String>) {
    let file = tool::scratch("strace");
    let output = file.to_str().expect("UTF-8");
    let traced = format!("trace={}", names.join(","));
    let args = ["-f", "-y", "-qq", "-e", &traced, "-e", "signal=none", "-o", output];
    let run = run(std::process::Command::new("strace").args(args).args(command));
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let text = std::fs::read(&file).expect("strace's output");
    let text = String::from_utf8_lossy(&text);
    // PID name(args) = result; a call that waited says `<unfinished ...>` instead.
    let (mut threads, mut calls) = (BTreeSet::new(), Vec::new());
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
        let is_about_sockets = NETWORK.contains(&name) || rest.contains("<socket:[");
        if names.contains(&name) && is_about_sockets {
            threads.insert(thread.to_owned());
            let rest = without_paths(rest);
            // For levels, strace uses the older names of socket(2) rather than those of
            // tcp(7).
            let rest = rest.replace("SOL_TCP", "IPPROTO_TCP");
            let rest = rest.replace("SOL_IPV6", "IPPROTO_IPV6");
            let rest = rest.replace("SOL_IP,", "IPPROTO_IP,");
            let rest = rest.replace(" <unfinished ...>", "");
            let args: Vec<&str> = rest.split([',', ')']).map(str::trim).collect();
            calls.push(shape(name, &args));
        }
    }
    (threads.len(), calls)
}

/// The text without what strace writes after each descriptor: `3<socket:[4026]>`.
fn without_paths(text: &str) -> String {
    let mut pieces = text.split("<socket:[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |all, piece| all + piece.split_once("]>").map_or("", |it| it.1))
}

/// The same for flow.
fn by_flow(
    command: &[&str],
    names: &[&str],
    shape: fn(&str, &[&str]) -> String,
) -> Vec<String> {
    let log = log(&["--quiet", "--free", "--host-network"], &[command]);
    let of_these = log.events.iter().filter_map(|event| match event {
        Event::Call(call) if names.contains(&call.name.as_str()) => Some(call),
        _ => None,
    });
    of_these
        .map(|call| {
            let args: Vec<&str> =
                call.args.iter().map(|arg| arg.value.as_str()).collect();
            shape(&call.name, &args)
        })
        .collect()
}

/// A call without the descriptor, whose number may differ from run to run.
fn kind(name: &str, args: &[&str]) -> String {
    let known = match name {
        "setsockopt" | "getsockopt" => 1..3,
        "socket" | "socketpair" => 0..2,
        "listen" | "shutdown" => 1..2,
        _ => 0..0,
    };
    format!("{name}({})", args.get(known).unwrap_or_default().join(", "))
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

// The reply is one send; how many receives take it is chance.
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

/// Both tracers run a client; its peer answers from this process, untraced.
fn compare_client(client: impl Fn(u16) -> Vec<String>) -> Result<(), Failed> {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("accept");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("receive");
            // It is no failure of this side if the client has gone.
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

/// This very program, which `main` runs if it is asked to.
fn tokio() -> Result<(), Failed> {
    let me = std::env::current_exe()?;
    compare_kinds(&["env", &format!("{}=1", crate::TOKIO), me.to_str().expect("UTF-8")])
}

fn go() -> Result<(), Failed> {
    let source = "package main\nimport (\"io\"; \"net\"; \"net/http\"; \"os\")\n\
        func main() {\n\
        \x20 listener, _ := net.Listen(\"tcp4\", \"127.0.0.1:0\")\n\
        \x20 go http.Serve(listener, http.FileServer(http.Dir(\"/\")))\n\
        \x20 reply, _ := http.Get(\"http://\" + listener.Addr().String() + \"/etc/passwd\")\n\
        \x20 io.Copy(os.Stdout, reply.Body)\n}\n";
    let file = tool::scratch("http.go");
    std::fs::write(&file, source)?;
    let program = file.with_file_name("http");
    let built = run(tool::go().args(["build", "-o"]).arg(&program).arg(&*file));
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    compare_kinds(&[program.to_str().expect("UTF-8")])
}

fn perl() -> Result<(), Failed> {
    let script = "use IO::Socket::INET;\n\
        my $l = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', ReuseAddr => 1);\n\
        my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $l->sockport);\n\
        my $a = $l->accept; $c->send('hello'); $a->recv(my $text, 9); $a->shutdown(1);\n";
    compare(&["perl", "-e", script])
}
