//! The values of socket options: socket(7), tcp(7), ip(7), ipv6(7), unix(7).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{address, names};
use crate::bytes::escape;

/// The most bytes of a value that are read: those of a `struct group_source_req`.
pub(super) const MOST_BYTES: u64 = 264;
/// The most bytes shown of a value that is not known.
const SHOWN_BYTES: usize = 64;

/// The value of an option in C form. `bytes` are its first [`MOST_BYTES`]; it has `length`.
pub(super) fn value(level: i64, name: i64, bytes: &[u8], length: u64) -> String {
    let known = match i32::try_from(level).unwrap_or(-1) {
        libc::SOL_SOCKET => of_socket(name, bytes),
        libc::IPPROTO_IP => of_v4(name, bytes),
        libc::IPPROTO_IPV6 => of_v6(name, bytes),
        libc::IPPROTO_TCP => of_tcp(name, bytes),
        _ => None,
    };
    known.unwrap_or_else(|| match bytes {
        [] => "…".to_owned(),
        [byte] => byte.to_string(),
        [_, _, _, _] => int(bytes, 0).unwrap_or_default().to_string(),
        _ if length as usize <= SHOWN_BYTES => format!("\"{}\"", escape(bytes)),
        _ => format!("… {length} bytes"),
    })
}

fn of_socket(name: i64, bytes: &[u8]) -> Option<String> {
    let number = || int(bytes, 0).map(i64::from);
    match i32::try_from(name).ok()? {
        libc::SO_LINGER if bytes.len() == 8 => {
            let (onoff, linger) = (int(bytes, 0)?, int(bytes, 4)?);
            Some(format!("{{l_onoff={onoff}, l_linger={linger}}}"))
        }
        libc::SO_ERROR => {
            number().map(|it| if it == 0 { "0".to_owned() } else { names::error(it) })
        }
        libc::SO_TYPE => number().map(names::kind),
        libc::SO_DOMAIN => number().map(names::family),
        libc::SO_PEERCRED if bytes.len() == 12 => {
            let (pid, uid, gid) = (int(bytes, 0)?, int(bytes, 4)?, int(bytes, 8)?);
            Some(format!("{{pid={pid}, uid={}, gid={}}}", uid as u32, gid as u32))
        }
        // A struct sock_fprog: the address of the filter would differ from run to run.
        libc::SO_ATTACH_FILTER if bytes.len() == 16 => {
            Some(format!("{{len={}}}", u16::from_ne_bytes([bytes[0], bytes[1]])))
        }
        libc::SO_BINDTODEVICE => Some(text(bytes)),
        _ => None,
    }
}

fn of_tcp(name: i64, bytes: &[u8]) -> Option<String> {
    let is_text = [libc::TCP_CONGESTION, libc::TCP_ULP].map(i64::from).contains(&name);
    is_text.then(|| text(bytes))
}

fn of_v4(name: i64, bytes: &[u8]) -> Option<String> {
    match i32::try_from(name).ok()? {
        // A struct in_addr.
        libc::IP_MULTICAST_IF if bytes.len() == 4 => v4(bytes, 0),
        // A struct ip_mreq, or a struct ip_mreqn with the number of the interface.
        libc::IP_MULTICAST_IF | libc::IP_ADD_MEMBERSHIP | libc::IP_DROP_MEMBERSHIP => {
            let (group, interface) = (v4(bytes, 0)?, v4(bytes, 4)?);
            Some(match int(bytes, 8) {
                Some(index) => format!("{{{group}, {interface}, {index}}}"),
                None => format!("{{{group}, {interface}}}"),
            })
        }
        // A struct ip_mreq_source: the group, the interface, the source.
        libc::IP_ADD_SOURCE_MEMBERSHIP
        | libc::IP_DROP_SOURCE_MEMBERSHIP
        | libc::IP_BLOCK_SOURCE
        | libc::IP_UNBLOCK_SOURCE => {
            let (group, interface) = (v4(bytes, 0)?, v4(bytes, 4)?);
            Some(format!("{{{group}, {interface}, {}}}", v4(bytes, 8)?))
        }
        _ => group_request(name, bytes),
    }
}

fn of_v6(name: i64, bytes: &[u8]) -> Option<String> {
    match i32::try_from(name).ok()? {
        // A struct ipv6_mreq: the group, and the number of the interface.
        libc::IPV6_ADD_MEMBERSHIP | libc::IPV6_DROP_MEMBERSHIP => {
            let group: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
            Some(format!("{{{}, {}}}", Ipv6Addr::from(group), int(bytes, 16)?))
        }
        _ => group_request(name, bytes),
    }
}

