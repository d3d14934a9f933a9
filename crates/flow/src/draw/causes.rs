//! Why something happened, in the kernel's own terms: what it held at that moment
//! ([`Held`]), what a program had asked of it, what the packets say. If the log does not
//! reveal the cause, none is drawn.

mod datagrams;
mod ports;
mod streams;
mod unix;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use self::datagrams::Queue;
use self::ports::{elsewhere, is_same_place};
use self::streams::Streams;
use self::unix::Unread;
use self::waiting::Waiting;
use super::Topic;
use super::calls::{is_stream_end, shown_name};
use super::local::Locals;
use super::owners::unmapped;
use crate::bytes::{grouped, printable};
use crate::event::{
    Arg, Call, Change, Event, Fate, Flag, Held, Observed, Packet, Process, Protocol,
    Return, Socket,
};

/// A cause, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) at: At,
    pub(super) text: String,
    pub(super) topic: Topic,
}

/// Where a cause is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// At the sender of the packet that it explains.
    Sender,
    /// At its receiver.
    Receiver,
    /// At the side that made the call.
    Caller,
}

impl Cause {
    fn sender(topic: Topic, text: impl Into<String>) -> Cause {
        Cause { at: At::Sender, text: text.into(), topic }
    }

    fn receiver(topic: Topic, text: impl Into<String>) -> Cause {
        Cause { at: At::Receiver, text: text.into(), topic }
    }

    fn caller(topic: Topic, text: impl Into<String>) -> Cause {
        Cause { at: At::Caller, text: text.into(), topic }
    }
}

/// Both addresses of an end, its own first.
type Addresses = (String, String);

/// What is known about a socket.
#[derive(Debug, Default)]
struct KnownSocket {
    side: usize,
    local: Option<String>,
    peer: Option<String>,
    datagrams: bool,
    /// Whether its stream may begin again after its end, because another writer opens it.
    fifo: bool,
    unix: bool,
    /// Whether what it receives are messages, although it has a connection.
    messages: bool,
    /// Whether it has ever listened.
    listened: bool,
    reuses_address: bool,
    /// Whether connections to it count only when data has come: TCP_DEFER_ACCEPT.
    defers: bool,
    /// How many bytes must be there before it counts as readable: SO_RCVLOWAT.
    low_water: Option<u32>,
    /// TCP_USER_TIMEOUT, in milliseconds.
    user_timeout: Option<String>,
    keeps_alive: bool,
    broadcasts: bool,
    no_delay: bool,
    corked: bool,
    resets: bool,
    /// The directions that its program has shut down itself.
    shut: Shut,
    /// What connect(2) with an address of the family AF_UNSPEC made it forget.
    forgot: Option<Forgotten>,
    /// How often the end of the stream has been received.
    ends: u32,
    /// The process that used it last, other than to close it: those that inherited it have it
    /// open, too, and mostly do not know of it.
    user: Option<i32>,
}

/// What shutdown(2) has ended.
#[derive(Debug, Clone, Copy, Default)]
struct Shut {
    reading: bool,
    writing: bool,
    /// Whether it has been said that what `recv` gives is not the peer's end.
    is_told: bool,
}

/// What a socket has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Forgotten {
    /// The peer to which it sent datagrams.
    Peer(String),
    /// Its connection, to this peer.
    Connection(String),
    /// The queue of a listener.
    Listener,
}

/// A call that sends and has not returned yet.
#[derive(Debug)]
struct Sending {
    side: usize,
    name: String,
    pair: Addresses,
    /// Whether it has sent a packet with data meanwhile.
    sent: bool,
}

