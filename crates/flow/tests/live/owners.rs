//! Packets are drawn at the programs that sent and received them.

use flow::draw::{Arrow, Diagram, Options, Row};
use flow::event::{Change, Event, Flag, Log, Packet, Process, Protocol};
use libtest_mimic::{Failed, Trial};

use crate::conversations::{drawn, has_network};
use crate::tool::{self, log, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("two_programs_at_one_port", &["python3"], one_port),
        trial("a_queue_goes_with_its_listener", &["python3"], queue_of_one),
        trial("a_port_used_again_by_a_later_program", &["python3"], port_used_again),
        trial("a_connection_is_handed_over", &["python3"], handed_over),
        trial("a_broadcast_has_many_receivers", &["python3"], broadcast),
        trial("a_multicast_is_for_members", &["python3"], multicast),
        trial("a_closed_socket_is_no_member", &["python3"], closed_members),
        trial("a_closed_socket_shares_no_port", &["python3"], closed_sharer),
        trial(
            "datagrams_of_two_programs_at_one_port",
            &["python3"],
            datagrams_at_one_port,
        ),
        trial("an_icmp_error_is_drawn", &["python3"], icmp_error),
        trial("a_packet_stands_below_the_splice_that_sends_it", &["python3"], splice),
        trial("an_interrupted_call_returns_below_the_signal", &["python3"], interrupted),
    ]
}

fn diagram(log: &Log) -> Diagram {
    Diagram::new(log, &Options::default())
}

/// The arrows whose label contains this piece: from which column to which.
fn arrows(diagram: &Diagram, piece: &str) -> Vec<(String, String)> {
    let name = |column: usize| diagram.columns[column].name.clone();
    let all = diagram.rows.iter().filter_map(|row| match row {
        Row::Packet(Arrow { from, to, label, .. }) if label.contains(piece) => {
            Some((name(*from), name(*to)))
        }
        _ => None,
    });
    all.collect()
}

/// Scripts with these names, so that the columns can be told apart.
fn scripts(texts: &[(&str, &str)]) -> (tempfile::TempDir, Vec<Vec<String>>) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let python = tool::python();
    let command = |(name, text): &(&str, &str)| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("write a script");
        vec![python.clone(), file.to_str().expect("UTF-8").to_owned()]
    };
    let commands = texts.iter().map(command).collect();
    (folder, commands)
}

fn run(texts: &[(&str, &str)]) -> Log {
    let (_folder, commands) = scripts(texts);
    let words: Vec<Vec<&str>> =
        commands.iter().map(|it| it.iter().map(String::as_str).collect()).collect();
    let sides: Vec<&[&str]> = words.iter().map(Vec::as_slice).collect();
    log(&[], &sides)
}

fn one_port() -> Result<(), Failed> {
    let server = |letter: &str| {
        format!(
            "import socket, sys\n\
             s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
             s.bind(('127.0.0.1', 12345)); s.listen()\n\
             try:\n\
             \x20 while True: c, _ = s.accept(); c.sendall(b'{letter}'); c.close()\n\
             except KeyboardInterrupt: pass\n"
        )
    };
    let client = "import socket\n\
        for _ in range(12):\n\
        \x20 c = socket.create_connection(('127.0.0.1', 12345)); c.recv(9); c.close()\n";
    let (a, b) = (server("A"), server("B"));
    let log = run(&[("a.py", &a), ("b.py", &b), ("client.py", client)]);
    if !has_network(&log) {
        return Ok(());
    }
    let diagram = diagram(&log);
    // The kernel chooses by the client's port; whatever it chose, the drawing shows.
    for (letter, name) in [("\"A\"", "a.py"), ("\"B\"", "b.py")] {
        for (from, to) in arrows(&diagram, letter) {
            assert_eq!((from.as_str(), to.as_str()), (name, "client.py"));
        }
    }
    let all = arrows(&diagram, "1 byte").len();
    assert_eq!(all, 12, "{}", drawn(&log));
    Ok(())
}

