//! Lesson 10: a transfer that notices damage below TCP's checksum.

use std::sync::Arc;

use netlab::wire::Host;

use super::{page, servers, statement};
use crate::arena::Arena;
use crate::outcome::Outcome;
use crate::peer::{Connection, rest};
use crate::subject::Subject;
use crate::task::{Role, Task, must};

pub(super) const TASK: Task = Task {
    name: "sealed-file",
    lesson: 10,
    optional: false,
    role: Role::TcpServer,
    statement: statement!("sealed-file"),
    learned: "TCP's checksum lets some damage through; a hash of your own, from end to end, \
              does not.",
    checks: &[
        must(
            "it keeps a file that fits its seal, says `whole`, and gives it back",
            "the seal is computed otherwise, or written in another form",
            page::PROMISES,
            whole,
        ),
        must(
            "before anything is stored the file is empty, and has the seal of no bytes",
            "an empty file is no special case: its hash is the value that the hash begins with",
            page::PROMISES,
            empty,
        ),
        must(
            "a file that the wire damaged, unseen by TCP, is `damaged`, and the next attempt \
             on the same connection is `whole`",
            "the seal is not compared with the bytes that came",
            page::PROMISES,
            damaged,
        ),
        must(
            "a damaged file does not take the place of an earlier one",
            "the bytes are stored first and compared afterwards",
            page::PROMISES,
            keeps_the_earlier,
        ),
        must(
            "damage in the middle of a large file is noticed",
            "only the beginning, or the last piece that recv(2) gave, is hashed",
            page::PROMISES,
            in_the_middle,
        ),
        must(
            "a megabyte of all bytes comes back whole",
            "one recv(2) is not the file, or the bytes are taken for text",
            page::PROMISES,
            large,
        ),
        must(
            "a file of which only a part comes is not kept",
            "the end of the stream is taken for the end of the file",
            page::PROMISES,
            in_part,
        ),
        must(
            "after a line that is no request it closes the connection, and serves the next",
            "the line is not checked, or what is wrong in it ends the program",
            page::PROMISES,
            bad,
        ),
        must(
            "a line that never ends is abandoned",
            "the line has no limit: memory grows with what a stranger sends",
            page::PROMISES,
            endless_line,
        ),
        must(
            "it listens at whatever port PORT names",
            "the port is fixed in the program: read it from the environment",
            page::PROMISES,
            |arena| {
                arena.move_port();
                let server = begin(arena, "")?;
                rest(&server, "it had no client");
                Ok(())
            },
        ),
    ],
};

/// Starts the server behind a wire. The rules count segments, so what is sent with one call
/// must be a segment of its own. Without this setting the kernel coalesces small ones while
/// an earlier one waits in the network card's queue (tcp(7), `tcp_autocorking`).
fn begin(arena: &mut Arena<'_>, rules: &str) -> Outcome<Arc<Subject>> {
    arena.on_a_wire(Host::B, &format!("{rules}\nset tcp_autocorking 0"))?;
    arena.tcp_server()
}

/// Returns the seal of a file: its 64-bit FNV-1a hash, in hexadecimal.
fn seal(bytes: &[u8]) -> String {
    let step =
        |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Sends a file, its line and its bytes in segments of their own, and waits for the verdict.
fn put(client: &mut Connection, bytes: &[u8], verdict: &[u8]) -> Outcome {
    client.send(format!("put {} {}\n", bytes.len(), seal(bytes)).as_bytes())?;
    client.send(bytes)?;
    client.expect(verdict)
}

fn get(client: &mut Connection, bytes: &[u8]) -> Outcome {
    client.send(b"get\n")?;
    let head = format!("{} {}\n", bytes.len(), seal(bytes));
    client.expect(&[head.as_bytes(), bytes].concat())
}

const WHOLE: &[u8] = b"whole\n";
const DAMAGED: &[u8] = b"damaged\n";

fn whole(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let mut client = arena.connect(&server)?;
    put(&mut client, b"pay 100 to 0042.", WHOLE)?;
    get(&mut client, b"pay 100 to 0042.")
}

fn empty(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let mut client = arena.connect(&server)?;
    get(&mut client, b"")?;
    rest(&server, "its client was silent");
    Ok(())
}

/// The second segment of data carries the file; the wire swaps two of its words.
fn damaged(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "flip-checksummed a>b data 2")?;
    let mut client = arena.connect(&server)?;
    put(&mut client, b"pay 100 to 0042.", DAMAGED)?;
    put(&mut client, b"pay 100 to 0042.", WHOLE)?;
    get(&mut client, b"pay 100 to 0042.")
}

fn keeps_the_earlier(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "flip-checksummed a>b data 4")?;
    let mut client = arena.connect(&server)?;
    put(&mut client, b"pay 100 to 0042.", WHOLE)?;
    put(&mut client, b"pay 777 to 0043.", DAMAGED)?;
    get(&mut client, b"pay 100 to 0042.")
}

fn in_the_middle(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "flip-checksummed a>b data 10")?;
    let mut client = arena.connect(&server)?;
    let bytes = servers::pattern(50_000);
    put(&mut client, &bytes, DAMAGED)?;
    put(&mut client, &bytes, WHOLE)
}

fn large(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let mut client = arena.connect(&server)?;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at * 7 / 3) as u8).collect();
    put(&mut client, &bytes, WHOLE)?;
    get(&mut client, &bytes)
}

fn in_part(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let mut client = arena.connect(&server)?;
    put(&mut client, b"first", WHOLE)?;
    client.send(format!("put 10 {}\n", seal(b"second")).as_bytes())?;
    client.send(b"second")?;
    client.finish_sending()?;
    client.expect_closed()?;
    let mut client = arena.connect(&server)?;
    get(&mut client, b"first")
}

fn bad(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    for line in [
        "hello\n",
        "put 5\n",
        "put x 0000000000000000\n",
        "put -1 0000000000000000\n",
        "put 10000001 0000000000000000\n",
        "put 5 0\n",
        "put 5 000000000000000g\n",
        "\n",
    ] {
        let mut client = arena.connect(&server)?;
        client.send(line.as_bytes())?;
        client.expect_closed()?;
    }
    let mut client = arena.connect(&server)?;
    get(&mut client, b"")
}

fn endless_line(arena: &mut Arena<'_>) -> Outcome {
    let server = begin(arena, "")?;
    let mut client = arena.connect(&server)?;
    client.send(&[b'p'; 200])?;
    client.expect_closed()
}
