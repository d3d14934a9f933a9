//! Lesson 11: a client that asks again, over a lossy wire.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netlab::wire::Host;

use super::{page, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Outcome, fails, fails_because};
use crate::peer::Datagrams;
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "retry-client",
    lesson: 11,
    optional: false,
    role: Role::UdpClient,
    statement: statement!("retry-client"),
    learned: "A number, a clock and patience that doubles make requests sure over a network \
              that is not; the timeout must come from what was measured.",
    checks: &[
        must(
            "its first datagram is `1 deposit 100`, to the byte",
            "a newline was added, the words differ, or HOST was not read",
            page::RETRY,
            first,
        ),
        must(
            "it makes three deposits, each once the one before has its reply, prints the \
             replies and exits with status 0",
            "all requests are sent at once, or the reply is not printed as it came",
            page::RETRY,
            three,
        ),
        must(
            "it makes as many deposits as COUNT says",
            "the number is fixed in the program: read it from the environment",
            page::RETRY,
            count,
        ),
        must(
            "a request that the wire loses is sent again",
            "nothing is sent again: there is no timeout, or it ends the program",
            page::RETRY,
            request_lost,
        ),
        must(
            "when the wire loses the reply, the same datagram is sent again",
            "the repeated request has another number or other words: to the server it is new",
            page::RETRY,
            reply_lost,
        ),
        must(
            "it asks again from the same port",
            "each attempt has a socket of its own: to the server it is another client, and a \
             reply to the first attempt finds nobody",
            page::RETRY,
            same_port,
        ),
        must(
            "the reply to an earlier request, which the wire doubles, is not taken for the next",
            "the number of the reply is not compared with that of the request",
            page::RETRY,
            doubled_reply,
        ),
        must(
            "a reply from another address, or another port, is ignored",
            "the sender that recvfrom(2) reports is not checked, and the socket is not connected",
            page::RETRY,
            strangers,
        ),
        must(
            "what is not a reply is ignored",
            "only the beginning of the datagram is checked, or what cannot be parsed ends the \
             program",
            page::RETRY,
            no_reply_at_all,
        ),
        must(
            "without any reply it gives up after five attempts: a status that is not 0, and a \
             line that says why",
            "attempts are not counted, or the last one is not waited for",
            page::RETRY,
            gives_up,
        )
        .takes_long(),
        must(
            "each timeout without a reply is twice as long as the one before",
            "the timeout stays the same: a network that loses packets may have too many already",
            page::RETRY,
            doubles,
        )
        .takes_long(),
        must(
            "over a wire of 300 ms it learns to wait, and then asks once",
            "the timeout is fixed, or falls back to its first value with each request: take it \
             from the measured round trips",
            page::RETRY,
            learns,
        )
        .takes_long(),
        must(
            "after quick replies the timeout is short again",
            "a timeout that was doubled stays so: set it anew from each measured round trip",
            page::RETRY,
            recovers,
        ),
        must(
            "it sends to whatever port PORT names",
            "the port is fixed in the program: read it from the environment",
            page::RETRY,
            told_port,
        ),
        must(
            "a request that was sent again measures nothing, and the doubled timeout stays",
            "a round trip was measured from one of several attempts: nobody knows which of them \
             was answered (Karn's algorithm)",
            page::RETRY,
            stays_doubled,
        ),
    ],
};

/// How long to wait for the next request, on however busy a machine: all five attempts
/// together take 3.1 s.
const NEXT: Duration = Duration::from_secs(8);

/// Starts the client on host a, and opens the server's socket on host b.
fn begin(
    arena: &mut Arena<'_>,
    rules: &str,
    count: Option<u32>,
) -> Outcome<(Arc<Subject>, Datagrams)> {
    arena.on_a_wire(Host::A, rules)?;
    if let Some(count) = count {
        arena.tell("COUNT", &count.to_string());
    }
    arena.start_udp_client()
}

/// Receives the client's next datagram.
fn next(server: &Datagrams, client: &Subject) -> Outcome<(Vec<u8>, SocketAddr)> {
    match server.receive_within(NEXT)? {
        Some(datagram) => Ok(datagram),
        None => fails_because(
            "a request",
            format!("nothing; {}", client.condition()),
            client
                .ended()
                .filter(|_| !client.has_begun())
                .map(|ended| Diagnosis::did_not_start(Some(ended), client.last_words())),
        ),
    }
}

/// Receives the next request with this number. Copies of earlier ones may still come, sent
/// before the client had its reply.
fn request(server: &Datagrams, client: &Subject, number: u32) -> Outcome<SocketAddr> {
    let wanted = deposit(number);
    loop {
        let (bytes, from) = next(server, client)?;
        if bytes == wanted.as_bytes() {
            return Ok(from);
        }
        if !(1..number).any(|earlier| bytes == deposit(earlier).as_bytes()) {
            let diagnosis = Diagnosis::of_difference(wanted.as_bytes(), &bytes);
            return fails_because(quoted(wanted.as_bytes()), quoted(&bytes), diagnosis);
        }
    }
}

