//! The headers of a packet, as far as the wire's rules need them; damage to a packet; and
//! the ICMP messages with which a router answers.

use std::net::IpAddr;

/// What the rules need to know about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    pub(super) ports: (u16, u16),
    pub(super) body: Body,
    /// Where the payload of TCP, UDP or ICMP begins.
    pub(super) payload: usize,
    /// For a fragment, where its bytes begin in the datagram.
    pub(super) fragment: Option<usize>,
    /// The length given in the IP header.
    pub(super) length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Tcp {
        flags: u8,
        seq: u32,
    },
    /// A whole datagram, or the first fragment of one.
    Udp {
        fragment: bool,
    },
    /// A later fragment, which has no UDP header of its own.
    Fragment,
    Icmp,
    Other,
}

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// The bit of an IPv4 header, next to the fragment offset, that forbids fragmentation
/// (RFC 791 §3.1).
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const V6_FRAGMENT: u8 = 44;
const ICMP_V6: u8 = 58;

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Facts {
    /// Parses a packet from its IP header on; `None` if it is not IP.
    pub(super) fn read(bytes: &[u8]) -> Option<Facts> {
        let (source, target, protocol, mut at, length);
        let (mut offset, mut more) = (0, false);
        match bytes.first()? >> 4 {
            4 => {
                at = usize::from(bytes[0] & 15) * 4;
                length = usize::from(word(bytes, 2)?);
                let fragment = word(bytes, 6)?;
                (offset, more) =
                    (fragment & FRAGMENT_OFFSET, fragment & MORE_FRAGMENTS != 0);
                protocol = *bytes.get(9)?;
                source = IpAddr::from(<[u8; 4]>::try_from(bytes.get(12..16)?).ok()?);
                target = IpAddr::from(<[u8; 4]>::try_from(bytes.get(16..20)?).ok()?);
            }
            6 => {
                at = 40;
                length = 40 + usize::from(word(bytes, 4)?);
                source = IpAddr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?);
                target = IpAddr::from(<[u8; 16]>::try_from(bytes.get(24..40)?).ok()?);
                let mut next = *bytes.get(6)?;
                if next == V6_FRAGMENT {
                    let fragment = word(bytes, at + 2)?;
                    (offset, more) = (fragment >> 3, fragment & 1 != 0);
                    next = *bytes.get(at)?;
                    at += 8;
                }
                protocol = next;
            }
            _ => return None,
        }
        let none = (Body::Other, (0, 0), at);
        let (body, ports, payload) = match protocol {
            _ if offset > 0 => (Body::Fragment, (0, 0), at),
            TCP => match (word(bytes, at), word(bytes, at + 2), long(bytes, at + 4)) {
                (Some(from), Some(to), Some(seq)) if bytes.len() >= at + 20 => {
                    let payload = at + usize::from(bytes[at + 12] >> 4) * 4;
                    (Body::Tcp { flags: bytes[at + 13], seq }, (from, to), payload)
                }
                _ => none,
            },
            UDP => match (word(bytes, at), word(bytes, at + 2)) {
                (Some(from), Some(to)) => {
                    (Body::Udp { fragment: more }, (from, to), at + 8)
                }
                _ => none,
            },
            ICMP | ICMP_V6 => (Body::Icmp, (0, 0), at + 8),
            _ => none,
        };
        let fragment = (offset > 0 || more).then_some(usize::from(offset) * 8);
        Some(Facts { source, target, ports, body, payload, fragment, length })
    }

    /// How many bytes of the datagram a fragment carries, including the UDP header if it
    /// has it.
    pub(super) fn fragment_length(&self) -> usize {
        let header = if matches!(self.body, Body::Udp { .. }) { 8 } else { 0 };
        self.payload_length() + header
    }

    /// The length of the payload in bytes.
    pub(super) fn payload_length(&self) -> usize {
        self.length.saturating_sub(self.payload)
    }
}

/// Flips one bit of the payload, counted from the highest bit of the first byte; if the
/// payload is shorter than that, flips its last bit. Returns whether there was a payload.
pub(super) fn flip(bytes: &mut [u8], facts: &Facts, bit: usize) -> bool {
    let end = bytes.len().min(facts.length);
    let Some(payload) = bytes.get_mut(facts.payload..end) else { return false };
    let Some(last) = (payload.len() * 8).checked_sub(1) else { return false };
    let bit = bit.min(last);
    payload[bit / 8] ^= 128 >> (bit % 8);
    true
}

