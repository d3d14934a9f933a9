//! What the kernel holds for each connection: `sock_diag(7)`, which `ss` uses too.
//!
//! A socket is looked up by its two addresses, so that one which no program has open is
//! found as well: a connection that nobody has accepted yet, or an end in TIME-WAIT. The
//! program is not touched, and a single question takes a few microseconds (a dump of all
//! sockets takes milliseconds where the kernel's tables are large).
#![allow(unsafe_code)] // A netlink socket, which `std` has no type for.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use netlab::wire::{Host, Wire};

use super::sys::check;
use crate::event::{Held, Socket};

/// The most pairs of addresses that are asked for: each costs a call at every event.
const PAIRS: usize = 32;

/// `SOCK_DIAG_BY_FAMILY` from `linux/sock_diag.h`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP` from `linux/netlink.h`.
const DUMP: u16 = 0x301;
/// The sizes of `struct nlmsghdr`, `struct inet_diag_req_v2` and `struct inet_diag_msg`.
const HEAD: usize = 16;
const REQUEST: usize = 56;
const ANSWER: usize = 72;
/// Where `idiag_inode` is in the last of them.
const INODE_AT: usize = 68;

/// One end of a conversation, as the kernel looks it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Endpoint {
    protocol: i32,
    local: SocketAddr,
    /// `None` if it listens, or takes datagrams from anyone.
    peer: Option<SocketAddr>,
}

/// Asks the kernel for what it holds.
#[derive(Debug, Default)]
pub(super) struct Diag {
    /// A netlink socket on each network that is asked; empty if the kernel refuses.
    sockets: Vec<OwnedFd>,
    /// The protocols of which the kernel can tell something.
    protocols: Vec<i32>,
    pairs: Vec<Endpoint>,
    /// The questions for all pairs, one after the other: one call asks them all.
    questions: Vec<u8>,
    /// The last answers, and what they said.
    answers: Vec<Answer>,
    last: Option<Vec<Held>>,
    /// The pairs, a bit for each, about which something has happened since then that may have
    /// changed what the kernel holds.
    stale: u32,
    /// When the kernel was last asked about all pairs.
    asked_ns: u64,
    /// Where the kernel's answers are put, one in each.
    buffers: Vec<Buffer>,
}

/// Room for one answer with its head.
type Buffer = [u8; 512];

/// A `struct inet_diag_msg` without its timers; all zeroes if there is no such socket.
type Answer = [u8; ANSWER];

/// For this long, what the kernel holds is taken to be unchanged if no packet and no call
/// has changed it. The kernel's timers may have.
const FRESH_NS: u64 = 1_000_000;

impl Diag {
    /// Opens the netlink socket on the calling thread's network. If that is refused,
    /// nothing is ever measured.
    pub(super) fn open() -> Diag {
        Diag::new(netlink().into_iter().collect())
    }

    /// What the kernel has no module for is never asked about: each question would make it
    /// start modprobe(8) and wait for it.
    fn new(sockets: Vec<OwnedFd>) -> Diag {
        let mut protocols = vec![libc::IPPROTO_TCP, libc::IPPROTO_UDP];
        protocols.retain(|it| sockets.iter().all(|socket| tells_about(socket, *it)));
        let sockets = if protocols.is_empty() { Vec::new() } else { sockets };
        Diag { sockets, protocols, ..Diag::default() }
    }

    /// Opens one on each host of a wire, because the sides are on networks of their own.
    pub(super) fn open_on(wire: &Wire) -> Diag {
        let open = |host| {
            // A thread stays on the network that it enters; this one ends right
            // afterwards.
            std::thread::scope(|scope| {
                let opened =
                    scope.spawn(move || wire.enter(host).and_then(|()| netlink()));
                opened.join().ok()?.ok()
            })
        };
        Diag::new([Host::A, Host::B].into_iter().filter_map(open).collect())
    }

