//! Why a program does not get an address, or does not reach the one that it wants.

use std::net::{SocketAddr, SocketAddrV4};

use super::{Addresses, Cause, Causes, address};
use crate::bytes::printable;
use crate::draw::Topic;
use crate::draw::owners::{port, unmapped};
use crate::event::{Call, Held};

impl Causes {
    /// Who has the port that a program wants: TCP and UDP have ports of their own.
    pub(super) fn port_in_use(&self, call: &Call) -> Option<Cause> {
        let wanted = unmapped(address(call)?);
        let port = port(&wanted)?;
        let known = self.sockets.get(&call.socket?);
        let of = |state: &str| {
            let mut holders =
                self.kernel.iter().filter(|it| is_same_place(&it.local, &wanted));
            holders.any(|it| it.state.as_deref() == Some(state))
        };
        let takes_datagrams = |it: &&Held| {
            it.state.is_none()
                && it.socket != call.socket
                && is_same_place(&it.local, &wanted)
        };
        let text = if known.is_some_and(|it| it.datagrams) {
            self.kernel.iter().find(takes_datagrams)?;
            format!("another socket for datagrams has port {port}")
        } else if of("LISTEN") {
            format!("somebody listens at port {port}")
        } else if of("TIME-WAIT") {
            let is_asked = known.is_some_and(|it| it.reuses_address);
            // A connection has what its listener had when it was made.
            let did_not_ask = self.sockets.values().any(|it| {
                let local = it.local.as_ref();
                let is_there = local.is_some_and(|it| is_same_place(it, &wanted));
                it.listened && !it.reuses_address && is_there
            });
            let who = if is_asked && did_not_ask {
                ", by a socket without SO_REUSEADDR"
            } else {
                ""
            };
            format!("port {port} is held in TIME-WAIT{who}")
        } else {
            return None;
        };
        Some(Cause::caller(Topic::PortInUse, text))
    }

    /// Why a socket is not in the state for this call.
    pub(super) fn not_now(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?)?;
        let has_port = |it: &&String| port(it).is_some_and(|port| port != 0);
        let text = if call.name == "bind" {
            let local = known.local.as_ref().filter(has_port)?;
            format!("it has the address {} already", printable(local))
        } else if !known.listened {
            "listen was not called on it".to_owned()
        } else if known.shut.reading {
            "it listens no more since its own shutdown".to_owned()
        } else {
            return None;
        };
        Some(Cause::caller(Topic::Invalid, text))
    }

    /// What holds the ports that a client could have used.
    pub(super) fn ports_used_up(&self, call: &Call) -> Option<Cause> {
        let to = unmapped(address(call)?);
        let is = |it: &&Held| {
            it.state.as_deref() == Some("TIME-WAIT")
                && it.peer.as_deref() == Some(to.as_str())
        };
        let waiting = self.kernel.iter().filter(is).count();
        let text = format!("{waiting} ports are held in TIME-WAIT");
        (waiting > 0).then(|| Cause::caller(Topic::PortsUsedUp, text))
    }

    /// Why a SYN goes unanswered: the queue of its listener is full.
    pub(super) fn dropped(&self, pair: &Addresses) -> Option<Cause> {
        let listener = self.kernel.iter().find(|it| {
            it.state.as_deref() == Some("LISTEN") && is_same_place(&it.local, &pair.1)
        })?;
        // The kernel takes one more than the backlog: see sk_acceptq_is_full().
        if listener.recv_q <= listener.send_q {
            return None;
        }
        let (waiting, backlog) = (listener.recv_q, listener.send_q);
        let wait = if waiting == 1 { "waits" } else { "wait" };
        Some(Cause::receiver(
            Topic::QueueFull,
            format!("dropped: the queue is full, {waiting} {wait} at backlog {backlog}"),
        ))
    }

    pub(super) fn nobody_listens(&self, at: &str) -> String {
        let text = format!("nobody listens at {}", printable(at));
        let mut all: Vec<&String> = self.listeners.values().collect();
        all.sort_unstable();
        let nearest = all
            .iter()
            .find(|it| port(it) == port(at))
            .or_else(|| all.first().filter(|_| all.len() == 1));
        match nearest {
            Some(nearest) => format!("{text}; nearest: {}", printable(nearest)),
            None => text,
        }
    }
}

/// Why a program cannot have this address.
pub(super) fn elsewhere(call: &Call) -> Option<Cause> {
    let address: SocketAddrV4 = address(call)?.parse().ok()?;
    let text = format!("no interface here has the address {}", address.ip());
    Some(Cause::caller(Topic::PortsUsedUp, text))
}

/// Whether two sockets that do not share would want the same: the same port at the same
/// address, or at every one.
pub(super) fn is_same_place(one: &str, other: &str) -> bool {
    let parse = |text: &str| unmapped(text).parse::<SocketAddr>();
    let (Ok(one), Ok(other)) = (parse(one), parse(other)) else { return false };
    let every = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (every || one.ip() == other.ip())
}
