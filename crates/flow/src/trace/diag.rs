//! What the kernel holds for each connection: `sock_diag(7)`, the question that `ss` asks.
//!
//! A socket is asked for by its two addresses, so that one which no program has open is
//! found as well: a connection that nobody has accepted yet, an end in TIME-WAIT. Nothing of
//! the program is touched, and a single question takes a few microseconds (a dump of all
//! sockets takes milliseconds where the kernel's tables are large).
#![allow(unsafe_code)] // A netlink socket, which `std` has no type for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use netlab::wire::{Host, Wire};

use super::sys::check;
use crate::event::{Held, Socket};

/// Pairs of addresses that are asked for at most: each costs a call at every event.
const PAIRS: usize = 32;

/// `SOCK_DIAG_BY_FAMILY`, `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// Bytes of `struct nlmsghdr`, of `struct inet_diag_req_v2`, of `struct inet_diag_msg`.
const HEAD: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;

/// One end of a conversation, as the kernel looks it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    protocol: i32,
    local: SocketAddr,
    /// None: it listens, or takes datagrams from anyone.
    peer: Option<SocketAddr>,
}

/// Asks the kernel for what it holds.
#[derive(Debug, Default)]
pub(super) struct Diag {
    /// A netlink socket on each network that is asked; none where the kernel refuses it.
    sockets: Vec<OwnedFd>,
    pairs: Vec<Pair>,
    last: Option<Vec<Held>>,
}

impl Diag {
    /// Opens the netlink socket on the calling thread's network. Where that is refused
    /// nothing is ever measured.
    pub(super) fn open() -> Diag {
        Diag { sockets: netlink().into_iter().collect(), ..Diag::default() }
    }

    /// Opens one on each host of a wire, whose sides are on networks of their own.
    pub(super) fn open_on(wire: &Wire) -> Diag {
        let open = |host| {
            // A thread stays where it has gone: this one is gone afterwards.
            std::thread::scope(|scope| {
                let opened =
                    scope.spawn(move || wire.enter(host).and_then(|()| netlink()));
                opened.join().ok()?.ok()
            })
        };
        Diag {
            sockets: [Host::A, Host::B].into_iter().filter_map(open).collect(),
            ..Diag::default()
        }
    }

    /// Whether anything can be measured here.
    pub(super) fn is_open(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Asks for this socket from now on, and for the other end of its connection.
    pub(super) fn follow(&mut self, socket: &Socket) {
        let protocol = match (socket.family.as_str(), socket.kind.as_str()) {
            ("AF_INET" | "AF_INET6", "SOCK_STREAM") => libc::IPPROTO_TCP,
            ("AF_INET" | "AF_INET6", "SOCK_DGRAM") => libc::IPPROTO_UDP,
            _ => return,
        };
        let parse = |text: &Option<String>| text.as_deref().and_then(address);
        let Some(local) = parse(&socket.local) else { return };
        self.add(protocol, local, parse(&socket.peer));
    }

    /// Asks for both ends of the connection that a SYN opens.
    pub(super) fn follow_syn(&mut self, from: &str, to: &str) {
        if let (Some(from), Some(to)) = (address(from), address(to)) {
            self.add(libc::IPPROTO_TCP, from, Some(to));
        }
    }

    fn add(&mut self, protocol: i32, local: SocketAddr, peer: Option<SocketAddr>) {
        let mirror = peer.filter(|_| protocol == libc::IPPROTO_TCP);
        let both = [Some((local, peer)), mirror.map(|peer| (peer, Some(local)))];
        for (local, peer) in both.into_iter().flatten() {
            let pair = Pair { protocol, local, peer };
            if self.pairs.len() < PAIRS && !self.pairs.contains(&pair) {
                self.pairs.push(pair);
            }
        }
    }

    /// What the kernel holds now, where it is another than the last time.
    pub(super) fn measure(&mut self) -> Option<Vec<Held>> {
        if !self.is_open() {
            return None;
        }
        let mut held: Vec<Held> = Vec::new();
        for pair in &self.pairs {
            let mut answers = self.sockets.iter().filter_map(|it| ask(it, *pair).ok()?);
            if let Some(found) = answers.next()
                && !held.iter().any(|it| it.local == found.local && it.peer == found.peer)
            {
                held.push(found);
            }
        }
        if self.last.as_ref() == Some(&held) {
            return None;
        }
        self.last = Some(held.clone());
        Some(held)
    }
}

/// An address with a port; an IPv4 address that an IPv6 socket shows as `::ffff:127.0.0.1`
/// is found as that IPv4 address.
fn address(text: &str) -> Option<SocketAddr> {
    let address: SocketAddr = text.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn netlink() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = check(libc::c_long::from(unsafe {
        libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG)
    }))?;
    // SAFETY: the descriptor is new and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // The kernel answers before send(2) returns; the deadline is for one that does not.
    let deadline = libc::timeval { tv_sec: 1, tv_usec: 0 };
    // SAFETY: the value is a timeval and the length says so.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const deadline).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    }))?;
    Ok(socket)
}

