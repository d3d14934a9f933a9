//! The network cards of the two hosts: a TUN device or one end of a veth pair for each.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::netlink;
use super::rules::Host;
use crate::capture::{Capture, CaptureSize};

/// The name of a host's network card, as the host sees it.
pub(super) const CARD: &str = "wire0";

/// The wire's end of a host's network card.
#[derive(Debug)]
pub(super) enum End {
    /// A descriptor of `/dev/net/tun`: what is read from it was sent, what is written to
    /// it arrives. With large pieces, each packet is preceded by `before` bytes, which
    /// say how a card would cut it into segments; they must travel with the packet.
    Tun { fd: OwnedFd, before: usize },
    /// An `AF_PACKET` socket on the outer end of a veth pair. The buffer of a plain one
    /// is too small, and a larger one is not allowed here, so its queue is a ring.
    Veth { capture: Capture, index: i32, mac: [u8; 6] },
    /// The card was given away: the wire is over.
    Gone,
}

impl End {
    pub(super) fn fd(&self) -> RawFd {
        match self {
            End::Tun { fd, .. } => fd.as_raw_fd(),
            End::Veth { capture, .. } => capture.descriptor(),
            End::Gone => -1,
        }
    }

    /// The descriptor, if it is a TUN device.
    pub(super) fn tun(&self) -> Option<BorrowedFd<'_>> {
        match self {
            End::Tun { fd, .. } => Some(fd.as_fd()),
            End::Veth { .. } | End::Gone => None,
        }
    }

    /// How many bytes precede the IP header of what is received and sent.
    pub(super) fn before(&self) -> usize {
        match self {
            End::Tun { before, .. } => *before,
            End::Veth { .. } | End::Gone => 0,
        }
    }

    /// Receives the next packet that the host sent and returns its length: the packet
    /// starts at its IP header, preceded by [`before`](Self::before) bytes. `None` if
    /// there is no packet.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let fd = match self {
            End::Tun { fd, .. } => fd.as_raw_fd(),
            End::Veth { capture, .. } => {
                let mut length = None;
                capture.next(|packet| {
                    buffer[..packet.bytes.len()].copy_from_slice(packet.bytes);
                    length = Some(packet.bytes.len());
                });
                return Ok(length);
            }
            End::Gone => return Ok(None),
        };
        // SAFETY: the kernel writes at most as many bytes as the buffer holds.
        let length = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        if length >= 0 {
            return Ok(Some(length as usize));
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        }
    }

    /// Delivers a packet to the host. By the time this returns, the host's kernel has
    /// done all that it does on arrival, except what it leaves to timers.
    pub(super) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let (pointer, length) = (packet.as_ptr().cast(), packet.len());
        let sent = match self {
            // SAFETY: the kernel reads `length` bytes of the packet.
            End::Tun { fd, .. } => unsafe {
                libc::write(fd.as_raw_fd(), pointer, length)
            },
            End::Veth { capture, index, mac } => {
                let six = packet.first().is_some_and(|first| first >> 4 == 6);
                let kind = if six { libc::ETH_P_IPV6 } else { libc::ETH_P_IP };
                let mut to = link_address(*index, kind as u16);
                to.sll_halen = 6;
                to.sll_addr[..6].copy_from_slice(mac);
                // SAFETY: the packet and the sockaddr_ll outlive the call.
                unsafe {
                    libc::sendto(
                        capture.descriptor(),
                        pointer,
                        length,
                        0,
                        (&raw const to).cast(),
                        size_of_val(&to) as libc::socklen_t,
                    )
                }
            }
            End::Gone => return Err(io::ErrorKind::NotConnected.into()),
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The number of packets that came faster than they were taken, on a veth pair. Those
    /// of a TUN device wait in the device's queue, and the device counts what does not
    /// fit.
    pub(super) fn overrun(&mut self) -> u64 {
        match self {
            End::Tun { .. } | End::Gone => 0,
            End::Veth { capture, .. } => capture.lost(),
        }
    }
}

/// The form in which a TUN device hands over packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// Packets as they travel, each with its checksum.
    Packets,
    /// Up to 64 KiB of a stream at once, without checksums: the kernel leaves to the card
    /// what a card can do. Rules that count or damage segments cannot work on these.
    Large,
}

/// Bytes of `struct virtio_net_hdr`.
const LARGE_HEADER: usize = 10;