/// Follows a log and finds causes.
#[derive(Debug, Default)]
pub(super) struct Causes {
    kernel: Vec<Held>,
    sockets: HashMap<u64, KnownSocket>,
    /// The addresses at which a socket listens.
    listeners: HashMap<u64, String>,
    /// The processes that have each of them open, also by inheritance.
    holders: HashMap<u64, HashSet<i32>>,
    /// Ends that are closed, and why a reset would follow.
    closed: HashMap<Addresses, Option<String>>,
    /// Ends that have got a reset.
    was_reset: HashSet<Addresses>,
    /// SYNs on their way.
    asked: HashSet<Addresses>,
    /// Ends that have answered a SYN, and nothing has come since.
    accepts: HashSet<Addresses>,
    /// What has arrived at each address and has not been received.
    queues: HashMap<String, Queue>,
    sending: HashMap<u64, Sending>,
    /// The last window that an end has offered.
    windows: HashMap<Addresses, u16>,
    /// The processes of each side that have not ended.
    alive: HashMap<usize, HashSet<i32>>,
    /// For each side, the connections that it never closed although the peer had.
    leaks: HashMap<usize, HashMap<Addresses, Leak>>,
    /// Ends that were half-open when a program got a signal.
    half_open: BTreeSet<Addresses>,
    /// What was sent over AF_UNIX sockets and has not been received.
    unread: Unread,
    streams: Streams,
    waiting: Waiting,
    /// The senders and receivers of datagrams that were answered with an ICMP error.
    unreachable: HashSet<Addresses>,
}

/// The most sending calls that are remembered.
const SENDING: usize = 256;

/// Why a connection was open when its program ended, although the peer had closed it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leak {
    /// The process that used it did not close it.
    Own,
    /// The process that used it had ended; another one had it open, too.
    Copy,
    /// A signal killed the process that used it.
    Killed(String),
}

impl Leak {
    /// The note about so many of them.
    fn text(&self, name: &str, count: usize) -> String {
        let what = match count {
            1 => "a connection".to_owned(),
            many => format!("{many} connections"),
        };
        match (self, count) {
            (Leak::Own, _) => {
                format!("{name} never closed {what} after the peer had (CLOSE-WAIT)")
            }
            (Leak::Copy, 1) => format!(
                "{name} never closed {what} after the peer had (CLOSE-WAIT): its process has \
                 ended, but another still had it open"
            ),
            (Leak::Copy, _) => format!(
                "{name} never closed {what} after the peer had (CLOSE-WAIT): their processes \
                 have ended, but another still had them open"
            ),
            (Leak::Killed(signal), _) => format!(
                "{signal} killed {name} before it had closed {what} after the peer had \
                 (CLOSE-WAIT): the kernel closed {}",
                if count == 1 { "it" } else { "them" }
            ),
        }
    }
}

impl Causes {
    /// Follows an event. `calls` has the calls by number, and `locals` the two ends of AF_UNIX
    /// connections; for a SYN, `answered` says whether the receiver answers it with its own.
    pub(super) fn follow(
        &mut self,
        event: &Event,
        calls: &HashMap<u64, &Call>,
        locals: &Locals,
        answered: bool,
    ) -> Option<Cause> {
        match event {
            Event::Socket(socket) => {
                self.socket(socket);
                None
            }
            Event::Call(call) => {
                self.observe(&call.observed);
                self.call(call);
                if self.is_unix(call) {
                    self.unread.called(call);
                }
                self.waits(call);
                None
            }
            Event::Return(returned) => {
                self.observe(&returned.observed);
                let call = calls.get(&returned.id)?;
                self.waiting.returned(call, returned);
                if let Some(cause) = self.told_nothing(call, returned) {
                    return Some(cause);
                }
                if self.is_unix(call) {
                    self.unread.returned(call, returned, locals);
                    let cause = self.of_unix(call, returned, locals);
                    return cause.or(self.returned(call, returned));
                }
                self.returned(call, returned)
            }
            Event::Process(process) => {
                self.process(process);
                None
            }
            Event::Packet(packet) => self.packet(packet, answered),
            Event::Side(_) | Event::Note(_) => None,
        }
    }

    /// Follows what is known about a socket.
    fn socket(&mut self, socket: &Socket) {
        let known = self.sockets.entry(socket.inode).or_default();
        known.side = socket.side;
        let before = known.local.take();
        known.local = socket.local.as_deref().map(unmapped);
        known.peer = socket.peer.as_deref().map(unmapped);
        known.datagrams = socket.kind.starts_with("SOCK_DGRAM");
        known.fifo = socket.family == "FIFO";
        known.unix = socket.family == "AF_UNIX";
        known.messages = socket.kind.starts_with("SOCK_SEQPACKET");
        if known.datagrams
            && known.local != before
            && let Some(local) = &known.local
        {
            // What came before was for another socket.
            let queue = self.queues.entry(local.clone()).or_default();
            queue.datagrams.clear();
            queue.is_unclear |= std::mem::replace(&mut queue.is_bound, true);
        }
        if let Some(pair) = known.pair() {
            self.closed.remove(&pair);
            self.was_reset.remove(&pair);
        }
    }

