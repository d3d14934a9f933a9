//! The two hosts, and the thread that forwards between them.
#![allow(
    unsafe_code,
    reason = "setns(2), poll(2) and eventfd(2) have no safe form in std"
)]

use std::fs::{self, File};
use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::device::{self, CARD, End, Pieces};
use super::link::{Counts, Link, Sighting};
use super::netlink;
use super::rules::{Host, Rules, What};
use super::{Card, Options, WireError};
use crate::{PrivateNetwork, Refusal};

/// How many packets can wait in a card's queue. With the 500 that TUN has by default,
/// packets are silently lost.
const QUEUE_PACKETS: u32 = 10_000;

const NO_CARD: &str = "give your user access to a TUN device (`sudo modprobe tun`, `sudo chmod \
                       666 /dev/net/tun`), or load the module of veth pairs (`sudo modprobe \
                       veth`); in a container add `--device /dev/net/tun`";

/// Two hosts and the link between them. Dropping it ends the link; the hosts go away with
/// the last program on them.
#[derive(Debug)]
pub struct Wire {
    networks: [Namespace; 2],
    link: Arc<Mutex<Link>>,
    /// Rung when the forwarder should look again, or end.
    alarm: Arc<Alarm>,
    forwarder: Option<JoinHandle<()>>,
    card: Card,
}

/// A network namespace.
#[derive(Debug)]
struct Namespace {
    file: OwnedFd,
    inode: u64,
}

