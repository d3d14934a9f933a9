//! Lesson 6: a client that tries every address that it was given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{page, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Finding, Outcome, Stop, fails};
use crate::patience::Patience;
use crate::peer::{Connection, Listener};
use crate::subject::Subject;
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
                reaches(arena, "127.0.0.2")
            },
        ),
    ],
};

/// How long a client is waited for that takes longer than it may.
const BUSY: Duration = Duration::from_secs(5);
/// The longest time for an address that does not work.
const EACH: Duration = Duration::from_millis(500);
/// A moment to observe what comes then.
const MOMENT: Duration = Duration::from_millis(250);

/// Measures how long the client takes from its first attempt at a connection.
struct Attempts {
    client: Arc<Subject>,
    lateness: Lateness,
    /// A moment just after the first of them, if it was seen.
    began: Option<Instant>,
}

impl Attempts {
    /// Starts the client, and waits until it begins to connect.
    fn begin(arena: &mut Arena<'_>) -> Outcome<Attempts> {
        let before = arena.connections_begun();
        let client = arena.start()?;
        let lateness = Lateness::begin(&client);
        let began = arena.begins_to_connect(&client, before);
        Ok(Attempts { client, lateness, began })
    }

    /// Waits for the connection of the client. Before it, the client has tried so many
    /// addresses that do not work.
    fn accept(&self, listener: &mut Listener, failed: u32) -> Outcome<Connection> {
        let server = listener.accept_within(&self.client, BUSY)?;
        self.in_time(
            failed,
            "a connection after half a second for each earlier address",
        )?;
        Ok(server)
    }

    /// Fails if so many addresses took longer than half a second each. `what` has come.
    fn in_time(&self, failed: u32, what: &str) -> Outcome {
        match self.began {
            Some(began) => {
                self.lateness.at_most(failed * EACH + MOMENT, began.elapsed(), what)
            }
            None => Ok(()),
        }
    }
}

/// Gives the client these hosts, of which the last one works, listens there and expects the
/// client's line.
fn reaches(arena: &mut Arena<'_>, hosts: &str) -> Outcome {
    arena.tell("HOSTS", hosts);
    let (failed, listens) = match hosts.rsplit_once(',') {
        Some((failed, last)) => (failed.split(',').count(), last),
        None => (0, hosts),
    };
    let host = listens.parse().map_err(|_| Stop::Broken(format!("{listens}?")))?;
    let mut listener = arena.listen_at(host, 128)?;
    let attempts = Attempts::begin(arena)?;
    let failed = u32::try_from(failed).unwrap_or(u32::MAX);
    attempts.accept(&mut listener, failed)?.expect(b"Hello\n")
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
    ends(client.expect_success())
}

/// A client that has said everything ends, whatever the server does.
fn ends(ended: Outcome) -> Outcome {
    const STAYS: Diagnosis = Diagnosis::Other(
        "stays",
        "it goes on waiting after its line, perhaps for the server to close first: a half-close \
         does not end a program, close(2) does",
    );
    match ended {
        Err(Stop::Failed(finding))
            if finding.expected == "the program ends" && finding.diagnosis.is_none() =>
        {
            Err(Stop::Failed(Finding { diagnosis: Some(STAYS), ..finding }))
        }
        ended => ended,
    }
}

fn first_refuses(arena: &mut Arena<'_>) -> Outcome {
    reaches(arena, "127.0.0.2,127.0.0.3")
}

fn first_is_silent(arena: &mut Arena<'_>) -> Outcome {
    // A backlog of 0 has room for one connection. With one in it, the kernel ignores all
    // others.
    let full = arena.listen_at([127, 0, 0, 2].into(), 0)?;
    let _one = std::net::TcpStream::connect(full.address()?)?;
    reaches(arena, "127.0.0.2,127.0.0.3")
}

fn first_is_far(arena: &mut Arena<'_>) -> Outcome {
    // This address is in TEST-NET-1 (RFC 5737), which belongs to nobody.
    reaches(arena, "192.0.2.1,127.0.0.3")
}

fn second_is_ipv6(arena: &mut Arena<'_>) -> Outcome {
    if !arena.has_ipv6() {
        return Err(Stop::Skipped("this network has no IPv6".into()));
    }
    reaches(arena, "127.0.0.2,::1")
}

fn in_order(arena: &mut Arena<'_>) -> Outcome {
    arena.tell("HOSTS", "127.0.0.9,127.0.0.4,127.0.0.3,127.0.0.5");
    let mut right = arena.listen_at([127, 0, 0, 4].into(), 128)?;
    let mut others = [
        arena.listen_at([127, 0, 0, 3].into(), 128)?,
        arena.listen_at([127, 0, 0, 5].into(), 128)?,
    ];
    let attempts = Attempts::begin(arena)?;
    let _server = attempts.accept(&mut right, 1)?;
    let client = attempts.client;
    ends(client.wait_end(Patience::new(&client)).map(drop))?;
    others.iter_mut().try_for_each(|other| other.expect_nobody(&client))
}

fn none(arena: &mut Arena<'_>) -> Outcome {
    let hosts = ["127.0.0.2", "192.0.2.1", "127.0.0.3"];
    arena.tell("HOSTS", &hosts.join(","));
    let attempts = Attempts::begin(arena)?;
    let client = &attempts.client;
    client.expect_failure_within(BUSY)?;
    attempts.in_time(3, "the end after half a second for each address")?;
    let stderr = String::from_utf8_lossy(&client.stderr()).into_owned();
    match hosts.iter().find(|host| !stderr.contains(**host)) {
        None => Ok(()),
        Some(host) => {
            fails(format!("{host} on standard error"), quoted(stderr.as_bytes()))
        }
    }
}