/// Asks for one end; none where the kernel has no such socket.
fn ask(socket: &OwnedFd, pair: Pair) -> io::Result<Option<Held>> {
    let request = request(pair);
    let fd = socket.as_raw_fd();
    // SAFETY: the buffer is as long as said.
    check(unsafe { libc::send(fd, request.as_ptr().cast(), request.len(), 0) } as _)?;
    let mut answer = [0_u8; 4096];
    // SAFETY: the buffer is as long as said.
    let length =
        check(
            unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) } as _
        )?;
    Ok(read(pair, &answer[..length as usize]))
}

/// A `struct nlmsghdr` and a `struct inet_diag_req_v2`.
fn request(pair: Pair) -> Vec<u8> {
    let Pair { protocol, local, peer } = pair;
    let any = SocketAddr::new(
        if local.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
        },
        0,
    );
    let peer = peer.unwrap_or(any);
    // For UDP the kernel has source and destination the other way round.
    let (source, destination) =
        if protocol == libc::IPPROTO_UDP { (peer, local) } else { (local, peer) };
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut it = Vec::with_capacity(HEAD + REQUEST);
    it.extend(((HEAD + REQUEST) as u32).to_ne_bytes());
    it.extend(BY_FAMILY.to_ne_bytes());
    it.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    it.extend([0; 8]);
    it.extend([family as u8, protocol as u8, 0, 0]);
    it.extend(u32::MAX.to_ne_bytes());
    it.extend(source.port().to_be_bytes());
    it.extend(destination.port().to_be_bytes());
    for address in [source, destination] {
        let mut bytes = [0; 16];
        match address.ip() {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes = ip.octets(),
        }
        it.extend(bytes);
    }
    it.extend([0; 4]);
    // No cookie: any socket of these addresses.
    it.extend([0xff; 8]);
    it
}

/// What an answer says; none for an error, and for an answer that is cut.
fn read(pair: Pair, answer: &[u8]) -> Option<Held> {
    let kind = u16::from_ne_bytes([*answer.get(4)?, *answer.get(5)?]);
    if kind != BY_FAMILY || answer.len() < HEAD + ANSWER {
        return None;
    }
    let body = &answer[HEAD..];
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?))
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let ip = |at: usize| -> IpAddr {
        let bytes: [u8; 16] = body[at..at + 16].try_into().unwrap_or_default();
        if i32::from(body[0]) == libc::AF_INET {
            Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into()
        } else {
            IpAddr::from(bytes)
        }
    };
    let address = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port).to_string();
    let is_tcp = pair.protocol == libc::IPPROTO_TCP;
    Some(Held {
        local: address(ip(8), port(4)),
        peer: (port(6) != 0).then(|| address(ip(24), port(6))),
        state: is_tcp.then(|| state(body[1]).to_owned()),
        recv_q: word(56)?,
        send_q: word(60)?,
        socket: Some(u64::from(word(68)?)).filter(|inode| *inode != 0),
    })
}

