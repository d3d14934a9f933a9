//! Captures the packets on the calling thread's loopback interface.
//!
//! The kernel copies every packet into a ring that it shares with us (`packet(7)`,
//! `TPACKET_V2`), so reading one costs no system call, and a burst is not lost while the
//! reader is busy. On a private network this needs no root: the owner of the namespace
//! has `CAP_NET_RAW` there.
#![allow(unsafe_code)] // The ring is memory that the kernel writes.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// How much of each packet a capture keeps, and how many packets at once.
#[derive(Debug, Clone, Copy)]
pub struct CaptureSize {
    /// The most bytes kept of one packet. Longer packets are cut; their full length is
    /// still known.
    pub packet_bytes: usize,
    /// How many packets the ring holds before the kernel drops new ones.
    pub packets: usize,
}

impl Default for CaptureSize {
    /// 1,024 packets, each with its headers and 256 bytes of data: half a MiB.
    fn default() -> Self {
        CaptureSize::with_data(256)
    }
}

impl CaptureSize {
    /// 1,024 packets, each with its headers (IPv6 and TCP with all options: 100 bytes)
    /// and up to `data_bytes` of what it carries.
    pub fn with_data(data_bytes: usize) -> Self {
        CaptureSize { packet_bytes: data_bytes.saturating_add(100), packets: 1024 }
    }

    /// 256 whole packets, up to the largest that loopback carries: 17 MiB.
    pub fn whole_packets() -> Self {
        CaptureSize { packet_bytes: LONGEST_PACKET_BYTES, packets: 256 }
    }
}

/// A captured packet, starting at its IP header.
#[derive(Debug, Clone, Copy)]
pub struct CapturedPacket<'a> {
    /// Nanoseconds since the Unix epoch, stamped by the kernel.
    pub time_ns: u64,
    /// The packet from its IP header on, cut to [`CaptureSize::packet_bytes`].
    pub bytes: &'a [u8],
    /// Its length on the wire, in bytes.
    pub length: usize,
}

/// An open capture on the loopback interface of the thread that opened it.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    ring: NonNull<u8>,
    ring_bytes: usize,
    frame_bytes: usize,
    frames: usize,
    next: usize,
    lost: u64,
    /// What the kernel's collector finds. Dropped after `socket`, so that the collector
    /// is the last to hold it.
    left: Option<[UnixDatagram; 2]>,
}

// SAFETY: the ring is a mapping of this process, owned by this value alone; on our side,
// only the thread that holds `&mut Capture` reads or writes it.
unsafe impl Send for Capture {}

/// The longest packet that loopback carries: 65,535 bytes of IPv6 payload and a 40-byte
/// header.
const LONGEST_PACKET_BYTES: usize = 65_575;

/// Bytes at the start of a frame: `struct tpacket2_hdr` and the link address, rounded up.
const FRAME_HEAD_BYTES: usize = 96;

impl Capture {
    /// Starts capturing what the loopback interface delivers, both IPv4 and IPv6. Each
    /// packet is seen once, on arrival.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW` in this network namespace; `ENODEV` without loopback;
    /// `ENOMEM` where the ring does not fit.
    pub fn open(size: CaptureSize) -> io::Result<Capture> {
        Capture::open_on(c"lo", size)
    }

    /// Like [`Capture::open`], for any interface.
    pub(crate) fn open_on(interface: &CStr, size: CaptureSize) -> io::Result<Capture> {
        // SAFETY: plain socket(2), no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        set_option(&socket, libc::PACKET_VERSION, &1_i32)?; // TPACKET_V2
        // Loopback shows each packet twice, leaving and arriving; the second is enough.
        if set_option(&socket, PACKET_IGNORE_OUTGOING, &1_i32).is_err() {
            // Before Linux 4.20.
            ignore_outgoing(&socket)?;
        }

        let layout = Layout::new(size);
        let Layout { frame_bytes, frames, block_bytes, ring_bytes } = layout;
        let request = TpacketRequest {
            block_size: block_bytes as u32,
            block_nr: (ring_bytes / block_bytes) as u32,
            frame_size: frame_bytes as u32,
            frame_nr: frames as u32,
        };
        set_option(&socket, libc::PACKET_RX_RING, &request)?;
        // SAFETY: maps the ring just made, of exactly this size; the result is checked.
        let ring = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                ring_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if ring == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(ring) = NonNull::new(ring.cast::<u8>()) else {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        };
        let capture = Capture {
            socket,
            ring,
            ring_bytes,
            frame_bytes,
            frames,
            next: 0,
            lost: 0,
            left: None,
        };

        bind_to(&capture.socket, interface)?;
        Ok(capture)
    }

