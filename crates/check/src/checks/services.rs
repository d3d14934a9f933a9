//! Small services with a standard: RFC 862 to 868, over TCP and over UDP. Optional tasks,
//! against which real programs can be held as well.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{page, servers, statement};
use crate::outcome::{Outcome, fault};
use crate::stage::Stage;
use crate::stranger::quoted;
use crate::talk::{Connection, Datagrams, settle};
use crate::task::{Check, Role, Task, must, should};

const fn tcp(
    name: &'static str,
    statement: &'static str,
    checks: &'static [Check],
) -> Task {
    Task { name, lesson: 2, optional: true, role: Role::TcpServer, statement, checks }
}

const fn udp(
    name: &'static str,
    statement: &'static str,
    checks: &'static [Check],
) -> Task {
    Task { name, lesson: 3, optional: true, role: Role::UdpServer, statement, checks }
}

pub(super) const ECHO: Task = tcp(
    "rfc862",
    statement!("rfc862"),
    &[
        must(
            "it sends back what came",
            "recv(2) and send(2) of what it gave, nothing more",
            page::TCP,
            echo_answers,
        ),
        must(
            "it sends each piece back at once, and stays for the next",
            "it waits for the end of the stream, or closes after the first message",
            page::TCP,
            echo_piece_by_piece,
        ),
        must(
            "it sends bytes back as they came, also such as are no UTF-8",
            "what came is decoded as text, or cut at a zero byte",
            page::TCP,
            echo_keeps_bytes,
        ),
        must(
            "eight megabytes come back whole, to a client that begins to read late",
            "one send(2) took less than it was given, and the rest was forgotten",
            page::TCP,
            echo_late,
        ),
        must(
            "after the client's end of stream all comes back, and then the server's end",
            "it closes as soon as recv(2) gives 0, or never",
            page::TCP,
            echo_half_close,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error of one connection ends the program, or SIGPIPE does",
            page::TCP,
            echo_after_reset,
        ),
        must(
            "it serves the next client when one is gone",
            "accept(2) is called once",
            page::TCP,
            echo_next,
        ),
        must(
            "it can be started again at once on the same port",
            "SO_REUSEADDR is not set before bind(2)",
            page::TCP,
            servers::starts_again,
        ),
        must(
            "a hundred clients one after another leave no descriptor open",
            "the socket of a client that is gone is not closed",
            page::TCP,
            echo_no_leak,
        ),
        should(
            "a silent client does not stop the others",
            "it serves one client after another: the second waits for the first",
            page::TCP,
            echo_beside_silent,
        ),
        should(
            "it serves fifty clients at the same time",
            "the number of clients at a time is bounded",
            page::TCP,
            echo_fifty,
        ),
        should(
            "a client that sends and does not read does not stop the others",
            "a send(2) to a client that does not read waits, and all others with it",
            page::TCP,
            echo_beside_one_that_does_not_read,
        ),
        should(
            "it survives a moment without free descriptors",
            "the error EMFILE of accept(2) ends the program",
            page::TCP,
            echo_without_descriptors,
        ),
    ],
);

pub(super) const ECHO_UDP: Task = udp(
    "rfc862-udp",
    statement!("rfc862-udp"),
    &[
        must(
            "it sends a datagram back, once and unchanged",
            "something was added to it, or it was sent twice",
            page::UDP,
            udp_echo_answers,
        ),
        must(
            "the reply comes from the address that the datagram was sent to",
            "the reply is sent from a second socket, which has a port of its own",
            page::UDP,
            servers::udp_from_its_port,
        ),
        must(
            "it sends bytes back as they came, also such as are no UTF-8",
            "what came is decoded as text, or cut at a zero byte",
            page::UDP,
            udp_echo_keeps_bytes,
        ),
        must(
            "an empty datagram comes back, and the server goes on",
            "recvfrom(2) gave 0: an empty datagram, and no end of anything",
            page::UDP,
            udp_echo_empty,
        ),
        must(
            "a datagram of 8,000 bytes comes back whole",
            "the buffer of recvfrom(2) is too small: the rest of a datagram is lost",
            page::UDP,
            udp_echo_long,
        ),
        must(
            "it serves two clients by turns",
            "the socket was connected to the first client, or a process serves it alone",
            page::UDP,
            servers::udp_two_clients,
        ),
    ],
);