/// A state by its name in RFC 9293 §3.3.2, from its number in `net/tcp_states.h`.
fn state(number: u8) -> &'static str {
    match number {
        1 => "ESTABLISHED",
        2 => "SYN-SENT",
        3 | 12 => "SYN-RECEIVED",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "CLOSED",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn socket(kind: &str, local: SocketAddr, peer: Option<SocketAddr>) -> Socket {
        Socket {
            time_ns: 0,
            side: 0,
            inode: 0,
            family: "AF_INET".to_owned(),
            kind: kind.to_owned(),
            local: Some(local.to_string()),
            peer: peer.map(|it| it.to_string()),
        }
    }

    /// The measurement of the end with this local address, and peer where there is one.
    fn of(held: &[Held], local: SocketAddr, peer: Option<SocketAddr>) -> Option<Held> {
        let peer = peer.map(|it| it.to_string());
        held.iter().find(|it| it.local == local.to_string() && it.peer == peer).cloned()
    }

    #[test]
    fn what_nobody_has_accepted_is_seen_with_its_bytes() {
        let mut diag = Diag::open();
        if !diag.is_open() {
            println!("skipped: the kernel refuses a netlink socket of sock_diag(7)");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(server).unwrap();
        let client = stream.local_addr().unwrap();
        stream.write_all(b"sixteen bytes ok").unwrap();
        diag.follow(&socket("SOCK_STREAM", server, None));
        diag.follow(&socket("SOCK_STREAM", client, Some(server)));

        let held = diag.measure().unwrap();
        let listening = of(&held, server, None).unwrap();
        assert_eq!(listening.state.as_deref(), Some("LISTEN"));
        // One connection waits to be accepted: it is what Recv-Q of a listener counts.
        assert_eq!(listening.recv_q, 1);
        let queued = of(&held, server, Some(client)).unwrap();
        assert_eq!((queued.state.as_deref(), queued.recv_q), (Some("ESTABLISHED"), 16));
        assert_eq!(queued.socket, None, "no program has it yet");
        assert!(of(&held, client, Some(server)).unwrap().socket.is_some());
        assert_eq!(diag.measure(), None, "nothing is new");

        drop(listener.accept().unwrap());
        let held = diag.measure().unwrap();
        assert_eq!(of(&held, server, None).unwrap().recv_q, 0);
    }

    #[test]
    fn a_datagram_socket_is_found_by_its_port() {
        let mut diag = Diag::open();
        if !diag.is_open() {
            println!("skipped: the kernel refuses a netlink socket of sock_diag(7)");
            return;
        }
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = receiver.local_addr().unwrap();
        diag.follow(&socket("SOCK_DGRAM", local, None));
        let held = diag.measure().unwrap();
        assert_eq!(of(&held, local, None).unwrap().recv_q, 0);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"datagram", local).unwrap();
        let held = diag.measure().unwrap();
        let waiting = of(&held, local, None).unwrap();
        assert!(waiting.recv_q >= 8, "{waiting:?}");
        assert_eq!(waiting.state, None);
    }

    #[test]
    fn an_answer_that_is_cut_or_an_error_is_none() {
        let pair = Pair {
            protocol: libc::IPPROTO_TCP,
            local: "127.0.0.1:1".parse().unwrap(),
            peer: None,
        };
        let mut whole = vec![0; HEAD + ANSWER];
        whole[4] = BY_FAMILY as u8;
        whole[HEAD] = libc::AF_INET as u8;
        assert!(read(pair, &whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(read(pair, &whole[..length]), None, "{length}");
        }
        whole[4] = libc::NLMSG_ERROR as u8;
        assert_eq!(read(pair, &whole), None);
    }
}
