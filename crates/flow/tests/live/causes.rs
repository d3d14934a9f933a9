//! Public bug reports about programs that did not understand each other, as small
//! programs: in each drawing, a row tells the cause. There is one test for each report.

use flow::draw::{Diagram, Options, Row};
use flow::event::Log;
use libtest_mimic::{Failed, Trial};

use crate::conversations::{drawn, has_network};
use crate::tool::{self, log, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let python: &[&str] = &["python3"];
    vec![
        // RFC 9293 §3.6.1, the oldest report of all.
        trial("cause_unread_bytes", python, unread_bytes),
        // tarantool/tarantool#3619
        trial("cause_datagram_cut_off", python, cut_off),
        // apache/dubbo#5168
        trial("cause_accept_queue_full", python, queue_full),
        // scylladb/scylladb#9619
        trial("cause_nagle", python, nagle),
        // adonisjs/core#4253
        trial("cause_localhost_is_another_address", python, localhost),
        // nodejs/node#52649
        trial("cause_closed_already", python, closed_already),
        // http-kit/http-kit#326
        trial("cause_never_closed", python, never_closed),
        trial("a_program_killed_before_it_closes", python, killed_before_it_closes),
        trial("a_connection_still_in_use", python, still_in_use),
        trial("a_process_for_each_connection", python, process_each),
        trial("cause_a_copy_is_never_closed", python, copy_never_closed),
        // varnish/hitch#213
        trial("cause_ports_in_time_wait", python, time_wait),
        // joyent/libuv#690
        trial("cause_no_descriptor_is_free", python, no_descriptor),
        // MarcJHuber/event-driven-servers#204
        trial("cause_end_of_stream_again_and_again", python, end_again),
        // mattgodbolt/xania#102
        trial("cause_both_write", python, both_write),
        // nicolasff/webdis#54
        trial("cause_half_open", python, half_open),
        // From no report, but of the same kind.
        trial("cause_nobody_listens_there", python, nobody_listens),
        trial("cause_port_in_use", python, port_in_use),
        trial("cause_forgotten_peer", python, forgotten_peer),
        trial("cause_forgotten_connection", python, forgotten_connection),
        trial("cause_no_peer", python, no_peer),
        trial("cause_own_shutdown", python, own_shutdown),
        trial("cause_sent_after_a_reset", python, sent_after_reset),
        trial("cause_more_follows", python, more_follows),
        trial("cause_another_peer", python, another_peer),
        trial("cause_datagrams_without_room", python, without_room),
        trial("cause_unix_queue_full", python, unix_queue_full),
    ]
}

const LISTEN: &str = "import os, socket, struct, time\n\
    s = socket.socket(); s.bind(('127.0.0.1', 12345)); s.listen(5)\n";
const CONNECT: &str = "import os, socket, struct, time\n\
    c = socket.create_connection(('127.0.0.1', 12345))\n";

/// Runs a server and a client, each after a common prologue, and looks for what the
/// drawing must say, on one line or several.
fn tells(server: &str, client: &str, cause: &str) -> Result<(), Failed> {
    tells_all(server, client, &[cause])
}

pub(crate) fn tells_all(
    server: &str,
    client: &str,
    causes: &[&str],
) -> Result<(), Failed> {
    let Some(text) = told(server, client) else { return Ok(()) };
    for cause in causes {
        assert!(words(&text).contains(cause), "{cause} in\n{text}");
    }
    assert!(text.contains("More in lessons/errors.md"), "{text}");
    Ok(())
}

/// The drawing of a server and a client, each after a common prologue; `None` if there
/// are no packets.
pub(crate) fn told(server: &str, client: &str) -> Option<String> {
    logged(server, client).map(|log| drawn(&log))
}

pub(crate) fn logged(server: &str, client: &str) -> Option<Log> {
    let (server, client) = (format!("{LISTEN}{server}"), format!("{CONNECT}{client}"));
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", &server], &[&python, "-c", &client]]);
    if has_network(&log) {
        return Some(log);
    }
    testkit::skip("causes", "this system allows no private network");
    None
}

