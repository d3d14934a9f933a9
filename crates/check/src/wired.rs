//! A wire between the program and the checker: two hosts, each with a network of its own, and
//! a link that loses, doubles or delays the packets that its rules name (`netlab::wire`).

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netlab::wire::{Host, Options, Place, Rules, Sighting, Wire, WireError};

use crate::outcome::{Outcome, Stop};
use crate::timeline::Timeline;

/// The two hosts of a check, joined by a wire. The calling thread, and with it the checker's
/// sockets, is on one of them.
#[derive(Debug)]
pub(crate) struct Wired {
    wire: Wire,
    /// The program's host: b if it is a server, a if it is a client.
    program: Host,
    /// What the wire saw, up to [`MOST_SEEN`] packets: for a drawing.
    seen: RefCell<Vec<Sighting>>,
}

/// How many packets a drawing has at most: more than it has rows.
const MOST_SEEN: usize = 10_000;

impl Wired {
    /// Creates the hosts and moves the calling thread to the checker's.
    ///
    /// # Errors
    /// Skips the check if the system does not allow this, with a message that says what would.
    pub(crate) fn new(
        program: Host,
        rules: &str,
        on_hosts_network: bool,
    ) -> Outcome<Self> {
        if on_hosts_network {
            return Err(Stop::Skipped(
                "this check's wire needs private networks; run without --network host, and see the \
                 note above for what this system must allow"
                    .into(),
            ));
        }
        let rules = Rules::parse(rules.lines())
            .map_err(|error| Stop::Broken(format!("a rule of the check: {error}")))?;
        // The headers, and what a row of a drawing shows of the data.
        let options = Options { packet_bytes: Some(160), ..Options::default() };
        let wire = Wire::open(&rules, options).map_err(|error| match error {
            WireError::Refused(refusal) => Stop::Skipped(format!("no wire: {refusal}")),
            error => Stop::Broken(error.to_string()),
        })?;
        wire.enter(program.peer())?;
        Ok(Wired { wire, program, seen: RefCell::default() })
    }

    /// Returns the program's host.
    pub(crate) fn host(&self) -> Host {
        self.program
    }

    /// Returns what the wire has seen since it was made.
    pub(crate) fn seen(&self, timeline: &Timeline) -> Vec<Sighting> {
        self.sent_at(timeline);
        self.seen.borrow().clone()
    }

    /// Returns when the wire saw each packet that the program's host has sent since the
    /// last call, including those that were lost. The wire takes these times itself, so it
    /// does not matter how late anybody reads them. Adds what the rules did to packets to
    /// the timeline.
    pub(crate) fn sent_at(&self, timeline: &Timeline) -> Vec<Duration> {
        let mut moments = Vec::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut kept = self.seen.borrow_mut();
        for seen in self.wire.sightings() {
            if kept.len() < MOST_SEEN {
                kept.push(seen.clone());
            }
            let at = Duration::from_nanos(seen.time_ns);
            let left = matches!(seen.place, Place::Left | Place::Lost);
            if seen.from == self.program && left {
                moments.push(at);
            }
            let does = match seen.place {
                Place::Lost => "loses",
                Place::Held => "holds back",
                Place::Arrived if seen.damaged => "has damaged",
                Place::Arrived if seen.doubled => "delivers once more",
                _ => continue,
            };
            let (from, to, length) = (seen.from, seen.from.peer(), seen.length);
            let text = format!("{does} a packet of {length} bytes from {from} to {to}");
            timeline.did("wire", now.saturating_sub(at), text);
        }
        moments
    }

    /// Returns the address of the checker's host.
    pub(crate) fn checkers_host(&self) -> Ipv4Addr {
        match self.program {
            Host::A => Ipv4Addr::new(10, 77, 0, 2),
            Host::B => Ipv4Addr::new(10, 77, 0, 1),
        }
    }

    /// Runs `work` with the calling thread on the program's host.
    pub(crate) fn on_its_host<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        self.wire.enter(self.program)?;
        let result = work();
        self.wire.enter(self.program.peer())?;
        result
    }
}