    /// Follows a change in the life of a process.
    fn process(&mut self, process: &Process) {
        // SIGKILL is seen when the kernel has closed everything already.
        let is_late = process.what == Change::Killed("SIGKILL".to_owned());
        if !is_late {
            self.observe(&process.observed);
        }
        let alive = self.alive.entry(process.side).or_default();
        match process.what {
            Change::Forked(child) => {
                alive.extend([process.pid, child]);
                let all = self.holders.values_mut();
                for holders in all.filter(|it| it.contains(&process.pid)) {
                    holders.insert(child);
                }
            }
            Change::Executed(_) => {
                alive.insert(process.pid);
            }
            Change::Exited(_) | Change::Killed(_) => {
                alive.remove(&process.pid);
                if matches!(process.what, Change::Exited(_)) {
                    self.waiting.exited(process.pid);
                }
                for holders in self.holders.values_mut() {
                    holders.remove(&process.pid);
                }
                let is_last = alive.is_empty();
                self.ended(process.side, process.pid, is_last, &process.what);
            }
            // It may close what is half-open, and from then on nothing shows it.
            Change::Signal(_) => {
                let now = self.half_open_now();
                self.half_open.extend(now);
            }
        }
        self.observe(&process.observed);
    }

    /// The notes below the drawing: what was left open, what was half-open, and what no
    /// peer had room for.
    pub(super) fn notes(&self, name: impl Fn(usize) -> String) -> Vec<(Topic, String)> {
        let mut notes = self.never_closed(&name);
        notes.extend(self.never_told(&name));
        notes.extend(self.half_open().into_iter().map(|text| (Topic::HalfOpen, text)));
        let mut sending: Vec<(&u64, &Sending)> = self.sending.iter().collect();
        sending.sort_unstable_by_key(|(id, _)| **id);
        for (_, sending) in sending {
            if self.is_window_closed(&sending.pair) {
                let text = format!(
                    "{} was in {} to the end: the peer's window is closed",
                    name(sending.side),
                    printable(&sending.name)
                );
                notes.push((Topic::Window, text));
            }
        }
        notes
    }

    /// For each side, the connections that it never closed although the peer had.
    fn never_closed(&self, name: &impl Fn(usize) -> String) -> Vec<(Topic, String)> {
        let mut notes = Vec::new();
        let mut leaks: Vec<(&usize, &HashMap<Addresses, Leak>)> =
            self.leaks.iter().collect();
        leaks.sort_by_key(|(side, _)| **side);
        for (side, pairs) in leaks {
            let mut counts: BTreeMap<&Leak, usize> = BTreeMap::new();
            for leak in pairs.values() {
                *counts.entry(leak).or_default() += 1;
            }
            let name = name(*side);
            for (leak, count) in counts {
                notes.push((Topic::CloseWait, leak.text(&name, count)));
            }
        }
        notes
    }

    /// The ends whose peers are gone without their knowing.
    fn half_open(&self) -> Vec<String> {
        let mut pairs = self.half_open.clone();
        pairs.extend(self.half_open_now());
        let text = |(local, peer): &Addresses| {
            format!(
                "{} was still ESTABLISHED when its peer {} was closed: the FIN never came \
                 (half-open)",
                printable(local),
                printable(peer)
            )
        };
        pairs.iter().map(text).collect()
    }

    /// The ends that are half-open at this moment, according to the kernel.
    fn half_open_now(&self) -> Vec<Addresses> {
        let unheard = self.kernel.iter().filter(|it| {
            it.socket.is_none() && it.state.as_deref() == Some("FIN-WAIT-1")
        });
        let peers: HashSet<Addresses> =
            unheard.filter_map(|it| Some((it.peer.clone()?, it.local.clone()))).collect();
        let open = self
            .kernel
            .iter()
            .filter(|it| it.state.as_deref() == Some("ESTABLISHED"))
            .filter_map(|it| Some((it.local.clone(), it.peer.clone()?)));
        open.filter(|pair| peers.contains(pair)).collect()
    }

