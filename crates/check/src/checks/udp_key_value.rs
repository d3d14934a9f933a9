//! A project after lesson 9: a key-value store over UDP.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, fails_because};
use crate::peer::Datagrams;
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "udp-key-value",
    lesson: 9,
    optional: true,
    role: Role::UdpServer,
    statement: statement!("udp-key-value"),
    learned: "A request per datagram needs no framing, but replies get lost: requests that may \
              safely be sent again are what makes UDP usable.",
    checks: &[
        must(
            "it replies to put with ok and the name",
            "the words differ, or a newline was added",
            page::UDP,
            put,
        ),
        must(
            "get returns what was put",
            "the value is not stored, or stored under another name",
            page::UDP,
            get,
        ),
        must(
            "get of a name that was never put gets no and the name",
            "an empty value was sent: there is none",
            page::UDP,
            get_nothing,
        ),
        must(
            "a later put replaces the value, and may come twice",
            "a name that is stored already is refused, or values are joined",
            page::UDP,
            put_again,
        ),
        must(
            "values may hold any bytes: newlines, zero bytes, none at all",
            "the value is taken for a line, or for text",
            page::UDP,
            any_bytes,
        ),
        must(
            "a value of 1,000 bytes is stored, under a name of 32 letters",
            "the buffer for recvfrom(2) is too small, or a limit is off by one",
            page::UDP,
            longest,
        ),
        must(
            "what is not a request gets bad, and changes nothing",
            "the request is not checked to its end",
            page::UDP,
            bad,
        ),
        must(
            "an empty datagram gets bad, and the server goes on",
            "recvfrom(2) returned 0: that is an empty datagram, not the end of anything",
            page::UDP,
            empty,
        ),
        must(
            "all clients see the same values",
            "values are kept per client, or the socket is connected to the first",
            page::UDP,
            together,
        ),
        must(
            "the reply comes from the address that the datagram was sent to",
            "the reply is sent from a second socket, which has a port of its own",
            page::UDP,
            servers::udp_from_its_port,
        ),
        servers::UDP_PORT,
    ],
};

/// Sends a request and waits for its reply.
fn asks(client: &Datagrams, request: &[u8], reply: &[u8]) -> Outcome {
    client.send(request)?;
    match client.expect_any()?.0 {
        bytes if bytes == reply => Ok(()),
        bytes => {
            let diagnosis = Diagnosis::of_message(reply, &bytes);
            fails_because(quoted(reply), quoted(&bytes), diagnosis)
        }
    }
}

fn put(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    asks(&client, b"put colour\nblue", b"ok colour")?;
    client.expect_silence()
}

fn get(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for request in [&b"put colour\nblue"[..], b"put shape\nround"] {
        client.send(request)?;
        client.expect_any()?;
    }
    asks(&client, b"get colour", b"is colour\nblue")?;
    asks(&client, b"get shape", b"is shape\nround")
}

fn get_nothing(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    asks(&arena.datagrams(&server)?, b"get nothing", b"no nothing")
}

fn put_again(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    for value in ["blue", "red", "red"] {
        client.send(format!("put colour\n{value}").as_bytes())?;
        client.expect_any()?;
    }
    asks(&client, b"get colour", b"is colour\nred")
}

/// Puts a value and expects to get it back.
fn comes_back(arena: &mut Arena<'_>, name: &[u8], value: &[u8]) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    client.send(&[b"put ", name, b"\n", value].concat())?;
    client.expect_any()?;
    let reply = [b"is ", name, b"\n", value].concat();
    asks(&client, &[b"get ", name].concat(), &reply)
}

fn any_bytes(arena: &mut Arena<'_>) -> Outcome {
    comes_back(arena, b"v", b"one\ntwo \0\xff\xfe\n")?;
    arena.clear();
    comes_back(arena, b"v", b"")
}

/// The longest name that is allowed.
const LONGEST: &[u8] = &[b'n'; 32];

fn longest(arena: &mut Arena<'_>) -> Outcome {
    comes_back(arena, LONGEST, &servers::pattern(1000))
}

fn bad(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    let long = [b"put v\n".as_slice(), &servers::pattern(1001)].concat();
    for request in [
        &b"dance"[..],
        b"get",
        b"get ",
        b"get two words",
        b"get Colour",
        b"get colour\n",
        b"put colour",
        b"put \nblue",
        &[b"get ".as_slice(), &[b'a'; 33]].concat(),
        &long,
        &[b"put ", LONGEST, b"\n", &servers::pattern(1001)].concat(),
    ] {
        match asks(&client, request, b"bad") {
            Err(Stop::Failed(finding)) if request.len() > 1000 => {
                let diagnosis = cut_or_stored(&client, request)?;
                return Err(Stop::Failed(Finding { diagnosis, ..finding }));
            }
            answered => answered?,
        }
    }
    asks(&client, b"get v", b"no v")
}

/// Asks what a server stored that took a value which is too long.
fn cut_or_stored(client: &Datagrams, request: &[u8]) -> Outcome<Option<Diagnosis>> {
    const CUT: Diagnosis = Diagnosis::Other(
        "datagram-cut",
        "the buffer for recvfrom(2) is as long as the longest request: a longer datagram is cut \
         to that without a word, and looks right; make it a byte longer at least",
    );
    const STORED: Diagnosis = Diagnosis::Other(
        "too-long-stored",
        "the length of the value is not compared with the limit",
    );
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.strip_prefix(b"put ").unwrap_or_default();
    client.send(&[b"get ", name].concat())?;
    let (reply, _) = client.expect_any()?;
    let value = reply.strip_prefix([b"is ", name, b"\n"].concat().as_slice());
    Ok(value.map(|value| if value.len() > 1000 { STORED } else { CUT }))
}

fn empty(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let client = arena.datagrams(&server)?;
    asks(&client, b"", b"bad")?;
    asks(&client, b"", b"bad")
}

fn together(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.udp_server()?;
    let first = arena.datagrams(&server)?;
    let second = arena.datagrams(&server)?;
    first.send(b"put colour\nblue")?;
    first.expect_any()?;
    asks(&second, b"get colour", b"is colour\nblue")?;
    asks(&first, b"get colour", b"is colour\nblue")
}
