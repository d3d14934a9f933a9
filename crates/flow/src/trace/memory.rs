//! Structures of the kernel's interface, read from a stopped program's memory.

use super::{address, names, options, sys};
use crate::event::Data;

/// The size of `struct msghdr`; in `struct mmsghdr`, the length follows it.
pub(super) const MESSAGE_HEADER_BYTES: u64 = 56;
/// The size of `struct mmsghdr`.
pub(super) const MESSAGES_STEP_BYTES: u64 = 64;

/// The most descriptors shown of a long list.
const LIST_SHOWN: u64 = 16;

/// The memory of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) tid: i32,
    /// The most bytes kept of what is sent or received.
    pub(super) data_bytes: usize,
}

/// The fields of a `struct msghdr` that are read.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) name: u64,
    pub(super) name_length: u64,
    pub(super) iov: u64,
    pub(super) iov_count: u64,
    pub(super) control: u64,
    pub(super) control_length: u64,
    pub(super) flags: u32,
}

impl Memory {
    /// The bytes at an address, as far as they can be read.
    pub(super) fn bytes(self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = if at == 0 { 0 } else { sys::read_memory(self.tid, at, &mut bytes) };
        bytes.truncate(read);
        bytes
    }

    fn array<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (at != 0 && sys::read_memory(self.tid, at, &mut bytes) == N).then_some(bytes)
    }

    /// Reads a 32-bit word.
    pub(super) fn word(self, at: u64) -> Option<u32> {
        self.array(at).map(u32::from_ne_bytes)
    }

    fn long(self, at: u64) -> Option<u64> {
        self.array(at).map(u64::from_ne_bytes)
    }

    /// A buffer's first bytes, and its length.
    pub(super) fn data(self, at: u64, length: u64) -> Data {
        let shown = length.min(self.data_bytes as u64) as usize;
        Data { bytes: self.bytes(at, shown), length }
    }

    /// A socket address of the given length.
    pub(super) fn address(self, at: u64, length: u64) -> Option<String> {
        address::text(&self.bytes(at, length.min(128) as usize))
    }

    pub(super) fn address_or_null(self, at: u64, length: u64) -> String {
        match at {
            0 => "NULL".to_owned(),
            _ => self.address(at, length).unwrap_or_else(|| "…".to_owned()),
        }
    }

    /// A socket address whose length is in memory too, written by the kernel.
    pub(super) fn address_with_length(self, at: u64, length_at: u64) -> Option<String> {
        self.address(at, u64::from(self.word(length_at)?))
    }

    /// Reads a `struct msghdr`.
    pub(super) fn message(self, at: u64) -> Message {
        let read = || {
            Some(Message {
                name: self.long(at)?,
                name_length: u64::from(self.word(at.wrapping_add(8))?),
                iov: self.long(at.wrapping_add(16))?,
                iov_count: self.long(at.wrapping_add(24))?,
                control: self.long(at.wrapping_add(32))?,
                control_length: self.long(at.wrapping_add(40))?,
                flags: self.word(at.wrapping_add(48))?,
            })
        };
        read().unwrap_or_default()
    }

    /// The control messages of a `struct msghdr`; `None` if there are none.
    pub(super) fn control(self, at: u64, length: u64) -> Option<String> {
        const HEAD: usize = 16;
        let bytes = self.bytes(at, length.min(1024) as usize);
        let mut rest = bytes.as_slice();
        let mut all = Vec::new();
        while rest.len() >= HEAD {
            let length = u64::from_ne_bytes(rest[..8].try_into().ok()?);
            let word = |at: usize| rest[at..at + 4].try_into().map(i32::from_ne_bytes);
            let (level, kind) = (word(8).ok()?, word(12).ok()?);
            let length = usize::try_from(length).ok().filter(|it| *it >= HEAD)?;
            let data = rest.get(HEAD..length).unwrap_or(&rest[HEAD..]);
            all.push(control_message(level, kind, data));
            rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
        }
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// The pieces of a vector, at most the first thousand.
    fn vector(self, at: u64, count: u64) -> Vec<(u64, u64)> {
        let bytes = self.bytes(at, count.min(1024) as usize * 16);
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        bytes.chunks_exact(16).map(|pair| (word(&pair[..8]), word(&pair[8..]))).collect()
    }

    /// The total number of bytes in a vector.
    pub(super) fn vector_length(self, at: u64, count: u64) -> u64 {
        let pieces = self.vector(at, count);
        pieces.iter().fold(0, |sum: u64, (_, length)| sum.saturating_add(*length))
    }

    /// The first bytes of a vector, of which only `length` bytes count.
    pub(super) fn vector_data(self, at: u64, count: u64, length: u64) -> Data {
        let pieces = self.vector(at, count);
        let total =
            pieces.iter().fold(0, |sum: u64, (_, piece)| sum.saturating_add(*piece));
        let length = length.min(total);
        let mut left = length.min(self.data_bytes as u64);
        let mut bytes = Vec::new();
        for (base, piece) in pieces {
            let take = piece.min(left);
            if take > 0 {
                bytes.extend(self.bytes(base, take as usize));
                left -= take;
            }
        }
        Data { bytes, length }
    }

    /// An option's value in C form.
    pub(super) fn option_value(
        self,
        level: i64,
        name: i64,
        at: u64,
        length: u64,
    ) -> String {
        if at == 0 {
            return "NULL".to_owned();
        }
        let is = |it: i32| level == i64::from(libc::SOL_SOCKET) && name == i64::from(it);
        if (is(libc::SO_RCVTIMEO) || is(libc::SO_SNDTIMEO)) && length == 16 {
            return self.seconds(at, 1_000_000);
        }
        let bytes = self.bytes(at, length.min(options::MOST_BYTES) as usize);
        options::value(level, name, &bytes, length)
    }

    /// A `struct timespec` or `timeval` in seconds; `per_second` says which of the two.
    pub(super) fn seconds(self, at: u64, per_second: u64) -> String {
        match (self.long(at), self.long(at.wrapping_add(8))) {
            _ if at == 0 => "NULL".to_owned(),
            (Some(seconds), Some(0)) => format!("{} s", seconds as i64),
            (Some(seconds), Some(part)) => {
                let seconds = seconds as i64 as f64;
                format!("{:.6} s", seconds + part as f64 / per_second as f64)
            }
            _ => "…".to_owned(),
        }
    }

    /// The descriptors in a `struct pollfd` list, with what is requested or what came.
    pub(super) fn poll_list(self, at: u64, count: u64, came: bool) -> String {
        let bytes = self.bytes(at, count.min(1024) as usize * 8);
        let entries = bytes.chunks_exact(8).filter_map(|entry| {
            let fd = i32::from_ne_bytes(entry[..4].try_into().ok()?);
            let half = if came { &entry[6..8] } else { &entry[4..6] };
            let events = u16::from_ne_bytes(half.try_into().ok()?);
            let shown = !came || events != 0;
            shown.then(|| format!("{fd} {}", names::poll_events(i64::from(events))))
        });
        list(entries)
    }

    /// The descriptors in a `struct pollfd` list.
    pub(super) fn poll_descriptors(self, at: u64, count: u64) -> Vec<i32> {
        let bytes = self.bytes(at, count.min(1024) as usize * 8);
        let fd = |entry: &[u8]| entry[..4].try_into().map_or(-1, i32::from_ne_bytes);
        bytes.chunks_exact(8).map(fd).collect()
    }

    /// The descriptors below `limit` in an `fd_set`.
    pub(super) fn fd_set_descriptors(self, at: u64, limit: u64) -> Vec<i32> {
        let limit = limit.min(1024) as usize;
        let bytes = self.bytes(at, limit.div_ceil(64) * 8);
        let is_set =
            |fd: &usize| bytes.get(fd / 8).is_some_and(|b| b >> (fd % 8) & 1 == 1);
        (0..limit).filter(is_set).map(|fd| fd as i32).collect()
    }

    /// The descriptors below `limit` in an `fd_set`, as text.
    pub(super) fn fd_set(self, at: u64, limit: u64) -> String {
        if at == 0 {
            return "NULL".to_owned();
        }
        list(self.fd_set_descriptors(at, limit).into_iter().map(|fd| fd.to_string()))
    }

    /// The events in a `struct epoll_event` list.
    pub(super) fn epoll_list(self, at: u64, count: i64) -> String {
        let entry_bytes = size_of::<libc::epoll_event>();
        let count = usize::try_from(count).unwrap_or(0).min(1024);
        let bytes = self.bytes(at, count * entry_bytes);
        list(bytes.chunks_exact(entry_bytes).map(|entry| {
            let events = entry[..4].try_into().map_or(0, u32::from_ne_bytes);
            names::epoll_events(i64::from(events))
        }))
    }
}

/// Formats a control message: `SCM_RIGHTS [5, 6]`.
fn control_message(level: i32, kind: i32, data: &[u8]) -> String {
    let ints: Vec<String> = data
        .chunks_exact(4)
        .map(|word| word.try_into().map_or(0, i32::from_ne_bytes).to_string())
        .collect();
    let name = names::control_message(i64::from(level), i64::from(kind));
    match data.len() {
        // UDP_SEGMENT is a 16-bit number.
        2 => format!("{name} {}", u16::from_ne_bytes([data[0], data[1]])),
        _ if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS => {
            format!("{name} {}", list(ints.into_iter()))
        }
        4 => format!("{name} {}", ints.concat()),
        _ => name,
    }
}

fn list(entries: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = entries.take(LIST_SHOWN as usize + 1).collect();
    if all.len() > LIST_SHOWN as usize {
        all.pop();
        all.push("…".to_owned());
    }
    format!("[{}]", all.join(", "))
}
