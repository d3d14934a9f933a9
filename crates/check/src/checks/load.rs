//! Lesson 15: a load generator that sees the stall.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, fails, fails_because};
use crate::peer::{Connection, Served, Stall};
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "load",
    lesson: 15,
    optional: false,
    role: Role::TcpClient,
    statement: statement!("load"),
    learned: "A latency begins when the request is due, not when the generator gets round to \
              it; a generator that waits with the server hides what users would have met.",
    checks: &[
        must(
            "it sends the lines 0, 1, 2 and so on, as many as COUNT says",
            "the words differ, or COUNT is not read",
            page::MEASURING,
            requests,
        ),
        must(
            "it prints the number of replies and four times, and exits with status 0",
            "a line has another form, or one is missing",
            page::MEASURING,
            prints,
        ),
        must(
            "when the server stalls for a second, the percentiles say so",
            "the next request waits for the reply, or a latency begins when the request was \
             sent and not when it was due (coordinated omission)",
            page::MEASURING,
            sees_the_stall,
        ),
        must(
            "it goes on sending while the server does not reply",
            "the next request waits for the reply: a closed loop",
            page::MEASURING,
            goes_on,
        ),
        must(
            "no time is longer than the run, and no percentile longer than a higher one",
            "the times are not in milliseconds, or the latencies are not in order",
            page::MEASURING,
            possible,
        ),
        must(
            "it sends no request before it is due",
            "RATE is not read, or all requests are sent at once",
            page::MEASURING,
            not_early,
        ),
        must(
            "replies that come in pieces are counted once each",
            "one recv(2) is taken for one reply",
            page::MEASURING,
            pieces,
        ),
        must(
            "if the server ends its stream too early, it exits with a status that is not 0, and \
             says why",
            "recv(2) returns 0, and that is taken for the end of the measurement",
            page::MEASURING,
            ends_early,
        ),
        must(
            "a refused connection ends it with a status that is not 0, and a line that says why",
            "the error of connect(2) is not reported",
            page::MEASURING,
            |arena| arena.start()?.expect_failure(),
        ),
        servers::CLIENT_PORT,
        must(
            "the last and slowest reply is waited for, and its latency is among the times",
            "the slowest are left out as outliers, or replies are counted that have not come",
            page::MEASURING,
            leaves_nothing_out,
        ),
    ],
};

/// How far a printed time may be below what the checker knows, for a program that rounds to
/// whole milliseconds. A busy machine makes latencies longer, and never shorter.
const ROUNDING_MS: f64 = 1.5;
const PERCENTS: [usize; 4] = [50, 90, 99, 100];

/// Starts the program and accepts its connection. Returns a moment before it connected, too.
fn begin(
    arena: &mut Arena<'_>,
    count: usize,
    rate: u32,
) -> Outcome<(Instant, Arc<Subject>, Connection)> {
    arena.tell("COUNT", &count.to_string());
    arena.tell("RATE", &rate.to_string());
    let mut listener = arena.listen()?;
    let program = arena.start()?;
    let server = listener.accept(&program)?;
    Ok((listener.nobody_at(), program, server))
}

/// Returns what it has printed: p50, p90, p99 and max, in milliseconds.
fn printed(program: &Subject, count: usize) -> Outcome<[f64; 4]> {
    program.expect_success()?;
    let stdout = program.stdout();
    let text = String::from_utf8_lossy(&stdout);
    let mut lines = text.lines();
    let form = || {
        fails(
            format!(
                "the lines `replies {count}`, `p50 MS`, `p90 MS`, `p99 MS` and `max MS`"
            ),
            quoted(&stdout),
        )
    };
    if lines.next() != Some(&format!("replies {count}")) {
        return form();
    }
    let mut times = [0.0; 4];
    for (name, time) in ["p50 ", "p90 ", "p99 ", "max "].iter().zip(&mut times) {
        let words = lines.next().and_then(|line| line.strip_prefix(name));
        let plain = |it: &&str| it.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        match words.filter(plain).and_then(|it| it.parse().ok()) {
            Some(number) => *time = number,
            None => return form(),
        }
    }
    if lines.next().is_some() { form() } else { Ok(times) }
}

fn requests(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 25;
    let (_, _program, mut server) = begin(arena, COUNT, 100)?;
    for number in 0..COUNT {
        let line = format!("{number}\n");
        server.expect(line.as_bytes())?;
        server.send(line.as_bytes())?;
    }
    server.expect_closed()
}

fn prints(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 25;
    let (_, program, mut server) = begin(arena, COUNT, 100)?;
    server.serve_lines(COUNT, Stall::Never)?;
    printed(&program, COUNT).map(drop)
}

