//! Which sockets a process has open: who listens, who has bound, who holds a port.
//!
//! A process's sockets are borrowed for a moment and asked (`pidfd_getfd(2)`,
//! `SO_ACCEPTCONN`). That takes a few microseconds, where reading `/proc/net/tcp` walks
//! the kernel's whole table: 9 ms on a machine with 24 GiB of memory. The table is read
//! only where borrowing is refused, and to find the holder of a port. Every result is
//! empty where the system has no `/proc`.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::process;

#[cfg(target_os = "linux")]
mod borrowed;

/// The transport of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP socket in state LISTEN.
    TcpListener,
    /// A bound UDP socket.
    Udp,
}

/// A TCP listener, or a bound UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    address: SocketAddr,
    transport: Transport,
    inode: u64,
}

/// Whether process `pid` or one of its descendants is waiting for a peer: it is
/// listening, or has bound a datagram socket.
pub fn family_ready(pid: u32) -> bool {
    // The process itself first: walking its descendants costs more.
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

/// Where process `pid` and its descendants are waiting for a peer: their TCP listeners
/// and their bound UDP sockets.
pub fn family_waits(pid: u32) -> Vec<(Transport, SocketAddr)> {
    process::family(pid).into_iter().flat_map(waits).collect()
}

/// Where process `pid` itself is waiting for a peer, ignoring its descendants.
pub fn waits(pid: u32) -> Vec<(Transport, SocketAddr)> {
    #[cfg(target_os = "linux")]
    if let Some(waits) = borrowed::waits_at(pid) {
        return waits;
    }
    let held: HashSet<u64> = socket_inodes(pid).collect();
    let open = if held.is_empty() { Vec::new() } else { table(&pid.to_string()) };
    open.into_iter()
        .filter(|socket| held.contains(&socket.inode))
        .map(|socket| (socket.transport, socket.address))
        .collect()
}

/// Who can wake a process that waits at one of its sockets.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// It is one end of a socketpair(2): only whoever holds the other end.
    pub(crate) is_pair: bool,
    /// It is an Internet socket that listens, or one for datagrams: whoever sends there.
    pub(crate) is_for_strangers: bool,
    /// A wait at it ends by itself (`SO_RCVTIMEO`).
    pub(crate) has_timeout: bool,
}

/// Who can wake process `pid` if it waits at the socket with this descriptor. `None` if
/// there is no such socket, or the system does not let us look.
#[cfg(target_os = "linux")]
pub(crate) fn ends_at(pid: u32, fd: u64) -> Option<Ends> {
    borrowed::ends_at(pid, fd)
}

/// Borrows the connection with `peer` from process `pid` or one of its descendants. It stays
/// open as long as the copy does. `None` if there is none, or the system does not let us
/// look.
pub fn family_connection(pid: u32, peer: SocketAddr) -> Option<TcpStream> {
    #[cfg(target_os = "linux")]
    {
        process::family(pid).into_iter().find_map(|it| borrowed::to(it, peer))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (pid, peer);
        None
    }
}

/// How many descriptors of process `pid` are sockets.
pub fn open_at(pid: u32) -> usize {
    socket_inodes(pid).count()
}

/// The id of the process that holds `port` on the calling thread's network, if it belongs
/// to this user and can be seen.
pub fn holder(port: u16) -> Option<u32> {
    let inodes: HashSet<u64> = table("thread-self")
        .into_iter()
        .filter(|socket| socket.address.port() == port)
        .map(|socket| socket.inode)
        .collect();
    fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| socket_inodes(*pid).any(|inode| inodes.contains(&inode)))
}

/// Whether a TCP socket is listening on `port` on the calling thread's network, whoever
/// owns it. That includes a process that is ending and no longer shows any descriptors.
pub fn is_listened_at(port: u16) -> bool {
    table("thread-self").iter().any(|socket| {
        socket.transport == Transport::TcpListener && socket.address.port() == port
    })
}

/// Whether a TCP socket is listening on `port` on the calling thread's network, or a UDP
/// socket is bound to it, whoever owns it.
pub fn is_waited_at(port: u16) -> bool {
    table("thread-self").iter().any(|socket| socket.address.port() == port)
}