    /// Whether anything can be measured here.
    pub(super) fn is_open(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Asks about this socket from now on, and about the other end of its connection.
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

    /// Asks from now on about both ends of the connection that a SYN opens.
    pub(super) fn follow_syn(&mut self, from: &str, to: &str) {
        if let (Some(from), Some(to)) = (address(from), address(to)) {
            self.add(libc::IPPROTO_TCP, from, Some(to));
        }
    }

    fn add(&mut self, protocol: i32, local: SocketAddr, peer: Option<SocketAddr>) {
        if !self.protocols.contains(&protocol) {
            return;
        }
        let mirror = peer.filter(|_| protocol == libc::IPPROTO_TCP);
        let both = [Some((local, peer)), mirror.map(|peer| (peer, Some(local)))];
        for (local, peer) in both.into_iter().flatten() {
            let pair = Endpoint { protocol, local, peer };
            if self.pairs.len() < PAIRS && !self.pairs.contains(&pair) {
                self.questions.extend(question(pair, self.pairs.len()));
                self.stale |= 1 << self.pairs.len();
                self.pairs.push(pair);
            }
        }
    }

    /// Records that something has happened that may change anything that the kernel holds: a
    /// socket was closed, a process ended.
    pub(super) fn note_change(&mut self) {
        self.stale = u32::MAX;
    }

    /// Records that something was sent or received between these two ports, or by the socket
    /// at the first if nobody knows the second: what the kernel holds of them may have
    /// changed, and nothing else.
    pub(super) fn note_ports(&mut self, one: u16, other: Option<u16>) {
        for (number, pair) in self.pairs.iter().enumerate() {
            let is = |address: &SocketAddr| {
                address.port() == one || other.is_none_or(|it| it == address.port())
            };
            let local = pair.local.port();
            let at_end = local == one || Some(local) == other;
            if at_end && pair.peer.as_ref().is_none_or(is) {
                self.stale |= 1 << number;
            }
        }
    }

    /// Like [`Diag::measure`], but the kernel is asked only about what may have changed since
    /// the last time; about everything once in a while.
    pub(super) fn measure_if_stale(&mut self, now_ns: u64) -> Option<Vec<Held>> {
        let old = now_ns.saturating_sub(self.asked_ns) >= FRESH_NS;
        match self.stale {
            _ if old => self.measure(now_ns),
            0 => None,
            u32::MAX => self.measure(now_ns),
            pairs => self.ask_about(pairs),
        }
    }

    /// What the kernel holds for a socket, as far as that is known without asking.
    pub(super) fn held(&self, inode: u64) -> Option<&Held> {
        let held = self.last.as_ref().filter(|_| self.stale == 0)?;
        held.iter().find(|it| it.socket == Some(inode))
    }

    /// The inode numbers of all datagram sockets that are bound to a port; `None` if the kernel
    /// does not tell.
    pub(super) fn datagram_sockets(&self) -> Option<HashSet<u64>> {
        if !self.is_open() || !self.protocols.contains(&libc::IPPROTO_UDP) {
            return None;
        }
        let mut all = HashSet::new();
        for socket in &self.sockets {
            for nobody in
                [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()]
            {
                list(socket, nobody, &mut all).ok()?;
            }
        }
        Some(all)
    }

    /// What the kernel holds now, if that has changed since the last time.
    pub(super) fn measure(&mut self, now_ns: u64) -> Option<Vec<Held>> {
        self.asked_ns = now_ns;
        self.ask_about(u32::MAX)
    }

    /// Asks about these pairs; of the others, what the kernel said last is still true.
    fn ask_about(&mut self, pairs: u32) -> Option<Vec<Held>> {
        if !self.is_open() {
            return None;
        }
        self.stale = 0;
        let mut answers = self.answers.clone();
        answers.resize(self.pairs.len(), [0; ANSWER]);
        let mut questions = Vec::with_capacity(self.questions.len());
        for (number, question) in self.questions.chunks_exact(HEAD + REQUEST).enumerate()
        {
            if pairs & 1 << number != 0 {
                answers[number] = [0; ANSWER];
                questions.extend_from_slice(question);
            }
        }
        for socket in &self.sockets {
            // Without an answer nothing is known, which is no reason to end the run.
            let _ = ask(socket, &questions, &mut self.buffers, &mut answers);
        }
        // Comparing the bytes takes a fraction of the time that parsing them takes.
        if self.last.is_some() && self.answers == answers {
            return None;
        }
        let mut held: Vec<Held> = Vec::new();
        for (pair, answer) in self.pairs.iter().zip(&answers) {
            // A listener and a socket for datagrams may have the same address.
            let is_same = |it: &Held, found: &Held| {
                it.local == found.local
                    && it.peer == found.peer
                    && it.state.is_some() == found.state.is_some()
            };
            if let Some(found) = read(*pair, answer)
                && !held.iter().any(|it| is_same(it, &found))
            {
                held.push(found);
            }
        }
        self.answers = answers;
        if self.last.as_ref() == Some(&held) {
            return None;
        }
        self.last = Some(held.clone());
        Some(held)
    }
}

/// Parses an address with a port. An IPv4 address that an IPv6 socket shows as
/// `::ffff:127.0.0.1` is looked up as that IPv4 address.
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
    Ok(socket)
}