impl Namespace {
    /// Moves the calling thread to a new one, with its loopback interface up.
    fn enter() -> Result<Namespace, Refusal> {
        PrivateNetwork::enter()?;
        let opened = File::open("/proc/thread-self/ns/net")
            .and_then(|file| Ok((file.metadata()?.ino(), file)));
        let (inode, file) = opened.map_err(|reason| {
            Refusal::new("open /proc/thread-self/ns/net", reason, "mount /proc")
        })?;
        Ok(Namespace { file: file.into(), inode })
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread to a network (`setns(2)`). Async-signal-safe.
fn enter(network: RawFd) -> io::Result<()> {
    // SAFETY: setns takes two numbers.
    let result = unsafe { libc::setns(network, libc::CLONE_NEWNET) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Wire {
    /// Creates the hosts and starts forwarding. The process must have entered a user
    /// namespace ([`crate::enter_user_namespace`]), or be allowed to create networks.
    ///
    /// # Errors
    /// [`WireError::Refused`] if the kernel allows no namespace, or neither TUN nor veth;
    /// [`WireError::Setting`] if a rule sets what cannot be set.
    pub fn open(rules: &Rules, options: Options) -> Result<Wire, WireError> {
        let nobody_looks = options.packet_bytes.is_none() && rules.let_everything_pass();
        let pieces = if nobody_looks { Pieces::Large } else { Pieces::Packets };
        let (hosts, card) = match options.card {
            Card::Tun => (on_tuns(rules, pieces)?, Card::Tun),
            Card::Veth => (on_veths(rules)?, Card::Veth),
            Card::Any => match on_tuns(rules, pieces) {
                Ok(hosts) => (hosts, Card::Tun),
                // The remedy that helps is the one for TUN.
                Err(WireError::Refused(refusal)) if refusal.attempt() == OPEN_TUN => {
                    (on_veths(rules).map_err(|_| refusal)?, Card::Veth)
                }
                Err(error) => return Err(error),
            },
        };
        let [a, b] = hosts;
        let networks = [a.network, b.network];
        let (ends, counters) = ([a.end, b.end], [a.counters, b.counters]);
        let link = Link::new(ends, rules, counters, options.packet_bytes);
        let link = Arc::new(Mutex::new(link));
        let begun = Alarm::new().and_then(|alarm| {
            let alarm = Arc::new(alarm);
            let (shared, heard) = (Arc::clone(&link), Arc::clone(&alarm));
            let forward = move || forward(&shared, &heard);
            let forwarder =
                std::thread::Builder::new().name("wire".into()).spawn(forward)?;
            Ok((alarm, forwarder))
        });
        let (alarm, forwarder) = begun.map_err(|reason| {
            Refusal::new("start the wire's thread", reason, "raise the limit: ulimit -u")
        })?;
        Ok(Wire { networks, link, alarm, forwarder: Some(forwarder), card })
    }

    /// The kind of card that the hosts got.
    pub fn card(&self) -> Card {
        self.card
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network namespace of a host, for `setns(2)`.
    pub fn network(&self, host: Host) -> RawFd {
        self.networks[host.index()].file.as_raw_fd()
    }

    /// Moves the calling thread to a host; whatever it starts from then on runs there.
    ///
    /// # Errors
    /// `EPERM` if the process has left the wire's user namespace.
    pub fn enter(&self, host: Host) -> io::Result<()> {
        enter(self.network(host))
    }

    /// Makes a command start on a host. The wire must outlive the start.
    pub fn place(&self, command: &mut Command, host: Host) {
        let network = self.network(host);
        // SAFETY: between fork and exec only setns is called, which is async-signal-safe.
        unsafe { command.pre_exec(move || enter(network)) };
    }

    /// Forwards what there is. Returns whether there was nothing to do: then nothing
    /// happens on the wire until somebody sends or a timer goes off.
    pub fn is_at_rest(&self) -> bool {
        let mut link = self.link();
        let moved = link.step();
        // The forwarder sleeps until the earliest time that it knew of; what was just
        // taken from a card may be due sooner.
        if moved && link.next_due().is_some() {
            self.alarm.ring();
        }
        !moved
    }

    /// Whether something more will happen by itself: a packet is on its way, or a kernel
    /// is going to retransmit, on a link that is not cut for good.
    pub fn is_busy(&self) -> bool {
        let link = self.link();
        let repeats = || link.counters.iter().any(Counters::will_repeat);
        link.has_packets() || !link.script().is_cut_for_good() && repeats()
    }

    /// The packets seen since the last call, in order.
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> + use<> {
        self.link().sightings().into_iter()
    }

    /// What the wire has counted so far.
    pub fn counts(&self) -> Counts {
        self.link().counts()
    }

    /// What a person should be told at the end: the damage and the retransmissions that
    /// each kernel counted, rules that never matched, and packets lost unseen.
    pub fn remarks(&self) -> Vec<String> {
        let mut link = self.link();
        let counts = link.counts();
        let mut remarks = Vec::new();
        for host in [Host::A, Host::B] {
            let grown = link.counters[host.index()].grown();
            let grown: Vec<String> =
                grown.iter().map(|(name, by)| format!("{name} {by}")).collect();
            if !grown.is_empty() {
                remarks
                    .push(format!("The kernel of {host} counted {}", grown.join(", ")));
            }
            let overrun = counts.overrun[host.index()];
            if overrun > 0 {
                remarks.push(format!(
                    "{overrun} packets from {host} were lost before the wire saw them"
                ));
            }
        }
        if counts.refused > 0 {
            remarks.push(format!("{} packets were refused by a card", counts.refused));
        }
        if counts.missed > 0 {
            remarks
                .push(format!("{} packets came too fast to be recorded", counts.missed));
        }
        remarks.extend(link.script().remarks());
        remarks
    }

    /// The rules that never matched, and what the link carried; empty if every rule
    /// matched.
    pub fn idle_rules(&self) -> Vec<String> {
        let mut link = self.link();
        // Judge what has already been sent first.
        while link.step() {}
        link.script().remarks()
    }

    /// Ends the link and hands over the other ends of the cards, host a's first: what is
    /// read from one was sent by its host, and what is written to it arrives there.
    /// Another program can bridge the two hosts with them, for comparison. `None` for
    /// veth pairs.
    ///
    /// # Errors
    /// `EMFILE` if the process may open no more files.
    pub fn unbridge(&mut self) -> io::Result<Option<[OwnedFd; 2]>> {
        self.end();
        let link = self.link();
        let [a, b] = link.tuns();
        match (a, b) {
            (Some(a), Some(b)) => {
                Ok(Some([a.try_clone_to_owned()?, b.try_clone_to_owned()?]))
            }
            _ => Ok(None),
        }
    }

    fn end(&mut self) {
        self.alarm.is_over.store(true, Ordering::Release);
        self.alarm.ring();
        if let Some(forwarder) = self.forwarder.take() {
            let _ = forwarder.join();
        }
    }

    /// The ids of all processes on the two hosts, wherever they are in the process tree.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let here = |pid: &u32| {
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|it| self.networks.iter().any(|net| net.inode == it.ino()))
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(here)
            .collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end();
        // The kernel takes tens of milliseconds to remove a card, and nobody needs to
        // wait for it: a process that ends meanwhile leaves the rest to the kernel.
        let ends = self.link().let_go();
        let _ = std::thread::Builder::new().name("wire-end".into()).spawn(|| drop(ends));
    }
}

/// What wakes the forwarder: `eventfd(2)`.
#[derive(Debug)]
struct Alarm {
    event: OwnedFd,
    /// Whether the forwarder should end.
    is_over: AtomicBool,
}

impl Alarm {
    fn new() -> io::Result<Alarm> {
        // SAFETY: eventfd takes two numbers; the descriptor it returns is ours alone.
        let event = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Alarm { event, is_over: AtomicBool::new(false) })
    }

    fn ring(&self) {
        let one = 1_u64;
        // SAFETY: an eventfd takes 8 bytes, which outlive the call.
        unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Resets the alarm, so that it can ring again.
    fn silence(&self) {
        let mut count = 0_u64;
        // SAFETY: an eventfd yields 8 bytes, for which there is room.
        unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

/// Forwards packets until the wire is over.
fn forward(link: &Mutex<Link>, alarm: &Alarm) {
    let locked = || link.lock().unwrap_or_else(PoisonError::into_inner);
    let [a, b] = locked().descriptors();
    let watch = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let due = locked().next_due();
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        let mut watched = [watch(a), watch(b), watch(alarm.event.as_raw_fd())];
        wait(&mut watched, left);
        if watched[2].revents != 0 {
            if alarm.is_over.load(Ordering::Acquire) {
                return;
            }
            alarm.silence();
        }
        while locked().step() {}
        // A card that is gone would be ready for ever.
        let gone = libc::POLLERR | libc::POLLNVAL;
        if watched[..2].iter().any(|it| it.revents & gone != 0) {
            return;
        }
    }
}

/// Waits until one of them is ready, or for at most `longest`.
fn wait(watched: &mut [libc::pollfd], longest: Option<Duration>) {
    let limit = longest.map(|it| libc::timespec {
        tv_sec: it.as_secs() as libc::time_t,
        tv_nsec: it.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = watched.len() as libc::nfds_t;
    // SAFETY: ppoll reads and writes as many entries as given, and reads the limit; all
    // outlive the call.
    unsafe { libc::ppoll(watched.as_mut_ptr(), count, limit, std::ptr::null()) };
}

const OPEN_TUN: &str = "open /dev/net/tun";

/// A host that is ready.
struct Ready {
    network: Namespace,
    end: End,
    counters: Counters,
}

/// Sets up both hosts with a TUN device each, side by side, because the kernel takes its
/// time.
fn on_tuns(rules: &Rules, pieces: Pieces) -> Result<[Ready; 2], WireError> {
    let make = |host: Host| {
        let network = Namespace::enter()?;
        let end = device::open_tun(pieces)
            .map_err(|reason| Refusal::new(OPEN_TUN, reason, NO_CARD))?;
        let counters = set_up(host, Card::Tun, rules)?;
        Ok::<_, WireError>(Ready { network, end, counters })
    };
    std::thread::scope(|scope| {
        let threads = [Host::A, Host::B].map(|host| scope.spawn(move || make(host)));
        let [a, b] = threads.map(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        Ok([a?, b?])
    })
}

/// Sets up both hosts with an end of a veth pair each. The outer ends are on a network of
/// their own, which lives as long as their sockets.
fn on_veths(rules: &Rules) -> Result<[Ready; 2], WireError> {
    let [a, b] = [on_a_thread(Namespace::enter)?, on_a_thread(Namespace::enter)?];
    let ends = on_a_thread(|| {
        PrivateNetwork::enter()?;
        device::open_veths([&a.file, &b.file])
            .map_err(|reason| Refusal::new("make a veth pair", reason, NO_CARD))
    })?;
    let ready = |host: Host, network: Namespace, end: End| {
        let fd = network.file.as_raw_fd();
        let counters = on_a_thread(move || {
            enter(fd).map_err(|reason| Refusal::new("setns", reason, NO_CARD))?;
            set_up(host, Card::Veth, rules)
        })?;
        Ok::<_, WireError>(Ready { network, end, counters })
    };
    let [to_a, to_b] = ends;
    Ok([ready(Host::A, a, to_a)?, ready(Host::B, b, to_b)?])
}

/// Sets up the calling thread's network as a host, with the settings from the rules.
fn set_up(host: Host, card: Card, rules: &Rules) -> Result<Counters, WireError> {
    configure(host, card)
        .map_err(|reason| Refusal::new("set up the card wire0", reason, NO_CARD))?;
    for rule in &rules.all {
        let What::Set { host: of, name, value } = &rule.what else { continue };
        if of.is_none_or(|of| of == host) {
            set(&format!("ipv4/{name}"), value)
                .map_err(|reason| WireError::Setting(rule.text.clone(), reason))?;
        }
    }
    let counters = Counters::open().map_err(|reason| {
        Refusal::new("read /proc/thread-self/net/netstat", reason, "mount /proc")
    })?;
    Ok(counters)
}

/// Configures a host on its own network: quiet, predictable, and with its addresses.
fn configure(host: Host, card: Card) -> io::Result<()> {
    if card == Card::Veth {
        device::switch_offloads_off(CARD)?;
    }
    // What one connection learned must not change the next one. Reno is what the
    // textbooks describe, and every kernel has it built in.
    set("ipv4/tcp_congestion_control", "reno")?;
    set("ipv4/tcp_no_metrics_save", "1")?;
    let has_ipv6 = fs::exists("/proc/sys/net/ipv6/conf").unwrap_or(false);
    if has_ipv6 {
        for (name, value) in [
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
            ("accept_ra", "0"),
            ("router_solicitations", "0"),
            ("addr_gen_mode", "1"), // no address except the given one
        ] {
            set(&format!("ipv6/conf/{CARD}/{name}"), value)?;
        }
    }
    netlink::set_queue_length(device::index_of(CARD)?, QUEUE_PACKETS)?;
    let last = host.index() as u8 + 1;
    device::add_ipv4(CARD, last)?;
    device::raise_without_neighbours(CARD)?;
    device::add_ipv4(&format!("{CARD}:1"), last + 10)?;
    if has_ipv6 {
        device::add_ipv6(CARD, last)?;
        await_ipv6(last)?;
    }
    Ok(())
}

/// Waits for an IPv6 address to become usable: the kernel takes its time, even with no
/// neighbours to ask.
fn await_ipv6(last: u8) -> io::Result<()> {
    let address = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last.into());
    // A kernel thread does it, and on a crowded machine that thread has to wait too.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match UdpSocket::bind((address, 0)) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                if Instant::now() >= deadline {
                    return Err(error);
                }
                std::thread::yield_now();
            }
            // A system without IPv6 is no concern of the wire's.
            _ => return Ok(()),
        }
    }
}

/// Writes a sysctl of the calling thread's network.
fn set(name: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/{name}"), value)
}
