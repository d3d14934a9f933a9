//! Why a datagram is missing, cut off or refused (udp(7), ip(7)).

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4};

use super::{Addresses, Cause, Causes, address};
use crate::bytes::{grouped, printable};
use crate::draw::Topic;
use crate::draw::owners::{unmapped, with_any_address};
use crate::event::{Arg, Call, Data, OnWire, Packet, Return};
use crate::packet;

/// The most datagrams remembered for one receiver, and bytes of each: a log may claim any
/// number.
const ARRIVED: usize = 1024;
const COMPARED: usize = 64;

/// The datagrams that arrived at an address and have not been received.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) datagrams: VecDeque<Arrived>,
    /// Whether a socket is bound to this address.
    pub(super) is_bound: bool,
    /// Whether what was received is not always what had arrived, as the log has it, or several
    /// sockets have it.
    pub(super) is_unclear: bool,
}

/// A datagram: from whom, how long it is, and its first bytes.
#[derive(Debug)]
pub(super) struct Arrived {
    from: String,
    length: u64,
    bytes: Vec<u8>,
}

impl Arrived {
    /// Whether it begins with these bytes, as far as the log has both.
    fn begins(&self, data: &Data) -> bool {
        self.bytes.iter().zip(&data.bytes).all(|(one, other)| one == other)
    }
}

