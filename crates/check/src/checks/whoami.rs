//! Lesson 4: a server that tells each client both addresses of its connection.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::peer::{Connection, settle};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "whoami",
    lesson: 4,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("whoami"),
    learned: "accept opens no new port: a connection is known by both its addresses.",
    checks: &[
        must(
            "it sends the line with both addresses unprompted, and ends the stream",
            "the words differ, it waits for something to come first, or keeps the connection open",
            page::PORT,
            line,
        ),
        must(
            "the peer address is the one the client really has",
            "getsockname(2) in place of getpeername(2), or the ends are swapped",
            page::PORT,
            peer,
        ),
        must(
            "its own end of the connection has the listener's port",
            "accept(2) opens no new port: the local address is the listener's",
            page::PORT,
            local,
        ),
        must(
            "two clients at the same time each get their own address",
            "the first client's address is kept and sent to everyone",
            page::PORT,
            two_clients,
        ),
        must(
            "it serves twenty clients one after another",
            "accept(2) is called once",
            page::PORT,
            many,
        ),
        must(
            "a client that leaves before it is accepted does not end the server",
            "getpeername(2) fails with ENOTCONN then; take the address that accept(2) gave",
            page::KERNEL,
            gone,
        ),
        must(
            "a client that sends something gets the line anyway",
            "it closes with unread bytes: that sends a reset, and what was sent may be lost",
            page::PORT,
            throws_away,
        ),
        must(
            "it can be started again at once, though it closed its connections first",
            "SO_REUSEADDR is not set before bind(2): they hold the port in TIME-WAIT",
            page::PORT,
            starts_again,
        ),
        must(
            "when another server has the port, it exits with a non-zero status and says why",
            "the error from bind(2) is ignored, or SO_REUSEPORT shares the port",
            page::PORT,
            servers::busy_port,
        ),
        must(
            "it listens at whatever port PORT names, and tells that port",
            "the port is fixed in the program, or in the line: ask getsockname(2)",
            page::PORT,
            told_port,
        ),
        servers::NOTHING_STAYS,
    ],
};

/// Receives the client's line, and returns the addresses in it: the server's and the client's.
fn told(client: &mut Connection) -> Outcome<(String, String)> {
    let bytes = client.read_to_end(1000)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let words: Vec<&str> = text.split([' ', '\n']).collect();
    match words[..] {
        ["local", local, "peer", peer, ""] if is_address(local) && is_address(peer) => {
            Ok((local.to_owned(), peer.to_owned()))
        }
        _ => fails_because(
            "`local HOST:PORT peer HOST:PORT` and \\n",
            quoted(&bytes),
            Some(match bytes.is_empty() {
                true => servers::SAID_NOTHING,
                false => of_another_line(&text),
            }),
        ),
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
}

/// What is the matter with a line of another form.
fn of_another_line(line: &str) -> Diagnosis {
    match line.contains("::ffff:") {
        true => Diagnosis::Other(
            "mapped-address",
            "the socket is one of IPv6, which shows 127.0.0.1 as ::ffff:127.0.0.1: listen on \
             127.0.0.1 with one of IPv4, or take the prefix away",
        ),
        false => Diagnosis::Other(
            "other-line",
            "the line has another form: compare it with the statement, to the byte",
        ),
    }
}

fn line(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    told(&mut arena.connect(&server)?).map(drop)
}

fn peer(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    is_told_its_address(&mut arena.connect(&server)?)
}

fn is_told_its_address(client: &mut Connection) -> Outcome {
    let (_, peer) = told(client)?;
    let address = client.local()?.to_string();
    match peer == address {
        true => Ok(()),
        false => fails_because(
            format!("peer {address}"),
            format!("peer {peer}"),
            swapped(&address, &peer),
        ),
    }
}

/// The port's two bytes in the order of the network.
fn swapped(address: &str, told: &str) -> Option<Diagnosis> {
    let port = |text: &str| text.rsplit_once(':')?.1.parse::<u16>().ok();
    (port(address)?.swap_bytes() == port(told)?).then_some(Diagnosis::Other(
        "byte-order",
        "the port is shown in the byte order of the network: ntohs(3)",
    ))
}

fn told_port(arena: &mut Arena<'_>) -> Outcome {
    arena.move_port();
    local(arena)
}

fn local(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let (local, _) = told(&mut client)?;
    let address = client.peer()?.to_string();
    match local == address {
        true => Ok(()),
        false => fails(format!("local {address}"), format!("local {local}")),
    }
}

fn two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut first = arena.connect(&server)?;
    let mut second = arena.connect(&server)?;
    server.thaw();
    let (_, one) = told(&mut first)?;
    let (_, other) = told(&mut second)?;
    match one == other {
        false => Ok(()),
        true => fails("an address for each client", format!("peer {one} for both")),
    }
}

fn many(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for _ in 0..20 {
        told(&mut arena.connect(&server)?)?;
    }
    Ok(())
}

fn gone(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    arena.connect(&server)?.reset()?;
    // Make sure that the reset has arrived before the server can look.
    settle(&server);
    server.thaw();
    settle(&server);
    told(&mut arena.connect(&server)?).map(drop)
}

fn throws_away(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut client = arena.connect(&server)?;
    client.send(b"GET / HTTP/1.0\r\n\r\n")?;
    client.finish_sending()?;
    server.thaw();
    client.drain_to_end()
}

fn starts_again(arena: &mut Arena<'_>) -> Outcome {
    let first = arena.tcp_server()?;
    let mut client = arena.connect(&first)?;
    client.drain()?;
    client.close();
    first.signal(netlab::process::Signal::Kill);
    first.wait_end(crate::patience::Patience::new(&first))?;
    let second = arena.tcp_server()?;
    arena.connect(&second).map(drop)
}
