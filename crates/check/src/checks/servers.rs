//! Checks that the tasks of several servers share.

use std::sync::Arc;
use std::time::Duration;

use netlab::process::Signal;

use super::page;
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, explained, fails, fails_because};
use crate::patience::Patience;
use crate::peer::{Connection, rest, settle};
use crate::subject::{Exit, Subject};
use crate::task::{Check, must};
use crate::text::quoted;

/// A number that is too small by what text has fewer characters than bytes.
pub(super) const COUNTS_CHARACTERS: Diagnosis = Diagnosis::Other(
    "counts-characters",
    "what came was decoded as text, and its characters were counted: count bytes",
);

/// A server answers what is whole, and does not wait for the rest of what comes next.
pub(super) fn at_once(answered: Outcome) -> Outcome {
    let diagnosis = Some(Diagnosis::Other(
        "holds-back",
        "an answer that is ready waits until the next request is whole",
    ));
    match answered {
        Err(Stop::Failed(finding))
            if matches!(
                finding.diagnosis,
                None | Some(Diagnosis::WaitsForNewline | Diagnosis::WaitsForEnd)
            ) =>
        {
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        answered => answered,
    }
}

/// A line that is too long is not accepted because its newline came with it.
pub(super) fn limits_whole_lines(closed: Outcome) -> Outcome {
    const LIMITS_PARTS: Diagnosis = Diagnosis::Other(
        "limits-parts-only",
        "the limit is only compared with a line that is not whole yet: one that comes with \
         its newline may be longer",
    );
    explained(closed, LIMITS_PARTS)
}

/// A number with a sign, or an underscore, is taken for one.
pub(super) const MORE_THAN_DIGITS: Diagnosis = Diagnosis::Other(
    "more-than-digits",
    "a function that parses numbers accepts more than digits, such as a sign or an underscore: \
     look at each byte",
);

/// The stream ended before anything came.
pub(super) const SAID_NOTHING: Diagnosis = Diagnosis::Other(
    "said-nothing",
    "it closed the connection without sending anything: what it wrote may still have been in a \
     buffer (flush it first), or an error ended the conversation",
);

/// How long a client is silent that a server must wait for. One that gives up shows no sign of
/// that beforehand, so the check has to wait by the clock.
pub(super) const SILENCE: Duration = Duration::from_millis(700);

/// Every TCP server is told which port to use.
pub(super) const TCP_PORT: Check = must(
    "it listens at whatever port PORT names",
    "the port is fixed in the program: read it from the environment",
    page::TCP,
    |arena| {
        arena.move_port();
        let server = arena.tcp_server()?;
        rest(&server, "it had no client");
        Ok(())
    },
);

/// Every UDP server is told which port to use.
pub(super) const UDP_PORT: Check = must(
    "it waits at whatever port PORT names",
    "the port is fixed in the program: read it from the environment",
    page::UDP,
    |arena| {
        arena.move_port();
        let server = arena.udp_server()?;
        rest(&server, "no datagram had come");
        Ok(())
    },
);

/// Every TCP client is told the port of its server.
pub(super) const CLIENT_PORT: Check = must(
    "it connects to whatever port PORT names",
    "the port is fixed in the program: read it from the environment",
    page::TCP,
    |arena| {
        arena.move_port();
        let mut listener = arena.listen()?;
        let client = arena.start()?;
        listener.accept(&client).map(drop)
    },
);

/// A server can be started again on a port that it has just used.
pub(super) const AGAIN: Check = must(
    "it can be started again at once on the same port",
    "SO_REUSEADDR is not set before bind(2): the old connection keeps the port in \
     TIME-WAIT",
    page::TCP,
    starts_again,
);

/// A server keeps nothing of clients that have left.
pub(super) const NOTHING_STAYS: Check = must(
    "a hundred clients that came and left leave nothing behind",
    "a socket is not closed, a thread does not end with its client, a child is not waited \
     for (wait(2)), or memory is kept",
    page::GOODBYE,
    nothing_stays,
);

/// SIGTERM ended the program, since nothing handles it.
pub(super) const NO_HANDLER: Diagnosis = Diagnosis::Other(
    "no-handler",
    "nothing handles SIGTERM, and so the signal ends the program",
);

/// Takes away the diagnosis that other clients are in this one's way. In a check that tests just
/// that, its own likely cause says more.
pub(super) fn with_own_cause(result: Outcome) -> Outcome {
    match result {
        Err(Stop::Failed(Finding {
            expected,
            got,
            diagnosis: Some(Diagnosis::OneAtATime),
        })) => fails(expected, got),
        result => result,
    }
}

/// Returns whether the reply contains the message. Other checks look at what is around it.
pub(super) fn carries(reply: &[u8], message: &[u8]) -> bool {
    message.is_empty() || reply.windows(message.len()).any(|window| window == message)
}

/// Returns `length` letters: a to w, over and over.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at % 23) as u8).collect()
}