impl Causes {
    /// How much of a datagram did not fit, or how many before it did not.
    pub(super) fn datagram(&mut self, call: &Call, returned: &Return) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?)?;
        let has = |value: &str| call.args.iter().any(|it| it.value.contains(value));
        if !known.datagrams || has("MSG_PEEK") || has("MSG_ERRQUEUE") {
            return None;
        }
        let local = known.local.clone()?;
        let queue = self.queues.get_mut(&local)?;
        if call.name == "recvmmsg" {
            // This call returns the number of messages.
            let messages = usize::try_from(returned.value?).ok()?;
            queue.is_unclear = true;
            queue.datagrams.drain(..messages.min(queue.datagrams.len()));
            let is_cut =
                |it: &&Arg| it.name == "msg_flags" && it.value.contains("MSG_TRUNC");
            let cut = returned.args.iter().filter(is_cut).count();
            let text =
                format!("{cut} of {messages} datagrams did not fit, and were cut off");
            return (cut > 0).then(|| Cause::caller(Topic::CutOff, text));
        }
        let from = returned.args.iter().find(|it| it.name == "src_addr");
        let from = from.map(|it| unmapped(&it.value));
        let data = returned.data.as_ref()?;
        let asked = call.args.iter().find(|it| matches!(&*it.name, "len" | "count"));
        let asked = asked.and_then(|it| it.value.parse().ok());
        // Only what fills the buffer can be more than fits.
        let is_full = asked.is_none_or(|asked: u64| asked <= data.length);
        let is_it = |it: &Arrived| {
            let fits = it.length == data.length || is_full && it.length > data.length;
            fits && from.as_ref().is_none_or(|from| *from == it.from) && it.begins(data)
        };
        let Some(at) = queue.datagrams.iter().position(is_it) else {
            queue.is_unclear = true;
            return None;
        };
        let length = queue.datagrams.get(at)?.length;
        let lost: Vec<Arrived> = queue.datagrams.drain(..=at).take(at).collect();
        let bytes = |count| if count == 1 { "byte" } else { "bytes" };
        if let Some(less) = length.checked_sub(data.length).filter(|less| *less > 0) {
            let text = format!("{} {} of this datagram", grouped(less), bytes(less));
            return Some(Cause::caller(Topic::CutOff, text + " were cut off"));
        }
        // They go into the queue in their order, and come out in it.
        let is_clear = !queue.is_unclear && known.peer.is_none();
        let count = lost.len() as u64;
        (count > 0 && is_clear && !lost.iter().any(|it| it.begins(data))).then(|| {
            let were = if count == 1 { "datagram was" } else { "datagrams were" };
            let count = grouped(count);
            let text =
                format!("{count} {were} dropped before this one: no room was left");
            Cause::caller(Topic::Dropped, text)
        })
    }

    /// A datagram arrives.
    pub(super) fn arrives(&mut self, packet: &Packet, (from, to): Addresses) {
        let is_whole = |it: &OnWire| !it.damaged && it.fragment.is_none();
        if !packet.wire.as_ref().is_none_or(is_whole) {
            return;
        }
        let is_bound = |it: &&String| self.queues.get(*it).is_some_and(|it| it.is_bound);
        let Some(at) = with_any_address(&to).iter().find(is_bound).cloned() else {
            return;
        };
        let is_for_group = to.parse().is_ok_and(|it: SocketAddr| it.ip().is_multicast());
        let queue = self.queues.entry(at).or_default();
        // The socket need not be a member of the group.
        queue.is_unclear |= is_for_group;
        let bytes = packet.data.bytes.iter().take(COMPARED).copied().collect();
        queue.datagrams.push_back(Arrived { from, length: packet.data.length, bytes });
        if queue.datagrams.len() > ARRIVED {
            queue.is_unclear = true;
            queue.datagrams.pop_front();
        }
    }

    /// Why a datagram found nobody although its port is in use: the socket has a peer, and
    /// takes datagrams from no one else.
    pub(super) fn for_another_peer(
        &self,
        packet: &Packet,
        kind: u8,
        code: u8,
    ) -> Option<Cause> {
        let (from, to) = unreachable(packet, kind, code)?;
        let mut peers = self
            .sockets
            .values()
            .filter(|it| it.datagrams && it.local.as_ref() == Some(&to))
            .filter(|it| it.pair().is_none_or(|it| !self.closed.contains_key(&it)))
            .map(|it| it.peer.as_ref());
        let peer = peers.next()??;
        let is_only = peers.next().is_none() && *peer != from;
        let text = format!("its socket takes datagrams only from {}", printable(peer));
        is_only.then(|| Cause::sender(Topic::Refused, text))
    }

    /// A message for a port says that nobody has it: the next call on the socket that sent the
    /// datagram fails.
    pub(super) fn answers(&mut self, packet: &Packet, kind: u8, code: u8) {
        if self.unreachable.len() < ARRIVED
            && let Some(pair) = unreachable(packet, kind, code)
        {
            self.unreachable.insert(pair);
        }
    }

    /// Why a call on a socket for datagrams is refused: because of one that was sent before.
    pub(super) fn refused_before(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?).filter(|it| it.datagrams)?;
        let text = "the answer to an earlier datagram: ICMP port unreachable";
        self.unreachable
            .contains(&known.pair()?)
            .then(|| Cause::caller(Topic::Refused, text))
    }

    /// Why nothing may be sent to this address.
    pub(super) fn no_broadcast(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?)?;
        let to: SocketAddrV4 = destination(call).or(address(call))?.parse().ok()?;
        let is_one = to.ip().octets()[3] == 255 && known.datagrams && !known.broadcasts;
        let text = "a broadcast address, and SO_BROADCAST is not set";
        is_one.then(|| Cause::caller(Topic::Permission, text))
    }

    /// Why a datagram is too long whatever the way that it takes.
    pub(super) fn too_long(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?).filter(|it| it.datagrams)?;
        let to = destination(call).or(known.peer.as_deref())?;
        // The length in the header of UDP counts its own 8 bytes, and that of IPv4 its 20, too.
        let most = match to.parse().ok()? {
            SocketAddr::V4(_) => 65_507,
            SocketAddr::V6(_) => 65_527,
        };
        let text = format!("no more than {} bytes fit into a datagram", grouped(most));
        (call.data.as_ref()?.length > most).then(|| Cause::caller(Topic::TooLong, text))
    }
}

/// The address given to a call that sends.
fn destination(call: &Call) -> Option<&str> {
    call.args.iter().find(|it| it.name == "dest_addr").map(|it| it.value.as_str())
}

/// The sender and the receiver of the datagram, if this message says that nobody has the
/// port.
fn unreachable(packet: &Packet, kind: u8, code: u8) -> Option<Addresses> {
    let is_v6 = packet.from.contains(':');
    let is_about_port = matches!((is_v6, kind, code), (false, 3, 3) | (true, 1, 4));
    let (from, to) = packet::quoted(&packet.data.bytes).filter(|_| is_about_port)?;
    Some((unmapped(&from), unmapped(&to)))
}