pub(super) const DISCARD: Task = tcp(
    "rfc863",
    statement!("rfc863"),
    &[
        must(
            "it sends nothing, and stays",
            "it answers, or closes before the client does",
            page::TCP,
            discard_is_silent,
        ),
        must(
            "it takes ten megabytes",
            "it does not read: once the buffers are full, the client waits for ever",
            page::TCP,
            discard_takes_all,
        ),
        must(
            "when the client's stream ends, it ends its own",
            "recv(2) gave 0 and was not looked at, or close(2) is missing",
            page::TCP,
            discard_ends,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error of one connection ends the program",
            page::TCP,
            discard_after_reset,
        ),
        should(
            "a silent client does not stop the others",
            "it serves one client after another: the second waits for the first",
            page::TCP,
            discard_beside_silent,
        ),
    ],
);

pub(super) const DISCARD_UDP: Task = udp(
    "rfc863-udp",
    statement!("rfc863-udp"),
    &[
        must("it sends nothing back", "it answers", page::UDP, udp_discard_is_silent),
        must(
            "it goes on, whatever comes",
            "an empty datagram, or a large one, ended it",
            page::UDP,
            udp_discard_goes_on,
        ),
    ],
);

pub(super) const CHARGEN: Task = tcp(
    "rfc864",
    statement!("rfc864"),
    &[
        must(
            "it sends characters unasked",
            "it waits for something to come first",
            page::TCP,
            chargen_unasked,
        ),
        must(
            "it goes on as long as the client reads: a megabyte",
            "it stops by itself, or one send(2) took less and that was an error",
            page::TCP,
            chargen_goes_on,
        ),
        must(
            "what the client sends is thrown away",
            "it does not read, so that the client's send(2) waits for ever, or it stops",
            page::TCP,
            chargen_throws_away,
        ),
        must(
            "a client that goes away in the middle does not end the server",
            "EPIPE, ECONNRESET or SIGPIPE ends the program",
            page::TCP,
            chargen_after_reset,
        ),
        should(
            "it sends the RFC's pattern: 72 of the ring of 95, each line one further, CR LF",
            "the ring is not the 95 printable characters from space to ~, or the line ends \
             differ",
            page::TCP,
            chargen_pattern,
        ),
        should(
            "a client that does not read does not stop the others",
            "a send(2) to a client that does not read waits, and all others with it",
            page::TCP,
            chargen_beside_one_that_does_not_read,
        ),
    ],
);

pub(super) const CHARGEN_UDP: Task = udp(
    "rfc864-udp",
    statement!("rfc864-udp"),
    &[
        must(
            "it answers each datagram with one of 0 to 512 characters",
            "no answer, a longer one, or more than one",
            page::UDP,
            udp_chargen_answers,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) gave 0: an empty datagram, and no end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
        should(
            "the characters are printable ASCII",
            "bytes outside of space to ~, CR and LF",
            page::UDP,
            udp_chargen_printable,
        ),
    ],
);

pub(super) const DAYTIME: Task = tcp(
    "rfc867",
    statement!("rfc867"),
    &[
        must(
            "it sends the date unasked, as printable ASCII with the year, and ends the stream",
            "it waits for something to come first, keeps open, or sends other characters",
            page::TCP,
            daytime_answers,
        ),
        must(
            "a client that sends something gets the date all the same",
            "it closes with bytes unread: that is a reset, and what was sent may be lost",
            page::TCP,
            daytime_throws_away,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error of one connection ends the program",
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
            "a line end that is missing, or LF alone",
            page::TCP,
            daytime_line,
        ),
    ],
);

