//! Echo, RFC 862, over TCP and over UDP.

use std::thread;

use super::{tcp, udp};
use crate::arena::Arena;
use crate::checks::{page, servers, statement};
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, fails};
use crate::peer::{Connection, Datagrams, settle};
use crate::task::{Task, must, should};
use crate::text::quoted;

pub(in crate::checks) const TCP: Task = tcp(
    "rfc862",
    statement!("rfc862"),
    "An echo that never ends: many clients, half-close, resets, and no \
              descriptor lost.",
    &[
        must(
            "it sends back what came",
            "send(2) exactly what recv(2) returned",
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
            "it sends bytes back as they came, including invalid UTF-8",
            "what came is decoded as text, or cut at a zero byte",
            page::TCP,
            echo_keeps_bytes,
        ),
        must(
            "eight megabytes come back complete, to a client that starts reading late",
            "one send(2) took only part of the data, and the rest was dropped",
            page::TCP,
            echo_late,
        ),
        must(
            "after the client's end of stream everything comes back, and then the server's end",
            "it closes as soon as recv(2) returns 0, or never",
            page::TCP,
            echo_half_close,
        ),
        must(
            "a client that resets its connection does not end the server",
            "an error on one connection ends the program, or SIGPIPE does",
            page::TCP,
            echo_after_reset,
        ),
        must(
            "it serves the next client after one leaves",
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
            "a hundred clients, one after another, leave no descriptors open",
            "the sockets of clients that have left are not closed",
            page::TCP,
            echo_no_leak,
        ),
        should(
            "a silent client does not block the others",
            "it serves one client after another: the second waits for the first",
            page::TCP,
            echo_beside_silent,
        ),
        should(
            "it serves fifty clients at the same time",
            "the number of concurrent clients is limited",
            page::TCP,
            echo_fifty,
        ),
        should(
            "a client that sends without reading does not block the others",
            "send(2) to a client that does not read blocks, and with it everyone else",
            page::TCP,
            echo_beside_one_that_does_not_read,
        ),
        should(
            "it survives a moment without free descriptors",
            "the error EMFILE from accept(2) ends the program",
            page::TCP,
            echo_without_descriptors,
        ),
        must(
            "two clients each get back their own bytes",
            "what comes is kept, or sent, for all clients together",
            page::TCP,
            echo_two_clients,
        ),
        must(
            "a hundred clients leave no thread and no process behind",
            "a thread does not end with its client, or a child is not waited for (wait(2))",
            page::TCP,
            echo_leaves_nothing,
        ),
        must(
            "a client may be silent for a while and then go on",
            "a timeout ends the connection: RFC 862 has none",
            page::TCP,
            echo_after_silence,
        ),
        must(
            "a character that is cut in two pieces comes back whole",
            "each piece is decoded as text by itself; keep it as bytes",
            page::TCP,
            |arena| servers::cut_character(arena).map(drop),
        ),
        servers::TCP_PORT,
    ],
);

pub(in crate::checks) const UDP: Task = udp(
    "rfc862-udp",
    statement!("rfc862-udp"),
    "An echo that never ends: many clients, half-close, resets, and no \
              descriptor lost.",
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
            "it sends bytes back as they came, including invalid UTF-8",
            "what came is decoded as text, or cut at a zero byte",
            page::UDP,
            udp_echo_keeps_bytes,
        ),
        must(
            "an empty datagram comes back, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            udp_echo_empty,
        ),
        must(
            "a datagram of 8,000 bytes comes back whole",
            "the buffer for recvfrom(2) is too small: the rest of a datagram is lost",
            page::UDP,
            udp_echo_long,
        ),
        must(
            "it serves two clients in turn",
            "the socket was connected to the first client, or a process serves it alone",
            page::UDP,
            servers::udp_two_clients,
        ),
        must(
            "a datagram of 65,507 bytes, the largest, comes back whole",
            "the buffer for recvfrom(2) is smaller than the largest datagram",
            page::UDP,
            udp_echo_largest,
        ),
        servers::UDP_PORT,
    ],
);

fn echo_answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    // Check for silence first: a greeting might happen to be the expected word.
    if let Err(Stop::Failed(finding)) = client.expect_silence() {
        let diagnosis = Some(Diagnosis::Other(
            "speaks-first",
            "it sends something before the client has said anything",
        ));
        return Err(Stop::Failed(Finding { diagnosis, ..finding }));
    }
    client.send(b"hello")?;
    client.expect(b"hello")?;
    client.expect_no_more(b"hello")
}

fn said(client: &mut Connection, words: &[u8]) -> Outcome {
    client.send(words)?;
    client.expect(words)
}

fn echo_piece_by_piece(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for byte in b"one by one" {
        said(&mut client, &[*byte])?;
    }
    Ok(())
}

fn echo_keeps_bytes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let bytes = b"\0\xff\xfe\x1b[31m\xc3\x28\r\n\0";
    client.send(bytes)?;
    client.expect(bytes)
}

fn echo_late(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect_narrow(&server)?;
    let bytes = servers::pattern(8_000_000);
    client.exchange(&bytes, &bytes)
}

fn echo_half_close(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let bytes = servers::pattern(50_000);
    client.send(&bytes)?;
    client.finish_sending()?;
    client.expect(&bytes)?;
    client.expect_end()
}