    /// Whether the last that the peer of an end has said is that it has no room.
    fn is_window_closed(&self, (local, peer): &Addresses) -> bool {
        self.windows.get(&(peer.clone(), local.clone())) == Some(&0)
    }

    fn observe(&mut self, observed: &Observed) {
        if let Some(kernel) = &observed.kernel {
            self.kernel.clone_from(kernel);
        }
    }

    fn held(&self, inode: u64) -> Option<&Held> {
        self.kernel.iter().find(|it| it.socket == Some(inode))
    }

    fn call(&mut self, call: &Call) {
        let Some(inode) = call.socket else { return };
        if call.name == "close" {
            if let Some(holders) = self.holders.get_mut(&inode) {
                holders.remove(&call.pid);
            }
            return self.closing(inode);
        }
        self.sockets.entry(inode).or_default().user = Some(call.pid);
        match call.name.as_str() {
            "setsockopt" => {
                let has = |value: &str| call.args.iter().any(|it| it.value == value);
                let known = self.sockets.entry(inode).or_default();
                let is_on = call.args.last().is_some_and(|it| it.value != "0");
                if has("TCP_NODELAY") {
                    known.no_delay = is_on;
                }
                if has("TCP_CORK") {
                    known.corked = is_on;
                }
                if has("SO_REUSEADDR") {
                    known.reuses_address = is_on;
                }
                if has("TCP_DEFER_ACCEPT") {
                    known.defers = is_on;
                }
                if has("SO_RCVLOWAT") {
                    known.low_water =
                        call.args.last().and_then(|it| it.value.parse().ok());
                }
                if has("TCP_USER_TIMEOUT") {
                    known.user_timeout = call.args.last().map(|it| it.value.clone());
                }
                if has("SO_KEEPALIVE") {
                    known.keeps_alive = is_on;
                }
                if has("SO_BROADCAST") {
                    known.broadcasts = is_on;
                }
                known.resets |= has("SO_LINGER") && has("{l_onoff=1, l_linger=0}");
            }
            // For a listener, that is the end.
            "shutdown" if self.ends_listening(call, inode) => self.closing(inode),
            "connect" => self.forgets(inode, address(call) == Some("AF_UNSPEC")),
            _ if call.data.is_some() => {
                let pair = self.sockets.get(&inode).and_then(KnownSocket::pair);
                if let Some(pair) = pair
                    && self.sending.len() < SENDING
                {
                    let name = shown_name(call, false).to_owned();
                    let side = call.side;
                    self.sending
                        .insert(call.id, Sending { side, name, pair, sent: false });
                }
            }
            _ => {}
        }
    }

    fn ends_listening(&self, call: &Call, inode: u64) -> bool {
        let mut how = call.args.iter().filter(|it| it.name == "how");
        self.listeners.contains_key(&inode) && how.any(|it| it.value != "SHUT_WR")
    }

    /// A socket is about to get another peer, or none: for TCP, that is its end.
    fn forgets(&mut self, inode: u64, all: bool) {
        let listens = self.listeners.contains_key(&inode);
        let known = self.sockets.entry(inode).or_default();
        known.forgot = match known.peer.clone().filter(|_| all) {
            Some(peer) if known.datagrams => Some(Forgotten::Peer(peer)),
            Some(peer) => Some(Forgotten::Connection(peer)),
            None => (all && listens).then_some(Forgotten::Listener),
        };
        if !all || known.datagrams {
            return;
        }
        self.closing(inode);
        if let Some(pair) = self.sockets.get(&inode).and_then(KnownSocket::pair) {
            let text = "connect(AF_UNSPEC) breaks the connection off: so RST, no FIN";
            self.closed.insert(pair, Some(text.to_owned()));
        }
    }

