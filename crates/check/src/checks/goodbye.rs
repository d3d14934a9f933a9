//! Lesson 9: a server that ends its conversations, and itself, gracefully.

use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::process::Signal;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Finding, Outcome, Stop, fails, fails_because};
use crate::patience::Patience;
use crate::peer::{Connection, settle};
use crate::subject::{Exit, Subject};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "goodbye",
    lesson: 9,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("goodbye"),
    learned: "A half-close lets the last words through, and a server that closes its \
              listener first can end in good order.",
    checks: &[
        must(
            "it sends the bytes back at once, after the half-close `bye N\\n`, and then ends \
             the stream",
            "the words differ, or recv(2) returned 0 and the connection was closed at once",
            page::GOODBYE,
            says_bye,
        ),
        must(
            "it does not say goodbye before the client's stream ends",
            "a pause, or one recv(2), was taken for the end",
            page::GOODBYE,
            not_before,
        ),
        must(
            "it says goodbye to a client that sent nothing",
            "an end of stream before any byte is an end of stream",
            page::GOODBYE,
            nothing,
        ),
        must(
            "it counts all bytes, in however many pieces they came",
            "calls of recv(2) are counted, or the bytes of the last one",
            page::GOODBYE,
            counts,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error on one connection ends the program, or SIGPIPE does",
            page::GOODBYE,
            survives_reset,
        ),
        must(
            "a silent client does not block the others",
            "it serves one client after another: the second waits for the first",
            page::GOODBYE,
            beside_silent,
        ),
        must(
            "it can be started again at once on the same port",
            "SO_REUSEADDR is not set before bind(2)",
            page::GOODBYE,
            servers::starts_again,
        ),
        must(
            "on SIGTERM, it exits at once with status 0 if it has no clients",
            "SIGTERM is ignored, or does not wake up what waits, or it waits for its second \
             though nobody is there",
            page::GOODBYE,
            servers::ends_without_clients,
        ),
        must(
            "after SIGTERM, new clients are refused",
            "the listener stays open while the last clients are served",
            page::GOODBYE,
            term_refuses,
        ),
        must(
            "after SIGTERM, connected clients are served to the end; then it exits with status 0",
            "the signal also ended the connections, or the program did not wait for them",
            page::GOODBYE,
            term_serves,
        )
        .takes_long(),
        must(
            "after SIGTERM, a client that never finishes is cut off after a second; status 0",
            "there is no deadline for the last clients",
            page::GOODBYE,
            term_cuts_off,
        )
        .takes_long(),
        must(
            "two clients get back their own bytes, and each its own number",
            "what comes, or the count of it, is kept for all clients together",
            page::GOODBYE,
            two_clients,
        ),
        must(
            "a character that is cut in two pieces comes back whole",
            "each piece is decoded as text by itself; keep it as bytes",
            page::GOODBYE,
            cut_character,
        ),
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
    ],
};

/// One second for the last clients, and the rest to allow for a busy machine.
const BUSY: Duration = Duration::from_secs(5);
/// How long to wait for the signal to take effect, out of the second that follows it.
const SOON: Duration = Duration::from_millis(200);
/// How much of that second a client is still there without having finished. The rest is for a
/// busy machine.
const PART_OF_IT: Duration = Duration::from_millis(400);
/// Three seconds for the end, and a moment to observe it.
const AT_MOST: Duration = Duration::from_millis(3200);
/// The second for the last clients, as a program may count it whose clock ticks in hundredths.
const ITS_SECOND: Duration = Duration::from_millis(980);
/// If the program has waited for a processor for so long, it may have come too late to say
/// goodbye.
const BUSY_MACHINE: Duration = Duration::from_millis(100);
/// The time after which that second may be over.
const OVER: Duration = Duration::from_millis(900);

fn says_bye(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    client.expect(b"hello")?;
    client.finish_sending()?;
    client.expect(b"bye 5\n")?;
    client.expect_end()
}

fn not_before(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for _ in 0..2 {
        client.send(b"hello")?;
        client.expect(b"hello")?;
        match client.expect_silence() {
            Err(Stop::Failed(finding)) if finding.got.contains(GOODBYE) => {
                let diagnosis = Some(TOO_EARLY);
                return Err(Stop::Failed(Finding { diagnosis, ..finding }));
            }
            silence => silence?,
        }
    }
    Ok(())
}

/// The beginning of a goodbye.
const GOODBYE: &str = "bye ";
const TOO_EARLY: Diagnosis = Diagnosis::Other(
    "goodbye-too-early",
    "a pause, or one recv(2), was taken for the end of the client's stream",
);

/// Fails if a server that is idle has said goodbye to a client whose stream goes on: that
/// explains whatever else goes wrong with it.
fn no_goodbye_yet(client: &Connection) -> Outcome {
    let came = client.peek().unwrap_or_default();
    match came.windows(GOODBYE.len()).any(|it| it == GOODBYE.as_bytes()) {
        false => Ok(()),
        true => fails_because("no goodbye yet", quoted(&came), Some(TOO_EARLY)),
    }
}

/// The same, and fails as well if the server has ended the conversation in another way.
fn still_talks(client: &Connection) -> Outcome {
    no_goodbye_yet(client)?;
    match client.peek() {
        Some(_) => Ok(()),
        None => fails_because("an open connection", "its end", Some(TOO_EARLY)),
    }
}

fn nothing(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.finish_sending()?;
    client.expect(b"bye 0\n")
}