/// The words of a drawing: a cause in a narrow column continues on the next line.
pub(crate) fn words(text: &str) -> String {
    let text = text.replace(['│', '┊', '\n'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unread_bytes() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.recv(10); c.sendall(b'200 OK'); c.close()\n";
    let client = "c.sendall(b'POST /0123456789')\n\
        try: c.recv(99); c.recv(99)\n\
        except ConnectionResetError: pass\n";
    tells(server, client, "↳ 6 bytes were not received: so RST, no FIN")
}

fn cut_off() -> Result<(), Failed> {
    let server = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.bind(('127.0.0.1', 12345)); s.accept(); u.recvfrom(512)\n";
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.sendto(b'x' * 1025, ('127.0.0.1', 12345))\n";
    tells(server, client, "↳ 513 bytes of this datagram were cut off")
}

fn queue_full() -> Result<(), Failed> {
    // The server is busy with something else until the client has given up.
    let server = "s.listen(0)\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.bind(('127.0.0.1', 12345)); u.recv(9)\n";
    let client = "d = socket.socket(); d.settimeout(0.3)\n\
        try: d.connect(('127.0.0.1', 12345))\n\
        except TimeoutError: pass\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.sendto(b'done', ('127.0.0.1', 12345))\n";
    tells(server, client, "↳ dropped: the queue is full, 1 waits at backlog 0")
}

/// The server's kernel acknowledges at once at first, and when it is told to; with
/// TCP_QUICKACK off, it holds an acknowledgment back for at least 40 ms. In one of many
/// rounds, the client's second call comes before that, however busy the machine is.
fn nagle() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        for _ in range(25):\n\
        \x20 n = 0\n\
        \x20 while n < 20:\n\
        \x20   c.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)\n\
        \x20   n += len(c.recv(20))\n\
        \x20 c.sendall(b'ok')\n";
    let client = "for _ in range(25):\n\
        \x20 c.sendall(b'HEAD567890'); c.sendall(b'body567890'); c.recv(9)\n";
    let cause = "↳ not sent yet: 10 bytes before are not acknowledged (Nagle)";
    tells(server, client, cause)?;
    // With TCP_NODELAY, the second is sent at once, and nothing is reported.
    let client =
        format!("c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n{client}");
    if let Some(text) = told(server, &client) {
        assert!(!words(&text).contains("not sent yet"), "{text}");
    }
    Ok(())
}

fn localhost() -> Result<(), Failed> {
    let client = "try: d = socket.socket(socket.AF_INET6); d.bind(('::1', 0))\n\
        except OSError: print('no IPv6'); os._exit(0)\n\
        try: d.connect(('::1', 12345))\n\
        except ConnectionRefusedError: pass\n";
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        testkit::skip("cause_localhost_is_another_address", "this system has no IPv6");
        return Ok(());
    }
    let cause = "↳ nobody listens at [::1]:12345; nearest: 127.0.0.1:12345";
    tells("s.accept()\n", client, cause)
}

fn closed_already() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.recv(9); c.close(); s.accept()\n";
    let client = "c.sendall(b'GET 1'); c.recv(9)\n\
        try: c.sendall(b'GET 2'); c.recv(9)\n\
        except ConnectionError: pass\n";
    tells(server, client, "↳ this end is closed already")
}

/// Only the process that uses a connection can leave it open: another one of its program, which
/// ends, has nothing to do with it.
fn still_in_use() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        while c.recv(9): pass\n\
        if os.fork() == 0: os._exit(0)\n\
        os.wait(); c.close()\n";
    let Some(drawn) = told(server, "c.sendall(b'bye'); c.close()\n") else {
        return Ok(());
    };
    assert!(drawn.contains("CLOSE-WAIT"), "{drawn}");
    assert!(!drawn.contains("never closed"), "{drawn}");
    Ok(())
}

fn never_closed() -> Result<(), Failed> {
    let server = "all = [s.accept()[0] for _ in range(2)]\n\
        for c in all: c.recv(9)\n\
        os._exit(0)\n";
    let client =
        "d = socket.create_connection(('127.0.0.1', 12345)); c.close(); d.close()\n";
    tells(server, client, "never closed 2 connections after the peer had (CLOSE-WAIT)")
}

/// The server has seen the end of the stream, and gets no time to close.
fn killed_before_it_closes() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.recv(9); os.kill(os.getpid(), 15)\n";
    tells(
        server,
        "c.close()\n",
        "before it had closed a connection after the peer had (CLOSE-WAIT): the kernel closed \
         it",
    )
}

