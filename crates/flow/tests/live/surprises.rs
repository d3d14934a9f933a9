//! What surprises whoever meets it for the first time: in each drawing, a row says why.

use flow::draw::{Diagram, Options, Row, State};
use libtest_mimic::{Failed, Trial};

use crate::causes::{logged, tells_all, told, words};
use crate::conversations::drawn;
use crate::tool::{self, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let python: &[&str] = &["python3"];
    vec![
        trial("surprise_unix_end_is_lost", python, unix_end),
        trial("surprise_unix_name_is_taken", python, unix_name),
        trial("surprise_a_message_without_a_byte", python, empty_message),
        trial("surprise_an_earlier_datagram_is_refused", python, refused_before),
        trial("surprise_datagrams_that_may_not_be_sent", python, not_sent),
        trial("surprise_datagrams_have_ports_of_their_own", python, other_ports),
        trial("surprise_address_reused_by_one_of_two", python, reused_by_one),
        trial("surprise_another_group", python, another_group),
        trial("surprise_no_connection_before_data", python, deferred),
        trial("surprise_a_child_keeps_the_listener", python, inherited),
        trial("surprise_a_small_window_is_not_nagle", python, no_room),
        trial("surprise_connections_that_are_given_up", python, given_up),
        trial("surprise_calls_in_the_wrong_order", python, wrong_order),
        trial("surprise_pair_with_a_child", python, pair),
        trial("surprise_bytes_left_to_another_thread", python, left_to_another),
        trial("surprise_bytes_that_are_not_told_of", python, not_told),
    ]
}

/// A peer that closes before it has received all, and one that never accepts: over AF_UNIX,
/// no packet tells.
fn unix_end() -> Result<(), Failed> {
    let server = "x = socket.socket(socket.AF_UNIX); x.bind('\\0flow-end'); x.listen(5)\n\
        c, _ = s.accept(); c.send(b'listens'); y, _ = x.accept(); y.recv(3); c.recv(9)\n\
        y.close(); x.close(); c.send(b'closed'); c.recv(9)\n";
    let client = "c.recv(7); x = socket.socket(socket.AF_UNIX); x.connect('\\0flow-end')\n\
        y = socket.socket(socket.AF_UNIX); y.connect('\\0flow-end')\n\
        x.send(b'hello, you'); c.send(b'sent'); c.recv(9)\n\
        for call in lambda: x.recv(9), lambda: x.send(b'more'), lambda: y.recv(9):\n\
        \x20 try: call()\n\
        \x20 except OSError: pass\n";
    let unread = "↳ 7 bytes were not received before the peer closed";
    let closed = "↳ the peer has closed";
    tells_all(
        server,
        client,
        &[unread, closed, "↳ never accepted: its listener was closed"],
    )
}

/// The two ends of a socketpair(2) belong together, whoever has them.
fn pair() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); a, b = socket.socketpair()\n\
        if os.fork() == 0: a.close(); b.recv(2); os._exit(0)\n\
        b.close(); a.send(b'hello'); os.wait()\n\
        for call in lambda: a.recv(9), lambda: a.send(b'more'):\n\
        \x20 try: call()\n\
        \x20 except OSError: pass\n";
    let unread = "↳ 3 bytes were not received before the peer closed";
    tells_all(server, "c.recv(9)\n", &[unread, "↳ the peer has closed"])
}

/// The file of a socket is still there when the socket is closed.
fn unix_name() -> Result<(), Failed> {
    let client = "import tempfile\n\
        folder = tempfile.TemporaryDirectory(); name = folder.name + '/name'\n\
        x = socket.socket(socket.AF_UNIX); x.bind(name); x.listen(); x.close()\n\
        x = socket.socket(socket.AF_UNIX)\n\
        for call in x.bind, x.connect:\n\
        \x20 try: call(name)\n\
        \x20 except OSError: pass\n";
    let taken = "↳ the file exists; closing a socket does not remove it";
    tells_all("s.accept()\n", client, &[taken, "↳ nobody listens at "])
}

