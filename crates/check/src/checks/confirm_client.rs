//! Lesson 5: a client that knows that its message has arrived.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::lateness::Lateness;
use crate::outcome::{Outcome, fails, fails_because};
use crate::peer::Connection;
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "confirm-client",
    lesson: 5,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("confirm-client"),
    learned: "When send returns, the kernel has the bytes; only an answer says that the \
              other program has them.",
    checks: &[
        must(
            "it connects and sends `store one\\n`, to the byte, and nothing else",
            "the text differs, or the newline is missing",
            page::KERNEL,
            sends,
        ),
        must(
            "when `ok\\n` has come it prints `stored` and ends with status 0",
            "the words differ, or it waits for the end of the stream",
            page::KERNEL,
            stored,
        ),
        must(
            "it accepts an `ok\\n` that comes in two pieces",
            "the result of one recv(2) was taken for the whole answer",
            page::KERNEL,
            two_pieces,
        ),
        must(
            "when the server never accepts, it gives up, and does not say `stored`",
            "connect(2) and send(2) returning was taken for success; only the kernel had answered",
            page::KERNEL,
            never_accepted,
        )
        .takes_long(),
        must(
            "when the server takes the line and says nothing, it gives up",
            "there is no timeout for the answer",
            page::KERNEL,
            never_answered,
        )
        .takes_long(),
        must(
            "when the server closes without an answer, it does not say `stored`",
            "recv(2) returned 0, the end of the stream, and that was ignored",
            page::KERNEL,
            closed,
        ),
        must(
            "when the connection is reset, it does not say `stored`",
            "an error from recv(2) is not handled",
            page::KERNEL,
            reset,
        ),
        must(
            "when the server says `no\\n`, it does not say `stored`",
            "any answer at all was taken for `ok`",
            page::KERNEL,
            refused,
        ),
        must(
            "when nobody listens, it exits with a non-zero status and says why",
            "the error from connect(2), ECONNREFUSED, is ignored, or it retries forever",
            page::KERNEL,
            nobody,
        ),
        servers::CLIENT_PORT,
        must(
            "when the server closes after `ok` and before the newline, it does not say `stored`",
            "the beginning of the answer was taken for the answer: the newline belongs to it",
            page::KERNEL,
            cut_short,
        ),
    ],
};

/// A client waits for its answer for one second, less what clocks may differ by.
const ALMOST: Duration = Duration::from_millis(980);
/// One second for the answer, and the rest to allow for a busy machine.
const GIVES_UP: Duration = Duration::from_secs(4);

fn asked(arena: &mut Arena<'_>) -> Outcome<(Arc<Subject>, Connection)> {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    server.expect_bytes(9)?;
    Ok((client, server))
}

/// Expects the client to exit with a non-zero status, without having printed `stored`.
fn not_stored(client: &Subject) -> Outcome {
    client.expect_failure_within(GIVES_UP)?;
    let stdout = client.stdout();
    match stdout.windows(6).any(|window| window == b"stored") {
        true => fails("no `stored` on standard output", quoted(&stdout)),
        false => Ok(()),
    }
}

fn sends(arena: &mut Arena<'_>) -> Outcome {
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let mut server = listener.accept(&client)?;
    let before = listener.nobody_at();
    server.expect(b"store one\n")?;
    server.expect_no_more(b"store one\n")?;
    // On a machine that is very busy, its second is over by now.
    if server.peek().is_none() && before.elapsed() < ALMOST {
        return fails("the connection stays open", "the end of the stream");
    }
    Ok(())
}

fn stored(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(b"ok\n")?;
    client.expect_line(b"stored")?;
    client.expect_success()
}

fn two_pieces(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send_in_pieces([&b"o"[..]])?;
    server.send_if_it_can(b"k\n");
    client.expect_line(b"stored")
}

fn never_accepted(arena: &mut Arena<'_>) -> Outcome {
    let _listener = arena.listen()?;
    let client = arena.start()?;
    not_stored(&client)
}

/// The client may give up no sooner than one second after its connection, and must end within
/// two seconds after its start, which was before that.
fn never_answered(arena: &mut Arena<'_>) -> Outcome {
    const AT_MOST: Duration = Duration::from_millis(2200);
    const HASTY: Diagnosis =
        Diagnosis::Other("hasty", "it gives up before the second is over");
    let mut listener = arena.listen()?;
    let client = arena.start()?;
    let lateness = Lateness::begin(&client);
    let mut server = listener.accept(&client)?;
    let (before, connected) = (listener.nobody_at(), Instant::now());
    server.expect_bytes(9)?;
    not_stored(&client)?;
    let took = before.elapsed();
    if took < ALMOST {
        let got = format!("it gave up after {:.2} s", took.as_secs_f64());
        return fails_because("it waits a second for the answer", got, Some(HASTY));
    }
    lateness.at_most(
        AT_MOST,
        connected.elapsed(),
        "the end two seconds after its start, at most",
    )
}

fn closed(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    // Do not close(2): if the newline is still unread, that would be a reset.
    server.finish_sending()?;
    not_stored(&client)
}

fn cut_short(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send_in_pieces([&b"ok"[..]])?;
    // A client that has said `stored` by now has gone, perhaps.
    let _ = server.finish_sending();
    not_stored(&client)
}

fn reset(arena: &mut Arena<'_>) -> Outcome {
    let (client, server) = asked(arena)?;
    server.settle();
    server.reset()?;
    not_stored(&client)
}

fn refused(arena: &mut Arena<'_>) -> Outcome {
    let (client, mut server) = asked(arena)?;
    server.send(b"no\n")?;
    server.finish_sending()?;
    not_stored(&client)
}

fn nobody(arena: &mut Arena<'_>) -> Outcome {
    arena.start()?.expect_failure_within(GIVES_UP)
}