/// A process that serves one connection and ends has closed it.
fn process_each() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        if os.fork() == 0:\n\
        \x20   while c.recv(9): pass\n\
        \x20   os._exit(0)\n\
        c.close(); os.wait()\n";
    let Some(drawn) = told(server, "c.sendall(b'bye'); c.close()\n") else {
        return Ok(());
    };
    assert!(drawn.contains("CLOSE-WAIT"), "{drawn}");
    assert!(!drawn.contains("never closed"), "{drawn}");
    Ok(())
}

/// The parent keeps what its child serves open, and the connection stays in CLOSE-WAIT when the
/// child is long gone.
fn copy_never_closed() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        if os.fork() == 0:\n\
        \x20   while c.recv(9): pass\n\
        \x20   os._exit(0)\n\
        os.wait(); os._exit(0)\n";
    let cause = "never closed a connection after the peer had (CLOSE-WAIT): its process has \
        ended, but another still had it open";
    tells(server, "c.sendall(b'bye'); c.close()\n", cause)
}

/// A client that may use only one port: ip(7), IP_LOCAL_PORT_RANGE, since Linux 6.3. On a
/// loopback interface, a port in TIME-WAIT can be reused after a second (tcp_tw_reuse):
/// one of twenty rounds is faster than that, however busy the machine is.
fn time_wait() -> Result<(), Failed> {
    let server = "while True: c, _ = s.accept(); c.recv(9); c.close()\n";
    let client = "c.close()\n\
        for _ in range(20):\n\
        \x20 d = socket.socket(); d.setsockopt(socket.IPPROTO_IP, 51, struct.pack('HH', 40000, 40000))\n\
        \x20 try: d.connect(('127.0.0.1', 12345)); d.close()\n\
        \x20 except OSError: pass\n";
    let probe = "import socket, struct\n\
        ports = struct.pack('HH', 40000, 40000)\n\
        socket.socket().setsockopt(socket.IPPROTO_IP, 51, ports)\n";
    let probe = std::process::Command::new(tool::python()).args(["-c", probe]).output();
    if !probe.is_ok_and(|it| it.status.success()) {
        let why = "this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3)";
        testkit::skip("cause_ports_in_time_wait", why);
        return Ok(());
    }
    tells(server, client, "ports are held in TIME-WAIT")
}

fn no_descriptor() -> Result<(), Failed> {
    // It asks again at once, while the connection is still waiting.
    let server = "import resource, select\n\
        resource.setrlimit(resource.RLIMIT_NOFILE, (s.fileno() + 1,) * 2)\n\
        for _ in range(5):\n\
        \x20 select.select([s], [], [])\n\
        \x20 try: s.accept()\n\
        \x20 except OSError: pass\n";
    tells(server, "c.recv(9)\n", "↳ no descriptor is free, and 1 connection waits")
}

fn end_again() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        for _ in range(9): c.recv(9)\n";
    let cause = "↳ again: the peer has ended the stream, nothing more will come";
    tells(server, "c.sendall(b'hi'); c.close()\n", cause)
}

/// Both ends send more than there is room for, and neither receives. A thread beside each
/// waits until the peer has announced that its window is closed (TCP_INFO, tcpi_snd_wnd),
/// and tells the other one; the client's thread then interrupts the call.
fn both_write() -> Result<(), Failed> {
    let both = "import signal, threading\n\
        class Enough(Exception): pass\n\
        def enough(*_): raise Enough\n\
        signal.signal(signal.SIGUSR1, enough)\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        def is_closed():\n\
        \x20 info = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)\n\
        \x20 return struct.unpack('I', info[228:232])[0] == 0\n\
        def until_closed():\n\
        \x20 while not is_closed(): time.sleep(0.02)\n\
        def write():\n\
        \x20 try: c.sendall(b'x' * 5000000)\n\
        \x20 except (Enough, OSError): pass\n";
    let server = format!(
        "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4608)\n\
         c, _ = s.accept()\n\
         {both}\
         u.bind(('127.0.0.1', 12345))\n\
         def watch():\n\
         \x20 _, peer = u.recvfrom(99); until_closed(); u.sendto(b'here too', peer)\n\
         threading.Thread(target=watch, daemon=True).start()\n\
         c.send(b'go'); write(); os._exit(0)\n"
    );
    let client = format!(
        "{both}\
         c.recv(2)\n\
         def watch():\n\
         \x20 u.connect(('127.0.0.1', 12345)); until_closed()\n\
         \x20 u.send(b'closed here'); u.recv(9)\n\
         \x20 signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)\n\
         c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4608)\n\
         threading.Thread(target=watch, daemon=True).start()\n\
         write(); os._exit(0)\n"
    );
    let cause = "↳ waited: the peer's window is closed, it is in send itself";
    tells(&server, &client, cause)
}