/// Swaps the first two neighbouring 16-bit words of the payload that differ: a sum does
/// not depend on the order of its terms (RFC 1071). Returns whether there were two.
pub(super) fn exchange_words(bytes: &mut [u8], facts: &Facts) -> bool {
    let end = bytes.len().min(facts.length);
    let Some(payload) = bytes.get_mut(facts.payload..end) else { return false };
    let found = payload.windows(4).step_by(2).position(|four| four[..2] != four[2..]);
    let Some(at) = found.map(|pair| pair * 2) else { return false };
    payload.swap(at, at + 2);
    payload.swap(at + 1, at + 3);
    true
}

/// Whether a router may fragment the packet: it is IPv4, and does not forbid it (RFC 791
/// §2.3).
pub(super) fn may_be_cut(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 4)
        && word(bytes, 6).is_some_and(|flags| flags & DONT_FRAGMENT == 0)
}

/// Cuts an IPv4 packet, which may be a fragment itself, into fragments of at most `most`
/// bytes, headers included. Returns none if the packet is too damaged to be cut.
pub(super) fn fragments(bytes: &[u8], most: u16) -> Vec<Vec<u8>> {
    let header = usize::from(bytes.first().copied().unwrap_or(0) & 15) * 4;
    let length = word(bytes, 2).map_or(0, usize::from).min(bytes.len());
    let (Some(payload), Some(flags)) = (bytes.get(header..length), word(bytes, 6)) else {
        return Vec::new();
    };
    // A fragment offset counts units of eight bytes.
    let each = usize::from(most).saturating_sub(header) / 8 * 8;
    if each == 0 || header < 20 {
        return Vec::new();
    }
    let count = payload.len().div_ceil(each);
    let piece = |(number, part): (usize, &[u8])| {
        let mut piece = [&bytes[..header], part].concat();
        let is_last = number + 1 == count;
        let more = if is_last { flags & MORE_FRAGMENTS } else { MORE_FRAGMENTS };
        let offset = (flags & FRAGMENT_OFFSET) + (number * each / 8) as u16;
        let size = piece.len() as u16;
        piece[2..4].copy_from_slice(&size.to_be_bytes());
        piece[6..8].copy_from_slice(&(more | offset & FRAGMENT_OFFSET).to_be_bytes());
        piece[10..12].fill(0);
        let sum = checksum(0, &piece[..header]);
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        piece
    };
    payload.chunks(each).enumerate().map(piece).collect()
}

/// What a router says about a packet that it did not pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The host is unreachable.
    Unreachable,
    /// The packet is longer than the next link's MTU, which this is.
    TooBig(u16),
}

/// The ICMP message in answer to a packet (RFC 792, RFC 4443). It comes from the packet's
/// destination, which could not be reached or for which the packet was too long.
pub(super) fn complaint(packet: &[u8], facts: &Facts, what: Complaint) -> Vec<u8> {
    match (facts.source, facts.target) {
        (IpAddr::V4(to), IpAddr::V4(from)) => {
            let (code, mtu) = match what {
                Complaint::Unreachable => (1, 0),
                Complaint::TooBig(mtu) => (4, mtu),
            };
            // Quoting the header and 8 bytes is required; more is better (RFC 1812
            // §4.3.2.3).
            let quoted = &packet[..packet.len().min(548)];
            let mut body = vec![3, code, 0, 0, 0, 0];
            body.extend(mtu.to_be_bytes());
            body.extend(quoted);
            let sum = checksum(0, &body);
            body[2..4].copy_from_slice(&sum.to_be_bytes());
            let mut answer = vec![0x45, 0];
            answer.extend((20 + body.len() as u16).to_be_bytes());
            answer.extend([0, 0, 0, 0, 64, ICMP, 0, 0]);
            answer.extend(from.octets());
            answer.extend(to.octets());
            let sum = checksum(0, &answer);
            answer[10..12].copy_from_slice(&sum.to_be_bytes());
            answer.extend(body);
            answer
        }
        (IpAddr::V6(to), IpAddr::V6(from)) => {
            let (kind, code, mtu) = match what {
                Complaint::Unreachable => (1, 3, 0),
                Complaint::TooBig(mtu) => (2, 0, mtu),
            };
            let quoted = &packet[..packet.len().min(1232)];
            let mut body = vec![kind, code, 0, 0, 0, 0];
            body.extend(mtu.to_be_bytes());
            body.extend(quoted);
            let mut pseudo = Vec::new();
            pseudo.extend(from.octets());
            pseudo.extend(to.octets());
            pseudo.extend((body.len() as u32).to_be_bytes());
            pseudo.extend([0, 0, 0, ICMP_V6]);
            let sum = checksum(sum(0, &pseudo), &body);
            body[2..4].copy_from_slice(&sum.to_be_bytes());
            let mut answer = vec![0x60, 0, 0, 0];
            answer.extend((body.len() as u16).to_be_bytes());
            answer.extend([ICMP_V6, 64]);
            answer.extend(from.octets());
            answer.extend(to.octets());
            answer.extend(body);
            answer
        }
        _ => Vec::new(),
    }
}

