//! Lesson 11: a server that does once what it is asked to do twice, over a lossy wire.

use std::sync::Arc;

use netlab::wire::Host;

use super::{page, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Outcome, explained, fails, fails_because};
use crate::peer::{Datagrams, rest};
use crate::subject::Subject;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "once-server",
    lesson: 11,
    optional: false,
    role: Role::UdpServer,
    statement: statement!("once-server"),
    learned: "A lost request and a lost reply look the same to a client, so it asks again; a \
              server that remembers its last reply to each makes that safe.",
    checks: &[
        must(
            "it deposits, and replies with the number and the balance",
            "the words differ, or a newline was added",
            page::RETRY,
            deposits,
        ),
        must(
            "a request that the wire doubles gets the same reply twice",
            "the second copy is dropped, or is carried out like a new request",
            page::RETRY,
            doubled,
        ),
        must(
            "when the wire loses the reply, asking again deposits nothing more",
            "the request was done already: the reply, not the request, was lost",
            page::RETRY,
            reply_lost,
        ),
        must(
            "the same number from two clients is two requests",
            "numbers are remembered without the client that they belong to",
            page::RETRY,
            two_clients,
        ),
        must(
            "a repeated request gets the old reply, whatever others have deposited meanwhile",
            "the reply is made again from the current balance: keep the reply itself",
            page::RETRY,
            old_reply,
        ),
        must(
            "a late copy of an older request is neither carried out nor answered",
            "only the very last number is compared: an older one must not count as new",
            page::RETRY,
            late_copy,
        ),
        must(
            "a thousand clients are remembered",
            "there is memory for few clients, or for the last one alone",
            page::RETRY,
            thousand,
        ),
        must(
            "a bad request changes nothing and gets no reply",
            "a function that parses numbers accepts more than digits, or the end of the datagram \
             is not checked",
            page::RETRY,
            bad,
        ),
        must(
            "the number alone says that a request is the same",
            "the whole datagram is compared: a repeated number with another amount is carried out",
            page::RETRY,
            other_amount,
        ),
        must(
            "the reply comes from the server's own port",
            "the reply is sent from another socket",
            page::RETRY,
            own_port,
        ),
        must(
            "over a wire that loses every third datagram, twenty deposits of 100 make 2,000",
            "one kind of loss is dealt with, the other is not",
            page::RETRY,
            over_a_bad_wire,
        ),
        must(
            "it waits at whatever port PORT names",
            "the port is fixed in the program: read it from the environment",
            page::RETRY,
            |arena| {
                arena.move_port();
                let server = begin(arena, "")?;
                rest(&server, "no datagram had come");
                Ok(())
            },
        ),
    ],
};

fn begin(arena: &mut Arena<'_>, rules: &str) -> Outcome<Arc<Subject>> {
    arena.on_a_wire(Host::B, rules)?;
    arena.udp_server()
}

/// Waits for this reply.
fn expect(client: &Datagrams, reply: &str) -> Outcome {
    let (bytes, _) = client.expect_any()?;
    match bytes == reply.as_bytes() {
        true => Ok(()),
        false => {
            // With more digits it is another balance, not the right one and something more.
            let diagnosis = Diagnosis::of_difference(reply.as_bytes(), &bytes)
                .filter(|it| *it != Diagnosis::More);
            fails_because(quoted(reply.as_bytes()), quoted(&bytes), diagnosis)
        }
    }
}

fn ask(client: &Datagrams, request: &str, reply: &str) -> Outcome {
    client.send(request.as_bytes())?;
    expect(client, reply)
}

fn deposits(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let client = arena.datagrams(&server)?;
    ask(&client, "1 deposit 100", "1 balance 100")?;
    ask(&client, "2 deposit 23", "2 balance 123")
}

fn doubled(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "double a>b datagram 1")?;
    let client = arena.datagrams(&server)?;
    ask(&client, "1 deposit 100", "1 balance 100")?;
    expect(&client, "1 balance 100")
}

fn reply_lost(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "lose b>a datagram 1")?;
    let client = arena.datagrams(&server)?;
    client.send(b"1 deposit 100")?;
    client.expect_silence()?;
    ask(&client, "1 deposit 100", "1 balance 100")?;
    ask(&client, "2 deposit 50", "2 balance 150")
}