/// One client resets its connection while its bytes are in flight; then another must still be
/// echoed.
fn echo_after_reset(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send(b"I am gone before you answer")?;
    client.reset()?;
    settle(&server);
    let mut next = arena.connect(&server)?;
    next.send(b"hello")?;
    next.expect_bytes(5).map(drop)
}

fn echo_next(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for words in [b"first", b"other", b"third"] {
        let mut client = arena.connect(&server)?;
        client.send(words)?;
        client.expect_bytes(5)?;
        client.close();
    }
    Ok(())
}

fn echo_no_leak(arena: &mut Arena<'_>) -> Outcome {
    arena.limits.each.open_files = 64;
    let server = arena.tcp_server()?;
    for _ in 0..100 {
        let mut client = arena.connect(&server)?;
        client.send(b"hello")?;
        client.expect_bytes(5)?;
        client.close();
    }
    Ok(())
}

fn echo_beside_silent(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _silent = arena.connect(&server)?;
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

fn echo_fifty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(arena.connect(&server)?);
    }
    for client in &mut clients {
        client.send(b"hello")?;
    }
    for client in clients.iter_mut().rev() {
        client.expect_bytes(5)?;
    }
    Ok(())
}

fn echo_beside_one_that_does_not_read(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut full = arena.connect(&server)?;
    full.send_until_full()?;
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    client.expect_bytes(5).map(drop)
}

fn echo_two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    // One after the other is enough: serving both at the same time is another check's
    // concern.
    let mut first = arena.connect(&server)?;
    said(&mut first, b"first")?;
    first.finish_sending()?;
    first.expect_end()?;
    let mut second = arena.connect(&server)?;
    said(&mut second, b"second")?;
    second.expect_no_more(b"second")
}

fn echo_leaves_nothing(arena: &mut Arena<'_>) -> Outcome {
    /// Allows for a pool that grows a little, and for children that are reaped only when the
    /// next client comes.
    const MORE: usize = 20;
    let server = arena.tcp_server()?;
    let serve = |arena: &mut Arena<'_>| {
        let mut client = arena.connect(&server)?;
        client.send(b"hello")?;
        client.expect_bytes(5)?;
        client.close();
        Outcome::Ok(())
    };
    serve(arena)?;
    settle(&server);
    let before = server.threads();
    for _ in 0..100 {
        serve(arena)?;
    }
    settle(&server);
    match server.threads() {
        after if after <= before + MORE => Ok(()),
        after => fails(
            format!("about {before} threads and processes, as after the first client"),
            format!(
                "{after}, including zombies: processes that ended and were not waited for"
            ),
        ),
    }
}

fn echo_after_silence(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    said(&mut client, b"hello")?;
    thread::park_timeout(servers::SILENCE);
    said(&mut client, b"still there")
}

fn echo_without_descriptors(arena: &mut Arena<'_>) -> Outcome {
    arena.limits.each.open_files = 32;
    let server = arena.tcp_server()?;
    // A language's virtual machine must be able to open what it loads for its first client.
    let mut first = arena.connect(&server)?;
    first.send(b"hello")?;
    first.expect_bytes(5)?;
    let mut clients = Vec::new();
    for _ in 0..40 {
        // If the backlog is short, the kernel itself turns the last ones away.
        let Some(client) = arena.connect_if_it_can(&server)? else { break };
        clients.push(client);
    }
    settle(&server);
    if server.is_over() {
        return fails("the server goes on", server.condition());
    }
    clients.clear();
    first.close();
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(b"hello")?;
    match client.expect_bytes(5) {
        Err(Stop::Failed(finding))
            if finding.diagnosis.is_none() && !server.is_over() =>
        {
            let diagnosis = Some(Diagnosis::Other(
                "still-exhausted",
                "it serves nobody any more: the descriptors of those who left were not closed, \
                 or accept(2) is not called again after EMFILE",
            ));
            Err(Stop::Failed(Finding { diagnosis, ..finding }))
        }
        served => served.map(drop),
    }
}

fn udp_echo_answers(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(b"hello")?;
    let (bytes, _) = client.expect_any()?;
    if bytes != b"hello" {
        return fails("\"hello\"", quoted(&bytes));
    }
    client.expect_silence()
}

fn udp_same(arena: &mut Arena<'_>, message: &[u8]) -> Outcome<Datagrams> {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(message)?;
    let (bytes, _) = client.expect_any()?;
    match servers::carries(&bytes, message) {
        true => Ok(client),
        false => fails(quoted(message), quoted(&bytes)),
    }
}

fn udp_echo_keeps_bytes(arena: &mut Arena<'_>) -> Outcome {
    udp_same(arena, b"\0\xff\xfe\x1b[31m\xc3\x28\0").map(drop)
}

fn udp_echo_empty(arena: &mut Arena<'_>) -> Outcome {
    let client = udp_same(arena, b"")?;
    client.send(b"still there?")?;
    client.expect_any().map(drop)
}

fn udp_echo_largest(arena: &mut Arena<'_>) -> Outcome {
    udp_same(arena, &servers::pattern(65_507)).map(drop)
}

fn udp_echo_long(arena: &mut Arena<'_>) -> Outcome {
    udp_same(arena, &servers::pattern(8000)).map(drop)
}
