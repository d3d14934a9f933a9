//! The readers return the same messages however the stream is cut: every way for short
//! streams, random ways for long ones. A reader that is wrong shows that the test would
//! notice.

use framing::{Fault, Lengths, Lines, with_length, with_newline};

/// What a reader made of a stream: its messages, and how the stream ended.
type Read = (Vec<Vec<u8>>, Result<(), Fault>);

/// Messages of up to this many bytes are allowed in these tests.
const MOST_BYTES: usize = 9;

trait Reader {
    fn push(&mut self, bytes: &[u8]);
    fn next_message(&mut self) -> Result<Option<Vec<u8>>, Fault>;
    fn end(&self) -> Result<(), Fault>;
}

macro_rules! reader {
    ($type:ty) => {
        impl Reader for $type {
            fn push(&mut self, bytes: &[u8]) {
                self.push(bytes);
            }
            fn next_message(&mut self) -> Result<Option<Vec<u8>>, Fault> {
                self.next_message()
            }
            fn end(&self) -> Result<(), Fault> {
                self.end()
            }
        }
    };
}
reader!(Lines);
reader!(Lengths);

/// The reader that is wrong: it takes each piece for one message.
struct OneRecv(Vec<Vec<u8>>);

impl Reader for OneRecv {
    fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes.strip_suffix(b"\n").unwrap_or(bytes).to_vec());
    }
    fn next_message(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
    fn end(&self) -> Result<(), Fault> {
        Ok(())
    }
}

fn lines() -> Box<dyn Reader> {
    Box::new(Lines::new(MOST_BYTES))
}

fn lengths() -> Box<dyn Reader> {
    Box::new(Lengths::new(MOST_BYTES))
}

fn one_recv() -> Box<dyn Reader> {
    Box::new(OneRecv(Vec::new()))
}

/// Pushes the pieces one by one and takes the whole messages after each, as a program
/// does.
fn read<'a>(
    mut reader: Box<dyn Reader>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Read {
    let mut messages = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(fault) => return (messages, Err(fault)),
            }
        }
    }
    let end = reader.end();
    (messages, end)
}

/// Cuts the stream where `cuts` has a bit set; bit 0 is between the first byte and the
/// second.
fn cut(stream: &[u8], cuts: u32) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for at in 1..stream.len() {
        if cuts >> (at - 1) & 1 == 1 {
            pieces.push(&stream[from..at]);
            from = at;
        }
    }
    pieces.push(&stream[from..]);
    pieces
}

/// The first way of cutting the stream that yields anything but `expected`.
fn first_wrong_cut<'a>(
    reader: fn() -> Box<dyn Reader>,
    stream: &'a [u8],
    expected: &Read,
) -> Option<Vec<&'a [u8]>> {
    assert!(stream.len() <= 15, "2^14 ways are enough");
    (0..1 << (stream.len() - 1))
        .map(|cuts| cut(stream, cuts))
        .find(|pieces| read(reader(), pieces.iter().copied()) != *expected)
}

fn messages(of: &[&[u8]]) -> Vec<Vec<u8>> {
    of.iter().map(|message| message.to_vec()).collect()
}

#[test]
fn lines_are_right_for_every_cut() {
    let too_long = Err(Fault::TooLong { most_bytes: MOST_BYTES, bytes: None });
    let cut_short = Err(Fault::CutShort { came_bytes: 2 });
    for (stream, expected) in [
        (&b"one\ntwo\nthree\n"[..], (messages(&[b"one", b"two", b"three"]), Ok(()))),
        (b"\n\na\n\n", (messages(&[b"", b"", b"a", b""]), Ok(()))),
        ("é\nnaï\n".as_bytes(), (messages(&["é".as_bytes(), "naï".as_bytes()]), Ok(()))),
        (b"123456789\nx\r\n", (messages(&[b"123456789", b"x\r"]), Ok(()))),
        (b"a\n123456789012", (messages(&[b"a"]), too_long.clone())),
        (b"a\n1234567890\nb\n", (messages(&[b"a"]), too_long)),
        (b"one\ntw", (messages(&[b"one"]), cut_short)),
    ] {
        assert_eq!(first_wrong_cut(lines, stream, &expected), None, "{stream:?}");
    }
}