fn sum(start: u32, bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(start, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        sum + u32::from(u16::from_be_bytes([pair[0], low]))
    })
}

/// The Internet checksum (RFC 1071).
fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = sum(start, bytes);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv4 TCP segment from 10.77.0.1:1000 to 10.77.0.2:2000, without checksums.
    pub(crate) fn segment(flags: u8, seq: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0];
        bytes.extend((40 + data.len() as u16).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, TCP, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
        bytes.extend([0x03, 0xe8, 0x07, 0xd0]);
        bytes.extend(seq.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_segment_is_read() {
        let facts = Facts::read(&segment(SYN | ACK, 7, b"hello")).unwrap();
        assert_eq!(facts.body, Body::Tcp { flags: SYN | ACK, seq: 7 });
        assert_eq!((facts.ports, facts.payload_length()), ((1000, 2000), 5));
    }

    #[test]
    fn a_cut_packet_is_no_panic() {
        let whole = segment(ACK, 7, b"hello");
        for end in 0..whole.len() {
            let _ = Facts::read(&whole[..end]);
        }
        let mut six = [0x60; 60];
        six[6] = V6_FRAGMENT;
        for end in 0..six.len() {
            let _ = Facts::read(&six[..end]);
        }
    }

    #[test]
    fn exchanged_words_leave_the_sum_as_it_was() {
        let mut bytes = segment(ACK, 7, b"aaaabbcc");
        let facts = Facts::read(&bytes).unwrap();
        let before = checksum(0, &bytes[20..]);
        assert!(exchange_words(&mut bytes, &facts));
        assert_eq!(&bytes[40..], b"aabbaacc");
        assert_eq!(checksum(0, &bytes[20..]), before);
        let mut same = segment(ACK, 7, b"aaaa");
        let facts = facts_of(&same);
        assert!(!exchange_words(&mut same, &facts));
    }

    fn facts_of(bytes: &[u8]) -> Facts {
        Facts::read(bytes).unwrap()
    }

    #[test]
    fn a_bit_is_counted_from_the_first_bytes_highest() {
        let mut bytes = segment(ACK, 7, &[0, 0]);
        let facts = facts_of(&bytes);
        assert!(flip(&mut bytes, &facts, 9));
        assert_eq!(&bytes[40..], [0, 0x40]);
        assert!(!flip(&mut segment(ACK, 7, &[]), &facts_of(&segment(ACK, 7, &[])), 0));
    }

    #[test]
    fn fragments_carry_the_whole_packet_and_know_their_places() {
        let mut packet = segment(ACK, 7, &[b'x'; 3000]);
        assert!(!may_be_cut(&packet));
        packet[6] = 0;
        assert!(may_be_cut(&packet));
        let pieces = fragments(&packet, 1000);
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [996, 996, 996, 112]);
        let whole: Vec<u8> =
            pieces.iter().flat_map(|piece| &piece[20..]).copied().collect();
        assert_eq!(whole, packet[20..]);
        let places: Vec<u16> = pieces.iter().filter_map(|it| word(it, 6)).collect();
        assert_eq!(places, [0x2000, 0x2000 + 122, 0x2000 + 244, 366]);
        assert!(pieces.iter().all(|piece| checksum(0, &piece[..20]) == 0));
        // The fragment of a fragment continues from the offset of the latter.
        let again = fragments(&pieces[1], 500);
        let places: Vec<u16> = again.iter().filter_map(|it| word(it, 6)).collect();
        assert_eq!(places, [0x2000 + 122, 0x2000 + 182, 0x2000 + 242]);
        for end in 0..packet.len() {
            let _ = fragments(&packet[..end], 68);
        }
    }

    #[test]
    fn a_complaint_has_right_checksums() {
        let packet = segment(ACK, 7, b"hello");
        let answer = complaint(&packet, &facts_of(&packet), Complaint::TooBig(1400));
        assert_eq!(checksum(0, &answer[..20]), 0);
        assert_eq!(checksum(0, &answer[20..]), 0);
        assert_eq!(answer[26..28], 1400_u16.to_be_bytes());
        assert_eq!(answer[16..20], [10, 77, 0, 1]);
    }
}