/// A hundred clients, one after another, send nothing but the end of their streams. So
/// whatever the server's protocol is, it knows at once that each of them is finished. As many
/// reset their connections instead.
fn nothing_stays(arena: &mut Arena<'_>) -> Outcome {
    const CLIENTS: usize = 100;
    /// Allows for a pool that grows a little, and for children that are reaped only when the
    /// next client comes.
    const MORE_THREADS: usize = 20;
    /// Allows for a garbage collector, which runs when it likes.
    const MORE_BYTES: u64 = 48 << 20;
    arena.limits.each.open_files = 64;
    let server = arena.tcp_server()?;
    let mut serve = |resets: bool| {
        let mut client = arena.connect(&server)?;
        if resets {
            return client.reset();
        }
        client.finish_sending()?;
        client.read_to_any_end(1 << 20)?;
        client.close();
        Outcome::Ok(())
    };
    serve(false)?;
    settle(&server);
    let (threads, memory) = (server.threads(), server.memory_bytes());
    for _ in 1..CLIENTS {
        serve(true)?;
        // It is served once the one before it has been dealt with.
        serve(false)?;
    }
    rest(&server, "all its clients had left");
    let after = server.threads();
    if after > threads + MORE_THREADS {
        return fails(
            format!("about {threads} threads and processes, as after the first client"),
            format!(
                "{after}, including zombies: processes that ended and were not waited for"
            ),
        );
    }
    match server.memory_bytes().saturating_sub(memory) {
        more if more <= MORE_BYTES => Ok(()),
        more => fails(
            "about as much memory as after the first client",
            format!("{} MiB more", more >> 20),
        ),
    }
}

/// One client is echoed while it talks and when it has ended its stream.
pub(super) fn echoes(arena: &mut Arena<'_>, server: &Arc<Subject>) -> Outcome {
    let mut client = arena.connect(server)?;
    client.send(b"hello")?;
    client.expect(b"hello")?;
    rest(server, "its client was silent");
    client.send(b"again")?;
    client.finish_sending()?;
    client.expect(b"again")?;
    client.expect_end()?;
    client.close();
    rest(server, "its client had left");
    Ok(())
}

/// Bytes that the server has read do not come back before the end of the stream.
pub(super) const DROPS: Diagnosis = Diagnosis::Other(
    "drops-unsent",
    "what send(2) has not taken is lost, at once or when the client's stream ends: keep it, \
     and send it before you close",
);

/// The client's stream ends at a moment at which the server, if it reads ahead, has read
/// everything, and the kernel takes no more of what it sends.
pub(super) fn keeps_to_the_end(arena: &mut Arena<'_>, server: &Arc<Subject>) -> Outcome {
    let bytes = pattern(2_000_000);
    let mut client = arena.connect_narrow(server)?;
    // If the kernel does not let us look, there is nothing to be seen.
    let Some(sent) = client.send_until_some_are_kept(&bytes)? else { return Ok(()) };
    client.finish_sending()?;
    settle(server);
    match client.expect(&bytes[..sent]) {
        Err(Stop::Failed(finding)) if finding.diagnosis.is_none() => {
            Err(Stop::Failed(Finding { diagnosis: Some(DROPS), ..finding }))
        }
        came => came,
    }?;
    client.expect_end()
}