/// An empty message over SOCK_SEQPACKET is received as 0 bytes, like the end of a stream.
fn empty_message() -> Result<(), Failed> {
    let server = "x = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
        x.bind('\\0flow-empty'); x.listen(5); c, _ = s.accept(); c.send(b'listens')\n\
        y, _ = x.accept(); y.recv(9); y.recv(9); y.recv(9)\n";
    let client = "c.recv(9); x = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
        x.connect('\\0flow-empty'); x.send(b''); x.send(b''); x.send(b'last'); c.recv(9)\n";
    let Some(text) = told(server, client) else { return Ok(()) };
    assert_eq!(words(&text).matches("end of stream").count(), 1, "TCP's alone:\n{text}");
    assert!(!text.contains('↳'), "{text}");
    // Where there is no empty message, 0 is the end.
    let client =
        client.replace("b''", "b'x'").replace("c.recv(9)\n", "x.close(); c.recv(9)\n");
    let server = format!("{server}y.recv(9)\n");
    let Some(text) = told(&server, &client) else { return Ok(()) };
    assert_eq!(words(&text).matches("end of stream").count(), 2, "{text}");
    Ok(())
}

/// A datagram to nobody is sent well. What fails is the next call.
fn refused_before() -> Result<(), Failed> {
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        u.connect(('127.0.0.1', 12345)); u.send(b'one')\n\
        try: u.send(b'two')\n\
        except ConnectionRefusedError: pass\n";
    let cause = "↳ the answer to an earlier datagram: ICMP port unreachable";
    tells_all("s.accept()\n", client, &[cause])
}

fn not_sent() -> Result<(), Failed> {
    let client = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        def send(text, to):\n\
        \x20 try: u.sendto(text, (to, 12345))\n\
        \x20 except OSError: pass\n\
        send(b'all', '127.255.255.255'); send(b'x' * 65508, '127.0.0.1')\n\
        u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
        send(b'all', '127.255.255.255'); send(b'x' * 65507, '127.0.0.1')\n";
    let broadcast = "↳ a broadcast address, and SO_BROADCAST is not set";
    let long = "↳ no more than 65,507 bytes fit into a datagram";
    let Some(text) = told("s.accept()\n", client) else { return Ok(()) };
    for cause in [broadcast, long] {
        assert_eq!(words(&text).matches(cause).count(), 1, "{cause} once in\n{text}");
    }
    Ok(())
}

/// A listener does not keep a port from datagrams.
fn other_ports() -> Result<(), Failed> {
    let client = "def bind(to):\n\
        \x20 u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        \x20 try: u.bind(to)\n\
        \x20 except OSError as error: print(error)\n\
        \x20 return u\n\
        one = bind(('127.0.0.1', 12345)); other = bind(('127.0.0.1', 12345))\n\
        try: socket.socket().bind(('10.9.9.9', 12345))\n\
        except OSError: pass\n";
    let taken = "↳ another socket for datagrams has port 12345";
    let elsewhere = "↳ no interface here has the address 10.9.9.9";
    let Some(text) = told("s.accept()\n", client) else { return Ok(()) };
    let text = words(&text);
    assert!(text.contains(taken) && text.contains(elsewhere), "{text}");
    assert!(!text.contains("somebody listens"), "{text}");
    Ok(())
}

/// Who comes second has set SO_REUSEADDR; the one before had not.
fn reused_by_one() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.close()\n\
        def waits(): return ' 06 ' in open('/proc/net/tcp').read()\n\
        while not waits(): time.sleep(0.02)\n\
        s.close(); s = socket.socket()\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
        try: s.bind(('127.0.0.1', 12345))\n\
        except OSError: pass\n";
    let cause = "↳ port 12345 is held in TIME-WAIT, by a socket without SO_REUSEADDR";
    tells_all(server, "c.recv(9); c.close()\n", &[cause])
}