#[test]
fn lengths_are_right_for_every_cut() {
    let too_long =
        |bytes| Err(Fault::TooLong { most_bytes: MOST_BYTES, bytes: Some(bytes) });
    let cut_short = |came_bytes| Err(Fault::CutShort { came_bytes });
    for (stream, expected) in [
        (&b"\0\0\0\x03one\0\0\0\x02\0\n"[..], (messages(&[b"one", b"\0\n"]), Ok(()))),
        (b"\0\0\0\0\0\0\0\0\0\0\0\x01a", (messages(&[b"", b"", b"a"]), Ok(()))),
        (b"\0\0\0\x09123456789", (messages(&[b"123456789"]), Ok(()))),
        (b"\0\0\0\x01a\0\0\0\x0a123", (messages(&[b"a"]), too_long(10))),
        (b"\xff\xff\xff\xff1", (vec![], too_long(0xffff_ffff))),
        (b"\0\0\0\x01a\0\0\0", (messages(&[b"a"]), cut_short(3))),
        (b"\0\0\0\x03on", (vec![], cut_short(6))),
    ] {
        assert_eq!(first_wrong_cut(lengths, stream, &expected), None, "{stream:?}");
    }
}

#[test]
fn one_recv_for_one_message_is_found_wrong() {
    let expected = (messages(&[b"one", b"two"]), Ok(()));
    let wrong = first_wrong_cut(one_recv, b"one\ntwo\n", &expected);
    assert_eq!(wrong, Some(vec![&b"one\ntwo\n"[..]]), "the whole stream in one piece");
}

/// An `xorshift` generator, so that the streams differ and a failure can be repeated from
/// its seed, which is printed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % limit
    }

    /// Cuts the stream into long and short pieces: up to `most` bytes, but most of them
    /// only a few.
    fn pieces<'a>(&mut self, mut stream: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !stream.is_empty() {
            let limit = if self.below(4) == 0 { most } else { 5 };
            let (piece, rest) =
                stream.split_at((1 + self.below(limit)).min(stream.len()));
            pieces.push(piece);
            stream = rest;
        }
        pieces
    }
}

#[test]
fn long_streams_are_right_for_random_cuts() {
    for seed in 1..=300_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let count = 1 + random.below(200);
        let sent: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let length = random.below(MOST_BYTES + 1);
                // Every byte value, including the newline, because lengths allow it.
                (0..length).map(|_| random.below(256).to_le_bytes()[0]).collect()
            })
            .collect();
        let framed: Vec<u8> = sent
            .iter()
            .flat_map(|message| with_length(message).expect("short"))
            .collect();
        let pieces = random.pieces(&framed, 100);
        assert_eq!(read(lengths(), pieces), (sent.clone(), Ok(())), "seed {seed}");

        let text: Vec<Vec<u8>> = sent
            .iter()
            .map(|message| {
                message.iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect()
            })
            .collect();
        let framed: Vec<u8> = text
            .iter()
            .flat_map(|message| with_newline(message).expect("no newline"))
            .collect();
        let pieces = random.pieces(&framed, 100);
        assert_eq!(read(lines(), pieces), (text, Ok(())), "seed {seed}");
    }
}

#[test]
fn newline_inside_a_message_is_refused() {
    assert_eq!(with_newline(b"a\nb"), Err(Fault::HoldsNewline));
    assert_eq!(with_newline(b"").as_deref(), Ok(&b"\n"[..]));
    assert_eq!(with_length(b"a\nb").as_deref(), Ok(&b"\0\0\0\x03a\nb"[..]));
}

#[test]
fn faults_say_what_happened() {
    for (fault, text) in [
        (
            Fault::TooLong { most_bytes: 9, bytes: Some(10) },
            "a message of 10 bytes, and 9 are allowed",
        ),
        (
            Fault::TooLong { most_bytes: 9, bytes: None },
            "no end of the message within 9 bytes",
        ),
        (
            Fault::CutShort { came_bytes: 3 },
            "end of stream inside a message (3 bytes of it came)",
        ),
        (Fault::HoldsNewline, "the message holds a newline"),
    ] {
        assert_eq!(fault.to_string(), text);
    }
}