/// Kills the server while it has a client, so that its end of the connection stays in
/// TIME-WAIT, and starts it again.
pub(super) fn starts_again(arena: &mut Arena<'_>) -> Outcome {
    let first = arena.tcp_server()?;
    let mut client = arena.connect(&first)?;
    rest(&first, "its client was silent");
    first.signal(Signal::Kill);
    first.wait_end(Patience::new(&first))?;
    client.drain()?;
    client.close();
    let second = arena.tcp_server()?;
    arena.connect(&second).map(drop)
}

/// Asks a server that has no clients to end.
pub(super) fn ends_without_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    settle(&server);
    server.signal(Signal::Terminate);
    match server.wait_end(Patience::new(&server)) {
        Ok(Exit::Status(0)) => Ok(()),
        Ok(Exit::Signal(15)) => {
            fails_because("exit status 0", "killed by SIGTERM", Some(NO_HANDLER))
        }
        Ok(other) => fails("exit status 0", other.to_string()),
        Err(Stop::Failed(finding)) => {
            // A flag that a handler has set is noticed once something arrives.
            let woken = arena.connect(&server).map(drop).is_ok()
                && server.wait_end(Patience::new(&server)).is_ok();
            let diagnosis = woken.then_some(Diagnosis::Other(
                "handler-waits",
                "the handler ran, but accept(2) or poll(2) went on waiting until another \
                 client came: the signal must wake it (signal-hook's pipe, EINTR, or a \
                 connection to itself)",
            ));
            Err(Stop::Failed(Finding {
                diagnosis: diagnosis.or(finding.diagnosis),
                ..finding
            }))
        }
        Err(other) => Err(other),
    }
}

pub(super) fn udp_from_its_port(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"Hello")?;
    let (_, sender) = client.expect_any()?;
    match server.address()? {
        address if address == sender => Ok(()),
        address => fails(format!("a reply from {address}"), format!("one from {sender}")),
    }
}

pub(super) fn udp_two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let first = arena.datagrams(&server)?;
    let second = arena.datagrams(&server)?;
    for (client, word) in
        [(&first, "one"), (&second, "two"), (&first, "three"), (&second, "four")]
    {
        client.send(word.as_bytes())?;
        let (bytes, _) = client.expect_any()?;
        if !carries(&bytes, word.as_bytes()) {
            return fails(quoted(word.as_bytes()), quoted(&bytes));
        }
    }
    Ok(())
}

pub(super) fn udp_answers_empty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for _ in 0..2 {
        client.send(b"")?;
        client.expect_any()?;
    }
    Ok(())
}

/// A second server on the port must not start.
pub(super) fn busy_port(arena: &mut Arena<'_>) -> Outcome {
    let _first = arena.tcp_server()?;
    arena.start()?.expect_failure()
}

/// A character of two bytes, U+00E9, in two pieces.
pub(super) const CUT_CHARACTER: [&[u8]; 2] = [b"caf\xc3", b"\xa9"];

/// Sends it, and expects its echo.
pub(super) fn cut_character(arena: &mut Arena<'_>) -> Outcome<Connection> {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // A program that waits for the second byte gets it soon.
    client.send_in_pieces(CUT_CHARACTER)?;
    client.expect(&CUT_CHARACTER.concat())?;
    Ok(client)
}

/// Skips the check if the program ended because the checker stopped and continued it, which
/// may make a system call fail with `EINTR` (`signal(7)`). That says nothing about the
/// program.
pub(super) fn was_not_interrupted(program: &Subject) -> Outcome {
    let words = program.last_words().unwrap_or_default();
    let interrupted = ["Interrupted", "EINTR"].iter().any(|word| words.contains(word));
    match program.ended().is_some() && interrupted {
        true => Err(Stop::Skipped(
            "the checker stops the program for a moment, and a call of it fails with EINTR"
                .into(),
        )),
        false => Ok(()),
    }
}