    /// Hands over every packet that has arrived since the last call, in order of arrival.
    pub fn drain(&mut self, mut each: impl FnMut(CapturedPacket<'_>)) {
        while self.next(&mut each) {}
    }

    /// Hands over the next packet. Returns whether there was one.
    pub(crate) fn next(&mut self, each: impl FnOnce(CapturedPacket<'_>)) -> bool {
        // SAFETY: `next < frames`, so the frame lies within the mapping.
        let frame = unsafe { self.ring.as_ptr().add(self.next * self.frame_bytes) };
        // SAFETY: the first word of a frame is its status, aligned to the page; the
        // kernel writes it too, hence the atomic.
        let status = unsafe { AtomicU32::from_ptr(frame.cast()) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: the kernel gave this frame to us (TP_STATUS_USER, read with acquire)
        // and leaves it alone until the status is set back below.
        let (head, all) = unsafe {
            (
                &*frame.cast::<libc::tpacket2_hdr>(),
                std::slice::from_raw_parts(frame, self.frame_bytes),
            )
        };
        let start = usize::from(head.tp_net);
        let end = start.saturating_add(head.tp_snaplen as usize);
        if let Some(bytes) = all.get(start..end.min(all.len())) {
            let time_ns =
                u64::from(head.tp_sec) * 1_000_000_000 + u64::from(head.tp_nsec);
            each(CapturedPacket { time_ns, bytes, length: head.tp_len as usize });
        }
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.frames;
        true
    }

    /// The socket: readable when there is a packet.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The number of packets that the kernel has dropped since the capture began, because
    /// the ring was full.
    pub fn lost(&mut self) -> u64 {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the buffer is a tpacket_stats of the length given. Reading resets it.
        let read = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        if read == 0 {
            self.lost += u64::from(stats.tp_drops);
        }
        self.lost
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // SAFETY: unmaps what `open` mapped; nothing borrows from it any more.
        unsafe { libc::munmap(self.ring.as_ptr().cast(), self.ring_bytes) };
        // If the kernel refuses, closing the descriptor waits instead.
        self.left = leave_to_collector(&self.socket).ok();
    }
}

/// Lets the kernel close the socket in its own time, after this process has exited if
/// need be.
///
/// Closing a capture waits for two RCU grace periods, measured at 16 to 28 ms. A
/// descriptor that lies unread in an `AF_UNIX` socket stays open, and nobody can read a
/// socket that lies in its own queue. The kernel has a garbage collector for such sockets
/// (`unix(7)`, `SCM_RIGHTS`), and it runs while we go on.
///
/// The collector starts when a socket is closed somewhere, and skips any socket that
/// somebody still holds until the next one is closed. So `far`, which lies in its own
/// queue, must be closed before `near`. A child that is being started closes its copies
/// in order of their numbers, which is the same order.
fn leave_to_collector(socket: &OwnedFd) -> io::Result<[UnixDatagram; 2]> {
    let (far, near) = UnixDatagram::pair()?;
    let descriptors = [far.as_raw_fd(), socket.as_raw_fd()];
    let bytes = size_of_val(&descriptors) as libc::c_uint;
    // An array of u64, because a `cmsghdr` must be aligned like one.
    let mut control = [0_u64; 8];
    // SAFETY: all zeroes is a valid msghdr. The control buffer is aligned and longer than
    // CMSG_SPACE(8), which is 24 bytes; CMSG_FIRSTHDR and CMSG_DATA point into it, and
    // all of it outlives the call.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(bytes) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(bytes) as _;
        libc::CMSG_DATA(head).cast::<[RawFd; 2]>().write_unaligned(descriptors);
        libc::sendmsg(near.as_raw_fd(), &raw const message, 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok([far, near]) }
}

/// How the ring is divided. The kernel allocates it in blocks of whole pages and lets no
/// frame cross the end of a block, so a frame is either a page divided by a power of two
/// or a number of whole pages: that leaves no gaps.
#[derive(Debug, Clone, Copy)]
struct Layout {
    frame_bytes: usize,
    frames: usize,
    block_bytes: usize,
    ring_bytes: usize,
}

impl Layout {
    fn new(size: CaptureSize) -> Layout {
        // SAFETY: asks for a number. Pages are 4 KiB on x86_64, and up to 64 KiB on
        // aarch64.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).unwrap_or(4096);
        let longest = size.packet_bytes.min(LONGEST_PACKET_BYTES) + FRAME_HEAD_BYTES;
        let frame_bytes = if longest > page {
            longest.next_multiple_of(page)
        } else {
            longest.next_power_of_two()
        };
        let block_bytes = frame_bytes.max(page);
        let ring_bytes =
            (frame_bytes * size.packets.max(1)).next_multiple_of(block_bytes);
        Layout { frame_bytes, frames: ring_bytes / frame_bytes, block_bytes, ring_bytes }
    }
}

/// `struct tpacket_req` of `linux/if_packet.h`.
#[repr(C)]
struct TpacketRequest {
    block_size: u32,
    block_nr: u32,
    frame_size: u32,
    frame_nr: u32,
}

/// From `linux/if_packet.h`, since Linux 4.20.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Makes a packet socket receive all packets of one interface (`bind(2)`, `packet(7)`).
fn bind_to(socket: &OwnedFd, interface: &CStr) -> io::Result<()> {
    // SAFETY: a NUL-terminated name.
    let index = unsafe { libc::if_nametoindex(interface.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index as i32;
    // SAFETY: the address is a sockaddr_ll of the length given.
    let bound = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if bound < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Puts a filter before the socket that drops what leaves (`SO_ATTACH_FILTER`,
/// `socket(7)`).
fn ignore_outgoing(socket: &OwnedFd) -> io::Result<()> {
    let step = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    // Packets are of one of the types of `packet(7)`.
    let kind = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();
    let outgoing = u32::from(libc::PACKET_OUTGOING);
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, kind),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, outgoing),
        step(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0),
    ];
    let program =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    set_option_of(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set_option<T>(socket: &OwnedFd, name: libc::c_int, value: &T) -> io::Result<()> {
    set_option_of(socket, libc::SOL_PACKET, name, value)
}

fn set_option_of<T>(
    socket: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the value lives through the call and has the length given. The program of a
    // filter points to an array that lives through it as well.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