    /// Whether this end is one that no program has had, of a listener that no process has any
    /// more.
    fn was_never_accepted(&self, pair: &Addresses) -> bool {
        let is_there = |it: &KnownSocket| {
            let local = it.local.as_ref().filter(|_| it.listened);
            local.is_some_and(|it| is_same_place(it, &pair.0))
        };
        let mut listeners = self.sockets.iter().filter(|(_, it)| is_there(it)).peekable();
        let is_held =
            |inode: &u64| self.holders.get(inode).is_some_and(|it| !it.is_empty());
        listeners.peek().is_some()
            && !listeners.any(|(inode, _)| is_held(inode))
            && !self.sockets.values().any(|it| it.is(pair))
    }

    /// Whether connections to this address count only when data has come.
    pub(super) fn defers(&self, to: &str) -> bool {
        self.listeners.iter().any(|(inode, at)| {
            let defers = self.sockets.get(inode).is_some_and(|it| it.defers);
            defers && is_same_place(at, to)
        })
    }

    fn is_unix(&self, call: &Call) -> bool {
        call.socket.and_then(|it| self.sockets.get(&it)).is_some_and(|it| it.unix)
    }

    /// What a call has just made a socket forget.
    fn forgotten(&self, call: &Call) -> Option<Cause> {
        let text = match self.sockets.get(&call.socket?)?.forgot.as_ref()? {
            Forgotten::Peer(peer) => {
                format!("forgets its peer {}: send needs an address now", printable(peer))
            }
            Forgotten::Connection(peer) => {
                format!("gives up its connection to {}", printable(peer))
            }
            Forgotten::Listener => "listens no more".to_owned(),
        };
        Some(Cause::caller(Topic::NoPeer, text))
    }

    /// Why there is nobody to send to, or to receive from.
    fn no_peer(&self, call: &Call, returned: &Return) -> Option<Cause> {
        let forgot = self.sockets.get(&call.socket?).and_then(|it| it.forgot.as_ref());
        let text = match (returned.error.as_deref()?, forgot) {
            ("EDESTADDRREQ" | "ENOTCONN", Some(Forgotten::Peer(_))) => {
                "no peer since connect(AF_UNSPEC)"
            }
            ("ENOTCONN" | "EPIPE", Some(Forgotten::Connection(_))) => {
                "no connection since connect(AF_UNSPEC)"
            }
            ("EDESTADDRREQ", _) => "no address is given, and the socket has no peer",
            _ => return None,
        };
        Some(Cause::caller(Topic::NoPeer, text))
    }

    /// A socket is about to be closed: records why its kernel would send a reset.
    fn closing(&mut self, inode: u64) {
        let unread = self.held(inode).map_or(0, unread);
        let Some(known) = self.sockets.get(&inode) else { return };
        let reason = if unread > 0 {
            let bytes = if unread == 1 { "byte was" } else { "bytes were" };
            let unread = grouped(u64::from(unread));
            Some(format!("{unread} {bytes} not received: so RST, no FIN"))
        } else {
            known.resets.then(|| "SO_LINGER is 0: so RST, no FIN".to_owned())
        };
        if let Some(pair) = known.pair() {
            self.closed.insert(pair, reason);
        }
        // Closing a listener closes all connections that nobody has accepted.
        if let Some(local) = self.listeners.remove(&inode) {
            let waits = |it: &&Held| it.socket.is_none() && it.local == local;
            let waiting: Vec<Addresses> = self
                .kernel
                .iter()
                .filter(waits)
                .filter(|it| it.state.as_deref() != Some("TIME-WAIT"))
                .filter_map(|it| Some((it.local.clone(), it.peer.clone()?)))
                // A program did have it, and has closed it.
                .filter(|pair| !self.sockets.values().any(|it| it.is(pair)))
                .collect();
            for pair in waiting {
                self.closed.insert(pair, Some("never accepted: so RST".to_owned()));
            }
        }
    }

