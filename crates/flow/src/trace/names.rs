//! The C names of constants.

/// `name!(value; A, B)`: the name of the constant with this value.
macro_rules! name {
    ($value:expr; $($name:ident),* $(,)?) => {
        match $value {
            $(value if value == libc::$name as i64 => Some(stringify!($name)),)*
            _ => None,
        }
    };
}

/// `flags!(value; A, B)`: the names of the bits that are set, and the rest in
/// hexadecimal.
macro_rules! flags {
    ($value:expr; $($name:ident),* $(,)?) => {{
        let mut left = $value as u64;
        let mut names: Vec<String> = Vec::new();
        $(
            let bits = libc::$name as u32 as u64;
            if bits != 0 && left & bits == bits {
                left &= !bits;
                names.push(stringify!($name).to_owned());
            }
        )*
        if left != 0 {
            names.push(format!("{left:#x}"));
        }
        if names.is_empty() { "0".to_owned() } else { names.join("|") }
    }};
}

fn or_number(name: Option<&str>, value: i64) -> String {
    name.map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn family(value: i64) -> String {
    let name = name!(value; AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNSPEC,
        AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_CAN);
    or_number(name, value)
}

/// A socket type, with the flags that `socket(2)` allows in it.
pub(super) fn kind(value: i64) -> String {
    let flags = i64::from(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    let base = value & !flags;
    let mut text = or_number(
        name!(base; SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM),
        base,
    );
    if value & flags != 0 {
        text.push('|');
        text.push_str(&socket_flags(value & flags));
    }
    text
}

pub(super) fn socket_flags(value: i64) -> String {
    flags!(value; SOCK_CLOEXEC, SOCK_NONBLOCK)
}

pub(super) fn protocol(family: i64, value: i64) -> String {
    let inet = family == i64::from(libc::AF_INET) || family == i64::from(libc::AF_INET6);
    let name = if inet && value != 0 {
        name!(value; IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_RAW,
            IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_MPTCP)
    } else {
        None
    };
    or_number(name, value)
}

pub(super) fn message_flags(value: i64) -> String {
    flags!(value; MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_DONTWAIT,
        MSG_EOR, MSG_WAITALL, MSG_CONFIRM, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_MORE,
        MSG_WAITFORONE, MSG_ZEROCOPY, MSG_FASTOPEN,
        MSG_CMSG_CLOEXEC)
}

pub(super) fn shutdown_how(value: i64) -> String {
    or_number(name!(value; SHUT_RD, SHUT_WR, SHUT_RDWR), value)
}

pub(super) fn poll_events(value: i64) -> String {
    flags!(value; POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM,
        POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP)
}

pub(super) fn epoll_events(value: i64) -> String {
    flags!(value; EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP,
        EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLEXCLUSIVE, EPOLLWAKEUP,
        EPOLLONESHOT, EPOLLET)
}

pub(super) fn epoll_operation(value: i64) -> String {
    or_number(name!(value; EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD), value)
}

/// The level for `setsockopt(2)`.
pub(super) fn level(value: i64) -> String {
    let name = name!(value; SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6,
        IPPROTO_ICMP, SOL_PACKET, SOL_NETLINK);
    // Those who mean the level write SOL_IP for 0.
    or_number(name, value)
}

/// An option for `setsockopt(2)`, given its level.
pub(super) fn option(level: i64, value: i64) -> String {
    let name = if level == i64::from(libc::SOL_SOCKET) {
        name!(value; SO_DEBUG, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST,
            SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY, SO_LINGER,
            SO_REUSEPORT, SO_PASSCRED, SO_PEERCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO,
            SO_SNDTIMEO, SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_DETACH_FILTER,
            SO_TIMESTAMP, SO_ACCEPTCONN, SO_PEERSEC, SO_SNDBUFFORCE, SO_RCVBUFFORCE,
            SO_PASSSEC, SO_TIMESTAMPNS, SO_MARK, SO_TIMESTAMPING, SO_PROTOCOL, SO_DOMAIN,
            SO_RXQ_OVFL, SO_BUSY_POLL, SO_INCOMING_CPU, SO_COOKIE, SO_ZEROCOPY,
            SO_INCOMING_NAPI_ID, SO_PEERGROUPS, SO_TXTIME, SO_BINDTOIFINDEX)
    } else if level == i64::from(libc::IPPROTO_TCP) {
        name!(value; TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL,
            TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP,
            TCP_INFO, TCP_QUICKACK, TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_ULP,
            TCP_FASTOPEN_CONNECT, TCP_NOTSENT_LOWAT)
    } else if level == i64::from(libc::IPPROTO_IP) {
        name!(value; IP_TOS, IP_TTL, IP_HDRINCL, IP_OPTIONS, IP_RECVERR, IP_PKTINFO,
            IP_MTU_DISCOVER, IP_RECVTTL, IP_RECVTOS, IP_MTU, IP_TRANSPARENT, IP_FREEBIND,
            IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_ADD_MEMBERSHIP,
            IP_DROP_MEMBERSHIP, IP_MULTICAST_ALL, IP_ADD_SOURCE_MEMBERSHIP,
            IP_DROP_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_UNBLOCK_SOURCE, IP_PASSSEC,
            IP_MINTTL, IP_RECVORIGDSTADDR, IP_BIND_ADDRESS_NO_PORT, MCAST_JOIN_GROUP,
            MCAST_LEAVE_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP,
            MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE)
    } else if level == i64::from(libc::IPPROTO_IPV6) {
        name!(value; IPV6_V6ONLY, IPV6_UNICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS,
            IPV6_MULTICAST_LOOP, IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP, IPV6_RECVPKTINFO,
            IPV6_RECVERR, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_TCLASS, IPV6_RECVTCLASS,
            IPV6_RECVHOPLIMIT, IPV6_FREEBIND, IPV6_MULTICAST_ALL, MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP,
            MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP, MCAST_BLOCK_SOURCE,
            MCAST_UNBLOCK_SOURCE)
    } else {
        None
    };
    or_number(name, value)
}

/// The file flags that `fcntl(2)` sets.
pub(super) fn file_flags(value: i64) -> String {
    // O_RDWR is a property of sockets; it cannot be set.
    let value = value & !i64::from(libc::O_ACCMODE);
    flags!(value; O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME)
}

/// A control message: cmsg(3), unix(7), ip(7), udp(7).
pub(super) fn control_message(level: i64, value: i64) -> String {
    let name = if level == i64::from(libc::SOL_SOCKET) {
        name!(value; SCM_RIGHTS, SCM_CREDENTIALS, SCM_TIMESTAMP, SCM_TIMESTAMPNS,
            SCM_TIMESTAMPING)
    } else if level == i64::from(libc::SOL_UDP) {
        name!(value; UDP_SEGMENT, UDP_GRO)
    } else if level == i64::from(libc::IPPROTO_IP) {
        name!(value; IP_PKTINFO, IP_TTL, IP_TOS, IP_RECVERR)
    } else if level == i64::from(libc::IPPROTO_IPV6) {
        name!(value; IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_TCLASS, IPV6_RECVERR)
    } else {
        None
    };
    let unnamed = || format!("control message {level}/{value}");
    name.map_or_else(unnamed, str::to_owned)
}

/// The name of an error.
pub(super) fn error(errno: i64) -> String {
    let name = name!(errno; EPERM, ENOENT, EINTR, EIO, ENXIO, EBADF, EAGAIN, ENOMEM, EACCES,
        EFAULT, EEXIST, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ENOTTY, EFBIG,
        ENOSPC, ESPIPE, EROFS, EPIPE, EDOM, ERANGE, ENOSYS, EPROTO, EBADMSG, EOVERFLOW,
        ENOTSOCK, EDESTADDRREQ, EMSGSIZE, EPROTOTYPE, ENOPROTOOPT, EPROTONOSUPPORT,
        ESOCKTNOSUPPORT, EOPNOTSUPP, EPFNOSUPPORT, EAFNOSUPPORT, EADDRINUSE, EADDRNOTAVAIL,
        ENETDOWN, ENETUNREACH, ENETRESET, ECONNABORTED, ECONNRESET, ENOBUFS, EISCONN,
        ENOTCONN, ESHUTDOWN, ETOOMANYREFS, ETIMEDOUT, ECONNREFUSED, EHOSTDOWN,
        EHOSTUNREACH, EALREADY, EINPROGRESS, ECANCELED);
    match (name, errno) {
        (Some(name), _) => name.to_owned(),
        // An error that the kernel keeps to itself: a signal came, and the call goes on
        // after it, or returns EINTR if a handler says so.
        (None, 512) => "ERESTARTSYS".to_owned(),
        (None, 513) => "ERESTARTNOINTR".to_owned(),
        (None, 514) => "ERESTARTNOHAND".to_owned(),
        (None, 516) => "ERESTART_RESTARTBLOCK".to_owned(),
        (None, other) => format!("errno {other}"),
    }
}

/// The name of a signal.
pub(super) fn signal(number: i32) -> String {
    let value = i64::from(number);
    let name = name!(value; SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE,
        SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD,
        SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM,
        SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS);
    match name {
        Some(name) => name.to_owned(),
        // The C library keeps the first two to itself: its SIGRTMIN is 34.
        None if number >= 34 => format!("SIGRTMIN+{}", number - 34),
        None => format!("SIG{number}"),
    }
}