/// Of two listeners at one port, the first one closes: what is reset was in its queue, though
/// the other one came last.
fn queue_of_one() -> Result<(), Failed> {
    let listen = "import socket\n\
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
        s.bind(('127.0.0.1', 12345)); s.listen()\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n";
    let wait = "try: u.recv(9)\nexcept KeyboardInterrupt: pass\n";
    let closes = format!(
        "{listen}u.bind(('127.0.0.1', 12346)); _, peer = u.recvfrom(9)\n\
         s.close(); u.sendto(b'closed', peer)\n{wait}"
    );
    let stays = format!("{listen}u.bind(('127.0.0.1', 0))\n{wait}");
    let client = "import socket\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        all = [socket.create_connection(('127.0.0.1', 12345)) for _ in range(12)]\n\
        u.sendto(b'close', ('127.0.0.1', 12346)); u.recv(9)\n";
    let log = run(&[("a.py", &closes), ("b.py", &stays), ("client.py", client)]);
    if !has_network(&log) {
        return Ok(());
    }
    // The kernel chooses by the client's port. Until the client ends, only one of them has
    // closed its listener.
    let end = |it: &Event| {
        matches!(it, Event::Process(Process { side: 2, what: Change::Exited(_), .. }))
    };
    let until = log.events.iter().position(end).expect("the client ends");
    let is_reset = |it: &&Event| {
        matches!(it, Event::Packet(Packet { protocol: Protocol::Tcp { flags, .. }, .. })
            if flags.has(Flag::Rst))
    };
    let resets = log.events[..until].iter().filter(is_reset).count();
    let all = arrows(&diagram(&log), "RST");
    let expected = vec![("a.py".to_owned(), "client.py".to_owned()); resets];
    assert_eq!(all[..resets], expected, "{}", drawn(&log));
    Ok(())
}

fn port_used_again() -> Result<(), Failed> {
    let server = |word: &str| {
        format!(
            "import socket\n\
             s = socket.create_server(('127.0.0.1', 12345)); c, _ = s.accept()\n\
             c.sendall(b'{word}'); c.recv(9); c.close()\n"
        )
    };
    let client = "import socket\n\
        c = socket.create_connection(('127.0.0.1', 12345), source_address=('127.0.0.1', 40000))\n\
        c.recv(9); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0')\n\
        c.close()\n";
    let (one, two) = (server("one"), server("two"));
    let log =
        run(&[("one.py", &one), ("a.py", client), ("two.py", &two), ("b.py", client)]);
    if !has_network(&log) {
        return Ok(());
    }
    let diagram = diagram(&log);
    let of = |piece| arrows(&diagram, piece);
    assert_eq!(
        of("\"one\""),
        [("one.py".to_owned(), "a.py".to_owned())],
        "{}",
        drawn(&log)
    );
    assert_eq!(
        of("\"two\""),
        [("two.py".to_owned(), "b.py".to_owned())],
        "{}",
        drawn(&log)
    );
    Ok(())
}

fn handed_over() -> Result<(), Failed> {
    let giver = "import socket\n\
        u = socket.socket(socket.AF_UNIX); u.bind('\\0flow-handed-over'); u.listen()\n\
        t = socket.create_server(('127.0.0.1', 12345))\n\
        taker, _ = u.accept(); c, _ = t.accept()\n\
        socket.send_fds(taker, [b'take'], [c.fileno()]); taker.recv(1)\n";
    let taker = "import socket\n\
        u = socket.socket(socket.AF_UNIX); u.connect('\\0flow-handed-over')\n\
        _, fds, _, _ = socket.recv_fds(u, 9, 1)\n\
        c = socket.socket(fileno=fds[0]); c.sendall(b'from the taker'); u.send(b'x')\n";
    let client = "import socket\n\
        c = socket.create_connection(('127.0.0.1', 12345)); c.recv(99)\n";
    let log = run(&[("giver.py", giver), ("taker.py", taker), ("client.py", client)]);
    let text = drawn(&log);
    assert!(text.contains("SCM_RIGHTS"), "{text}");
    if has_network(&log) {
        let diagram = diagram(&log);
        let is = |piece: &str, from: &str, to: &str| {
            assert_eq!(
                arrows(&diagram, piece)[0],
                (from.to_owned(), to.to_owned()),
                "{text}"
            );
        };
        is("SYN", "client.py", "giver.py");
        is("from the taker", "taker.py", "client.py");
    }
    Ok(())
}

const RECEIVER: &str = "import socket\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind(('', 12345)); print(s.recvfrom(99))\n";

fn broadcast() -> Result<(), Failed> {
    let sender = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
        s.sendto(b'to all', ('127.255.255.255', 12345))\n";
    let log = run(&[("a.py", RECEIVER), ("b.py", RECEIVER), ("sender.py", sender)]);
    if has_network(&log) {
        let to = |name: &str| ("sender.py".to_owned(), name.to_owned());
        let diagram = diagram(&log);
        assert_eq!(arrows(&diagram, "to all"), [to("a.py")], "{}", drawn(&log));
        assert_eq!(arrows(&diagram, "the same"), [to("b.py")], "{}", drawn(&log));
    }
    Ok(())
}

