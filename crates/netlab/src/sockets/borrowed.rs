//! Another process's sockets, borrowed to ask them a question: `pidfd_getfd(2)`.
#![allow(
    unsafe_code,
    reason = "pidfd_open(2), pidfd_getfd(2), getsockopt(2) have no safe form"
)]

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{SocketAddr as SocketName, UnixStream};

use super::{Ends, Transport};

/// Whether process `pid` has a listening socket, or a datagram socket with a name. `None`
/// if the system does not let us look.
pub(super) fn ready(pid: u32) -> Option<bool> {
    let found = look(pid, |socket| waits(socket).then_some(()));
    found.map(|found| found.is_some())
}

/// Where process `pid` is waiting: its listeners, and its datagram sockets that have a
/// port. `None` if the system does not let us look.
pub(super) fn waits_at(pid: u32) -> Option<Vec<(Transport, SocketAddr)>> {
    let mut all = Vec::new();
    look(pid, |socket| {
        if waits(socket)
            && let Some(address) = internet_name(socket)
        {
            let transport = match option(socket, libc::SO_TYPE) {
                Some(libc::SOCK_DGRAM) => Transport::Udp,
                _ => Transport::TcpListener,
            };
            all.push((transport, address));
        }
        None::<()>
    })?;
    Some(all)
}

/// Who can wake `pid` at this socket. `None` if the system does not let us look.
pub(super) fn ends_at(pid: u32, fd: u64) -> Option<Ends> {
    // SAFETY: pidfd_open takes two numbers.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).ok()?;
    // SAFETY: pidfd_getfd takes three numbers.
    let copy =
        unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    let copy = UnixStream::from(owned(copy).ok()?);
    // For a socket of another kind, these fail.
    let is_unnamed = |name: io::Result<SocketName>| name.is_ok_and(|it| it.is_unnamed());
    let is_pair = is_unnamed(copy.local_addr()) && is_unnamed(copy.peer_addr());
    let has_timeout = copy.read_timeout().ok()?.is_some();
    let copy = OwnedFd::from(copy);
    let is_internet = internet_name(&copy).is_some();
    let is_datagram = option(&copy, libc::SO_TYPE) == Some(libc::SOCK_DGRAM);
    let is_for_strangers =
        is_internet && (is_datagram || option(&copy, libc::SO_ACCEPTCONN) == Some(1));
    Some(Ends { is_pair, is_for_strangers, has_timeout })
}

/// A copy of the connection that `pid` has with this peer, if it has one and the system lets
/// us look.
pub(super) fn to(pid: u32, peer: SocketAddr) -> Option<TcpStream> {
    let found = look(pid, |socket| {
        let copy = TcpStream::from(socket.try_clone().ok()?);
        let mut address = copy.peer_addr().ok()?;
        // An IPv6 socket may have an IPv4 peer.
        address.set_ip(address.ip().to_canonical());
        (address == peer).then_some(copy)
    });
    found.flatten()
}

/// Borrows the sockets of `pid` one by one until `found` finds what it is looking for.
/// The outer `None` means that the system does not let us look.
#[expect(
    clippy::option_option,
    reason = "not allowed to look is not: looked, and found nothing"
)]
fn look<T>(pid: u32, mut found: impl FnMut(&OwnedFd) -> Option<T>) -> Option<Option<T>> {
    let mut numbers = socket_numbers(pid).peekable();
    if numbers.peek().is_none() {
        return Some(None);
    }
    // SAFETY: pidfd_open takes two numbers.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).ok()?;
    for number in numbers {
        // SAFETY: pidfd_getfd takes three numbers.
        let copy = unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0)
        };
        match owned(copy) {
            Ok(socket) => match found(&socket) {
                None => {}
                found => return Some(found),
            },
            // It has been closed since, or the process is gone: that socket is waiting
            // for nobody.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EBADF | libc::ESRCH)) => {}
            Err(_) => return None,
        }
    }
    Some(None)
}

/// The address of an IPv4 or IPv6 socket, asked through the copy (getsockname(2)).
fn internet_name(socket: &OwnedFd) -> Option<SocketAddr> {
    TcpListener::from(socket.try_clone().ok()?).local_addr().ok()
}

/// The descriptors of `pid` that are sockets.
fn socket_numbers(pid: u32) -> impl Iterator<Item = RawFd> {
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let link = fs::read_link(&path).ok()?;
        link.to_str()?.strip_prefix("socket:")?;
        path.file_name()?.to_str()?.parse().ok()
    })
}

fn waits(socket: &OwnedFd) -> bool {
    match option(socket, libc::SO_TYPE) {
        Some(libc::SOCK_DGRAM) => has_name(socket),
        _ => option(socket, libc::SO_ACCEPTCONN) == Some(1),
    }
}

fn option(socket: &OwnedFd, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `value`; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(value)
}

/// Whether `bind(2)` or a first send has given the socket a name: a port other than 0, or
/// a path.
fn has_name(socket: &OwnedFd) -> bool {
    // SAFETY: zeros are a valid sockaddr_storage.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `address`; both outlive the call.
    let result = unsafe {
        libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length)
    };
    if result != 0 {
        return false;
    }
    match libc::c_int::from(address.ss_family) {
        // SAFETY: the family says that it is a sockaddr_in; in a sockaddr_in6 the port is
        // at the same offset.
        libc::AF_INET | libc::AF_INET6 => unsafe {
            (*(&raw const address).cast::<libc::sockaddr_in>()).sin_port != 0
        },
        libc::AF_UNIX => length as usize > size_of::<libc::sa_family_t>(),
        _ => false,
    }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// The tests share their process's descriptors, so each asks its own socket.
    fn waiting(socket: impl Into<OwnedFd>) -> bool {
        waits(&socket.into())
    }

    #[test]
    fn a_listener_waits_and_a_connection_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!waiting(connection));
        assert!(waiting(listener));
    }

    #[test]
    fn a_bound_datagram_socket_waits() {
        assert!(waiting(UdpSocket::bind("127.0.0.1:0").unwrap()));
        assert!(!waiting(std::os::unix::net::UnixDatagram::unbound().unwrap()));
    }

    #[test]
    fn a_connection_is_found_by_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let copy = to(std::process::id(), peer).unwrap();
        assert_eq!(copy.local_addr().unwrap(), server.local_addr().unwrap());
        drop((client, server, copy));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(to(std::process::id(), nobody).is_none());
    }

    #[test]
    fn a_process_with_a_listener_is_ready_and_one_that_is_gone_is_not() {
        let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(ready(std::process::id()), Some(true));
        assert_eq!(ready(u32::MAX / 2), Some(false));
    }
}
