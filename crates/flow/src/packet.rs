//! Parsing captured packets.

use std::net::IpAddr;

use etherparse::{
    LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpSlice, TransportSlice,
};

use crate::event::{Data, Flag, Flags, Packet, Protocol};

/// Parses a packet from its IP header on; `None` if it is not IP. Keeps `data_bytes` of
/// the payload. The packet may be cut, so lengths are taken from its headers.
pub fn parse(bytes: &[u8], data_bytes: usize) -> Option<Packet> {
    let sliced = LaxSlicedPacket::from_ip(bytes).ok()?;
    let (from, to, number): (IpAddr, IpAddr, u8) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let to = header.destination_addr();
            (header.source_addr().into(), to.into(), header.protocol().0)
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let to = header.destination_addr();
            (header.source_addr().into(), to.into(), header.next_header().0)
        }
        _ => return None,
    };
    // The length in the IP header, for a packet that the capture cut. A length of 0 means
    // a jumbo packet that the kernel made itself.
    let stated = match bytes.first()? >> 4 {
        4 => usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
        _ => 40 + usize::from(u16::from_be_bytes([*bytes.get(4)?, *bytes.get(5)?])),
    };
    let with_port =
        |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port).to_string();
    let (protocol, from, to, payload) = match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let protocol = Protocol::Tcp {
                flags: flags(tcp),
                seq: tcp.sequence_number(),
                ack: tcp.acknowledgment_number(),
                window: tcp.window_size(),
                scale: scale(tcp),
                mss: mss(tcp),
                sack: sack(tcp),
            };
            let from = with_port(from, tcp.source_port());
            (protocol, from, with_port(to, tcp.destination_port()), tcp.payload())
        }
        Some(TransportSlice::Udp(udp)) => {
            let from = with_port(from, udp.source_port());
            (Protocol::Udp, from, with_port(to, udp.destination_port()), udp.payload())
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let protocol = Protocol::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() };
            (protocol, from.to_string(), to.to_string(), icmp.payload())
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let protocol = Protocol::Icmp { kind: icmp.type_u8(), code: icmp.code_u8() };
            (protocol, from.to_string(), to.to_string(), icmp.payload())
        }
        Some(TransportSlice::Igmp(_)) | None => {
            (Protocol::Other(number), from.to_string(), to.to_string(), &[][..])
        }
    };
    let before_payload =
        (payload.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    let cut = stated > bytes.len() && !payload.is_empty();
    let length = if cut { stated - before_payload.min(stated) } else { payload.len() };
    let shown = &payload[..payload.len().min(data_bytes)];
    let data = Data { bytes: shown.to_vec(), length: length as u64 };
    Some(Packet { time_ns: 0, from, to, protocol, data, wire: None })
}

/// The addresses of the packet that an ICMP error quotes, the sender's first. After the
/// ICMP header come that packet's IP header and the first bytes of what it carried.
pub(crate) fn quoted(bytes: &[u8]) -> Option<(String, String)> {
    let (from, to, number, ports): (IpAddr, IpAddr, u8, &[u8]) = match bytes.first()? >> 4
    {
        4 => {
            let ip = |at: usize| -> Option<IpAddr> {
                Some(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?.into())
            };
            let header = usize::from(bytes[0] & 15) * 4;
            (ip(12)?, ip(16)?, *bytes.get(9)?, bytes.get(header..)?)
        }
        6 => {
            let ip = |at: usize| -> Option<IpAddr> {
                Some(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?.into())
            };
            (ip(8)?, ip(24)?, *bytes.get(6)?, bytes.get(40..)?)
        }
        _ => return None,
    };
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    if !matches!(number, TCP | UDP) {
        return None;
    }
    let port = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(ports.get(at..at + 2)?.try_into().ok()?))
    };
    let text = |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port).to_string();
    Some((text(from, port(0)?), text(to, port(2)?)))
}

/// The window scale option of a SYN.
fn scale(tcp: &TcpSlice<'_>) -> Option<u8> {
    let mut options = tcp.options_iterator().filter_map(Result::ok);
    options.find_map(|option| match option {
        TcpOptionElement::WindowScale(bits) => Some(bits),
        _ => None,
    })
}

/// The maximum segment size option of a SYN.
fn mss(tcp: &TcpSlice<'_>) -> Option<u16> {
    let mut options = tcp.options_iterator().filter_map(Result::ok);
    options.find_map(|option| match option {
        TcpOptionElement::MaximumSegmentSize(bytes) => Some(bytes),
        _ => None,
    })
}

/// The blocks of the SACK option.
fn sack(tcp: &TcpSlice<'_>) -> Vec<(u32, u32)> {
    let options = tcp.options_iterator().filter_map(Result::ok);
    let blocks = options.filter_map(|option| match option {
        TcpOptionElement::SelectiveAcknowledgement(first, more) => {
            Some([Some(first)].into_iter().chain(more))
        }
        _ => None,
    });
    blocks.flatten().flatten().collect()
}

fn flags(tcp: &TcpSlice<'_>) -> Flags {
    let all = [
        (tcp.syn(), Flag::Syn),
        (tcp.fin(), Flag::Fin),
        (tcp.rst(), Flag::Rst),
        (tcp.psh(), Flag::Psh),
        (tcp.ack(), Flag::Ack),
        (tcp.urg(), Flag::Urg),
        (tcp.ece(), Flag::Ece),
        (tcp.cwr(), Flag::Cwr),
    ];
    all.into_iter().filter_map(|(set, flag)| set.then_some(flag)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 segment with these options, whose length must be a multiple of four bytes.
    fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 40 + options.len() as u8];
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]);
        bytes.extend([0x03, 0xe8, 0x07, 0xd0, 0, 0, 0, 1, 0, 0, 0, 2]);
        bytes.extend([0x50 + options.len() as u8 / 4 * 16, flags, 1, 0, 0, 0, 0, 0]);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn options_of_a_segment_are_read() {
        let syn = parse(&segment(2, &[2, 4, 5, 0xb4, 1, 3, 3, 7]), 0).expect("a packet");
        let Protocol::Tcp { scale, mss, sack, .. } = syn.protocol else {
            panic!("no segment")
        };
        assert_eq!((scale, mss, sack.len()), (Some(7), Some(1460), 0));
        let blocks = [1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0];
        let ack = parse(&segment(16, &blocks), 0).expect("a packet");
        let Protocol::Tcp { scale, sack, .. } = ack.protocol else {
            panic!("no segment")
        };
        assert_eq!((scale, sack), (None, vec![(9, 256), (512, 768)]));
    }

    #[test]
    fn options_that_make_no_sense_are_skipped() {
        for wrong in [[5, 1, 0, 0], [5, 255, 0, 0], [3, 0, 0, 0], [8, 10, 0, 0]] {
            let packet = parse(&segment(16, &wrong), 0).expect("a packet");
            let Protocol::Tcp { scale, sack, .. } = packet.protocol else { panic!() };
            assert_eq!((scale, sack.len()), (None, 0));
        }
    }
}