/// Of two programs at the port only one has joined the group, and the other says that it wants
/// nothing but its own groups. The second group has no member.
fn multicast() -> Result<(), Failed> {
    let join = "s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, \
        socket.inet_aton('239.1.2.3') + socket.inet_aton('127.0.0.1'))\n";
    // Python has no name for IP_MULTICAST_ALL.
    let only_own = "s.setsockopt(socket.IPPROTO_IP, 49, 0)\n";
    let receiver = |option: &str| {
        let end = "try: print(s.recvfrom(99))\nexcept KeyboardInterrupt: pass\n";
        RECEIVER.replace("print(s.recvfrom(99))\n", &format!("{option}{end}"))
    };
    let sender = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('127.0.0.1'))\n\
        s.sendto(b'for nobody', ('239.9.9.9', 12345))\n\
        s.sendto(b'for members', ('239.1.2.3', 12345))\n";
    let (member, other) = (receiver(join), receiver(only_own));
    let log = run(&[("a.py", &member), ("b.py", &other), ("sender.py", sender)]);
    if has_network(&log) {
        let text = drawn(&log);
        let to = |name: &str| ("sender.py".to_owned(), name.to_owned());
        let diagram = diagram(&log);
        assert_eq!(arrows(&diagram, "for members"), [to("a.py")], "{text}");
        assert_eq!(arrows(&diagram, "for nobody"), [to("(no program)")], "{text}");
        assert_eq!(arrows(&diagram, "the same"), [], "{text}");
    }
    Ok(())
}

/// Who gets a datagram: the programs at which it is drawn.
fn receivers(diagram: &Diagram, piece: &str) -> Vec<String> {
    let arrows = diagram.rows.iter().filter_map(|row| match row {
        Row::Packet(arrow) => Some(arrow),
        _ => None,
    });
    let mut from_it = arrows.skip_while(|it| !it.label.contains(piece));
    let first = from_it.next();
    let others = from_it.take_while(|it| it.label == "the same datagram");
    first
        .into_iter()
        .chain(others)
        .map(|it| diagram.columns[it.to].name.clone())
        .collect()
}

/// Members of a multicast group close their sockets in every way between two datagrams: only
/// those get the second one that still have a descriptor of it.
fn closed_members() -> Result<(), Failed> {
    let script = |how: &str| {
        format!(
            "import os, socket, sys\n\
             def member():\n\
             \x20 s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             \x20 s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
             \x20 s.bind(('', 12345))\n\
             \x20 s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,\n\
             \x20   socket.inet_aton('239.1.2.3') + socket.inet_aton('127.0.0.1'))\n\
             \x20 s.recv(99); return s\n\
             done = \"import socket; c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\\n\
             c.sendto(b'done', ('127.0.0.1', 12346))\\n\
             try: c.recv(9)\\n\
             except KeyboardInterrupt: pass\"\n\
             {how}\n\
             exec(done)\n"
        )
    };
    let other = "o = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)";
    let scripts = [
        ("open.py", script("s = member()")),
        ("close.py", script("s = member(); s.close()")),
        ("copy.py", script("s = member(); d = os.dup(s.fileno()); s.close()")),
        (
            "over.py",
            script(&format!("s = member(); {other}; os.dup2(o.fileno(), s.fileno())")),
        ),
        (
            "exec.py",
            script("s = member(); os.execv(sys.executable, ['python3', '-c', done])"),
        ),
        ("exit.py", script("if os.fork() == 0: member(); os._exit(0)\nos.wait()")),
    ];
    let sender = format!(
        "import socket\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 12346))\n\
         s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('127.0.0.1'))\n\
         s.sendto(b'first', ('239.1.2.3', 12345))\n\
         for _ in range({}): s.recv(9)\n\
         s.sendto(b'second', ('239.1.2.3', 12345))\n",
        scripts.len()
    );
    let mut sides: Vec<(&str, &str)> =
        scripts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    sides.push(("sender.py", &sender));
    let log = run(&sides);
    if has_network(&log) {
        let (diagram, text) = (diagram(&log), drawn(&log));
        assert_eq!(receivers(&diagram, "\"first\"").len(), scripts.len(), "{text}");
        assert_eq!(receivers(&diagram, "\"second\""), ["open.py", "copy.py"], "{text}");
    }
    Ok(())
}