/// Opens a TUN device on the calling thread's network.
pub(super) fn open_tun(pieces: Pieces) -> io::Result<End> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    let mut request = card_request(CARD);
    let header = if pieces == Pieces::Large { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags =
        (libc::IFF_TUN | libc::IFF_NO_PI | header) as libc::c_short;
    let fd = file.as_raw_fd();
    // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
    if unsafe { libc::ioctl(fd, libc::TUNSETIFF as _, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if pieces == Pieces::Packets {
        return Ok(End::Tun { fd: file.into(), before: 0 });
    }
    let offloads = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    // SAFETY: TUNSETOFFLOAD takes a number.
    let result =
        unsafe { libc::ioctl(fd, libc::TUNSETOFFLOAD as _, offloads as libc::c_ulong) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(End::Tun { fd: file.into(), before: LARGE_HEADER })
}

/// Creates a veth pair for each host on the calling thread's network, and moves the inner
/// ends to the given networks.
pub(super) fn open_veths(hosts: [&OwnedFd; 2]) -> io::Result<[End; 2]> {
    let open = |host: Host, network: &OwnedFd| {
        let outer = format!("to-{host}");
        let mac = [2, 0, 0, 0, 0, host.index() as u8 + 1];
        netlink::add_veth(&outer, CARD, mac, network)?;
        raise(&outer)?;
        let index = index_of(&outer)?;
        let name = std::ffi::CString::new(outer)?;
        let capture = Capture::open_on(&name, WAITING)?;
        bypass_queue(capture.descriptor())?;
        Ok::<_, io::Error>(End::Veth { capture, index, mac })
    };
    Ok([open(Host::A, hosts[0])?, open(Host::B, hosts[1])?])
}

/// How many whole packets can wait for the wire on a veth pair: 16 MiB for each host.
const WAITING: CaptureSize = CaptureSize { packet_bytes: 1_600, packets: 8_192 };

/// Makes what is sent go to the card at once. The kernel attaches a card's queue some
/// time after the other end came up, and silently drops whatever was queued before that.
fn bypass_queue(socket: RawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value lives through the call and has the length given.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_PACKET,
            PACKET_QDISC_BYPASS,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `linux/if_packet.h`.
const PACKET_QDISC_BYPASS: libc::c_int = 20;

fn link_address(index: i32, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index;
    address
}

/// An ifreq that names a network card.
fn card_request(card: &str) -> libc::ifreq {
    // SAFETY: an ifreq of zeros is a valid value: it holds numbers and arrays alone.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    for (to, from) in name.zip(card.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request
}

pub(super) fn index_of(card: &str) -> io::Result<i32> {
    let name = std::ffi::CString::new(card)?;
    // SAFETY: a NUL-terminated name.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index.cast_signed()),
    }
}

/// Asks the kernel about a card by ioctl(2): `netdevice(7)`.
fn ask(
    family: libc::c_int,
    code: libc::c_ulong,
    request: *const libc::c_void,
) -> io::Result<()> {
    // SAFETY: socket takes three numbers; the descriptor it returns is ours alone.
    let socket = unsafe {
        let fd = libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: every caller passes the structure that the code asks for, alive through the
    // call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), code as _, request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Brings a card up.
pub(super) fn raise(card: &str) -> io::Result<()> {
    flags(card, libc::IFF_UP | libc::IFF_RUNNING)
}

fn flags(card: &str, flags: libc::c_int) -> io::Result<()> {
    let mut request = card_request(card);
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    ask(libc::AF_INET, libc::SIOCSIFFLAGS, (&raw const request).cast())
}

/// From `linux/ethtool.h`: the switches for work that a card does in place of the kernel.
const OFFLOADS: [u32; 4] = [
    0x17, /* STXCSUM */
    0x1f, /* STSO */
    0x24, /* SGSO */
    0x2c, /* SGRO */
];

/// `linux/sockios.h`.
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// `struct ethtool_value`.
#[repr(C)]
struct Switch {
    command: u32,
    on: u32,
}

/// Makes the kernel fill in checksums itself, and send no more than one packet at a time.
pub(super) fn switch_offloads_off(card: &str) -> io::Result<()> {
    for command in OFFLOADS {
        let mut switch = Switch { command, on: 0 };
        let mut request = card_request(card);
        request.ifr_ifru.ifru_data = (&raw mut switch).cast();
        ask(libc::AF_INET, SIOCETHTOOL, (&raw const request).cast())?;
    }
    Ok(())
}

/// Brings up a card that looks for no neighbours: every packet goes to the other end.
pub(super) fn raise_without_neighbours(card: &str) -> io::Result<()> {
    flags(card, libc::IFF_NOARP)?;
    flags(card, libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_NOARP)
}

/// Gives a card the address `10.77.0.LAST` on a /24 network. `label` is the name of the
/// card, or the name with `:1` appended for a second address.
pub(super) fn add_ipv4(label: &str, last: u8) -> io::Result<()> {
    let address = |octets: [u8; 4]| {
        // SAFETY: all zeroes is a valid sockaddr_in.
        let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from_ne_bytes(octets);
        address
    };
    let mut request = card_request(label);
    for (code, octets) in [
        (libc::SIOCSIFADDR, [10, 77, 0, last]),
        (libc::SIOCSIFNETMASK, [255, 255, 255, 0]),
    ] {
        let value = address(octets);
        // SAFETY: a sockaddr_in has the size of a sockaddr.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(value) };
        ask(libc::AF_INET, code, (&raw const request).cast())?;
    }
    Ok(())
}

/// `struct in6_ifreq` of `linux/ipv6.h`.
#[repr(C)]
struct Ipv6Request {
    address: [u8; 16],
    prefix: u32,
    index: i32,
}

/// Gives a card the address `fd77::LAST` on a /64 network.
pub(super) fn add_ipv6(card: &str, last: u8) -> io::Result<()> {
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfd, 0x77, last);
    let request = Ipv6Request { address, prefix: 64, index: index_of(card)? };
    ask(libc::AF_INET6, libc::SIOCSIFADDR, (&raw const request).cast())
}