    /// A process has ended: the kernel closes what it alone had open. Only what is open when
    /// the last process of a program ends was never closed: that a process which serves one
    /// connection ends is as good as a close.
    fn ended(&mut self, side: usize, pid: i32, is_last: bool, how: &Change) {
        let is_its_own = |known: &KnownSocket| {
            known.side == side && (is_last || known.user == Some(pid))
        };
        let of_side: Vec<u64> = self
            .kernel
            .iter()
            .filter_map(|it| it.socket)
            .filter(|inode| self.sockets.get(inode).is_some_and(is_its_own))
            .collect();
        for inode in of_side {
            let leaked = self
                .held(inode)
                .is_some_and(|it| it.state.as_deref() == Some("CLOSE-WAIT"));
            let known = self.sockets.get(&inode);
            if is_last
                && leaked
                && let Some((user, pair)) =
                    known.and_then(|it| Some((it.user, it.pair()?)))
            {
                let leak = match how {
                    _ if user.is_some_and(|user| user != pid) => Leak::Copy,
                    // SIGINT is how a run ends when nobody has anything left to do.
                    Change::Killed(signal) if signal != "SIGINT" => {
                        Leak::Killed(printable(signal))
                    }
                    _ => Leak::Own,
                };
                self.leaks.entry(side).or_default().insert(pair, leak);
            }
            self.closing(inode);
        }
    }

    fn returned(&mut self, call: &Call, returned: &Return) -> Option<Cause> {
        let sending = self.sending.remove(&call.id);
        match (call.name.as_str(), returned.error.as_deref()) {
            ("listen", None) => {
                let inode = call.socket?;
                let local = self.sockets.get(&inode)?.local.clone()?;
                let known = self.sockets.entry(inode).or_default();
                known.listened = true;
                self.holders.entry(inode).or_default().insert(call.pid);
                if !known.unix {
                    self.listeners.insert(inode, local);
                }
                None
            }
            // Another process has it open, too.
            ("close", None) => {
                let inode = call.socket?;
                let state = self.held(inode).and_then(|it| it.state.as_deref());
                let local = self.sockets.get(&inode)?.local.clone()?;
                if state == Some("LISTEN") {
                    self.listeners.insert(inode, local);
                }
                None
            }
            ("bind", Some("EADDRINUSE")) => self.port_in_use(call),
            ("bind", Some("EADDRNOTAVAIL")) => elsewhere(call),
            ("connect", Some("EADDRNOTAVAIL")) => self.ports_used_up(call),
            ("connect", None) => self.forgotten(call),
            ("shutdown", None) => {
                let shut = &mut self.sockets.entry(call.socket?).or_default().shut;
                let has = |value: &str| call.args.iter().any(|it| it.value == value);
                shut.reading |= has("SHUT_RD") || has("SHUT_RDWR");
                shut.writing |= has("SHUT_WR") || has("SHUT_RDWR");
                None
            }
            ("bind" | "accept" | "accept4", Some("EINVAL")) => self.not_now(call),
            // A port below 1024 is another matter.
            ("bind", Some("EACCES")) => None,
            (_, Some("EACCES")) => self.no_broadcast(call),
            (_, Some("EMSGSIZE")) => self.too_long(call),
            ("connect", Some("ETIMEDOUT")) => None,
            (_, Some("ETIMEDOUT")) => self.timed_out(call),
            (_, Some("ECONNREFUSED")) => self.refused_before(call),
            (_, Some("EPIPE")) if self.broken_pipe(call).is_some() => {
                self.broken_pipe(call)
            }
            ("accept" | "accept4", Some("EMFILE" | "ENFILE")) => {
                let text = match self.held(call.socket?).map_or(0, |held| held.recv_q) {
                    0 => "no descriptor is free".to_owned(),
                    1 => "no descriptor is free, and 1 connection waits".to_owned(),
                    many => format!("no descriptor is free, and {many} connections wait"),
                };
                Some(Cause::caller(Topic::Descriptors, text))
            }
            (_, None) if returned.data.is_some() => {
                self.datagram(call, returned).or_else(|| self.end_again(call, returned))
            }
            _ => self.no_peer(call, returned).or_else(|| {
                let sending = sending?;
                let window = self.no_room(&sending, call, returned);
                window.or_else(|| self.held_back(call, returned, sending))
            }),
        }
    }

    /// Why a stream is over for a call that sends.
    fn broken_pipe(&self, call: &Call) -> Option<Cause> {
        let known = self.sockets.get(&call.socket?)?;
        let text = if known.shut.writing {
            "it has ended its sending itself, with shutdown"
        } else if self.was_reset.contains(&known.pair()?) {
            "the peer's reset came before"
        } else {
            return None;
        };
        Some(Cause::caller(Topic::BrokenPipe, text))
    }

