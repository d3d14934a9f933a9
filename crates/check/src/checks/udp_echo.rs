//! Lesson 3: a server that sends every datagram back.

use netlab::process::Signal;
use netlab::sockets::Transport;

use super::servers::{self, carries, pattern};
use super::{page, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::patience::Patience;
use crate::task::{Role, Task, must, should};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "udp-echo",
    lesson: 3,
    optional: false,
    role: Role::UdpServer,
    statement: statement!("udp-echo"),
    learned: "A datagram comes whole or not at all, may be empty, and tells who sent \
              it.",
    checks: &[
        must(
            "it waits for datagrams on its port",
            "bind(2) was not called, or with another port than PORT, or on a TCP socket",
            page::UDP,
            waits,
        ),
        must(
            "it answers `Hello UDP Server` with one datagram `Echo: Hello UDP Server`",
            "the six bytes `Echo: ` are missing or differ, or a newline was added",
            page::UDP,
            answers,
        ),
        must(
            "the reply comes from the address that the datagram was sent to",
            "the reply is sent from a second socket, which has a port of its own",
            page::UDP,
            servers::udp_from_its_port,
        ),
        must(
            "it sends bytes back as they came, including invalid UTF-8",
            "the message is decoded as text along the way; keep it as bytes",
            page::UDP,
            keeps_bytes,
        ),
        must(
            "an empty datagram is answered with `Echo: `, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            empty,
        ),
        must(
            "a datagram of 8,000 bytes comes back whole",
            "the buffer for recvfrom(2) is too small: the rest of a datagram is lost",
            page::UDP,
            long,
        ),
        must(
            "the largest datagram that can be echoed, 65,501 bytes, comes back whole",
            "the buffer for recvfrom(2) is smaller than the largest datagram, 65,507 bytes",
            page::UDP,
            largest,
        ),
        must(
            "a datagram whose echo would be too long does not end the server",
            "the error from sendto(2), EMSGSIZE, ends the program",
            page::UDP,
            too_long,
        ),
        must(
            "it serves two clients in turn",
            "the socket was connected to the first client, and drops what others send",
            page::UDP,
            servers::udp_two_clients,
        ),
        must(
            "a client that is gone before its reply does not end the server",
            "ECONNREFUSED, the error that says nobody is there, ends the program",
            page::UDP,
            client_gone,
        ),
        must(
            "forty datagrams in a row are answered, each once and in order",
            "some are received but not answered, or answered twice",
            page::UDP,
            burst,
        ),
        must(
            "Ctrl-C (SIGINT) ends it",
            "SIGINT is caught or ignored, and the loop carries on",
            page::UDP,
            interrupt,
        ),
        must(
            "when the port is in use, it exits with a non-zero status and says why",
            "the error from bind(2) is ignored, or SO_REUSEPORT shares the port",
            page::UDP,
            busy_port,
        ),
        should(
            "it waits on 127.0.0.1 only",
            "it is bound to 0.0.0.0 or ::, where the whole network can send",
            page::UDP,
            loopback_alone,
        ),
        should(
            "it prints no terminal control bytes",
            "what came from the network is printed raw; escape control bytes",
            page::UDP,
            prints_safely,
        ),
        must(
            "a datagram whose echo would be too long gets no reply",
            "the echo is cut to what fits: half a message that looks like a whole one",
            page::UDP,
            no_cut_reply,
        ),
        servers::UDP_PORT,
    ],
};

fn waits(arena: &mut Arena<'_>) -> Outcome {
    arena.udp_server().map(drop)
}

fn answers(arena: &mut Arena<'_>) -> Outcome {
    const REPLY: &[u8] = b"Echo: Hello UDP Server";
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"Hello UDP Server")?;
    let (bytes, _) = client.expect_any()?;
    if bytes != REPLY {
        let diagnosis = Diagnosis::of_message(REPLY, &bytes);
        return fails_because(quoted(REPLY), quoted(&bytes), diagnosis);
    }
    client.expect_silence()
}

fn keeps_bytes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    const MESSAGE: &[u8] = b" red \x1b[31m \xff\xfe \0 \xc3\x28\r\n";
    client.send(MESSAGE)?;
    let (bytes, _) = client.expect_any()?;
    match carries(&bytes, MESSAGE) {
        true => Ok(()),
        false => fails_because(
            "the bytes that were sent, after `Echo: `",
            quoted(&bytes),
            Diagnosis::of_message(&[b"Echo: ", MESSAGE].concat(), &bytes),
        ),
    }
}

fn empty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"")?;
    let (bytes, _) = client.expect_any()?;
    if bytes != b"Echo: " {
        return fails("\"Echo: \"", quoted(&bytes));
    }
    goes_on(&client)
}

/// Expects the server to answer another datagram.
fn goes_on(client: &crate::peer::Datagrams) -> Outcome {
    client.send(b"still there?")?;
    client.expect_any().map(drop)
}

fn long(arena: &mut Arena<'_>) -> Outcome {
    whole(arena, 8000)
}

fn largest(arena: &mut Arena<'_>) -> Outcome {
    whole(arena, 65_501)
}

fn whole(arena: &mut Arena<'_>, length: usize) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(&pattern(length))?;
    let (bytes, _) = client.expect_any()?;
    match carries(&bytes, &pattern(length)) {
        true => Ok(()),
        false => fails(
            format!("{} bytes", length + 6),
            format!("{} bytes: {}", bytes.len(), quoted(&bytes)),
        ),
    }
}

fn too_long(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(&pattern(65_507))?;
    client.settle_and_discard()?;
    goes_on(&client)
}

fn no_cut_reply(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(&pattern(65_502))?;
    client.expect_silence()
}

fn client_gone(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    server.freeze()?;
    for _ in 0..3 {
        let gone = arena.datagrams(&server)?;
        gone.send(b"and gone")?;
    }
    server.thaw();
    let client = arena.datagrams(&server)?;
    client.settle_and_discard()?;
    servers::was_not_interrupted(&server)?;
    goes_on(&client)
}

fn burst(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for number in 0..40 {
        client.send(format!("number {number}").as_bytes())?;
    }
    for number in 0..40 {
        let (bytes, _) = client.expect_any()?;
        let expected = format!("number {number}");
        if !carries(&bytes, expected.as_bytes()) {
            return fails(quoted(format!("Echo: {expected}").as_bytes()), quoted(&bytes));
        }
    }
    client.expect_silence()
}

fn interrupt(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    crate::peer::settle(&server);
    server.signal(Signal::Interrupt);
    server.wait_end(Patience::new(&server)).map(drop)
}

fn busy_port(arena: &mut Arena<'_>) -> Outcome {
    let _first = arena.udp_server()?;
    arena.start()?.expect_failure()
}

fn loopback_alone(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let waits = server.waits_at(Transport::Udp);
    match waits.iter().find(|address| !address.ip().is_loopback()) {
        None => Ok(()),
        Some(address) => fails("a socket on 127.0.0.1", format!("one on {address}")),
    }
}

fn prints_safely(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"\x1b[31mred\x07")?;
    client.expect_any()?;
    crate::peer::settle(&server);
    server.expect_safe_output()
}