pub(super) const DAYTIME_UDP: Task = udp(
    "rfc867-udp",
    statement!("rfc867-udp"),
    &[
        must(
            "it answers with one datagram of printable ASCII that has the year",
            "no answer, more than one, or other characters",
            page::UDP,
            udp_daytime_answers,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) gave 0: an empty datagram, and no end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
    ],
);

pub(super) const TIME: Task = tcp(
    "rfc868",
    statement!("rfc868"),
    &[
        must(
            "it sends four bytes unasked and ends the stream",
            "it waits for something to come first, keeps open, or sends text",
            page::TCP,
            time_four_bytes,
        ),
        must(
            "they are the seconds since 1900, the highest byte first",
            "seconds since 1970, or the lowest byte first",
            page::TCP,
            time_is_right,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error of one connection ends the program",
            page::TCP,
            time_after_reset,
        ),
    ],
);

pub(super) const TIME_UDP: Task = udp(
    "rfc868-udp",
    statement!("rfc868-udp"),
    &[
        must(
            "it answers with one datagram of four bytes",
            "no answer, more than one, or text",
            page::UDP,
            udp_time_four_bytes,
        ),
        must(
            "they are the seconds since 1900, the highest byte first",
            "seconds since 1970, or the lowest byte first",
            page::UDP,
            udp_time_is_right,
        ),
        must(
            "an empty datagram is answered, and the server goes on",
            "recvfrom(2) gave 0: an empty datagram, and no end of anything",
            page::UDP,
            servers::udp_answers_empty,
        ),
    ],
);

// Echo over TCP.

fn echo_answers(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send(b"hello")?;
    client.finish_sending()?;
    client.expect(b"hello")
}

fn said(client: &mut Connection, words: &[u8]) -> Outcome {
    client.send(words)?;
    client.expect(words)
}

fn echo_piece_by_piece(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    for byte in b"one by one" {
        said(&mut client, &[*byte])?;
    }
    Ok(())
}

fn echo_keeps_bytes(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    let bytes = b"\0\xff\xfe\x1b[31m\xc3\x28\r\n\0";
    client.send(bytes)?;
    client.finish_sending()?;
    client.expect(bytes)
}

fn echo_late(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect_narrow(&server)?;
    let bytes = servers::pattern(8_000_000);
    client.exchange(&bytes, &bytes)
}

fn echo_half_close(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    let bytes = servers::pattern(50_000);
    client.send(&bytes)?;
    client.finish_sending()?;
    client.expect(&bytes)?;
    client.expect_end()
}

/// After one client reset its connection while its bytes were on their way, another says
/// something and hears it.
fn echo_after_reset(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send(b"I am gone before you answer")?;
    client.reset()?;
    settle(&server);
    let mut next = stage.connect(&server)?;
    next.send(b"hello")?;
    next.expect_bytes(5).map(drop)
}

fn echo_next(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    for words in [b"first", b"other", b"third"] {
        let mut client = stage.connect(&server)?;
        client.send(words)?;
        client.expect_bytes(5)?;
        client.close();
    }
    Ok(())
}

fn echo_no_leak(stage: &mut Stage<'_>) -> Outcome {
    stage.limits.each.open_files = 64;
    let server = stage.tcp_server()?;
    for _ in 0..100 {
        let mut client = stage.connect(&server)?;
        client.send(b"hello")?;
        client.expect_bytes(5)?;
        client.close();
    }
    Ok(())
}

fn echo_beside_silent(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let _silent = stage.connect(&server)?;
    settle(&server);
    let mut client = stage.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

fn echo_fifty(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(stage.connect(&server)?);
    }
    for client in &mut clients {
        client.send(b"hello")?;
    }
    for client in clients.iter_mut().rev() {
        client.expect_bytes(5)?;
    }
    Ok(())
}

