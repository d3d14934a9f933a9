//! A project after lesson 9: a key-value server that speaks a part of RESP.

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::{Outcome, fails};
use crate::peer::{Connection, settle};
use crate::task::{Role, Task, must};
use crate::text::quoted;

pub(super) const TASK: Task = Task {
    name: "resp",
    lesson: 9,
    optional: true,
    role: Role::TcpServer,
    statement: statement!("resp"),
    learned: "A protocol that others wrote, byte by byte: lengths before bytes, replies in the \
              order of the commands, and clients that send the next before the last is answered.",
    checks: &[
        must(
            "it answers PING with +PONG",
            "the command is not parsed, or the reply does not end with \\r\\n",
            page::FRAMING,
            ping,
        ),
        must(
            "it answers ECHO with the text as a byte string",
            "the length is wrong, or counts the \\r\\n",
            page::FRAMING,
            echo,
        ),
        must(
            "after SET, GET returns the value",
            "the value is not stored, or stored under another name",
            page::FRAMING,
            set_and_get,
        ),
        must(
            "GET of a name that was never set gets $-1",
            "an empty string is sent, which is a value: there is none",
            page::FRAMING,
            get_nothing,
        ),
        must(
            "it answers a command that comes byte by byte",
            "the result of one recv(2) was taken for one command",
            page::FRAMING,
            byte_by_byte,
        ),
        must(
            "it answers three commands that come at once, in order",
            "whatever came after the first command was thrown away",
            page::FRAMING,
            at_once,
        ),
        must(
            "values may hold any bytes: \\r\\n, zero bytes, none at all",
            "a string is read up to \\r\\n, not by its length, or decoded as text",
            page::FRAMING,
            any_bytes,
        ),
        must(
            "command names may be in lower case",
            "the name is compared byte by byte with the one in upper case",
            page::FRAMING,
            lower_case,
        ),
        must(
            "an unknown command, or one with too few arguments, gets -ERR and nothing ends",
            "the connection is closed, or the server ends: only bad framing is that bad",
            page::FRAMING,
            errors,
        ),
        must(
            "all clients see the same values, and a silent one blocks nobody",
            "values are kept per client, or one client is served at a time",
            page::GOODBYE,
            together,
        ),
        must(
            "what is not a command, or claims to be huge, closes that connection only",
            "the lengths are not checked, or an error ends the server",
            page::FRAMING,
            bad_input,
        ),
        must(
            "a client that leaves in the middle of a command does not end the server",
            "an error on one connection ends the program",
            page::GOODBYE,
            leaves,
        ),
        servers::AGAIN,
        servers::TCP_PORT,
        servers::NOTHING_STAYS,
        must(
            "a value of 1,000,000 bytes, the longest allowed, is stored and comes back",
            "the limit is too low, or a command must fit into one buffer",
            page::FRAMING,
            longest,
        ),
    ],
};

/// Encodes a command.
fn command(strings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", strings.len()).into_bytes();
    for string in strings {
        bytes.extend_from_slice(format!("${}\r\n", string.len()).as_bytes());
        bytes.extend_from_slice(string);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Sends a command and waits for its reply.
fn asks(client: &mut Connection, strings: &[&[u8]], reply: &[u8]) -> Outcome {
    client.send(&command(strings))?;
    client.expect(reply)
}

fn ping(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"PING"], b"+PONG\r\n")?;
    client.expect_no_more(b"+PONG\r\n")
}

fn echo(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"ECHO", b"hello"], b"$5\r\nhello\r\n")
}

fn set_and_get(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"SET", b"colour", b"blue"], b"+OK\r\n")?;
    asks(&mut client, &[b"SET", b"shape", b"round"], b"+OK\r\n")?;
    asks(&mut client, &[b"GET", b"colour"], b"$4\r\nblue\r\n")?;
    asks(&mut client, &[b"SET", b"colour", b"red"], b"+OK\r\n")?;
    asks(&mut client, &[b"GET", b"colour"], b"$3\r\nred\r\n")
}

