//! What the kernel's socket tables say: who listens, who has bound, who holds a port.
//!
//! Sources: `/proc/PID/net/tcp` and its kin (`proc_pid_net(5)`), `/proc/PID/fd`.
//! Everything is empty where the system has no `/proc`.

use std::collections::HashSet;
use std::fs;

use crate::process;

/// The transport of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP socket in state LISTEN.
    TcpListener,
    /// A UDP socket that is bound.
    Udp,
}

/// A TCP listener, or a bound UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Which of the two.
    pub transport: Transport,
    /// Its local port.
    pub port: u16,
    inode: u64,
}

/// The listeners and bound UDP sockets that any of `processes` holds.
pub fn open_sockets(processes: &[u32]) -> Vec<Open> {
    let Some(&first) = processes.first() else { return Vec::new() };
    let open = table(&first.to_string());
    if open.is_empty() {
        return open;
    }
    let held: HashSet<u64> =
        processes.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    open.into_iter().filter(|socket| held.contains(&socket.inode)).collect()
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

/// Whether one of `processes` waits for somebody: it listens, or has bound a UDP socket.
pub fn ready(processes: &[u32]) -> bool {
    !open_sockets(processes).is_empty()
}

/// Whether the process and its descendants wait for somebody.
pub fn family_ready(pid: u32) -> bool {
    // The process itself first: walking the process tree is the dearer question.
    ready(&[pid]) || ready(&process::family(pid))
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

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode`; the header
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
    Some(Open { transport, port, inode: fields.nth(5)?.parse().ok()? })
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
    fn a_bound_datagram_socket_of_this_process_is_seen() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let own = std::process::id();
        assert!(open_sockets(&[own]).iter().any(|open| open.port == port));
        assert_eq!(holder(port), Some(own));
    }
}
