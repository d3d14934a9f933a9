//! Decodes a call's arguments from the program's memory: what it gives to the kernel at
//! entry, and what the kernel gave back at exit.

use super::calls::Kind;
use super::memory::{self, Memory, Message};
use super::names;
use crate::event::{Arg, Data};

/// What is known about a call at its entry, or additionally at its exit.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) args: Vec<Arg>,
    pub(super) data: Option<Data>,
}

impl Decoded {
    fn add(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.args.push(Arg { name: name.to_owned(), value: value.to_string() });
        self
    }

    /// Adds the control messages that come with a message: cmsg(3).
    fn add_control(&mut self, memory: Memory, message: &Message) {
        if let Some(control) = memory.control(message.control, message.control_length) {
            self.add("msg_control", control);
        }
    }

    /// Adds what the kernel says about a message that it returned: `MSG_TRUNC` if it was
    /// cut.
    fn add_message_flags(&mut self, message: &Message) {
        let of_the_call = libc::MSG_CMSG_CLOEXEC as u32;
        let flags = message.flags & !of_the_call;
        if flags != 0 {
            self.add("msg_flags", names::message_flags(i64::from(flags)));
        }
    }

    /// Adds the messages of `sendmmsg(2)` and `recvmmsg(2)`: the first as the data of the
    /// call, the others as arguments. `data` reads one message, given how many of its
    /// bytes were received.
    fn add_messages(
        &mut self,
        memory: Memory,
        args: &[u64; 6],
        count: u64,
        data: impl Fn(&Message, u64) -> Data,
    ) {
        for number in 0..count.min(MESSAGES) {
            let at = args[1].wrapping_add(number * memory::MESSAGES_STEP_BYTES);
            let message = memory.message(at);
            let received = memory.word(at.wrapping_add(memory::MESSAGE_HEADER_BYTES));
            let data = data(&message, u64::from(received.unwrap_or(0)));
            if number == 0 {
                self.data = Some(data);
            } else {
                let text = crate::bytes::quoted(&data);
                self.add(&format!("msgvec[{number}]"), text);
            }
            if message.name != 0
                && let Some(address) = memory.address(message.name, message.name_length)
            {
                self.add("addr", address);
            }
            self.add_message_flags(&message);
        }
        if count > MESSAGES {
            self.add("msgvec", format!("… {count} messages"));
        }
    }
}

/// The most messages of one call that are shown.
const MESSAGES: u64 = 16;

/// The value as the C `int` that it is.
fn int(word: u64) -> i64 {
    i64::from(word as u32 as i32)
}

/// Decodes a call at its entry.
pub(super) fn entry(memory: Memory, kind: Kind, args: &[u64; 6]) -> Decoded {
    let mut it = Decoded::default();
    let fd = int(args[0]);
    match kind {
        Kind::Socket | Kind::SocketPair => {
            it.add("domain", names::family(int(args[0])))
                .add("type", names::kind(int(args[1])))
                .add("protocol", names::protocol(int(args[0]), int(args[2])));
        }
        Kind::Bind | Kind::Connect => {
            it.add("sockfd", fd).add("addr", memory.address_or_null(args[1], args[2]));
        }
        Kind::Listen => {
            it.add("sockfd", fd).add("backlog", int(args[1]));
        }
        Kind::Accept => {
            it.add("sockfd", fd);
            if args[3] != 0 {
                // accept(2) has no fourth argument; `tracer` clears it.
                it.add("flags", names::socket_flags(int(args[3])));
            }
        }
        Kind::Name => {
            it.add("sockfd", fd);
        }
        Kind::Shutdown => {
            it.add("sockfd", fd).add("how", names::shutdown_how(int(args[1])));
        }
        Kind::Close => {
            it.add("fd", fd);
        }
        Kind::Duplicate => {
            it.add("oldfd", fd).add("newfd", int(args[1]));
        }
        Kind::CloseRange => {
            it.add("first", args[0] as u32)
                .add("last", args[1] as u32)
                .add("flags", args[2] as u32);
        }
        Kind::Restart | Kind::IoUring | Kind::Processors | Kind::SetProcessors => {}
        Kind::SetOption | Kind::GetOption | Kind::FileControl | Kind::DeviceControl => {
            option_entry(&mut it, memory, kind, args);
        }
        Kind::Poll | Kind::Select | Kind::EpollWait | Kind::EpollControl => {
            wait_entry(&mut it, memory, kind, args);
        }
        Kind::Receive
        | Kind::ReceiveMessage
        | Kind::ReceiveMessages
        | Kind::Read
        | Kind::ReadVector => receive_entry(&mut it, memory, kind, args),
        Kind::Send
        | Kind::SendMessage
        | Kind::SendMessages
        | Kind::Write
        | Kind::WriteVector
        | Kind::SendFile
        | Kind::Splice => send_entry(&mut it, memory, kind, args),
    }
    it
}