/// A `struct group_req` or `group_source_req`, for both versions of IP: the number of the
/// interface, the group, and perhaps the source.
fn group_request(name: i64, bytes: &[u8]) -> Option<String> {
    const ADDRESS_BYTES: usize = 128;
    let sources = match i32::try_from(name).ok()? {
        libc::MCAST_JOIN_GROUP | libc::MCAST_LEAVE_GROUP => 0,
        libc::MCAST_JOIN_SOURCE_GROUP
        | libc::MCAST_LEAVE_SOURCE_GROUP
        | libc::MCAST_BLOCK_SOURCE
        | libc::MCAST_UNBLOCK_SOURCE => 1,
        _ => return None,
    };
    let mut parts = vec![int(bytes, 0)?.to_string()];
    for number in 0..=sources {
        parts.push(address::text(bytes.get(8 + number * ADDRESS_BYTES..)?)?);
    }
    Some(format!("{{{}}}", parts.join(", ")))
}

/// A string, which may end with a NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    format!("\"{}\"", escape(&bytes[..end]))
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes)
}

fn v4(bytes: &[u8], at: usize) -> Option<String> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(level: i32, name: i32, bytes: &[u8]) -> String {
        value(level.into(), name.into(), bytes, bytes.len() as u64)
    }

    #[test]
    fn multicast_options_show_addresses() {
        let (group, own) = ([239, 1, 2, 3], [127, 0, 0, 1]);
        let one = 1_i32.to_ne_bytes();
        let v4 = |name, parts: &[[u8; 4]]| shown(libc::IPPROTO_IP, name, &parts.concat());
        assert_eq!(v4(libc::IP_MULTICAST_IF, &[own]), "127.0.0.1");
        assert_eq!(
            v4(libc::IP_MULTICAST_IF, &[[0; 4], own, one]),
            "{0.0.0.0, 127.0.0.1, 1}"
        );
        let joined = "{239.1.2.3, 127.0.0.1}";
        assert_eq!(v4(libc::IP_ADD_MEMBERSHIP, &[group, own]), joined);
        let from_one = "{239.1.2.3, 127.0.0.1, 10.0.0.9}";
        assert_eq!(
            v4(libc::IP_ADD_SOURCE_MEMBERSHIP, &[group, own, [10, 0, 0, 9]]),
            from_one
        );
        let mut six = Ipv6Addr::from([0xff01, 0, 0, 0, 0, 0, 0, 0x123]).octets().to_vec();
        six.extend(one);
        assert_eq!(
            shown(libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &six),
            "{ff01::123, 1}"
        );
        let mut request = [one, [0; 4]].concat();
        request.extend((libc::AF_INET as u16).to_ne_bytes());
        request.extend([0, 0, 239, 1, 2, 3]);
        request.resize(136, 0);
        assert_eq!(
            shown(libc::IPPROTO_IP, libc::MCAST_JOIN_GROUP, &request),
            "{1, 239.1.2.3:0}"
        );
    }

    #[test]
    fn a_value_of_the_wrong_length_is_shown_as_bytes() {
        for name in [libc::IP_ADD_MEMBERSHIP, libc::IP_BLOCK_SOURCE] {
            assert_eq!(shown(libc::IPPROTO_IP, name, &[1, 2]), "\"\\x01\\x02\"");
        }
        assert_eq!(shown(libc::SOL_SOCKET, libc::SO_LINGER, &[1]), "1");
        assert_eq!(shown(libc::SOL_SOCKET, libc::SO_TYPE, b""), "…");
    }

    #[test]
    fn names_and_credentials_are_read() {
        assert_eq!(
            shown(libc::IPPROTO_TCP, libc::TCP_CONGESTION, b"cubic\0\0\0"),
            "\"cubic\""
        );
        assert_eq!(
            shown(libc::SOL_SOCKET, libc::SO_TYPE, &1_i32.to_ne_bytes()),
            "SOCK_STREAM"
        );
        let credentials = [7_i32, 0, 1000].map(i32::to_ne_bytes).concat();
        assert_eq!(
            shown(libc::SOL_SOCKET, libc::SO_PEERCRED, &credentials),
            "{pid=7, uid=0, gid=1000}"
        );
    }
}