fn two_clients(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let first = arena.datagrams(&server)?;
    let second = arena.datagrams(&server)?;
    ask(&first, "1 deposit 100", "1 balance 100")?;
    ask(&second, "1 deposit 100", "1 balance 200")
}

fn old_reply(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let first = arena.datagrams(&server)?;
    let second = arena.datagrams(&server)?;
    ask(&first, "7 deposit 100", "7 balance 100")?;
    ask(&second, "1 deposit 11", "1 balance 111")?;
    ask(&first, "7 deposit 100", "7 balance 100")
}

/// Request 10 comes after request 9.
const COMPARES_TEXT: Diagnosis = Diagnosis::Other(
    "compares-text",
    "the numbers are compared as text, in which 10 comes before 9: turn them into numbers",
);

fn late_copy(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let client = arena.datagrams(&server)?;
    ask(&client, "9 deposit 100", "9 balance 100")?;
    explained(ask(&client, "10 deposit 100", "10 balance 200"), COMPARES_TEXT)?;
    client.send(b"9 deposit 100")?;
    client.expect_silence()?;
    ask(&client, "11 deposit 1", "11 balance 201")
}

/// Sends from a thousand ports, one after another, and then from some of them again: the
/// server must remember a client even after its socket is closed.
fn thousand(arena: &mut Arena<'_>) -> Outcome {
    const PORTS: std::ops::Range<u16> = 20_000..21_000;
    let server = begin(arena, "")?;
    for again in [1, 111] {
        for port in PORTS.step_by(again) {
            let client = arena.datagrams_from(port, &server)?;
            let balance = port - PORTS.start + 1;
            ask(&client, "1 deposit 1", &format!("1 balance {balance}"))?;
        }
    }
    Ok(())
}

fn bad(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let client = arena.datagrams(&server)?;
    ask(&client, "1 deposit 100", "1 balance 100")?;
    for words in [
        &b""[..],
        b"2 deposit",
        b"2 deposit ",
        b"deposit 5",
        b"2 deposit -5",
        b"2 deposit +5",
        b"2 deposit 5\n",
        b" 2 deposit 5",
        b"2 deposit 5 6",
        b"2 withdraw 5",
        b"2 deposit 1_0",
        b"2 deposit 1234567890",
        b"-2 deposit 5",
        b"\xff deposit 5",
    ] {
        client.send(words)?;
    }
    client.expect_silence()?;
    ask(&client, "2 deposit 5", "2 balance 105")
}

fn other_amount(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let client = arena.datagrams(&server)?;
    ask(&client, "1 deposit 100", "1 balance 100")?;
    ask(&client, "1 deposit 999", "1 balance 100")?;
    ask(&client, "2 deposit 1", "2 balance 101")
}

fn own_port(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let client = arena.datagrams(&server)?;
    client.send(b"1 deposit 100")?;
    let (_, sender) = client.expect_any()?;
    match server.address()? {
        address if address == sender => Ok(()),
        address => fails(format!("a reply from {address}"), format!("one from {sender}")),
    }
}

/// The checker asks again if it hears nothing. The wire loses both requests and replies.
fn over_a_bad_wire(arena: &mut Arena<'_>) -> Outcome {
    const ATTEMPTS: usize = 20;
    let server = begin(arena, "lose a>b datagram every 3\nlose b>a datagram every 3")?;
    let client = arena.datagrams(&server)?;
    for number in 1..=20 {
        let request = format!("{number} deposit 100");
        let wanted = format!("{number} balance {number}00");
        let mut attempts = 0;
        loop {
            attempts += 1;
            client.send(request.as_bytes())?;
            match client.receive_if_any()? {
                Some(bytes) if bytes == wanted.as_bytes() => break,
                // Another copy of the previous reply, which came after we had asked again.
                Some(bytes)
                    if bytes.starts_with(format!("{} ", number - 1).as_bytes()) => {}
                Some(bytes) => return fails(quoted(wanted.as_bytes()), quoted(&bytes)),
                None if attempts < ATTEMPTS => {}
                None => {
                    let got =
                        format!("nothing, {ATTEMPTS} times; {}", server.condition());
                    return fails(quoted(wanted.as_bytes()), got);
                }
            }
        }
    }
    Ok(())
}
