//! Public reports of programs that did not understand each other, as small programs: in each
//! drawing a row tells the cause.

use libtest_mimic::{Failed, Trial};

use crate::conversations::{drawn, has_network};
use crate::tool::{self, log, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cause_unread_bytes", &["python3"], unread_bytes),
        trial("cause_datagram_cut_off", &["python3"], cut_off),
        trial("cause_accept_queue_full", &["python3"], queue_full),
        trial("cause_nagle", &["python3"], nagle),
        trial("cause_nobody_listens_there", &["python3"], nobody_listens),
        trial("cause_closed_already", &["python3"], closed_already),
        trial("cause_never_closed", &["python3"], never_closed),
        trial("cause_ports_in_time_wait", &["python3"], time_wait),
        trial("cause_port_in_use", &["python3"], port_in_use),
    ]
}

const LISTEN: &str = "import os, socket, struct, time\n\
    s = socket.socket(); s.bind(('127.0.0.1', 12345)); s.listen(5)\n";
const CONNECT: &str = "import os, socket, struct, time\n\
    c = socket.create_connection(('127.0.0.1', 12345))\n";

/// Runs a server and a client, each after its beginning, and looks for what the drawing has to
/// say, on one line or more.
fn tells(server: &str, client: &str, cause: &str) -> Result<(), Failed> {
    let (server, client) = (format!("{LISTEN}{server}"), format!("{CONNECT}{client}"));
    let python = tool::python();
    let log = log(&[], &[&[&python, "-c", &server], &[&python, "-c", &client]]);
    if !has_network(&log) {
        return Ok(());
    }
    let text = drawn(&log);
    // A cause in a narrow column goes on in the next line.
    let words = text.replace(['│', '┊', '\n'], " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    assert!(words.join(" ").contains(cause), "{cause} in\n{text}");
    Ok(())
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
    let server = "s.listen(0); time.sleep(1)\n";
    let client = "d = socket.socket(); d.settimeout(0.3)\n\
        try: d.connect(('127.0.0.1', 12345))\n\
        except TimeoutError: pass\n";
    tells(server, client, "↳ dropped: the queue is full, 1 waits at backlog 0")
}

fn nagle() -> Result<(), Failed> {
    // At first the server's kernel acknowledges at once, and later no longer.
    let server = "c, _ = s.accept()\n\
        for _ in range(4):\n\
        \x20 n = 0\n\
        \x20 while n < 20: n += len(c.recv(20))\n\
        \x20 c.sendall(b'ok')\n";
    let client = "for _ in range(4):\n\
        \x20 c.sendall(b'HEAD567890'); c.sendall(b'body567890'); c.recv(9)\n";
    let cause = "↳ not sent yet: 10 bytes before are not acknowledged (Nagle)";
    tells(server, client, cause)?;
    // With TCP_NODELAY the second is sent at once, and nothing is told.
    let client =
        format!("c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n{client}");
    assert!(std::panic::catch_unwind(|| tells(server, &client, cause)).is_err());
    Ok(())
}

fn nobody_listens() -> Result<(), Failed> {
    let client = "d = socket.socket()\n\
        try: d.connect(('127.0.0.2', 12345))\n\
        except ConnectionRefusedError: pass\n";
    let cause = "↳ nobody listens at 127.0.0.2:12345; nearest: 127.0.0.1:12345";
    tells("s.accept()\n", client, cause)
}

fn closed_already() -> Result<(), Failed> {
    let server = "c, _ = s.accept(); c.recv(9); c.close(); s.accept()\n";
    let client = "c.sendall(b'GET 1'); c.recv(9)\n\
        try: c.sendall(b'GET 2'); c.recv(9)\n\
        except ConnectionError: pass\n";
    tells(server, client, "↳ this end is closed already")
}

fn never_closed() -> Result<(), Failed> {
    let server = "all = [s.accept()[0] for _ in range(2)]\n\
        for c in all: c.recv(9)\n\
        os._exit(0)\n";
    let client = "d = socket.create_connection(('127.0.0.1', 12345)); c.close(); d.close()\n\
        time.sleep(0.1)\n";
    tells(server, client, "never closed 2 connections after the peer had (CLOSE-WAIT)")
}

fn time_wait() -> Result<(), Failed> {
    // As root of this network, or the range of ports stays as it is.
    let server = "while True: c, _ = s.accept(); c.recv(9); c.close()\n";
    let client = "try: open('/proc/sys/net/ipv4/ip_local_port_range', 'w').write('40000 40002')\n\
        except OSError: os._exit(0)\n\
        c.close()\n\
        for _ in range(5):\n\
        \x20 try: d = socket.create_connection(('127.0.0.1', 12345)); d.close()\n\
        \x20 except OSError: pass\n";
    if !is_root() {
        testkit::skip("cause_ports_in_time_wait", "only root can narrow the range");
        return Ok(());
    }
    tells(server, client, "ports are held in TIME-WAIT")
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("my status");
    status.contains("Uid:\t0\t")
}

fn port_in_use() -> Result<(), Failed> {
    let client = "d = socket.socket()\n\
        try: d.bind(('127.0.0.1', 12345))\n\
        except OSError: pass\n";
    tells("s.accept()\n", client, "↳ somebody listens at port 12345")
}