/// The path between the two breaks, and then the client ends: its FIN never arrives.
fn half_open() -> Result<(), Failed> {
    let server = "import socket\n\
        s = socket.create_server(('10.77.0.2', 12345)); c, _ = s.accept()\n\
        c.recv(9); c.recv(9)\n";
    let client = "import socket\n\
        c = socket.create_connection(('10.77.0.2', 12345))\n\
        c.sendall(b'hello'); c.sendall(b'more'); c.close()\n";
    if !crate::wire::is_allowed() {
        return Ok(());
    }
    let python = tool::python();
    let sides: [&[&str]; 2] = [&[&python, "-c", server], &[&python, "-c", client]];
    let text = drawn(&log(&["--rule", "cut at a>b data 2"], &sides));
    let cause = "the FIN never came (half-open)";
    assert!(words(&text).contains(cause), "{cause} in\n{text}");
    Ok(())
}

fn nobody_listens() -> Result<(), Failed> {
    let client = "d = socket.socket()\n\
        try: d.connect(('127.0.0.2', 12345))\n\
        except ConnectionRefusedError: pass\n";
    let cause = "↳ nobody listens at 127.0.0.2:12345; nearest: 127.0.0.1:12345";
    tells("s.accept()\n", client, cause)
}

fn port_in_use() -> Result<(), Failed> {
    let client = "d = socket.socket()\n\
        try: d.bind(('127.0.0.1', 12345))\n\
        except OSError: pass\n";
    tells("s.accept()\n", client, "↳ somebody listens at port 12345")
}

/// connect(2) with an address of the family AF_UNSPEC, which Python's own does not take.
const FORGET: &str = "import ctypes\n\
    forget = lambda it: ctypes.CDLL(None).connect(it.fileno(), bytes(16), 16)\n";

fn forgotten_peer() -> Result<(), Failed> {
    let client = format!(
        "{FORGET}u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         u.connect(('127.0.0.1', 12345)); assert forget(u) == 0\n\
         try: u.send(b'to whom?')\n\
         except OSError: pass\n"
    );
    let cause = "↳ forgets its peer 127.0.0.1:12345: send needs an address now";
    let later = "↳ no peer since connect(AF_UNSPEC)";
    tells_all("s.accept()\n", &client, &[cause, later])?;
    // With a peer again, there is nothing to explain.
    let again = "u.connect(('127.0.0.1', 12345))\ntry: u.send(b'to whom?')";
    let client = client.replace("try: u.send(b'to whom?')", again);
    if let Some(text) = told("s.accept()\n", &client) {
        assert!(!words(&text).contains("no peer"), "{text}");
    }
    Ok(())
}

fn forgotten_connection() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        try: c.recv(9)\n\
        except ConnectionResetError: pass\n";
    let client = format!(
        "{FORGET}assert forget(c) == 0\n\
         try: c.recv(9)\n\
         except OSError: pass\n"
    );
    let reset = "↳ connect(AF_UNSPEC) breaks the connection off: so RST, no FIN";
    let gives_up = "↳ gives up its connection to 127.0.0.1:12345";
    let later = "↳ no connection since connect(AF_UNSPEC)";
    tells_all(server, &client, &[reset, gives_up, later])
}

fn no_peer() -> Result<(), Failed> {
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        try: u.send(b'to whom?')\n\
        except OSError: pass\n";
    tells("s.accept()\n", client, "↳ no address is given, and the socket has no peer")
}

/// A program that ends its own receiving gets 0, as if the peer had ended the stream; and one
/// that ends its sending gets EPIPE, as if the peer had broken it off.
fn own_shutdown() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.shutdown(socket.SHUT_RD); c.recv(9); c.recv(9)\n\
        c.shutdown(socket.SHUT_WR)\n\
        try: c.send(b'too late')\n\
        except BrokenPipeError: pass\n";
    let Some(text) = told(server, "c.recv(9)\n") else { return Ok(()) };
    let text = words(&text);
    let reading = "↳ its own shutdown: the peer has not ended the stream";
    let writing = "↳ it has ended its sending itself, with shutdown";
    assert!(text.contains(reading) && text.contains(writing), "{text}");
    assert!(!text.contains("the peer has ended the stream"), "{text}");
    Ok(())
}