fn echo_beside_one_that_does_not_read(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut full = stage.connect(&server)?;
    full.send_until_full()?;
    let mut client = stage.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

fn echo_without_descriptors(stage: &mut Stage<'_>) -> Outcome {
    stage.limits.each.open_files = 32;
    let server = stage.tcp_server()?;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(stage.connect(&server)?);
    }
    settle(&server);
    clients.clear();
    settle(&server);
    let mut client = stage.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

// Echo over UDP.

fn udp_echo_answers(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"hello")?;
    let (bytes, _) = client.expect_any()?;
    if bytes != b"hello" {
        return fault("\"hello\"", quoted(&bytes));
    }
    client.expect_silence()
}

fn udp_same(stage: &mut Stage<'_>, message: &[u8]) -> Outcome<Datagrams> {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(message)?;
    let (bytes, _) = client.expect_any()?;
    match servers::carries(&bytes, message) {
        true => Ok(client),
        false => fault(quoted(message), quoted(&bytes)),
    }
}

fn udp_echo_keeps_bytes(stage: &mut Stage<'_>) -> Outcome {
    udp_same(stage, b"\0\xff\xfe\x1b[31m\xc3\x28\0").map(drop)
}

fn udp_echo_empty(stage: &mut Stage<'_>) -> Outcome {
    let client = udp_same(stage, b"")?;
    client.send(b"still there?")?;
    client.expect_any().map(drop)
}

fn udp_echo_long(stage: &mut Stage<'_>) -> Outcome {
    udp_same(stage, &servers::pattern(8000)).map(drop)
}

// Discard.

fn discard_is_silent(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send(b"is anybody there?\r\n")?;
    client.expect_silence()
}

fn discard_takes_all(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send_all(10_000_000)
}

fn discard_ends(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send(b"bye\r\n")?;
    client.finish_sending()?;
    client.drain_to_end()
}

fn discard_after_reset(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send(b"gone")?;
    client.reset()?;
    settle(&server);
    stage.connect(&server)?.send_all(10_000)
}

fn discard_beside_silent(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let _silent = stage.connect(&server)?;
    settle(&server);
    let mut client = stage.connect(&server)?;
    client.send(b"bye\r\n")?;
    client.finish_sending()?;
    client.drain_to_end()
}

fn udp_discard_is_silent(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"is anybody there?")?;
    client.expect_silence()
}

fn udp_discard_goes_on(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    for datagram in [&b""[..], b"\0", &servers::pattern(65_507), b"", b"last"] {
        client.send(datagram)?;
        settle(&server);
    }
    match server.is_over() {
        false => Ok(()),
        true => fault("the server goes on", server.condition()),
    }
}

// Character generator.

fn chargen_unasked(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    stage.connect(&server)?.expect_bytes(740).map(drop)
}

fn chargen_goes_on(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    stage.connect(&server)?.expect_bytes(1_000_000).map(drop)
}

fn chargen_throws_away(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.send_while_draining(10_000_000)
}

fn chargen_after_reset(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    for _ in 0..3 {
        let mut client = stage.connect(&server)?;
        client.expect_bytes(1)?;
        client.reset()?;
        settle(&server);
    }
    stage.connect(&server)?.expect_bytes(1).map(drop)
}

fn chargen_pattern(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let bytes = stage.connect(&server)?.expect_bytes(74 * 200)?;
    let first = bytes[0].wrapping_sub(b' ');
    for (number, line) in bytes.chunks(74).enumerate() {
        let ring = |at: usize| b' ' + ((usize::from(first) + number + at) % 95) as u8;
        let wanted: Vec<u8> = (0..72).map(ring).chain(*b"\r\n").collect();
        if line != wanted {
            return fault(
                format!("line {}: {}", number + 1, quoted(&wanted)),
                quoted(line),
            );
        }
    }
    Ok(())
}

fn chargen_beside_one_that_does_not_read(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let _full = stage.connect(&server)?;
    settle(&server);
    stage.connect(&server)?.expect_bytes(100).map(drop)
}

fn udp_chargen_answers(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    for _ in 0..3 {
        client.send(b"more")?;
        let (bytes, _) = client.expect_any()?;
        if bytes.len() > 512 {
            return fault("at most 512 characters", format!("{} bytes", bytes.len()));
        }
    }
    client.expect_silence()
}