/// Half of a thousand requests are due during the stall.
fn sees_the_stall(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 1000;
    const RATE: u32 = 500;
    let (_, program, mut server) = begin(arena, COUNT, RATE)?;
    let stall = Stall::At(COUNT * 2 / 5, Duration::from_secs(1));
    let served = server.serve_lines(COUNT, stall)?;
    are_not_better(printed(&program, COUNT)?, &served, RATE)
}

/// Only the last reply is late: with so few requests, that is `p99` and `max`.
fn leaves_nothing_out(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 25;
    const RATE: u32 = 100;
    let (_, program, mut server) = begin(arena, COUNT, RATE)?;
    let stall = Stall::At(COUNT - 1, Duration::from_millis(300));
    let served = server.serve_lines(COUNT, stall)?;
    are_not_better(printed(&program, COUNT)?, &served, RATE)
}

/// A percentile is longer than a higher one.
const OUT_OF_ORDER: Diagnosis = Diagnosis::Other(
    "out-of-order",
    "the latencies are not in order when the percentiles are taken: they are not sorted, or \
     sorted as text, in which 100 comes before 9",
);

/// Expects times that are at least as long as the server knows. What it knows of each latency
/// is a lower bound: from the moment at which the request was due, counted from the first
/// one's coming, to the moment before its reply was sent.
fn are_not_better(times: [f64; 4], served: &Served, rate: u32) -> Outcome {
    let due = |number: usize| Duration::from_secs(1) * number as u32 / rate;
    let known = served.replied.iter().enumerate().map(|(number, replied)| {
        replied.saturating_duration_since(served.first_came).saturating_sub(due(number))
    });
    let mut known: Vec<Duration> = known.collect();
    known.sort_unstable();
    let diagnosis = (!times.is_sorted()).then_some(OUT_OF_ORDER);
    for (percent, time) in PERCENTS.iter().zip(times) {
        let place = (known.len() * percent).div_ceil(100) - 1;
        let least = known[place].as_secs_f64() * 1000.0;
        if time < least - ROUNDING_MS {
            let name = if *percent == 100 { "max".into() } else { format!("p{percent}") };
            return fails_because(
                format!(
                    "{name} of at least {least:.0} ms: so long the server was silent"
                ),
                format!("{name} of {time} ms"),
                diagnosis,
            );
        }
    }
    Ok(())
}

fn goes_on(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 200;
    let (_, program, mut server) = begin(arena, COUNT, 500)?;
    server.serve_lines(COUNT, Stall::UntilAllHaveCome)?;
    printed(&program, COUNT).map(drop)
}

fn possible(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 300;
    let (before, program, mut server) = begin(arena, COUNT, 500)?;
    server.serve_lines(COUNT, Stall::At(50, Duration::from_millis(400)))?;
    let times = printed(&program, COUNT)?;
    let run_ms = before.elapsed().as_secs_f64() * 1000.0;
    match times {
        [.., longest] if longest > run_ms => fails(
            format!("no time longer than the whole run, {run_ms:.0} ms"),
            format!("max of {longest} ms"),
        ),
        times if times.is_sorted() => Ok(()),
        times => fails_because(
            "p50, p90, p99 and max, each at least the one before",
            format!("{times:?}"),
            Some(OUT_OF_ORDER),
        ),
    }
}

fn not_early(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 200;
    const RATE: u32 = 100;
    let (before, _program, mut server) = begin(arena, COUNT, RATE)?;
    let served = server.serve_lines(COUNT, Stall::Never)?;
    let due = Duration::from_secs(1) * (COUNT as u32 - 1) / RATE;
    match served.last_came.saturating_duration_since(before) {
        time if time >= due => Ok(()),
        time => fails(
            format!("request {} after {due:.2?}, with RATE={RATE}", COUNT - 1),
            format!("it came after {time:.2?}"),
        ),
    }
}

/// Each reply comes in two pieces.
fn pieces(arena: &mut Arena<'_>) -> Outcome {
    const COUNT: usize = 12;
    let (_, program, mut server) = begin(arena, COUNT, 100)?;
    for number in 0..COUNT {
        let line = format!("{number}\n");
        server.expect(line.as_bytes())?;
        server.send_in_pieces([&line.as_bytes()[..1], &line.as_bytes()[1..]])?;
    }
    printed(&program, COUNT).map(drop)
}

fn ends_early(arena: &mut Arena<'_>) -> Outcome {
    let (_, program, mut server) = begin(arena, 100, 500)?;
    server.expect(b"0\n")?;
    server.send(b"0\n")?;
    server.finish_sending()?;
    program.expect_failure()
}