fn sent_after_reset() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.recv(2); c.close(); s.accept()\n";
    let client = "c.sendall(b'hello')\n\
        try: c.recv(9)\n\
        except ConnectionResetError: pass\n\
        try: c.send(b'again')\n\
        except BrokenPipeError: pass\n\
        c.recv(9); c.recv(9)\n";
    let receiving = "↳ again: the peer's reset came before, nothing more will come";
    tells_all(server, client, &["↳ the peer's reset came before", receiving])
}

/// What is not sent because the program said so is not held back by Nagle's algorithm. After a
/// fifth of a second the kernel sends it all the same; one of many rounds is faster than that,
/// however busy the machine is.
fn more_follows() -> Result<(), Failed> {
    let server = "c, _ = s.accept()\n\
        while c.recv(99): pass\n";
    let client = "def send():\n\
        \x20 for word in b'this ', b'and ': c.send(word, socket.MSG_MORE)\n\
        \x20 c.send(b'that')\n\
        \x20 c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)\n\
        \x20 for word in b'under ', b'a cork': c.send(word)\n\
        \x20 c.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)\n\
        send()\n\
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n\
        for _ in range(24): send()\n";
    let Some(log) = logged(server, client) else { return Ok(()) };
    let text = words(&drawn(&log));
    let more = "↳ not sent yet: MSG_MORE says that more follows";
    let corked = "↳ not sent yet: the socket is corked (TCP_CORK)";
    assert!(text.contains(more) && text.contains(corked), "{text}");
    let diagram = Diagram::new(&log, &Options::default());
    for rows in diagram.rows.windows(2) {
        if let [Row::Call { text: call, .. }, Row::Cause { text: cause, .. }] = rows
            && ["MSG_MORE", "under ", "a cork"].iter().any(|it| call.contains(it))
        {
            assert!(!cause.contains("Nagle"), "{call}: {cause}");
        }
    }
    Ok(())
}

/// The client's socket has changed its peer when the first one answers.
fn another_peer() -> Result<(), Failed> {
    let server = "a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        a.bind(('127.0.0.1', 12345)); c, _ = s.accept(); _, peer = a.recvfrom(9); c.recv(9)\n\
        a.connect(peer); a.send(b'too late')\n\
        try: a.recv(9)\n\
        except ConnectionRefusedError: pass\n";
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.connect(('127.0.0.1', 12345)); u.send(b'hello'); u.connect(('127.0.0.1', 9))\n\
        c.send(b'changed'); c.recv(9)\n";
    tells(server, client, "↳ its socket takes datagrams only from 127.0.0.1:9")
}

/// More datagrams than there is room for: those that found none are missing before the next one
/// that is received, which is shorter than the buffer and not cut off.
fn without_room() -> Result<(), Failed> {
    let server = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); u.bind(('', 12345))\n\
        c, _ = s.accept(); c.recv(9); u.setblocking(False)\n\
        try:\n\
        \x20 while True: u.recv(2000)\n\
        except BlockingIOError: pass\n\
        u.setblocking(True); c.send(b'next'); u.recv(9)\n";
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        for n in range(32): u.sendto(b'%02d' % n * 500, ('127.0.0.1', 12345))\n\
        c.send(b'sent'); c.recv(9); u.sendto(b'x', ('127.0.0.1', 12345))\n";
    let Some(log) = logged(server, client) else { return Ok(()) };
    let received = tool::results(&log, 0, "recvfrom").filter(|it| *it == 1000).count();
    let text = words(&drawn(&log));
    let cause = format!("↳ {} datagrams were dropped before this one", 32 - received);
    assert!(text.contains(&cause), "{cause} in\n{text}");
    assert!(!text.contains("cut off"), "{text}");
    Ok(())
}

fn unix_queue_full() -> Result<(), Failed> {
    let server = "x = socket.socket(socket.AF_UNIX); x.bind('\\0flow-queue-full')\n\
        x.listen(0); c, _ = s.accept(); c.send(b'listens'); c.recv(9)\n";
    let client = "c.recv(9)\n\
        for _ in range(2):\n\
        \x20 x = socket.socket(socket.AF_UNIX); x.setblocking(False); os.dup(x.fileno())\n\
        \x20 try: x.connect('\\0flow-queue-full')\n\
        \x20 except BlockingIOError: pass\n";
    tells(server, client, "↳ the queue of its listener is full")
}