/// Decodes a call that gives the kernel something to send.
fn send_entry(it: &mut Decoded, memory: Memory, kind: Kind, args: &[u64; 6]) {
    let fd = int(args[0]);
    match kind {
        Kind::Send => {
            it.data = Some(memory.data(args[1], args[2]));
            it.add("sockfd", fd)
                .add("len", args[2])
                .add("flags", names::message_flags(int(args[3])));
            if args[4] != 0 {
                it.add("dest_addr", memory.address_or_null(args[4], args[5]));
            }
        }
        Kind::SendMessage => {
            let message = memory.message(args[1]);
            it.data = Some(memory.vector_data(message.iov, message.iov_count, u64::MAX));
            it.add("sockfd", fd).add("flags", names::message_flags(int(args[2])));
            if message.name != 0 {
                let to = memory.address_or_null(message.name, message.name_length);
                it.add("dest_addr", to);
            }
            it.add_control(memory, &message);
        }
        Kind::SendMessages => {
            it.add("sockfd", fd)
                .add("vlen", args[2])
                .add("flags", names::message_flags(int(args[3])));
            it.add_messages(memory, args, args[2], |message, _| {
                memory.vector_data(message.iov, message.iov_count, u64::MAX)
            });
        }
        Kind::Write => {
            it.data = Some(memory.data(args[1], args[2]));
            it.add("fd", fd).add("count", args[2]);
        }
        Kind::WriteVector => {
            it.data = Some(memory.vector_data(args[1], args[2], u64::MAX));
            it.add("fd", fd).add("count", memory.vector_length(args[1], args[2]));
        }
        Kind::SendFile => {
            it.add("out_fd", fd).add("in_fd", int(args[1])).add("count", args[3]);
        }
        _ => {
            it.add("fd_in", fd).add("fd_out", int(args[2])).add("len", args[4]);
        }
    }
}

/// Decodes a call that receives something from the kernel.
fn receive_entry(it: &mut Decoded, memory: Memory, kind: Kind, args: &[u64; 6]) {
    let fd = int(args[0]);
    match kind {
        Kind::Receive => {
            it.add("sockfd", fd)
                .add("len", args[2])
                .add("flags", names::message_flags(int(args[3])));
            if args[4] != 0 {
                it.add("src_addr", "…");
            }
        }
        Kind::ReceiveMessage => {
            let message = memory.message(args[1]);
            it.add("sockfd", fd)
                .add("len", memory.vector_length(message.iov, message.iov_count))
                .add("flags", names::message_flags(int(args[2])));
            if message.name != 0 {
                it.add("src_addr", "…");
            }
        }
        Kind::ReceiveMessages => {
            it.add("sockfd", fd)
                .add("vlen", args[2])
                .add("flags", names::message_flags(int(args[3])));
        }
        Kind::Read => {
            it.add("fd", fd).add("count", args[2]);
        }
        _ => {
            it.add("fd", fd).add("count", memory.vector_length(args[1], args[2]));
        }
    }
}

/// Decodes options of a socket, and of the file that it is.
fn option_entry(it: &mut Decoded, memory: Memory, kind: Kind, args: &[u64; 6]) {
    let fd = int(args[0]);
    let (level, name) = (int(args[1]), int(args[2]));
    match kind {
        Kind::FileControl => {
            it.add("fd", fd)
                .add("op", "F_SETFL")
                .add("arg", names::file_flags(int(args[2])));
        }
        Kind::DeviceControl => {
            let value =
                memory.word(args[2]).map_or("…".to_owned(), |it| it.to_string());
            it.add("fd", fd).add("op", "FIONBIO").add("argp", format!("[{value}]"));
        }
        _ => {
            it.add("sockfd", fd)
                .add("level", names::level(level))
                .add("optname", names::option(level, name));
            if kind == Kind::SetOption {
                it.add("optval", memory.option_value(level, name, args[3], args[4]));
            }
        }
    }
}