fn counts(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces([&b"one"[..]])?;
    no_goodbye_yet(&client)?;
    client.send_in_pieces([&b"three"[..], b"2"])?;
    client.expect(b"onethree2")?;
    let many = servers::pattern(100_000);
    client.exchange(&many, &many)?;
    client.finish_sending()?;
    client.expect(b"bye 100009\n")
}

fn survives_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut other = arena.connect(&server)?;
    let mut client = arena.connect(&server)?;
    client.send(b"I am gone before you answer")?;
    client.reset()?;
    settle(&server);
    other.send(b"hello")?;
    other.expect_bytes(5).map(drop)
}

fn beside_silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _silent = arena.connect(&server)?;
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

/// Starts a server that has served a client, which is still there.
fn with_client(arena: &mut Arena<'_>) -> Outcome<(Arc<Subject>, Connection)> {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5)?;
    settle(&server);
    Ok((server, client))
}

/// Asks the server to end. Returns when that was.
fn ask_to_end(server: &Subject) -> Instant {
    let asked = Instant::now();
    server.signal(Signal::Terminate);
    asked
}

/// Checks that the server's second for its client is not over yet: an observation that comes
/// later says nothing about the server.
fn in_time(asked: Instant) -> Outcome {
    match asked.elapsed() {
        late if late > OVER => Err(Stop::Late(format!(
            "the machine is too busy: the checker came {late:.1?} after SIGTERM"
        ))),
        _ => Ok(()),
    }
}

fn term_refuses(arena: &mut Arena<'_>) -> Outcome {
    let (server, _client) = with_client(arena)?;
    let asked = ask_to_end(&server);
    server.waits_no_more(Patience::for_silence(&server))?;
    arena.expect_refusal(&server)?;
    in_time(asked)
}

fn term_serves(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut client) = with_client(arena)?;
    still_talks(&client)?;
    let asked = ask_to_end(&server);
    // The signal has taken effect when the listener is gone, or soon in any case: that it goes
    // is another check's concern, and the one second passes on a busy machine too.
    let _ = server.waits_no_more(Patience::with_deadline(&server, SOON));
    client.send(b"again")?;
    in_time(asked)?;
    client.expect(b"again")?;
    has_its_second(&mut client, asked)?;
    let lateness = Lateness::begin(&server);
    client.finish_sending()?;
    in_time(asked)?;
    let goodbye = client.expect(b"bye 10\n");
    if asked.elapsed() > OVER {
        lateness.unless_late(BUSY_MACHINE, goodbye)?;
    } else {
        goodbye?;
    }
    client.close();
    match server.wait_end(Patience::with_deadline(&server, BUSY))? {
        Exit::Status(0) => Ok(()),
        other => fails("exit status 0", other.to_string()),
    }
}

/// Expects that the client is not cut off long before its second is over.
fn has_its_second(client: &mut Connection, asked: Instant) -> Outcome {
    match is_open_until(client, asked + PART_OF_IT) {
        Err(Stop::Failed(finding)) => {
            in_time(asked)?;
            Err(Stop::Failed(finding))
        }
        open => open,
    }
}

fn is_open_until(client: &mut Connection, until: Instant) -> Outcome {
    const TOO_SHORT: Diagnosis = Diagnosis::Other(
        "short-grace",
        "the clients that are left are cut off before their second is over",
    );
    match client.expect_open_until(until) {
        Err(Stop::Failed(finding)) => {
            let diagnosis = finding.diagnosis.or(Some(TOO_SHORT));
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        open => open,
    }
}

fn term_cuts_off(arena: &mut Arena<'_>) -> Outcome {
    let (server, mut client) = with_client(arena)?;
    still_talks(&client)?;
    let asked = ask_to_end(&server);
    let lateness = Lateness::begin(&server);
    let open = is_open_until(&mut client, asked + ITS_SECOND);
    match server.wait_end(Patience::with_deadline(&server, BUSY))? {
        Exit::Status(0) => {
            open?;
            let what = "the end three seconds after SIGTERM, at most";
            lateness.at_most(AT_MOST, asked.elapsed(), what)
        }
        other @ Exit::Status(_) => fails_because(
            "exit status 0",
            other.to_string(),
            Some(Diagnosis::Other(
                "other-status",
                "it ends in time, but not with status 0: that a client was cut off is no \
                 error of the server's",
            )),
        ),
        other => fails("exit status 0", other.to_string()),
    }
}

fn two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut first = arena.connect(&server)?;
    let mut second = arena.connect(&server)?;
    let say = |client: &mut Connection, words: &[u8]| {
        client.send(words)?;
        client.expect(words)
    };
    say(&mut first, b"one")?;
    say(&mut second, b"second")?;
    settle(&server);
    no_goodbye_yet(&first)?;
    say(&mut first, b"three")?;
    first.finish_sending()?;
    first.expect(b"bye 8\n")?;
    second.finish_sending()?;
    second.expect(b"bye 6\n")
}

fn cut_character(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces([servers::CUT_CHARACTER[0]])?;
    no_goodbye_yet(&client)?;
    client.send_in_pieces([servers::CUT_CHARACTER[1]])?;
    client.expect(&servers::CUT_CHARACTER.concat())?;
    client.finish_sending()?;
    match client.expect(b"bye 5\n") {
        Err(Stop::Failed(finding)) if finding.got == quoted(b"bye 4\n") => {
            let diagnosis = Some(servers::COUNTS_CHARACTERS);
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        goodbye => goodbye,
    }
}
