//! Daytime, RFC 867, over TCP and over UDP.

use super::{now_s, one_resets, printable, tcp, udp};
use crate::arena::Arena;
use crate::checks::{page, servers, statement};
use crate::outcome::{Outcome, fails};
use crate::task::{Task, must, should};
use crate::text::quoted;

pub(in crate::checks) const TCP: Task = tcp(
    "rfc867",
    statement!("rfc867"),
    "A close with unread bytes is a reset, which can destroy what was sent \
              before it.",
    &[
        must(
            "it sends the date unprompted, as printable ASCII with the year, and ends the stream",
            "it waits for something to come first, keeps the connection open, or sends other characters",
            page::TCP,
            daytime_answers,
        ),
        must(
            "a client that sends something gets the date anyway",
            "it closes with unread bytes: that sends a reset, and what was sent may be lost",
            page::TCP,
            daytime_throws_away,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error on one connection ends the program",
            page::TCP,
            daytime_after_reset,
        ),
        must(
            "it can be started again at once on the same port",
            "SO_REUSEADDR is not set before bind(2)",
            page::TCP,
            servers::starts_again,
        ),
        should(
            "it is one line that ends with CR LF",
            "the line ending is missing, or is LF alone",
            page::TCP,
            daytime_line,
        ),
        servers::TCP_PORT,
    ],
);

pub(in crate::checks) const UDP: Task = udp(
    "rfc867-udp",
    statement!("rfc867-udp"),
    "A close with unread bytes is a reset, which can destroy what was sent \
              before it.",
    &[
        must(
            "it answers with one datagram of printable ASCII that has the year",
            "no answer, more than one, or other characters",
            page::UDP,
            udp_daytime_answers,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
        servers::UDP_PORT,
    ],
);

fn is_date(bytes: &[u8]) -> Outcome {
    printable(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    let year = this_year();
    // At the turn of the year, the year may differ by one in another time zone.
    let near = [year - 1, year, year + 1].map(|year| year.to_string());
    match near.iter().any(|year| text.contains(year)) {
        true => Ok(()),
        false => fails(format!("a date with the year {year}"), quoted(bytes)),
    }
}

fn this_year() -> u64 {
    // With 365.2425 days a year this is exact to a day, which `is_date` allows for.
    1970 + now_s() * 10_000 / (365 * 10_000 + 2425) / 86_400
}

fn daytime_answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let bytes = arena.connect(&server)?.read_to_end(1000)?;
    is_date(&bytes)
}

fn daytime_throws_away(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    server.freeze()?;
    let mut client = arena.connect(&server)?;
    client.send(b"GET / HTTP/1.0\r\n\r\n")?;
    client.finish_sending()?;
    server.thaw();
    client.read_to_end(1000).map(drop)
}

fn daytime_after_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    one_resets(arena, &server)?;
    arena.connect(&server)?.expect_bytes(1).map(drop)
}

fn daytime_line(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.expect_bytes(1)?;
    let mut text = client.read_to_end(1000)?;
    match text.split_off(text.len().saturating_sub(2)) {
        end if end == b"\r\n" && !text.contains(&b'\n') => Ok(()),
        end => fails("one line with CR LF", quoted(&[text, end].concat())),
    }
}

fn udp_daytime_answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"what time is it?")?;
    is_date(&client.expect_any()?.0)?;
    client.expect_silence()
}