/// Decodes what a call waits for.
fn wait_entry(it: &mut Decoded, memory: Memory, kind: Kind, args: &[u64; 6]) {
    let fd = int(args[0]);
    match kind {
        Kind::Poll => {
            it.add("fds", memory.poll_list(args[0], args[1], false));
        }
        Kind::Select => {
            it.add("nfds", int(args[0]));
            for (name, set) in [("readfds", args[1]), ("writefds", args[2])] {
                it.add(name, memory.fd_set(set, args[0]));
            }
            // For what is urgent: seldom given.
            if args[3] != 0 {
                it.add("exceptfds", memory.fd_set(args[3], args[0]));
            }
        }
        Kind::EpollWait => {
            it.add("epfd", fd).add("maxevents", int(args[2]));
        }
        _ => {
            it.add("epfd", fd)
                .add("op", names::epoll_operation(int(args[1])))
                .add("fd", int(args[2]));
            // What is given for one that is removed means nothing, and may be anything.
            if int(args[1]) != i64::from(libc::EPOLL_CTL_DEL)
                && let Some(events) = memory.word(args[3])
            {
                it.add("events", names::epoll_events(i64::from(events)));
            }
        }
    }
}

/// The timeout of a waiting call. It is read at entry, because the kernel may overwrite
/// it.
pub(super) fn timeout(memory: Memory, name: &str, args: &[u64; 6]) -> Option<Arg> {
    let value = match name {
        "poll" => format!("{} ms", int(args[2])),
        "epoll_wait" | "epoll_pwait" => format!("{} ms", int(args[3])),
        "ppoll" => memory.seconds(args[2], 1_000_000_000),
        "select" => memory.seconds(args[4], 1_000_000),
        "pselect6" => memory.seconds(args[4], 1_000_000_000),
        "epoll_pwait2" => memory.seconds(args[3], 1_000_000_000),
        _ => return None,
    };
    Some(Arg { name: "timeout".to_owned(), value })
}

/// Decodes what a call that returned `value` wrote for the program.
pub(super) fn exit(memory: Memory, kind: Kind, args: &[u64; 6], value: i64) -> Decoded {
    let mut it = Decoded::default();
    let length = value as u64;
    match kind {
        Kind::SocketPair => {
            if let (Some(a), Some(b)) = (memory.word(args[3]), memory.word(args[3] + 4)) {
                it.add("sv", format!("[{a}, {b}]"));
            }
        }
        Kind::Accept | Kind::Name if args[1] != 0 => {
            if let Some(address) = memory.address_with_length(args[1], args[2]) {
                it.add("addr", address);
            }
        }
        Kind::Receive => {
            // With MSG_TRUNC, the result may be more than the buffer holds.
            it.data = Some(memory.data(args[1], length.min(args[2])));
            if args[4] != 0
                && let Some(address) = memory.address_with_length(args[4], args[5])
            {
                it.add("src_addr", address);
            }
        }
        Kind::Read => it.data = Some(memory.data(args[1], length)),
        Kind::ReadVector => it.data = Some(memory.vector_data(args[1], args[2], length)),
        Kind::ReceiveMessage => {
            let message = memory.message(args[1]);
            it.data = Some(memory.vector_data(message.iov, message.iov_count, length));
            if message.name != 0
                && let Some(address) = memory.address(message.name, message.name_length)
            {
                it.add("src_addr", address);
            }
            it.add_control(memory, &message);
            it.add_message_flags(&message);
        }
        Kind::ReceiveMessages if value > 0 => {
            it.add_messages(memory, args, length, |message, received| {
                memory.vector_data(message.iov, message.iov_count, received)
            });
        }
        Kind::GetOption => {
            if let Some(length) = memory.word(args[4]) {
                let (level, name) = (int(args[1]), int(args[2]));
                let value = memory.option_value(level, name, args[3], u64::from(length));
                it.add("optval", value);
            }
        }
        Kind::Poll => {
            it.add("revents", memory.poll_list(args[0], args[1], true));
        }
        Kind::Select => {
            for (name, set) in
                [("readfds", args[1]), ("writefds", args[2]), ("exceptfds", args[3])]
            {
                if set != 0 {
                    it.add(name, memory.fd_set(set, args[0]));
                }
            }
        }
        Kind::EpollWait => {
            it.add("events", memory.epoll_list(args[1], value));
        }
        _ => {}
    }
    it
}