    /// The end of the stream has been received before, and the program asks again.
    fn end_again(&mut self, call: &Call, returned: &Return) -> Option<Cause> {
        let inode = call.socket?;
        let known = self.sockets.get(&inode)?;
        if known.datagrams
            || known.messages
            || known.fifo
            || returned.value != Some(0)
            || !is_stream_end(call)
        {
            return None;
        }
        let state = self.held(inode).and_then(|it| it.state.as_deref());
        let has_ended = matches!(state, Some("CLOSE-WAIT" | "LAST-ACK" | "CLOSING"));
        let is_measured = state.is_some();
        let was_reset = known.pair().is_some_and(|it| self.was_reset.contains(&it));
        let known = self.sockets.get_mut(&inode)?;
        if known.shut.reading && !has_ended {
            let first = !std::mem::replace(&mut known.shut.is_told, true);
            let text = "its own shutdown: the peer has not ended the stream";
            let told = || Cause::caller(Topic::EndOfStream, text);
            return (first && is_measured).then(told);
        }
        known.ends = known.ends.saturating_add(1);
        // A loop is reported only once, not in each round.
        let text = if was_reset {
            "again: the peer's reset came before, nothing more will come"
        } else {
            "again: the peer has ended the stream, nothing more will come"
        };
        (known.ends == 2).then(|| Cause::caller(Topic::EndOfStream, text))
    }

    /// A call waited to send, and in the end the peer still had no room.
    fn no_room(
        &self,
        sending: &Sending,
        call: &Call,
        returned: &Return,
    ) -> Option<Cause> {
        let length = call.data.as_ref().map_or(0, |data| data.length);
        let sent_all =
            returned.value.and_then(|it| u64::try_from(it).ok()) == Some(length);
        if !returned.waited || sent_all || !self.is_window_closed(&sending.pair) {
            return None;
        }
        let (local, peer) = &sending.pair;
        let its = |other: &&Sending| other.pair.0 == *peer && other.pair.1 == *local;
        let text = match self.sending.values().find(its) {
            Some(other) => format!(
                "waited: the peer's window is closed, it is in {} itself",
                printable(&other.name)
            ),
            None => "waited: the peer's window is closed, it does not receive".to_owned(),
        };
        Some(Cause::caller(Topic::Window, text))
    }

    /// Why nothing was sent.
    fn held_back(
        &self,
        call: &Call,
        returned: &Return,
        sending: Sending,
    ) -> Option<Cause> {
        let length = u32::try_from(returned.value?).ok().filter(|it| *it > 0)?;
        let known = self.sockets.get(&call.socket?)?;
        if sending.sent || known.datagrams || self.kernel.is_empty() {
            return None;
        }
        let held = self.held(call.socket?)?;
        if self.is_window_closed(&sending.pair) {
            let text = "not sent yet: the peer's window is closed";
            return Some(Cause::caller(Topic::Window, text));
        }
        let more = |it: &Arg| it.name == "flags" && it.value.contains("MSG_MORE");
        let kept_back = if known.corked {
            Some("not sent yet: the socket is corked (TCP_CORK)")
        } else if call.args.iter().any(more) {
            Some("not sent yet: MSG_MORE says that more follows")
        } else {
            None
        };
        if let Some(text) = kept_back {
            return (held.send_q > 0).then(|| Cause::caller(Topic::Nagle, text));
        }
        if let Some(room) = self.streams.room(&sending.pair)
            && room < u64::from(length)
        {
            let room = match room {
                0 => "no more bytes".to_owned(),
                1 => "1 more byte".to_owned(),
                many => format!("{} more bytes", grouped(many)),
            };
            let text = format!("not sent yet: the peer has room for {room}");
            return (held.send_q > length).then(|| Cause::caller(Topic::Window, text));
        }
        // Before a full segment that waits for something else, this is not what is waited for.
        let is_all_sent =
            self.streams.in_flight(&sending.pair) == held.send_q.checked_sub(length);
        let may_be_full = |bytes| self.streams.may_be_full(&sending.pair, bytes);
        if may_be_full(length) || may_be_full(held.send_q) && !is_all_sent {
            return None;
        }
        let (local, peer) = sending.pair;
        // More is in flight than this call gave, and the peer has not acknowledged it.
        let is_known = self.windows.contains_key(&(peer, local));
        (is_known && !known.no_delay && held.send_q > length).then(|| {
            let before = grouped(u64::from(held.send_q - length));
            let text = format!(
                "not sent yet: {before} bytes before are not acknowledged (Nagle)"
            );
            Cause::caller(Topic::Nagle, text)
        })
    }