fn deposit(number: u32) -> String {
    format!("{number} deposit 100")
}

fn balance(number: u32) -> String {
    format!("{number} balance {}00", number)
}

/// Answers requests until the client has ended. A repeated request gets its reply again: on a
/// busy machine the client may ask again before the reply has reached it.
fn serve(server: &Datagrams, numbers: std::ops::RangeInclusive<u32>) -> Outcome {
    let known: Vec<(String, String)> =
        numbers.map(|number| (deposit(number), balance(number))).collect();
    while let Some((bytes, from)) = server.receive_within(NEXT)? {
        let reply = known.iter().find(|(request, _)| bytes == request.as_bytes());
        match reply {
            Some((_, reply)) => server.send_to(reply.as_bytes(), from)?,
            None => {
                let wanted = known.first().map_or("", |(request, _)| request);
                let diagnosis = Diagnosis::of_difference(wanted.as_bytes(), &bytes);
                let last = known.len();
                return fails_because(
                    format!("a request like {wanted:?}, {last} of them"),
                    quoted(&bytes),
                    diagnosis,
                );
            }
        }
    }
    Ok(())
}

/// Expects the client to have printed the replies 1 to `last`, and to exit with status 0.
fn expect_printed(client: &Subject, last: u32) -> Outcome {
    client.expect_success()?;
    for number in 1..=last {
        client.expect_line(balance(number).as_bytes())?;
    }
    Ok(())
}

fn first(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(1))?;
    let (bytes, _) = next(&server, &client)?;
    let wanted = deposit(1);
    match bytes == wanted.as_bytes() {
        true => Ok(()),
        false => {
            let diagnosis = Diagnosis::of_difference(wanted.as_bytes(), &bytes);
            fails_because(quoted(wanted.as_bytes()), quoted(&bytes), diagnosis)
        }
    }
}

fn three(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", None)?;
    for number in 1..=3 {
        let from = request(&server, &client, number)?;
        // Anything that comes before the reply must be the same request again.
        if let Some(bytes) = server.receive_if_any()?
            && bytes == deposit(number + 1).as_bytes()
        {
            return fails(
                format!("request {} once {number} has its reply", number + 1),
                "it came at once",
            );
        }
        server.send_to(balance(number).as_bytes(), from)?;
    }
    serve(&server, 1..=3)?;
    expect_printed(&client, 3)
}

fn count(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(5))?;
    serve(&server, 1..=5)?;
    expect_printed(&client, 5)
}

fn request_lost(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "lose a>b datagram 1", Some(1))?;
    let from = request(&server, &client, 1)?;
    server.send_to(balance(1).as_bytes(), from)?;
    serve(&server, 1..=1)?;
    expect_printed(&client, 1)
}

fn reply_lost(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "lose b>a datagram 1", Some(1))?;
    let from = request(&server, &client, 1)?;
    server.send_to(balance(1).as_bytes(), from)?;
    let from = request(&server, &client, 1)?;
    server.send_to(balance(1).as_bytes(), from)?;
    serve(&server, 1..=1)?;
    expect_printed(&client, 1)
}

fn same_port(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(1))?;
    let (_, first) = next(&server, &client)?;
    let (_, again) = next(&server, &client)?;
    match first == again {
        true => Ok(()),
        false => {
            fails(format!("both attempts from {first}"), format!("one from {again}"))
        }
    }
}

fn doubled_reply(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "double b>a datagram 1", Some(2))?;
    let from = request(&server, &client, 1)?;
    server.send_to(balance(1).as_bytes(), from)?;
    // The second copy arrives before the second request is answered.
    let from = request(&server, &client, 2)?;
    server.send_to(balance(2).as_bytes(), from)?;
    serve(&server, 1..=2)?;
    expect_printed(&client, 2)
}

fn strangers(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(1))?;
    let from = request(&server, &client, 1)?;
    let port = server.local()?.port();
    let host = Ipv4Addr::new(10, 77, 0, 12);
    arena.stranger(host, port, &client)?.send_to(b"1 balance 999", from)?;
    let host = Ipv4Addr::new(10, 77, 0, 2);
    arena.stranger(host, 0, &client)?.send_to(b"1 balance 888", from)?;
    server.send_to(balance(1).as_bytes(), from)?;
    serve(&server, 1..=1)?;
    expect_printed(&client, 1)
}

fn no_reply_at_all(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(1))?;
    let from = request(&server, &client, 1)?;
    for words in [
        &b"11 balance 7"[..],
        b"",
        b"hello",
        b"1",
        b"1 balance ",
        b"1 balance x",
        b"1 balance 7 8",
        b"\xff\xfe balance 7",
    ] {
        server.send_to(words, from)?;
    }
    server.send_to(balance(1).as_bytes(), from)?;
    serve(&server, 1..=1)?;
    expect_printed(&client, 1)
}

fn gives_up(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = begin(arena, "", Some(2))?;
    next(&server, &client)?;
    let mut attempts = 1;
    while attempts <= 5 && server.receive_within(NEXT)?.is_some() {
        attempts += 1;
    }
    match attempts {
        5 => client.expect_failure_within(NEXT),
        6 => fails("five attempts", "a sixth one"),
        _ => fails("five attempts", format!("{attempts} of them")),
    }
}