fn udp_chargen_printable(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"more")?;
    printable(&client.expect_any()?.0)
}

fn printable(bytes: &[u8]) -> Outcome {
    match bytes.iter().find(|byte| !matches!(byte, b' '..=b'~' | b'\r' | b'\n')) {
        None => Ok(()),
        Some(_) => fault("printable ASCII characters", quoted(bytes)),
    }
}

// Daytime.

fn is_date(bytes: &[u8]) -> Outcome {
    printable(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    let year = this_year();
    // At the turn of the year, and in another time zone, it may be the next or the last.
    let near = [year - 1, year, year + 1].map(|year| year.to_string());
    match near.iter().any(|year| text.contains(year)) {
        true => Ok(()),
        false => fault(format!("a date with the year {year}"), quoted(bytes)),
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

fn this_year() -> u64 {
    // 365.2425 days a year: exact to a day, which `is_date` allows for.
    1970 + now_s() * 10_000 / (365 * 10_000 + 2425) / 86_400
}

fn daytime_answers(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let bytes = stage.connect(&server)?.read_to_end(1000)?;
    is_date(&bytes)
}

fn daytime_throws_away(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    server.freeze()?;
    let mut client = stage.connect(&server)?;
    client.send(b"GET / HTTP/1.0\r\n\r\n")?;
    client.finish_sending()?;
    server.thaw();
    client.read_to_end(1000).map(drop)
}

fn daytime_after_reset(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    one_resets(stage, &server)?;
    stage.connect(&server)?.expect_bytes(1).map(drop)
}

/// A client that is gone before the server has accepted it.
fn one_resets(stage: &mut Stage<'_>, server: &Arc<crate::stranger::Stranger>) -> Outcome {
    server.freeze()?;
    stage.connect(server)?.reset()?;
    // The reset is there before the server can look.
    settle(server);
    server.thaw();
    settle(server);
    Ok(())
}

fn daytime_line(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let mut client = stage.connect(&server)?;
    client.expect_bytes(1)?;
    let mut text = client.read_to_end(1000)?;
    match text.split_off(text.len().saturating_sub(2)) {
        end if end == b"\r\n" && !text.contains(&b'\n') => Ok(()),
        end => fault("one line with CR LF", quoted(&[text, end].concat())),
    }
}

fn udp_daytime_answers(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"what time is it?")?;
    is_date(&client.expect_any()?.0)?;
    client.expect_silence()
}

// Time.

fn is_now(bytes: &[u8]) -> Outcome {
    const FROM_1900_TO_1970_S: u64 = 2_208_988_800;
    let now = (now_s() + FROM_1900_TO_1970_S) as u32;
    let Some(four) = bytes.first_chunk::<4>() else {
        return fault("four bytes", quoted(bytes));
    };
    let came = u32::from_be_bytes(*four);
    // Whoever waits for a processor may be late.
    match now.wrapping_sub(came) < 5 || came.wrapping_sub(now) < 5 {
        true => Ok(()),
        false => fault(format!("about {now}"), format!("{came}: {}", quoted(bytes))),
    }
}

fn time_four_bytes(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    let bytes = stage.connect(&server)?.read_to_end(1000)?;
    match bytes.len() {
        4 => Ok(()),
        _ => fault("four bytes", quoted(&bytes)),
    }
}

fn time_is_right(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    is_now(&stage.connect(&server)?.expect_bytes(4)?)
}

fn time_after_reset(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.tcp_server()?;
    one_resets(stage, &server)?;
    stage.connect(&server)?.expect_bytes(1).map(drop)
}

fn udp_time_four_bytes(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"time?")?;
    match client.expect_any()?.0 {
        bytes if bytes.len() == 4 => client.expect_silence(),
        bytes => fault("four bytes", quoted(&bytes)),
    }
}

fn udp_time_is_right(stage: &mut Stage<'_>) -> Outcome {
    let server = stage.udp_server()?;
    let client = stage.datagrams(&server)?;
    client.send(b"time?")?;
    is_now(&client.expect_any()?.0)
}
