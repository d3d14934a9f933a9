//! Lesson 10: a client that tells a dead peer from a slow one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::wire::Host;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::lateness::Lateness;
use crate::outcome::{Outcome, fails};
use crate::peer::Connection;
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "steady-client",
    lesson: 10,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("steady-client"),
    learned: "TCP notices a dead peer only when it is told to, and for how long: with keepalive \
              while nothing is on its way, with a user timeout while something is.",
    checks: &[
        must(
            "it sends `status?\\n`, and prints the reply",
            "the words differ, or the reply is not printed as it came",
            page::CUT,
            asks,
        ),
        must(
            "a reply that comes in three pieces is printed whole",
            "one recv(2) is not the reply: receive until it returns 0",
            page::CUT,
            pieces,
        ),
        must(
            "with LIMIT=3, a server that is silent for five seconds is waited for",
            "a timeout of recv(2) ends the waiting: it says nothing about the other machine",
            page::CUT,
            slow,
        ),
        must(
            "when the server's machine dies while the client waits for the reply, it notices",
            "nothing is on its way, so nobody asks: SO_KEEPALIVE, with its times in seconds",
            page::CUT,
            dies_while_it_waits,
        ),
        must(
            "when the server's machine dies before the request arrives, it notices",
            "the kernel repeats the request for a quarter of an hour, and does not ask with \
             keepalive meanwhile: TCP_USER_TIMEOUT",
            page::CUT,
            dies_before_the_request,
        ),
        must(
            "when the server's machine is dead from the start, it notices",
            "connect(2) tries for two minutes: it needs a timeout",
            page::CUT,
            is_dead,
        ),
        must(
            "with LIMIT=60, it survives a wire that is cut for five seconds",
            "the limit is another one than LIMIT",
            page::CUT,
            short_break,
        ),
        must(
            "a reset ends it with a status that is not 0, and a line that says why",
            "the error of recv(2) is taken for the end of the stream",
            page::CUT,
            is_reset,
        ),
        must(
            "a refused connection ends it with a status that is not 0, and a line that says why",
            "the error of connect(2) is not reported",
            page::CUT,
            refused,
        ),
        servers::CLIENT_PORT,
    ],
};

const REQUEST: &[u8] = b"status?\n";
const REPLY: &[u8] = b"all is well, \xff\n";
/// A limit that no wire reaches, however busy the machine is.
const AN_HOUR: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(3);
/// How long a client is waited for. One that has not noticed by then takes minutes, or for ever.
const ENOUGH: Duration = Duration::from_secs(8);
/// The longest time in which a client with [`LIMIT`] notices: the kernel sends its probes every
/// few seconds, whole ones, and may send one more; and a second to observe the end.
const AT_MOST: Duration = LIMIT.saturating_add(Duration::from_secs(2));

/// Puts the client on host a, with this limit.
fn prepare(arena: &mut Arena<'_>, rules: &str, limit: Duration) -> Outcome {
    arena.on_a_wire(Host::A, rules)?;
    arena.tell("LIMIT", &limit.as_secs().to_string());
    Ok(())
}

/// Expects that the client notices in time that the server's machine is dead. It has heard
/// nothing of it since `silent_since`.
fn notices(client: &Subject, lateness: &Lateness, silent_since: Instant) -> Outcome {
    client.expect_failure_within(ENOUGH)?;
    lateness.at_most(
        AT_MOST,
        silent_since.elapsed(),
        "the end after the three seconds of LIMIT",
    )
}

/// Starts the client on host a, with this limit, and accepts its connection.
fn connected(
    arena: &mut Arena<'_>,
    rules: &str,
    limit: Duration,
) -> Outcome<(Arc<Subject>, Connection)> {
    prepare(arena, rules, limit)?;
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let server = listener.accept(&client)?;
    Ok((client, server))
}

/// Ends the stream, and expects that the client prints the reply.
fn expect_printed(client: &Subject, mut server: Connection) -> Outcome {
    server.finish_sending()?;
    client.expect_success()?;
    match client.stdout() {
        printed if printed == REPLY => Ok(()),
        printed => fails(quoted(REPLY), quoted(&printed)),
    }
}

fn asks(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = connected(arena, "", AN_HOUR)?;
    server.expect(REQUEST)?;
    server.expect_no_more(REQUEST)?;
    server.send(REPLY)?;
    expect_printed(&client, server)
}

fn pieces(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = connected(arena, "", AN_HOUR)?;
    server.expect(REQUEST)?;
    server.send_in_pieces([&REPLY[..1], &REPLY[1..7], &REPLY[7..]])?;
    expect_printed(&client, server)
}

/// On a machine that is busy enough, the wire itself may be silent for as long as LIMIT says.
fn slow(arena: &mut Arena<'_>) -> Outcome {
    const SILENCE: Duration = Duration::from_secs(5);
    let (client, mut server) = connected(arena, "", LIMIT)?;
    let lateness = Lateness::begin(&client);
    let result = server.expect(REQUEST).and_then(|()| {
        client.expect_to_stay(SILENCE)?;
        server.send(REPLY)?;
        expect_printed(&client, server)
    });
    lateness.unless_late(LIMIT / 3, result)
}

fn dies_while_it_waits(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = connected(arena, "cut at b>a data 2", LIMIT)?;
    let lateness = Lateness::begin(&client);
    lateness.unless_late(LIMIT / 3, server.expect(REQUEST))?;
    // The first piece acknowledges the request, so that nothing is on its way to the server.
    server.send(b"all ")?;
    let silent_since = Instant::now();
    server.send(b"is")?;
    notices(&client, &lateness, silent_since)
}

fn dies_before_the_request(arena: &mut Arena<'_>) -> Outcome {
    let (client, _server) = connected(arena, "cut at a>b data 1", LIMIT)?;
    let lateness = Lateness::begin(&client);
    notices(&client, &lateness, Instant::now())
}

fn is_dead(arena: &mut Arena<'_>) -> Outcome {
    prepare(arena, "cut at a>b syn 1", LIMIT)?;
    let before = arena.connections_begun();
    let client = arena.start()?;
    let lateness = Lateness::begin(&client);
    match arena.begins_to_connect(&client, before) {
        Some(began) => notices(&client, &lateness, began),
        None => client.expect_failure_within(ENOUGH),
    }
}

/// The request is lost, and so are its first repetitions; another one is on its way when the
/// wire is there again.
fn short_break(arena: &mut Arena<'_>) -> Outcome {
    const BREAK: &str = "cut at a>b data 1\nmend after 5s";
    let (client, mut server) = connected(arena, BREAK, Duration::from_secs(60))?;
    server.expect_something_within(Duration::from_secs(40))?;
    server.expect(REQUEST)?;
    server.send(REPLY)?;
    expect_printed(&client, server)
}

fn is_reset(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = connected(arena, "", AN_HOUR)?;
    server.expect(REQUEST)?;
    server.reset()?;
    client.expect_failure()
}

fn refused(arena: &mut Arena<'_>) -> Outcome {
    prepare(arena, "", AN_HOUR)?;
    arena.start()?.expect_failure()
}