/// The last two attempts are 800 ms apart.
fn doubles(arena: &mut Arena<'_>) -> Outcome {
    const WANTED: Duration = Duration::from_millis(800);
    const ENOUGH: Duration = Duration::from_millis(500);
    let (client, server) = begin(arena, "", Some(1))?;
    let lateness = Lateness::begin(&client);
    for _ in 0..5 {
        next(&server, &client)?;
    }
    let time = last_gap(&arena.sent_at());
    lateness.unless_late(
        WANTED - ENOUGH,
        match time {
            time if time >= ENOUGH => Ok(()),
            time => fails(
                format!("{WANTED:?} from the fourth attempt to the fifth"),
                format!("{} ms", time.as_millis()),
            ),
        },
    )
}

/// Returns the time between the last two of these moments.
fn last_gap(moments: &[Duration]) -> Duration {
    match moments {
        [.., before, last] => last.saturating_sub(*before),
        _ => Duration::ZERO,
    }
}

/// The first requests are sent more than once. On a busy machine that may happen to any of
/// them, so it is enough if one of the last four is sent only once.
fn learns(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: u32 = 7;
    let (client, server) = begin(arena, "delay 150ms", Some(COUNT))?;
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    while let Some((bytes, from)) = server.receive_within(NEXT)? {
        let reply = (1..=COUNT).find(|number| bytes == deposit(*number).as_bytes());
        if let Some(number) = reply {
            server.send_to(balance(number).as_bytes(), from)?;
        }
        *seen.entry(bytes).or_default() += 1;
    }
    expect_printed(&client, COUNT)?;
    let last = (4..=COUNT).map(|it| seen.get(deposit(it).as_bytes()).copied());
    match last.flatten().any(|times| times == 1) {
        true => Ok(()),
        false => fails(
            "the requests 4 to 7 sent once",
            "each of them was sent again before its reply could come",
        ),
    }
}

/// The first request is answered at its fourth attempt, when the timeout is 800 ms. The
/// next five are answered immediately. The last must be repeated after a short timeout
/// again.
fn recovers(arena: &mut Arena<'_>) -> Outcome {
    const LAST: u32 = 7;
    /// Half of what is asked for.
    const FLOOR: Duration = Duration::from_millis(50);
    let (client, server) = begin(arena, "lose a>b datagram 1 2 3", Some(LAST))?;
    let lateness = Lateness::begin(&client);
    for number in 1..LAST - 1 {
        let from = request(&server, &client, number)?;
        server.send_to(balance(number).as_bytes(), from)?;
    }
    let from = request(&server, &client, LAST - 1)?;
    let lateness_of_last = Lateness::begin(&client);
    server.send_to(balance(LAST - 1).as_bytes(), from)?;
    request(&server, &client, LAST)?;
    let from = request(&server, &client, LAST)?;
    let time = last_gap(&arena.sent_at());
    server.send_to(balance(LAST).as_bytes(), from)?;
    if time < FLOOR {
        let diagnosis = Diagnosis::Other(
            "no-floor",
            "the timeout becomes as short as the round trips: it is 100 ms at least, \
             however quick they are",
        );
        let got = format!("{} ms", time.as_millis());
        let failed = fails_because("a timeout of 100 ms at least", got, Some(diagnosis));
        return lateness_of_last.unless_late(FLOOR, failed);
    }
    lateness.unless_late(
        Duration::from_millis(150),
        match time {
            time if time < Duration::from_millis(500) => Ok(()),
            time => fails(
                "a timeout of 100 ms or little more",
                format!("{} ms", time.as_millis()),
            ),
        },
    )
}

/// The first request is answered at once when its fourth attempt comes, whose timeout is
/// 800 ms: with it the second request begins.
fn stays_doubled(arena: &mut Arena<'_>) -> Outcome {
    const ATTEMPTS: usize = 4;
    const WANTED: Duration = Duration::from_millis(800);
    const ENOUGH: Duration = Duration::from_millis(450);
    let (client, server) = begin(arena, "", Some(2))?;
    let lateness = Lateness::begin(&client);
    let mut from = request(&server, &client, 1)?;
    for _ in 1..ATTEMPTS {
        from = request(&server, &client, 1)?;
    }
    server.send_to(balance(1).as_bytes(), from)?;
    request(&server, &client, 2)?;
    let from = request(&server, &client, 2)?;
    let time = last_gap(&arena.sent_at());
    server.send_to(balance(2).as_bytes(), from)?;
    lateness.unless_late(
        WANTED - ENOUGH,
        match time {
            time if time >= ENOUGH => Ok(()),
            time => fails(
                format!("{WANTED:?} from the second request to its second attempt"),
                format!("{} ms", time.as_millis()),
            ),
        },
    )
}

fn told_port(arena: &mut Arena<'_>) -> Outcome {
    arena.move_port();
    let (client, server) = begin(arena, "", Some(1))?;
    next(&server, &client).map(drop)
}
