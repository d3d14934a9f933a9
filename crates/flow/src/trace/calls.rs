//! Which system calls are traced, and what their arguments are.

use libc::c_long;

/// The kind of a call, which decides how its arguments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Socket,
    SocketPair,
    Bind,
    Listen,
    Accept,
    Connect,
    Name,
    Send,
    Receive,
    SendMessage,
    ReceiveMessage,
    SendMessages,
    ReceiveMessages,
    Read,
    Write,
    ReadVector,
    WriteVector,
    Shutdown,
    Close,
    SetOption,
    GetOption,
    Poll,
    Select,
    EpollWait,
    EpollControl,
    SendFile,
    Duplicate,
    CloseRange,
    FileControl,
    DeviceControl,
    Splice,
    Restart,
    IoUring,
    Processors,
    SetProcessors,
}

impl Kind {
    /// Whether a call of this kind may change what the kernel holds for a socket other
    /// than by a packet: its queues, its state, or whether it exists.
    pub(super) fn changes_sockets(self) -> bool {
        !matches!(
            self,
            Kind::Name
                | Kind::SetOption
                | Kind::GetOption
                | Kind::Poll
                | Kind::Select
                | Kind::EpollWait
                | Kind::EpollControl
                | Kind::FileControl
                | Kind::DeviceControl
        )
    }

    /// Whether such a call sends or receives, and does nothing else to a socket.
    pub(super) fn moves_bytes(self) -> bool {
        matches!(
            self,
            Kind::Send
                | Kind::SendMessage
                | Kind::SendMessages
                | Kind::Write
                | Kind::WriteVector
                | Kind::Receive
                | Kind::ReceiveMessage
                | Kind::ReceiveMessages
                | Kind::Read
                | Kind::ReadVector
                | Kind::SendFile
                | Kind::Splice
        )
    }

    /// Whether such a call returns without a wait for anybody.
    pub(super) fn never_sleeps(self) -> bool {
        matches!(
            self,
            Kind::Socket
                | Kind::SocketPair
                | Kind::Bind
                | Kind::Listen
                | Kind::Name
                | Kind::Shutdown
                | Kind::SetOption
                | Kind::GetOption
                | Kind::EpollControl
                | Kind::FileControl
                | Kind::DeviceControl
                | Kind::IoUring
                | Kind::Processors
        )
    }

    /// Whether such a call may end those of other threads on the same socket. One that closes
    /// a descriptor does not: who sleeps in a call has the socket until it returns.
    pub(super) fn ends_sockets(self) -> bool {
        matches!(self, Kind::Shutdown)
    }
}

/// A traced system call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traced {
    pub(super) number: c_long,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

macro_rules! table {
    ($($(#[$cfg:meta])* $number:ident $name:literal $kind:ident),* $(,)?) => {
        /// Every traced call. The filter tests them in this order, so frequent ones come
        /// first.
        pub(super) const TRACED: &[Traced] = &[
            $($(#[$cfg])* Traced { number: libc::$number, name: $name, kind: Kind::$kind }),*
        ];
    };
}

table! {
    SYS_sendto "sendto" Send,
    SYS_recvfrom "recvfrom" Receive,
    SYS_read "read" Read,
    SYS_write "write" Write,
    SYS_sendmsg "sendmsg" SendMessage,
    SYS_recvmsg "recvmsg" ReceiveMessage,
    SYS_readv "readv" ReadVector,
    SYS_writev "writev" WriteVector,
    SYS_sendmmsg "sendmmsg" SendMessages,
    SYS_recvmmsg "recvmmsg" ReceiveMessages,
    SYS_close "close" Close,
    SYS_socket "socket" Socket,
    SYS_socketpair "socketpair" SocketPair,
    SYS_bind "bind" Bind,
    SYS_listen "listen" Listen,
    SYS_accept "accept" Accept,
    SYS_accept4 "accept4" Accept,
    SYS_connect "connect" Connect,
    SYS_getsockname "getsockname" Name,
    SYS_getpeername "getpeername" Name,
    SYS_setsockopt "setsockopt" SetOption,
    SYS_getsockopt "getsockopt" GetOption,
    SYS_shutdown "shutdown" Shutdown,
    #[cfg(target_arch = "x86_64")]
    SYS_poll "poll" Poll,
    SYS_ppoll "ppoll" Poll,
    #[cfg(target_arch = "x86_64")]
    SYS_select "select" Select,
    SYS_pselect6 "pselect6" Select,
    #[cfg(target_arch = "x86_64")]
    SYS_epoll_wait "epoll_wait" EpollWait,
    SYS_epoll_pwait "epoll_pwait" EpollWait,
    SYS_epoll_pwait2 "epoll_pwait2" EpollWait,
    SYS_epoll_ctl "epoll_ctl" EpollControl,
    SYS_sendfile "sendfile" SendFile,
    SYS_splice "splice" Splice,
    // On sockets, these two accept only the position -1.
    SYS_preadv2 "preadv2" ReadVector,
    SYS_pwritev2 "pwritev2" WriteVector,
    #[cfg(target_arch = "x86_64")]
    SYS_dup2 "dup2" Duplicate,
    SYS_dup3 "dup3" Duplicate,
    SYS_close_range "close_range" CloseRange,
    SYS_fcntl "fcntl" FileControl,
    SYS_ioctl "ioctl" DeviceControl,
    // A call that a signal interrupted continues under this name.
    SYS_restart_syscall "restart_syscall" Restart,
    // Not drawn, but the reader must be told that its traffic is not seen.
    SYS_io_uring_setup "io_uring_setup" IoUring,
    // Not drawn either; see `processors`.
    SYS_sched_getaffinity "sched_getaffinity" Processors,
    SYS_sched_setaffinity "sched_setaffinity" SetProcessors,
}

impl Traced {
    /// The only second argument with which the call is traced; `None` means any.
    pub(super) fn only_with(&self) -> Option<u32> {
        match self.kind {
            Kind::FileControl => Some(libc::F_SETFL as u32),
            Kind::DeviceControl => Some(libc::FIONBIO as u32),
            _ => None,
        }
    }
}

/// The traced call with this number.
pub(super) fn find(number: i64) -> Option<&'static Traced> {
    TRACED.iter().find(|traced| traced.number == number)
}