/// Whether the kernel can tell anything about a protocol. The question is for all sockets
/// in no state at all, to which the answer is an empty list. To one about a single socket,
/// the answer is ENOENT both times: there is no such socket, or no module.
fn tells_about(socket: &OwnedFd, protocol: i32) -> bool {
    let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let pair = Endpoint { protocol, local: nobody, peer: None };
    let mut question = question(pair, 0);
    question[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    // idiag_states.
    question[HEAD + 4..HEAD + 8].fill(0);
    let mut answer = [0_u8; 512];
    let (fd, length) = (socket.as_raw_fd(), question.len());
    // SAFETY: both buffers are as long as said.
    let received = unsafe {
        if libc::send(fd, question.as_ptr().cast(), length, 0) < 0 {
            return false;
        }
        libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), libc::MSG_DONTWAIT)
    };
    let kind = i32::from(u16::from_ne_bytes([answer[4], answer[5]]));
    // The end of a list says why it ended: 0, or a negated errno.
    let ended_well = answer[HEAD..HEAD + 4] == [0; 4];
    received >= HEAD as isize + 4 && kind == libc::NLMSG_DONE && ended_well
}

/// Adds the inode numbers of the datagram sockets of an address family.
///
/// # Errors
/// Those of the netlink socket, and `EAGAIN` if the list has no end.
fn list(socket: &OwnedFd, nobody: IpAddr, to: &mut HashSet<u64>) -> io::Result<()> {
    let any = SocketAddr::new(nobody, 0);
    let pair = Endpoint { protocol: libc::IPPROTO_UDP, local: any, peer: None };
    let mut question = question(pair, 0);
    question[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    let fd = socket.as_raw_fd();
    // SAFETY: the buffer is as long as said.
    check(unsafe { libc::send(fd, question.as_ptr().cast(), question.len(), 0) } as _)?;
    // The kernel makes no longer piece of a list.
    let mut piece = vec![0_u8; 32 * 1024];
    loop {
        // SAFETY: as above.
        let received = unsafe {
            let (to, length) = (piece.as_mut_ptr().cast(), piece.len());
            libc::recv(fd, to, length, libc::MSG_DONTWAIT)
        };
        // EAGAIN if the list has no end.
        let length = check(received as _)? as usize;
        if listed(&piece[..length], to) {
            return Ok(());
        }
    }
}

/// Reads a piece of a list of sockets; whether it is the last one, and says that all is well.
fn listed(mut piece: &[u8], to: &mut HashSet<u64>) -> bool {
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    while let Some(length) = word(piece, 0).map(|it| it as usize) {
        let Some(message) = piece.get(..length).filter(|it| it.len() >= HEAD) else {
            return false;
        };
        match i32::from(u16::from_ne_bytes([message[4], message[5]])) {
            libc::NLMSG_DONE => return word(message, HEAD) == Some(0),
            kind if kind == i32::from(BY_FAMILY) => {
                let inode = word(message, HEAD + INODE_AT).filter(|it| *it != 0);
                to.extend(inode.map(u64::from));
            }
            _ => {}
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// Asks these questions with one call and takes the answers with another: the kernel has
/// answered before send(2) returns. An end that has its answer already keeps it.
fn ask(
    socket: &OwnedFd,
    questions: &[u8],
    buffers: &mut Vec<Buffer>,
    to: &mut [Answer],
) -> io::Result<()> {
    let count = (questions.len() / (HEAD + REQUEST)).min(PAIRS);
    if count == 0 {
        return Ok(());
    }
    let fd = socket.as_raw_fd();
    // SAFETY: the buffer is as long as said.
    check(unsafe { libc::send(fd, questions.as_ptr().cast(), questions.len(), 0) } as _)?;
    buffers.resize(count.max(buffers.len()), [0; 512]);
    // SAFETY: all zeroes is a valid value of both plain structures.
    let (mut pieces, mut messages): ([libc::iovec; PAIRS], [libc::mmsghdr; PAIRS]) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    for ((buffer, piece), message) in
        buffers.iter_mut().zip(&mut pieces).zip(&mut messages).take(count)
    {
        *piece =
            libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    let flags = libc::MSG_DONTWAIT;
    let no_timeout = std::ptr::null_mut();
    // SAFETY: the first `count` of these headers have one piece each, which points to a buffer
    // of its own of the stated length; all of them outlive the call.
    let received = unsafe {
        libc::recvmmsg(fd, messages.as_mut_ptr(), count as _, flags as _, no_timeout)
    };
    let received = check(received.into())? as usize;
    for (buffer, message) in buffers.iter().zip(&messages).take(received) {
        let Some((number, answer)) = answered(&buffer[..message.msg_len as usize]) else {
            continue;
        };
        if let Some(to) = to.get_mut(number)
            && *to == [0; ANSWER]
        {
            *to = answer;
        }
    }
    Ok(())
}

/// Which question an answer belongs to, and what it says; `None` for an error or a
/// truncated answer.
fn answered(bytes: &[u8]) -> Option<(usize, Answer)> {
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let number = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    let mut answer: Answer = bytes.get(HEAD..HEAD + ANSWER)?.try_into().ok()?;
    if kind != BY_FAMILY {
        return None;
    }
    // idiag_timer, idiag_retrans and idiag_expires change with the clock, and are not
    // reported.
    answer[2..4].fill(0);
    answer[52..56].fill(0);
    Some((number as usize, answer))
}

/// Question number `number`: a `struct nlmsghdr` and a `struct inet_diag_req_v2`.
fn question(pair: Endpoint, number: usize) -> Vec<u8> {
    let Endpoint { protocol, local, peer } = pair;
    let any = SocketAddr::new(
        if local.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        },
        0,
    );
    let peer = peer.unwrap_or(any);
    // For UDP, the kernel swaps source and destination.
    let (source, destination) =
        if protocol == libc::IPPROTO_UDP { (peer, local) } else { (local, peer) };
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut it = Vec::with_capacity(HEAD + REQUEST);
    it.extend(((HEAD + REQUEST) as u32).to_ne_bytes());
    it.extend(BY_FAMILY.to_ne_bytes());
    it.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    // nlmsg_seq, which the answer repeats, and nlmsg_pid.
    it.extend((number as u32).to_ne_bytes());
    it.extend([0; 4]);
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
    // No cookie: any socket with these addresses.
    it.extend([0xff; 8]);
    it
}

/// Parses an answer; `None` if there is no such socket.
fn read(pair: Endpoint, body: &Answer) -> Option<Held> {
    if *body == [0; ANSWER] {
        return None;
    }
    let word = |at: usize| body[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
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
        recv_q: word(56),
        send_q: word(60),
        socket: Some(u64::from(word(INODE_AT))).filter(|inode| *inode != 0),
    })
}

/// The name of a state in RFC 9293 §3.3.2, from its number in `net/tcp_states.h`.
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

    /// Opens it, or says that the test is skipped.
    fn opened() -> Option<Diag> {
        let diag = Diag::open();
        if !diag.is_open() {
            let why = "the kernel refuses a netlink socket of sock_diag(7)";
            testkit::skip("what the kernel holds", why);
        }
        diag.is_open().then_some(diag)
    }

    /// The measurement of the end with this local address and, if given, this peer.
    fn of(held: &[Held], local: SocketAddr, peer: Option<SocketAddr>) -> Option<Held> {
        let peer = peer.map(|it| it.to_string());
        held.iter().find(|it| it.local == local.to_string() && it.peer == peer).cloned()
    }

    #[test]
    fn what_nobody_has_accepted_is_seen_with_its_bytes() {
        let Some(mut diag) = opened() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(server).unwrap();
        let client = stream.local_addr().unwrap();
        stream.write_all(b"sixteen bytes ok").unwrap();
        diag.follow(&socket("SOCK_STREAM", server, None));
        diag.follow(&socket("SOCK_STREAM", client, Some(server)));

        let is_there = |held: &Held| held.peer.is_some() && held.recv_q == 16;
        testkit::until("the bytes are there", || {
            diag.measure(0);
            diag.last.iter().flatten().any(is_there)
        });
        let held = diag.last.clone().unwrap();
        let listening = of(&held, server, None).unwrap();
        assert_eq!(listening.state.as_deref(), Some("LISTEN"));
        // One connection is waiting to be accepted, which is what Recv-Q counts for a
        // listener.
        assert_eq!(listening.recv_q, 1);
        let queued = of(&held, server, Some(client)).unwrap();
        assert_eq!((queued.state.as_deref(), queued.recv_q), (Some("ESTABLISHED"), 16));
        assert_eq!(queued.socket, None, "no program has it yet");
        assert!(of(&held, client, Some(server)).unwrap().socket.is_some());
        testkit::until("nothing is new", || diag.measure(0).is_none());

        drop(listener.accept().unwrap());
        let held = diag.measure(0).unwrap();
        assert_eq!(of(&held, server, None).unwrap().recv_q, 0);
    }

    #[test]
    fn what_the_kernel_has_no_module_for_is_not_asked_about() {
        let Some(mut diag) = opened() else { return };
        // 253 is for experiments (RFC 3692); no kernel knows it.
        assert!(!tells_about(&diag.sockets[0], 253));
        diag.protocols.retain(|it| tells_about(&diag.sockets[0], *it));
        assert!(diag.protocols.contains(&libc::IPPROTO_TCP));
        diag.protocols.clear();
        let local = SocketAddr::from(([127, 0, 0, 1], 9));
        diag.follow(&socket("SOCK_STREAM", local, None));
        assert_eq!(diag.pairs, []);
    }

    #[test]
    fn a_datagram_socket_is_found_by_its_port() {
        let Some(mut diag) = opened() else { return };
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = receiver.local_addr().unwrap();
        diag.follow(&socket("SOCK_DGRAM", local, None));
        let held = diag.measure(0).unwrap();
        assert_eq!(of(&held, local, None).unwrap().recv_q, 0);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"datagram", local).unwrap();
        let held = diag.measure(0).unwrap();
        let waiting = of(&held, local, None).unwrap();
        assert!(waiting.recv_q >= 8, "{waiting:?}");
        assert_eq!(waiting.state, None);
    }

    #[test]
    fn every_datagram_socket_is_listed_until_its_last_copy_is_closed() {
        use std::os::unix::fs::MetadataExt as _;
        let Some(diag) = opened() else { return };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let copy = OwnedFd::from(socket.try_clone().unwrap());
        let link = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let inode = std::fs::metadata(link).unwrap().ino();
        let is_listed = || diag.datagram_sockets().unwrap().contains(&inode);
        assert!(is_listed());
        drop(socket);
        assert!(is_listed(), "its copy is open");
        drop(copy);
        // A child that another test is starting has one as well, until its exec(3).
        testkit::until("the last copy is closed", || !is_listed());
    }

    #[test]
    fn a_list_that_is_cut_has_no_end() {
        let message = |kind: i32, body: &[u8]| {
            let mut it = vec![0; HEAD];
            it[0] = (HEAD + body.len()) as u8;
            it[4] = kind as u8;
            it.extend(body);
            it
        };
        let mut body = [0; ANSWER];
        body[INODE_AT] = 7;
        let mut whole = message(BY_FAMILY.into(), &body);
        whole.extend(message(libc::NLMSG_DONE, &[0; 4]));
        let mut found = HashSet::new();
        assert!(listed(&whole, &mut found));
        assert_eq!(found, [7].into());
        for length in 0..whole.len() {
            assert!(!listed(&whole[..length], &mut HashSet::new()), "{length}");
        }
        // Neither is one that the kernel broke off, or a message without a length.
        let broken = message(libc::NLMSG_DONE, &(-libc::EINTR).to_ne_bytes());
        assert!(!listed(&broken, &mut HashSet::new()));
        assert!(!listed(&[0; 64], &mut HashSet::new()));
    }

    #[test]
    fn only_what_may_have_changed_is_asked_about() {
        let Some(mut diag) = opened() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let mut streams = [(); 2].map(|()| TcpStream::connect(server).unwrap());
        let clients = streams.each_ref().map(|it| it.local_addr().unwrap());
        diag.follow(&socket("SOCK_STREAM", server, None));
        for client in clients {
            diag.follow(&socket("SOCK_STREAM", client, Some(server)));
        }
        // What waits at the server's end of each, as far as the kernel was asked.
        let waiting = |diag: &Diag| {
            let held = diag.last.as_deref().unwrap_or_default();
            clients.map(|client| of(held, server, Some(client)).map(|it| it.recv_q))
        };
        testkit::until("both are established", || {
            diag.measure(0);
            waiting(&diag) == [Some(0); 2]
        });

        streams.iter_mut().for_each(|it| it.write_all(b"sixteen bytes ok").unwrap());
        testkit::until("the bytes are there", || {
            diag.note_ports(clients[0].port(), Some(server.port()));
            diag.measure_if_stale(1);
            waiting(&diag)[0] == Some(16)
        });
        assert_eq!(
            waiting(&diag),
            [Some(16), Some(0)],
            "nobody has asked about the second"
        );
        assert_eq!(diag.measure_if_stale(1), None);
        testkit::until("all are asked about once in a while", || {
            diag.asked_ns = 0;
            diag.measure_if_stale(FRESH_NS);
            waiting(&diag) == [Some(16); 2]
        });
    }

    #[test]
    fn an_answer_that_is_cut_or_an_error_is_none() {
        let pair = Endpoint {
            protocol: libc::IPPROTO_TCP,
            local: "127.0.0.1:1".parse().unwrap(),
            peer: None,
        };
        let mut whole = vec![0; HEAD + ANSWER];
        whole[4] = BY_FAMILY as u8;
        whole[8] = 7;
        whole[HEAD] = libc::AF_INET as u8;
        let (number, answer) = answered(&whole).unwrap();
        assert_eq!(number, 7);
        assert!(read(pair, &answer).is_some());
        for length in 0..whole.len() {
            assert_eq!(answered(&whole[..length]), None, "{length}");
        }
        whole[4] = libc::NLMSG_ERROR as u8;
        assert_eq!(answered(&whole), None);
        assert_eq!(read(pair, &[0; ANSWER]), None);
    }

    #[test]
    fn each_of_many_ends_gets_its_own_answer() {
        let Some(mut diag) = opened() else { return };
        // Every second one is gone by the time the kernel is asked.
        let all: Vec<TcpListener> =
            (0..PAIRS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let mut there = Vec::new();
        for (number, listener) in all.into_iter().enumerate() {
            diag.follow(&socket("SOCK_STREAM", listener.local_addr().unwrap(), None));
            if number % 2 == 0 {
                there.push(listener);
            }
        }
        let expected: Vec<String> =
            there.iter().map(|it| it.local_addr().unwrap().to_string()).collect();
        // A child that another test is starting has copies of all, until its exec(3).
        testkit::until("the others are closed", || {
            diag.measure(0);
            let found = diag.last.iter().flatten().map(|it| &it.local);
            found.eq(&expected)
        });
        assert_eq!(diag.measure_if_stale(FRESH_NS - 1), None, "nothing has happened");
    }
}
