//! Socket addresses as text.

use super::memory::Memory;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

/// Formats a `struct sockaddr`: `127.0.0.1:12345`, `[::1]:12345`, a path, `@name` for an
/// abstract one, `AF_UNSPEC`; `None` if it is empty.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match family {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(address), port()?).to_string())
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = bytes.get(24..28).map_or(0, |bytes| {
                u32::from_ne_bytes(bytes.try_into().unwrap_or_default())
            });
            let address = Ipv6Addr::from(address);
            Some(SocketAddrV6::new(address, port()?, 0, scope).to_string())
        }
        libc::AF_UNIX => match bytes.get(2..)? {
            [] => None,
            [0, name @ ..] => Some(format!("@{}", crate::bytes::escape(name))),
            path => {
                let end = path.iter().position(|&b| b == 0).unwrap_or(path.len());
                Some(crate::bytes::escape(&path[..end]))
            }
        },
        family => Some(super::names::family(i64::from(family))),
    }
}

/// Whether the address passed to `bind(2)` names a port or a path, rather than leaving
/// the choice to the kernel.
pub(super) fn asks_for_a_port(memory: &Memory, args: &[u64; 6]) -> bool {
    memory.address(args[1], args[2]).is_some_and(|text| !is_unbound(&text))
}

/// Whether the text is an internet address without a port, that is, not bound yet.
pub(super) fn is_unbound(text: &str) -> bool {
    text.ends_with(":0")
}