    /// Marks the sending calls during which a segment with data was sent.
    fn sent(&mut self, packet: &Packet, pair: &Addresses) {
        if packet.data.length > 0 {
            let all = self.sending.values_mut();
            all.filter(|it| it.pair == *pair).for_each(|it| it.sent = true);
        }
    }

    fn packet(&mut self, packet: &Packet, answered: bool) -> Option<Cause> {
        let pair = (unmapped(&packet.from), unmapped(&packet.to));
        let back = (pair.1.clone(), pair.0.clone());
        let arrives = packet.wire.as_ref().is_none_or(|it| it.fate == Fate::Arrived);
        match &packet.protocol {
            Protocol::Udp if arrives => {
                self.arrives(packet, pair);
                None
            }
            Protocol::Tcp { flags, window, .. } => {
                self.sent(packet, &pair);
                self.streams.follow(packet, &pair, arrives);
                if arrives {
                    self.windows.insert(pair.clone(), *window);
                    if flags.has(Flag::Fin) {
                        self.half_open.remove(&back);
                    }
                }
                let syn = flags.has(Flag::Syn);
                if syn && !flags.has(Flag::Ack) {
                    self.asked.insert(pair.clone());
                    return if answered || !arrives { None } else { self.dropped(&pair) };
                }
                let was_asked = self.asked.remove(&back);
                if syn && was_asked {
                    self.accepts.insert(pair);
                    return None;
                }
                let was_answered = arrives && self.accepts.remove(&back);
                if !flags.has(Flag::Rst) {
                    let is_bare = packet.data.length == 0 && flags.is_ack_alone();
                    let text = "TCP_DEFER_ACCEPT: no connection before data comes";
                    return (was_answered && is_bare && self.defers(&pair.1))
                        .then(|| Cause::receiver(Topic::Unanswered, text));
                }
                if arrives {
                    self.was_reset.insert(back);
                }
                if was_asked {
                    let text = self.nobody_listens(&pair.0);
                    return Some(Cause::sender(Topic::Refused, text));
                }
                let Some(reason) = self.closed.get_mut(&pair) else {
                    let text = "never accepted: so RST";
                    return self
                        .was_never_accepted(&pair)
                        .then(|| Cause::sender(Topic::Reset, text));
                };
                let closed = || "this end is closed already".to_owned();
                let text = reason.take().unwrap_or_else(closed);
                Some(Cause::sender(Topic::Reset, text))
            }
            Protocol::Icmp { kind, code } => {
                self.answers(packet, *kind, *code);
                self.for_another_peer(packet, *kind, *code)
            }
            Protocol::Udp | Protocol::Other(_) => None,
        }
    }
}

impl KnownSocket {
    fn is(&self, pair: &Addresses) -> bool {
        self.local.as_ref() == Some(&pair.0) && self.peer.as_ref() == Some(&pair.1)
    }

    fn pair(&self) -> Option<Addresses> {
        Some((self.local.clone()?, self.peer.clone()?))
    }
}

/// The address given to a call.
fn address(call: &Call) -> Option<&str> {
    call.args.iter().find(|it| it.name == "addr").map(|it| it.value.as_str())
}

/// The bytes waiting to be received. The peer's FIN counts as one, but is not a byte.
fn unread(held: &Held) -> u32 {
    match held.state.as_deref() {
        Some("ESTABLISHED" | "FIN-WAIT-1" | "FIN-WAIT-2") => held.recv_q,
        Some("CLOSE-WAIT" | "CLOSING" | "LAST-ACK") => held.recv_q.saturating_sub(1),
        _ => 0,
    }
}
