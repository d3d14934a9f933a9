//! Why calls on AF_UNIX sockets fail: no packet shows what goes from one end to the other, but
//! the log has the calls of both (unix(7)).

use std::collections::{HashMap, HashSet};

use super::{Cause, Causes, address};
use crate::bytes::{grouped, printable};
use crate::draw::Topic;
use crate::draw::local::Locals;
use crate::event::{Call, Return};

/// What was sent to each socket and has not been received.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Bytes. In the log, it may be received before the call that sends it returns.
    bytes: HashMap<u64, i64>,
    /// Calls that send and have not returned, and their sockets.
    sending: HashMap<u64, u64>,
    /// Sockets with calls that do not say how much they move.
    unclear: HashSet<u64>,
}

/// The most calls that are remembered: a log may claim any number.
const SENDING: usize = 256;

impl Unread {
    /// Follows a call that may send.
    pub(super) fn called(&mut self, call: &Call) {
        if let (Some(inode), Some(_)) = (call.socket, &call.data)
            && self.sending.len() < SENDING
        {
            self.sending.insert(call.id, inode);
        }
    }

    /// Follows the return of a call on an AF_UNIX socket.
    pub(super) fn returned(&mut self, call: &Call, returned: &Return, locals: &Locals) {
        self.sending.remove(&call.id);
        let Some(inode) = call.socket else { return };
        let has = |value: &str| call.args.iter().any(|it| it.value.contains(value));
        let moved = returned.value.filter(|it| *it > 0);
        let peer = locals.peer(inode);
        if matches!(call.name.as_str(), "sendmmsg" | "recvmmsg" | "sendfile" | "splice") {
            self.unclear.extend([Some(inode), peer].into_iter().flatten());
        } else if let (Some(moved), Some(_), Some(peer)) = (moved, &call.data, peer) {
            *self.bytes.entry(peer).or_default() += moved;
        } else if let (Some(moved), Some(_)) = (moved, &returned.data)
            && !has("MSG_PEEK")
        {
            *self.bytes.entry(inode).or_default() -= moved;
        }
    }

    /// How many bytes from this socket its peer has not received, if that is known.
    fn from(&self, inode: u64, peer: u64) -> Option<u64> {
        let is_unclear = self.unclear.contains(&peer) || self.unclear.contains(&inode);
        if is_unclear || self.sending.values().any(|it| *it == inode) {
            return None;
        }
        u64::try_from(*self.bytes.get(&peer)?).ok().filter(|it| *it > 0)
    }
}

impl Causes {
    /// Why a call on an AF_UNIX socket failed.
    pub(super) fn of_unix(
        &self,
        call: &Call,
        returned: &Return,
        locals: &Locals,
    ) -> Option<Cause> {
        let inode = call.socket?;
        let known = self.sockets.get(&inode)?;
        match (call.name.as_str(), returned.error.as_deref()?) {
            ("bind", "EADDRINUSE") => {
                // An abstract name, which is shown with an @, has no file.
                let is_file = !address(call)?.starts_with('@');
                let text = "the file exists; closing a socket does not remove it";
                is_file.then(|| Cause::caller(Topic::PortInUse, text))
            }
            ("connect", "EAGAIN") => {
                let text = "the queue of its listener is full";
                Some(Cause::caller(Topic::QueueFull, text))
            }
            ("connect", "ECONNREFUSED") if !known.datagrams => {
                let text = format!("nobody listens at {}", printable(address(call)?));
                Some(Cause::caller(Topic::Refused, text))
            }
            (_, "ECONNRESET" | "EPIPE")
                if !known.datagrams && locals.was_never_accepted(inode) =>
            {
                let text = "never accepted: its listener was closed";
                Some(Cause::caller(Topic::Reset, text))
            }
            (_, "ECONNRESET") if !known.datagrams => {
                let peer = locals.peer(inode)?;
                let text = match self.unread.from(inode, peer).filter(|_| !known.messages)
                {
                    Some(1) => {
                        "1 byte was not received before the peer closed".to_owned()
                    }
                    Some(bytes) => format!(
                        "{} bytes were not received before the peer closed",
                        grouped(bytes)
                    ),
                    None => "the peer closed before it had received all".to_owned(),
                };
                Some(Cause::caller(Topic::Reset, text))
            }
            (_, "EPIPE") if !known.datagrams && !known.shut.writing => {
                let peer = self.sockets.get(&locals.peer(inode)?)?;
                let text = if peer.shut.reading {
                    "the peer has ended its receiving, with shutdown"
                } else {
                    "the peer has closed"
                };
                Some(Cause::caller(Topic::BrokenPipe, text))
            }
            _ => None,
        }
    }
}