/// How many TCP connections have been begun on the calling thread's network since it was
/// made: each time that connect(2) sends a SYN counts, whatever comes of it (`ActiveOpens`
/// in RFC 4022). `None` where the system does not say.
pub fn connections_begun() -> Option<u64> {
    active_opens(&fs::read_to_string("/proc/thread-self/net/snmp").ok()?)
}

/// The file has two lines for TCP: the names of the columns, and the numbers.
fn active_opens(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|name| name == "ActiveOpens")?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

/// An open IPv4 or IPv6 socket, as listed in the tables under `/proc/PID/net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whether it is a datagram socket (UDP) and not a stream socket (TCP).
    pub datagrams: bool,
    /// Its address; port 0 if it is not bound.
    pub local: SocketAddr,
    /// The other end's address, if it is connected.
    pub peer: Option<SocketAddr>,
}

/// Looks up a socket by its inode on the network of process `pid`. This is slower than
/// asking the socket itself, but works where that is not allowed.
pub fn listed(pid: u32, inode: u64) -> Option<Listed> {
    for (file, datagrams) in
        [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)]
    {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{file}"));
        let text = text.unwrap_or_default();
        if let Some((local, peer)) = text.lines().find_map(|line| {
            let mut fields = line.split_whitespace();
            let (local, peer) = (fields.nth(1)?, fields.next()?);
            let found: u64 = fields.nth(6)?.parse().ok()?;
            (found == inode).then_some((local, peer))
        }) {
            let peer = address(peer)?;
            let peer = (peer.port() != 0).then_some(peer);
            return Some(Listed { datagrams, local: address(local)?, peer });
        }
    }
    None
}

/// `0100007F:3039` is 127.0.0.1:12345.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    Some(SocketAddr::new(host_address(host)?, u16::from_str_radix(port, 16).ok()?))
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

/// A row reads `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout
/// inode`. The header is not taken for a row, because its state is not a number.
fn row(line: &str, transport: Transport) -> Option<Open> {
    const LISTEN: u8 = 0x0A;
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    if transport == Transport::TcpListener && state != LISTEN {
        return None;
    }
    let address = address(local)?;
    Some(Open { address, transport, inode: fields.nth(5)?.parse().ok()? })
}

/// `0100007F` is 127.0.0.1: 32-bit words in this machine's byte order, in hexadecimal.
fn host_address(host: &str) -> Option<IpAddr> {
    let words = host.as_bytes().chunks(8).map(|word| {
        let word = <&[u8; 8]>::try_from(word).ok()?;
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Some(bytes.into()),
        Err(_) => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
    }
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
        assert_eq!((socket.address.port(), socket.inode), (12345, 4711));
    }

    #[test]
    fn a_connection_and_the_header_are_not() {
        let connection = LISTENER.replace(" 0A ", " 01 ");
        assert!(row(&connection, Transport::TcpListener).is_none());
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when";
        assert!(row(header, Transport::Udp).is_none());
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_address_is_words_in_the_machines_order() {
        assert_eq!(host_address("0100007F"), Some([127, 0, 0, 1].into()));
        let loopback = host_address("00000000000000000000000001000000");
        assert_eq!(loopback, Some(std::net::Ipv6Addr::LOCALHOST.into()));
        assert_eq!(host_address("0100"), None);
    }

    #[test]
    fn connections_are_counted_in_the_column_of_that_name() {
        let text = "Ip: Forwarding\nIp: 1\nTcp: MaxConn ActiveOpens PassiveOpens\n\
            Tcp: -1 17 4\n";
        assert_eq!(active_opens(text), Some(17));
        assert_eq!(active_opens("Tcp: MaxConn\nTcp: -1\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_waits_at_its_listeners_and_datagram_sockets() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let waits = family_waits(std::process::id());
        let tcp = (Transport::TcpListener, listener.local_addr().unwrap());
        let udp = (Transport::Udp, socket.local_addr().unwrap());
        assert!(waits.contains(&tcp) && waits.contains(&udp), "{waits:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_is_listed_with_both_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = TcpStream::connect(address).unwrap();
        let own = connection.local_addr().unwrap();
        let pid = std::process::id();
        let found = socket_inodes(pid)
            .find_map(|inode| listed(pid, inode).filter(|it| it.local == own));
        let expected = Listed { datagrams: false, local: own, peer: Some(address) };
        assert_eq!(found, Some(expected));
        assert_eq!(listed(pid, u64::MAX), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_holder_of_a_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(holder(port), Some(std::process::id()));
    }
}
