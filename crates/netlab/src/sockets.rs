//! Which sockets a process has open: who listens, who has bound, who holds a port.
//!
//! A process's sockets are borrowed for a moment and asked (`pidfd_getfd(2)`,
//! `SO_ACCEPTCONN`): a few microseconds, where reading `/proc/net/tcp` walks the kernel's
//! whole table, 9 ms on a machine of 24 GiB. The table is read where borrowing is refused,
//! and to find the holder of a port. Everything is empty where the system has no `/proc`.

use std::collections::HashSet;
use std::fs;

use crate::process;

#[cfg(target_os = "linux")]
mod borrowed;

/// The transport of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// A TCP socket in state LISTEN.
    TcpListener,
    /// A UDP socket that is bound.
    Udp,
}

/// A TCP listener, or a bound UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    port: u16,
    inode: u64,
}

/// Whether process `pid`, or one of its descendants, waits for somebody: it listens, or has
/// bound a datagram socket.
pub fn family_ready(pid: u32) -> bool {
    // The process itself first: walking its descendants is the dearer question.
    ready(pid) || process::family(pid).into_iter().skip(1).any(ready)
}

fn ready(pid: u32) -> bool {
    #[cfg(target_os = "linux")]
    if let Some(ready) = borrowed::ready(pid) {
        return ready;
    }
    let held: HashSet<u64> = socket_inodes(pid).collect();
    !held.is_empty()
        && table(&pid.to_string()).iter().any(|socket| held.contains(&socket.inode))
}

/// The process of this user that holds `port` on the calling thread's network, if one can
/// be seen: its id.
pub fn holder(port: u16) -> Option<u32> {
    let inodes: HashSet<u64> = table("thread-self")
        .into_iter()
        .filter(|socket| socket.port == port)
        .map(|socket| socket.inode)
        .collect();
    fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| socket_inodes(*pid).any(|inode| inodes.contains(&inode)))
}

fn table(process: &str) -> Vec<Open> {
    let mut open = Vec::new();
    for (file, transport) in [
        ("tcp", Transport::TcpListener),
        ("tcp6", Transport::TcpListener),
        ("udp", Transport::Udp),
        ("udp6", Transport::Udp),
    ] {
        let text = fs::read_to_string(format!("/proc/{process}/net/{file}"));
        open.extend(
            text.unwrap_or_default().lines().filter_map(|line| row(line, transport)),
        );
    }
    open
}

/// A row reads `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`; the header
/// is no row, since its state is no number.
fn row(line: &str, transport: Transport) -> Option<Open> {
    const LISTEN: u8 = 0x0A;
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    if transport == Transport::TcpListener && state != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
    Some(Open { port, inode: fields.nth(5)?.parse().ok()? })
}

fn socket_inodes(pid: u32) -> impl Iterator<Item = u64> {
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(|entry| {
        let link = fs::read_link(entry.ok()?.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: &str = "   0: 0100007F:3039 00000000:0000 0A 00000000:00000000 \
        00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0";

    #[test]
    fn a_listener_is_a_row() {
        let socket = row(LISTENER, Transport::TcpListener).unwrap();
        assert_eq!((socket.port, socket.inode), (12345, 4711));
    }

    #[test]
    fn a_connection_and_the_header_are_not() {
        let connection = LISTENER.replace(" 0A ", " 01 ");
        assert!(row(&connection, Transport::TcpListener).is_none());
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when";
        assert!(row(header, Transport::Udp).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_holder_of_a_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(holder(port), Some(std::process::id()));
    }
}
