//! Lesson 6: a client that tries every address that it was given.

use std::time::Duration;

use super::{page, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, Stop, fails};
use crate::patience::Patience;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "every-address-client",
    lesson: 6,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("every-address-client"),
    learned: "Refused, unreachable and silent are three different answers, and a \
              client with several addresses tries the next after each.",
    checks: &[
        must(
            "it connects to its only address and sends `Hello\\n`, to the byte",
            "the text differs, or HOSTS is not read",
            page::REFUSED,
            only_one,
        ),
        must(
            "it prints `connected to` and the address, and ends with status 0",
            "the words differ, or the exit status is not 0",
            page::REFUSED,
            prints,
        ),
        must(
            "when the first address refuses, it takes the second",
            "the error of the first connect(2) ends the program",
            page::REFUSED,
            first_refuses,
        ),
        must(
            "when the first address does not answer, it takes the second",
            "connect(2) has no timeout of its own, and the kernel's is two minutes",
            page::REFUSED,
            first_is_silent,
        )
        .takes_long(),
        must(
            "when the first address is unreachable, it takes the second",
            "only ECONNREFUSED makes it try the next; ENETUNREACH is an answer too",
            page::REFUSED,
            first_is_far,
        ),
        must(
            "it takes an IPv6 address as well",
            "the socket is AF_INET whatever the address is",
            page::REFUSED,
            second_is_ipv6,
        ),
        must(
            "it tries them in their order, and none after the first that works",
            "all are tried, or in a different order",
            page::REFUSED,
            in_order,
        ),
        must(
            "when none works, it names each on standard error and exits with a non-zero status",
            "only the last error is reported, or none",
            page::REFUSED,
            none,
        ),
        must(
            "it connects to whatever port PORT names",
            "the port is fixed in the program: read it from the environment",
            page::REFUSED,
            |arena| {
                arena.move_port();
                reaches(arena, "127.0.0.2", "127.0.0.2")
            },
        ),
    ],
};

/// Half a second for an address that does not answer, and the rest to allow for a busy
/// machine.
const BUSY: Duration = Duration::from_secs(5);

/// Gives the client these hosts, listens at `listens` and expects the client's line there.
fn reaches(arena: &mut Arena<'_>, hosts: &str, listens: &str) -> Outcome {
    arena.tell("HOSTS", hosts);
    let host = listens.parse().map_err(|_| Stop::Broken(format!("{listens}?")))?;
    let mut listener = arena.listen_at(host, 128)?;
    let client = arena.start()?;
    let mut server = listener.accept_within(&client, BUSY)?;
    server.expect(b"Hello\n")
}

fn only_one(arena: &mut Arena<'_>) -> Outcome {
    arena.tell("HOSTS", "127.0.0.2");
    let mut listener = arena.listen_at([127, 0, 0, 2].into(), 128)?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    let bytes = server.read_to_end(1000)?;
    match bytes == b"Hello\n" {
        true => Ok(()),
        false => fails("\"Hello\\n\"", quoted(&bytes)),
    }
}

fn prints(arena: &mut Arena<'_>) -> Outcome {
    arena.tell("HOSTS", "127.0.0.2");
    let mut listener = arena.listen_at([127, 0, 0, 2].into(), 128)?;
    let client = arena.start()?;
    let _server = listener.accept(&client)?;
    client.expect_line(b"connected to 127.0.0.2")?;
    client.expect_success()
}

fn first_refuses(arena: &mut Arena<'_>) -> Outcome {
    reaches(arena, "127.0.0.2,127.0.0.3", "127.0.0.3")
}

fn first_is_silent(arena: &mut Arena<'_>) -> Outcome {
    // A backlog of 0 has room for one connection. With one in it, the kernel ignores all
    // others.
    let full = arena.listen_at([127, 0, 0, 2].into(), 0)?;
    let _one = std::net::TcpStream::connect(full.address()?)?;
    reaches(arena, "127.0.0.2,127.0.0.3", "127.0.0.3")
}

fn first_is_far(arena: &mut Arena<'_>) -> Outcome {
    // This address is in TEST-NET-1 (RFC 5737), which belongs to nobody.
    reaches(arena, "192.0.2.1,127.0.0.3", "127.0.0.3")
}

fn second_is_ipv6(arena: &mut Arena<'_>) -> Outcome {
    if !arena.has_ipv6() {
        return Err(Stop::Skipped("this network has no IPv6".into()));
    }
    reaches(arena, "127.0.0.2,::1", "::1")
}

fn in_order(arena: &mut Arena<'_>) -> Outcome {
    arena.tell("HOSTS", "127.0.0.9,127.0.0.4,127.0.0.3,127.0.0.5");
    let mut right = arena.listen_at([127, 0, 0, 4].into(), 128)?;
    let mut others = [
        arena.listen_at([127, 0, 0, 3].into(), 128)?,
        arena.listen_at([127, 0, 0, 5].into(), 128)?,
    ];
    let client = arena.start()?;
    let _server = right.accept_within(&client, BUSY)?;
    client.wait_end(Patience::new(&client))?;
    others.iter_mut().try_for_each(|other| other.expect_nobody(&client))
}

fn none(arena: &mut Arena<'_>) -> Outcome {
    let hosts = ["127.0.0.2", "192.0.2.1", "127.0.0.3"];
    arena.tell("HOSTS", &hosts.join(","));
    let client = arena.start()?;
    client.expect_failure_within(BUSY)?;
    let stderr = String::from_utf8_lossy(&client.stderr()).into_owned();
    match hosts.iter().find(|host| !stderr.contains(**host)) {
        None => Ok(()),
        Some(host) => {
            fails(format!("{host} on standard error"), quoted(stderr.as_bytes()))
        }
    }
}