/// What was sent to a group of which a socket is no member was not dropped there.
fn another_group() -> Result<(), Failed> {
    let server = "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('', 12345))\n\
        own = socket.inet_aton('127.0.0.1')\n\
        group = socket.inet_aton('239.1.2.3') + own\n\
        u.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)\n\
        c, _ = s.accept(); c.send(b'joined'); u.recv(9)\n";
    let client = "c.recv(9); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        own = socket.inet_aton('127.0.0.1')\n\
        u.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)\n\
        for group in '239.1.2.4', '239.1.2.3': u.sendto(group.encode()[-1:], (group, 12345))\n";
    let Some(text) = told(server, client) else { return Ok(()) };
    let text = words(&text);
    assert!(
        text.contains("recv(5, 9) = 1 \"3\"") || text.contains("recv = 1 \"3\""),
        "{text}"
    );
    assert!(!text.contains("dropped"), "{text}");
    Ok(())
}

/// With TCP_DEFER_ACCEPT there is no connection at the server, whatever the client believes,
/// before data comes.
fn deferred() -> Result<(), Failed> {
    let server = "t = socket.socket()\n\
        t.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)\n\
        t.bind(('127.0.0.1', 12346)); t.listen(5); c, _ = s.accept(); c.send(b'listens')\n\
        d, _ = t.accept(); d.recv(9)\n";
    let client = "c.recv(9); d = socket.create_connection(('127.0.0.1', 12346))\n\
        d.send(b'hello'); c.recv(9)\n";
    let Some(log) = logged(server, client) else { return Ok(()) };
    let diagram = Diagram::new(&log, &Options::default());
    let made = diagram.rows.iter().filter_map(|row| match row {
        Row::Packet(arrow) if arrow.to_state == Some(State::Established) => {
            Some(arrow.label.as_str())
        }
        _ => None,
    });
    let made: Vec<&str> = made.collect();
    assert_eq!(made, ["#1 SYN ACK", "#1 ACK", "#2 SYN ACK", "#2 5 bytes \"hello\""]);
    let cause = "↳ TCP_DEFER_ACCEPT: no connection before data comes";
    let text = words(&drawn(&log));
    assert_eq!(text.matches(cause).count(), 1, "{text}");
    Ok(())
}

/// A process that inherited the listener keeps it, and connections go on to be made.
fn inherited() -> Result<(), Failed> {
    let server = "r, w = os.pipe()\n\
        if os.fork() == 0: os.close(w); os.read(r, 1); os._exit(0)\n\
        c, _ = s.accept(); s.close(); c.send(b'closed'); c.recv(9); os.close(w)\n\
        os.wait(); c.recv(9)\n";
    let client = "c.recv(9); d = socket.create_connection(('127.0.0.1', 12345))\n\
        c.send(b'connected')\n\
        try: d.recv(9)\n\
        except ConnectionResetError: pass\n";
    tells_all(server, client, &["↳ never accepted: so RST"])
}

/// What finds no room at the peer, or fills a segment, is not held back by Nagle's algorithm.
fn no_room() -> Result<(), Failed> {
    let server = "t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)\n\
        t.bind(('127.0.0.1', 12346)); t.listen(5); c, _ = s.accept(); c.send(b'listens')\n\
        d, _ = t.accept(); c.recv(9)\n";
    let client = "c.recv(9); d = socket.create_connection(('127.0.0.1', 12346))\n\
        d.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096); d.setblocking(False)\n\
        try:\n\
        \x20 while True: d.send(b'x' * 1000000)\n\
        except BlockingIOError: pass\n";
    let Some(text) = told(server, client) else { return Ok(()) };
    let text = words(&text);
    let causes =
        ["↳ not sent yet: the peer has room for ", "↳ not sent yet: the peer's window"];
    assert!(causes.iter().any(|it| text.contains(it)), "{text}");
    assert!(!text.contains("Nagle"), "{text}");
    Ok(())
}

/// Calls that a socket takes only in another state.
fn wrong_order() -> Result<(), Failed> {
    let client = "def ask(call, *args):\n\
        \x20 try: call(*args)\n\
        \x20 except OSError as error: print(error)\n\
        t = socket.socket(); ask(t.accept); t.bind(('127.0.0.1', 12346))\n\
        ask(t.bind, ('127.0.0.1', 12347)); t.listen(5)\n\
        w = socket.create_connection(('127.0.0.1', 12346)); t.shutdown(socket.SHUT_RD)\n\
        ask(t.accept)\n";
    let causes = [
        "↳ listen was not called on it",
        "↳ it has the address 127.0.0.1:12346 already",
        "↳ it listens no more since its own shutdown",
        "↳ never accepted: so RST",
    ];
    tells_all("s.accept()\n", client, &causes)
}

