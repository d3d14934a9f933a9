//! Which call caused a captured packet, if one did: a SYN comes from `connect(2)`, data
//! from a call that sends, a FIN from one that ends the stream. What the kernel answers
//! of its own accord (a SYN ACK, an acknowledgment, a reset) comes from none.

use std::collections::HashMap;

use super::calls::Kind;
use crate::event::{Flag, Packet, Protocol};

/// The latest calls on each socket, as comments.
#[derive(Debug, Default)]
pub(super) struct Reasons {
    sent: HashMap<u64, String>,
    ended: HashMap<u64, String>,
    /// By the address that a socket connects to, because its own is known only
    /// afterwards.
    connecting: HashMap<String, String>,
}

impl Reasons {
    /// Records a call that is about to be made on a socket, perhaps with an address.
    pub(super) fn note(
        &mut self,
        kind: Kind,
        inode: u64,
        to: Option<&str>,
        comment: String,
    ) {
        match kind {
            Kind::Connect => {
                let to = to.unwrap_or_default().to_owned();
                self.connecting.insert(to, comment);
            }
            Kind::Send
            | Kind::SendMessage
            | Kind::SendMessages
            | Kind::Write
            | Kind::WriteVector
            | Kind::SendFile
            | Kind::Splice => {
                self.sent.insert(inode, comment);
            }
            Kind::Close | Kind::Shutdown | Kind::Duplicate => {
                self.ended.insert(inode, comment);
            }
            _ => {}
        }
    }

    /// The call that caused a packet, which this socket sent.
    pub(super) fn of(&self, sender: Option<u64>, packet: &Packet) -> Option<&str> {
        let comment = match &packet.protocol {
            Protocol::Tcp { flags, .. } if flags.has(Flag::Rst) => None,
            Protocol::Tcp { flags, .. } if flags.has(Flag::Syn) => {
                if flags.has(Flag::Ack) { None } else { self.connecting.get(&packet.to) }
            }
            Protocol::Tcp { flags, .. } if packet.data.length == 0 => {
                if flags.has(Flag::Fin) { self.ended.get(&sender?) } else { None }
            }
            Protocol::Tcp { .. } | Protocol::Udp => self.sent.get(&sender?),
            Protocol::Icmp { .. } | Protocol::Other(_) => None,
        };
        comment.map(String::as_str)
    }

    /// Forgets a socket that is closed.
    pub(super) fn forget(&mut self, inode: u64) {
        self.sent.remove(&inode);
        self.ended.remove(&inode);
    }
}
