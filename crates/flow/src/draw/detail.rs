//! The numbers in a segment's header: the row below its arrow.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::event::{Flag, Packet, Protocol};

/// The most connections whose numbers are followed: a log may claim any number.
const MOST: usize = 4096;

/// The numbers of each direction of a connection, by sender and receiver.
#[derive(Debug, Default)]
pub(super) struct Details {
    ways: HashMap<(String, String), Way>,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// The sequence number that is shown as 0: that of the SYN.
    zero: u32,
    /// By how many bits its windows are shifted (RFC 7323 §2).
    scale: Option<u8>,
}

impl Details {
    /// `seq 1:4 ack 1 win 64256 sack 7:10`; `None` if the packet is not a segment.
    /// Numbers are relative to the first one of their direction, a range ends before its
    /// second number, and a window is in bytes once both ends have announced their scale.
    pub(super) fn of(&mut self, packet: &Packet) -> Option<String> {
        let Protocol::Tcp { flags, seq, ack, window, scale, sack, .. } = &packet.protocol
        else {
            return None;
        };
        let there = (packet.from.clone(), packet.to.clone());
        let back = (packet.to.clone(), packet.from.clone());
        if self.ways.len() >= MOST && !self.ways.contains_key(&there) {
            self.ways.clear();
        }
        let is_syn = flags.has(Flag::Syn);
        if is_syn {
            self.ways.insert(there.clone(), Way { zero: *seq, scale: *scale });
        }
        // In a connection that began before the log, the next byte is shown as 1.
        let way = *self
            .ways
            .entry(there)
            .or_insert(Way { zero: seq.wrapping_sub(1), scale: None });
        let mut text = format!("seq {}", seq.wrapping_sub(way.zero));
        if packet.data.length > 0 {
            let end = seq.wrapping_sub(way.zero).wrapping_add(packet.data.length as u32);
            let _ = write!(text, ":{end}");
        }
        let mut peer = None;
        if flags.has(Flag::Ack) {
            let way = *self
                .ways
                .entry(back)
                .or_insert(Way { zero: ack.wrapping_sub(1), scale: None });
            let _ = write!(text, " ack {}", ack.wrapping_sub(way.zero));
            peer = Some(way);
        }
        let scaled = match (way.scale, peer.and_then(|it| it.scale)) {
            (Some(scale), Some(_)) if !is_syn => u64::from(*window) << scale.min(14),
            _ => u64::from(*window),
        };
        if !flags.has(Flag::Rst) {
            let _ = write!(text, " win {scaled}");
        }
        if is_syn && let Some(scale) = scale {
            let _ = write!(text, " scale {scale}");
        }
        for (at, (from, to)) in sack.iter().enumerate() {
            let zero = peer.map_or(0, |it| it.zero);
            let name = if at == 0 { " sack" } else { "" };
            let (from, to) = (from.wrapping_sub(zero), to.wrapping_sub(zero));
            let _ = write!(text, "{name} {from}:{to}");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Data, Flags};

    fn segment(
        way: [&str; 2],
        flags: &str,
        [seq, ack]: [u32; 2],
        bytes: u64,
        more: (Option<u8>, &[(u32, u32)]),
    ) -> Packet {
        Packet {
            time_ns: 0,
            from: way[0].to_owned(),
            to: way[1].to_owned(),
            protocol: Protocol::Tcp {
                flags: Flags::from(flags.to_owned()),
                seq,
                ack,
                window: 500,
                scale: more.0,
                mss: None,
                sack: more.1.to_vec(),
            },
            data: Data { bytes: Vec::new(), length: bytes },
            wire: None,
        }
    }

    #[test]
    fn numbers_are_relative_and_windows_scaled() {
        const THERE: [&str; 2] = ["a:1", "b:2"];
        const BACK: [&str; 2] = ["b:2", "a:1"];
        // Both start just before the numbers wrap.
        let (zero, peer) = (u32::MAX, u32::MAX - 1);
        let mut details = Details::default();
        let mut told = |packet: Packet| details.of(&packet).unwrap_or_default();
        let nothing = (None, [].as_slice());
        assert_eq!(
            told(segment(THERE, "SYN", [zero, 0], 0, (Some(7), &[]))),
            "seq 0 win 500 scale 7"
        );
        assert_eq!(
            told(segment(BACK, "SYN ACK", [peer, 0], 0, (Some(2), &[]))),
            "seq 0 ack 1 win 500 scale 2"
        );
        assert_eq!(
            told(segment(THERE, "PSH ACK", [0, u32::MAX], 3, nothing)),
            "seq 1:4 ack 1 win 64000"
        );
        assert_eq!(
            told(segment(BACK, "ACK", [u32::MAX, 0], 0, (None, &[(3, 9), (11, 12)]))),
            "seq 1 ack 1 win 2000 sack 4:10 12:13"
        );
        assert_eq!(told(segment(THERE, "RST", [3, 0], 0, nothing)), "seq 4");
    }

    #[test]
    fn a_connection_that_was_there_before_begins_with_1() {
        let mut details = Details::default();
        let packet = segment(["a:1", "b:2"], "ACK", [700, 90], 5, (None, &[]));
        assert_eq!(details.of(&packet).as_deref(), Some("seq 1:6 ack 1 win 500"));
        let datagram = Packet { protocol: Protocol::Udp, ..packet };
        assert_eq!(details.of(&datagram), None);
    }
}