/// A thread that waits while another one receives, and a program that ends by itself, have
/// missed nothing.
fn left_to_another() -> Result<(), Failed> {
    let server = "import select, threading\n\
        c, _ = s.accept(); d, _ = s.accept(); c.recv(4)\n\
        e = select.epoll(); e.register(c, select.EPOLLIN | select.EPOLLET)\n\
        assert e.poll(); c.recv(2)\n\
        t = threading.Thread(target=lambda: e.poll(0.01)); t.start(); t.join()\n\
        def wait(): c.recv(1); c.send(b'waits'); e.poll()\n\
        t = threading.Thread(target=wait, daemon=True); t.start(); d.recv(9); os._exit(0)\n";
    let client = "d = socket.create_connection(('127.0.0.1', 12345))\n\
        c.send(b'0123456789'); c.recv(9); d.send(b'end')\n\
        try: c.recv(9)\n\
        except ConnectionResetError: pass\n";
    let Some(text) = told(server, client) else { return Ok(()) };
    assert!(!words(&text).contains("are there at"), "{text}");
    Ok(())
}

/// The path breaks, and the kernel gives a connection up for what the program has asked.
fn given_up() -> Result<(), Failed> {
    let server = "import socket\n\
        s = socket.create_server(('10.77.0.2', 12345)); a, _ = s.accept(); b, _ = s.accept()\n\
        a.recv(9)\n";
    let client = "import socket\n\
        a, b = (socket.create_connection(('10.77.0.2', 12345)) for _ in range(2))\n\
        a.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)\n\
        b.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)\n\
        for option in socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT:\n\
        \x20 b.setsockopt(socket.IPPROTO_TCP, option, 1)\n\
        a.send(b'into the dark')\n\
        for it in a, b:\n\
        \x20 try: it.recv(9)\n\
        \x20 except TimeoutError: pass\n";
    if !crate::wire::is_allowed() {
        return Ok(());
    }
    let python = tool::python();
    let sides: [&[&str]; 2] = [&[&python, "-c", server], &[&python, "-c", client]];
    let text = words(&drawn(&tool::log(&["--rule", "cut at a>b data 1"], &sides)));
    for cause in [
        "↳ TCP_USER_TIMEOUT is over: no progress for 300 ms",
        "↳ no answer to its keepalive probes",
    ] {
        assert_eq!(text.matches(cause).count(), 1, "{cause} in\n{text}");
    }
    Ok(())
}

/// Bytes that are there, and calls that wait all the same: EPOLLET and EPOLLONESHOT told of
/// them once, and SO_RCVLOWAT asks for more.
fn not_told() -> Result<(), Failed> {
    let server = "import select\n\
        c, _ = s.accept(); c.recv(4)\n\
        e = select.epoll(); e.register(c, select.EPOLLIN | select.EPOLLET)\n\
        assert e.poll(); c.recv(2); e.poll(0.01); e.poll(0.01)\n\
        e.modify(c, select.EPOLLIN | select.EPOLLONESHOT)\n\
        assert e.poll(); c.recv(1); e.poll(0.01)\n\
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 9)\n\
        p = select.poll(); p.register(c, select.POLLIN); p.poll(10)\n\
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1); p.poll(10)\n\
        e.modify(c, select.EPOLLIN); e.poll(0.01); c.recv(9); e.poll(0.01)\n";
    let client = "c.send(b'0123456789'); c.recv(9)\n";
    let Some(text) = told(server, client) else { return Ok(()) };
    let text = words(&text);
    for cause in [
        "↳ 4 bytes are there at 4: EPOLLET tells only of what comes",
        "↳ 3 bytes are there at 4: EPOLLONESHOT tells once, until EPOLL_CTL_MOD",
        "↳ 3 bytes are there at 4: SO_RCVLOWAT asks for 9",
    ] {
        assert_eq!(text.matches(cause).count(), 1, "{cause} in\n{text}");
    }
    assert_eq!(text.matches("are there at").count(), 3, "{text}");
    Ok(())
}