/// Of two programs at one port, the one that came last closes its socket: what is sent then is
/// for the other one, though that does not look at it.
fn closed_sharer() -> Result<(), Failed> {
    let bound = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind(('127.0.0.1', 12345))\n\
        o = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n";
    let wait = "try: o.recv(9)\nexcept KeyboardInterrupt: pass\n";
    let stays = format!("{bound}o.bind(('127.0.0.1', 0))\n{wait}");
    let closes = format!(
        "{bound}o.bind(('127.0.0.1', 12346)); _, peer = o.recvfrom(9)\n\
         s.close(); o.sendto(b'closed', peer)\n{wait}"
    );
    let sender = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        s.sendto(b'close', ('127.0.0.1', 12346)); s.recv(9)\n\
        s.sendto(b'afterwards', ('127.0.0.1', 12345))\n";
    let log = run(&[("a.py", &stays), ("b.py", &closes), ("sender.py", sender)]);
    if has_network(&log) {
        assert_eq!(receivers(&diagram(&log), "afterwards"), ["a.py"], "{}", drawn(&log));
    }
    Ok(())
}

fn datagrams_at_one_port() -> Result<(), Failed> {
    let receiver = RECEIVER.replace("SO_REUSEADDR", "SO_REUSEPORT").replace(
        "print(s.recvfrom(99))",
        "\ntry:\n while True: print(s.recvfrom(99))\nexcept KeyboardInterrupt: pass",
    );
    let sender = "import socket\n\
        for _ in range(12):\n\
        \x20 s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        \x20 s.sendto(b'ping', ('127.0.0.1', 12345))\n";
    let log = run(&[("a.py", &receiver), ("b.py", &receiver), ("sender.py", sender)]);
    if !has_network(&log) {
        return Ok(());
    }
    let diagram = diagram(&log);
    // As many are drawn at each program as it received.
    for (side, name) in [(0, "a.py"), (1, "b.py")] {
        let received =
            tool::results(&log, side, "recvfrom").filter(|it| *it == 4).count();
        let drawn_at =
            arrows(&diagram, "ping").iter().filter(|(_, to)| to == name).count();
        assert_eq!(received, drawn_at, "{}", drawn(&log));
    }
    Ok(())
}

fn icmp_error() -> Result<(), Failed> {
    let client = "import socket\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 9))\n\
        s.send(b'x')\n\
        try: s.recv(9)\n\
        except ConnectionRefusedError: pass\n";
    for client in
        [client.to_owned(), client.replace("INET", "INET6").replace("127.0.0.1", "::1")]
    {
        let log = run(&[("client.py", &client)]);
        if has_network(&log) {
            let found = arrows(&diagram(&log), "ICMP port 9 unreachable");
            let expected = ("(no program)".to_owned(), "client.py".to_owned());
            assert_eq!(found, [expected], "{}", drawn(&log));
        }
    }
    Ok(())
}

/// The line of a drawing on which a row with this piece is.
fn line(text: &str, piece: &str) -> usize {
    let found = text.lines().position(|it| it.contains(piece));
    found.unwrap_or_else(|| panic!("{piece} in\n{text}"))
}

fn splice() -> Result<(), Failed> {
    let server = "import os, socket\n\
        s = socket.create_server(('127.0.0.1', 12345)); c, _ = s.accept(); r, w = os.pipe()\n\
        n = os.splice(c.fileno(), w, 99); os.splice(r, c.fileno(), n)\n";
    let client = "import socket\n\
        c = socket.create_connection(('127.0.0.1', 12345)); c.sendall(b'there and back')\n\
        c.recv(99)\n";
    let log = run(&[("server.py", server), ("client.py", client)]);
    if has_network(&log) {
        let text = drawn(&log);
        let back =
            text.lines().position(|it| it.contains("◀") && it.contains("14 bytes"));
        assert!(back > Some(line(&text, ", 14) = 14")), "{text}");
        assert!(back < Some(line(&text, "= 14 \"there")), "{text}");
    }
    Ok(())
}

fn interrupted() -> Result<(), Failed> {
    // With a timeout on the socket, recv(2) is not restarted.
    // On a busy machine the first tick may come before the call.
    let script = "import signal, socket, struct\n\
        class Enough(Exception): pass\n\
        times = []\n\
        def tick(*_):\n\
        \x20 times.append(1)\n\
        \x20 if len(times) == 3: raise Enough\n\
        signal.signal(signal.SIGALRM, tick)\n\
        a, b = socket.socketpair()\n\
        a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 60, 0))\n\
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)\n\
        try: a.recv(1)\n\
        except Enough: pass\n";
    let text = drawn(&run(&[("script.py", script)]));
    assert!(line(&text, "gets SIGALRM") < line(&text, "recv = -1 EINTR"), "{text}");
    Ok(())
}
