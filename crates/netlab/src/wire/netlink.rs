//! The two requests that ioctl(2) cannot make: `rtnetlink(7)`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// From `linux/veth.h`: the attribute for the other end of the pair.
const VETH_INFO_PEER: u16 = 1;

/// A request under construction; its header is the first 16 bytes.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: libc::c_int, index: i32) -> Request {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
        bytes[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
        let mut request = Request(bytes);
        request.card(index);
        request
    }

    /// Appends a `struct ifinfomsg`.
    fn card(&mut self, index: i32) {
        self.0.extend([0; 4]);
        self.0.extend(index.to_ne_bytes());
        self.0.extend([0; 8]);
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.nested(kind, |request| request.0.extend(value));
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Request)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// Sends the request and waits for the kernel's answer.
    fn send(mut self) -> io::Result<()> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        // SAFETY: socket takes three numbers; the descriptor it returns is ours alone.
        let socket = unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            let fd = libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let fd = socket.as_raw_fd();
        // SAFETY: the kernel reads exactly as many bytes as there are.
        let sent = unsafe { libc::send(fd, self.0.as_ptr().cast(), self.0.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = [0_u8; 1024];
        // SAFETY: the kernel writes no more than the buffer holds.
        let came = unsafe { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
        if came < 0 {
            return Err(io::Error::last_os_error());
        }
        // A `struct nlmsghdr`, then the negative errno of `struct nlmsgerr`; 0 means
        // success.
        let errno = answer[16..20].first_chunk().map_or(0, |it| i32::from_ne_bytes(*it));
        if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-errno)) }
    }
}

/// Sets how many packets can wait in a card's queue.
pub(super) fn set_queue_length(index: i32, packets: u32) -> io::Result<()> {
    let mut request = Request::new(libc::RTM_NEWLINK, 0, index);
    request.attribute(libc::IFLA_TXQLEN, &packets.to_ne_bytes());
    request.send()
}

/// Creates a veth pair: `outer` on this network, and `inner`, with the address `mac`, on
/// another.
pub(super) fn add_veth(
    outer: &str,
    inner: &str,
    mac: [u8; 6],
    network: &OwnedFd,
) -> io::Result<()> {
    let name = |name: &str| [name.as_bytes(), &[0]].concat();
    let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut request = Request::new(libc::RTM_NEWLINK, flags, 0);
    request.attribute(libc::IFLA_IFNAME, &name(outer));
    request.nested(libc::IFLA_LINKINFO, |request| {
        request.attribute(libc::IFLA_INFO_KIND, b"veth");
        request.nested(libc::IFLA_INFO_DATA, |request| {
            request.nested(VETH_INFO_PEER, |request| {
                request.card(0);
                request.attribute(libc::IFLA_IFNAME, &name(inner));
                request.attribute(libc::IFLA_ADDRESS, &mac);
                let fd = network.as_raw_fd().to_ne_bytes();
                request.attribute(libc::IFLA_NET_NS_FD, &fd);
            });
        });
    });
    request.send()
}