fn get_nothing(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"GET", b"nothing"], b"$-1\r\n")
}

fn byte_by_byte(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    client.send_in_pieces(command(&[b"ECHO", b"hi"]).chunks(1))?;
    client.expect(b"$2\r\nhi\r\n")
}

fn at_once(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let three = [
        command(&[b"SET", b"a", b"1"]),
        command(&[b"GET", b"a"]),
        command(&[b"ECHO", b"last"]),
    ];
    client.send(&three.concat())?;
    client.expect(b"+OK\r\n$1\r\n1\r\n$4\r\nlast\r\n")?;
    // One and a half.
    let next = command(&[b"PING"]);
    client.send(&[&next, &next[..6]].concat())?;
    servers::at_once(client.expect(b"+PONG\r\n"))?;
    client.send(&next[6..])?;
    client.expect(b"+PONG\r\n")
}

fn any_bytes(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for value in [&b"one\r\ntwo\r\n"[..], b"\0\xff\xfe$3\r\n", b""] {
        asks(&mut client, &[b"SET", b"v", value], b"+OK\r\n")?;
        let reply = [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        asks(&mut client, &[b"GET", b"v"], &reply)?;
    }
    Ok(())
}

fn longest(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    let value = servers::pattern(1_000_000);
    asks(&mut client, &[b"SET", b"v", &value], b"+OK\r\n")?;
    let reply = [b"$1000000\r\n", value.as_slice(), b"\r\n"].concat();
    asks(&mut client, &[b"GET", b"v"], &reply)
}

fn lower_case(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"ping"], b"+PONG\r\n")?;
    asks(&mut client, &[b"Echo", b"x"], b"$1\r\nx\r\n")
}

fn errors(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let mut client = arena.connect(&server)?;
    for wrong in [&[&b"DANCE"[..]][..], &[b"SET", b"colour"], &[b"GET"]] {
        client.send(&command(wrong))?;
        client.expect(b"-ERR ")?;
        let line = client.expect_through(b"\n", 1000)?;
        if !line.ends_with(b"\r\n") {
            return fails("a line that ends with \\r\\n", quoted(&line));
        }
    }
    asks(&mut client, &[b"PING"], b"+PONG\r\n")
}

fn together(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let _silent = arena.connect(&server)?;
    settle(&server);
    let mut first = arena.connect(&server)?;
    asks(&mut first, &[b"SET", b"colour", b"blue"], b"+OK\r\n")?;
    let mut second = arena.connect(&server)?;
    asks(&mut second, &[b"GET", b"colour"], b"$4\r\nblue\r\n")
}

fn bad_input(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    for bad in [
        &b"*1\r\n:5\r\n"[..],
        b"*x\r\n",
        b"*4294967295\r\n",
        b"*101\r\n",
        b"*1\r\n$4294967295\r\n",
        b"*1\r\n$999999999\r\n",
        b"*1\r\n$1000001\r\n",
        b"*1\r\n$-5\r\n",
    ] {
        let mut client = arena.connect(&server)?;
        client.send(bad)?;
        client.read_to_any_end(200)?;
    }
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"PING"], b"+PONG\r\n")
}

fn leaves(arena: &mut Arena<'_>) -> Outcome {
    let server = arena.tcp_server()?;
    let half = command(&[b"SET", b"colour", b"blue"]);
    let mut client = arena.connect(&server)?;
    client.send(&half[..half.len() - 4])?;
    client.finish_sending()?;
    client.drain()?;
    client.close();
    settle(&server);
    let mut client = arena.connect(&server)?;
    client.send(&half[..20])?;
    client.settle();
    client.reset()?;
    settle(&server);
    let mut client = arena.connect(&server)?;
    asks(&mut client, &[b"GET", b"colour"], b"$-1\r\n")
}
