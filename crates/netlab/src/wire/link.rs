//! The link: takes what each host sends, has it judged by the rules, and delivers it when
//! it is due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::counters::{self, Counters};
use super::device::End;
use super::headers::{self, Body, Facts, SYN};
use super::rules::{Host, Rules};
use super::script::{Decision, Lost, Script};

/// The most packets on their way at once, in both directions together; with the largest
/// packets that a card takes, 30 MB.
const MOST_ON_THEIR_WAY: usize = 20_000;

/// The most bytes of sightings kept until somebody takes them.
const MOST_SIGHTING_BYTES: usize = 32 << 20;

/// The longest packet that a card hands over, including what may precede it.
const LONGEST_PACKET_BYTES: usize = 65_600;

/// How many packets are taken from one host before the other one gets its turn.
const IN_A_ROW: usize = 64;

/// A packet, as it was seen leaving its host or arriving at the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The packet's number; both copies of a doubled packet have the same.
    pub number: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// When it left its sender.
    pub left_ns: u64,
    /// Its sender; for an ICMP answer of the wire's own, the host that it appears to come
    /// from.
    pub from: Host,
    /// Where it was seen.
    pub place: Place,
    /// The packet from its IP header on, cut to the requested length.
    pub bytes: Vec<u8>,
    /// Its length on the wire, in bytes.
    pub length: usize,
    /// Whether all that it carries had been sent before.
    pub again: bool,
    /// Whether it asks if the peer is still there, or has room.
    pub probe: bool,
    /// Whether its payload was changed on the way.
    pub damaged: bool,
    /// Whether it is the second copy of a packet that arrives twice.
    pub doubled: bool,
    /// Whether it was held back on the way.
    pub held: bool,
    /// Whether a router on the wire cut it from a longer packet, so that its sender's
    /// card never saw it.
    pub routed: bool,
    /// For a fragment of a datagram, where its bytes begin and how many there are.
    pub fragment: Option<(usize, usize)>,
    /// The kernel's counter that says why it was retransmitted, such as `TCPLossProbes`.
    pub cause: Option<&'static str>,
    /// The rule that affected it.
    pub rule: Option<String>,
}

impl Sighting {
    /// Returns the sighting as one line, for another process to read with
    /// [`Sighting::from_line`].
    pub fn to_line(&self) -> String {
        let place = match self.place {
            Place::Left => "left",
            Place::Held => "held",
            Place::Lost => "lost",
            Place::Arrived => "arrived",
        };
        let flags = [self.again, self.probe, self.damaged, self.doubled, self.held];
        let flags: String = flags
            .into_iter()
            .chain([self.routed])
            .map(|it| u8::from(it).to_string())
            .collect();
        let (at, long) = match self.fragment {
            Some((at, long)) => (at.to_string(), long.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let bytes: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{} {} {} {} {place} {} {flags} {at} {long} {} -{bytes} {}",
            self.number,
            self.time_ns,
            self.left_ns,
            self.from,
            self.length,
            self.cause.unwrap_or("-"),
            self.rule.as_deref().unwrap_or_default(),
        )
    }

    /// Reads what [`Sighting::to_line`] wrote; returns `None` if it is something else.
    pub fn from_line(line: &str) -> Option<Sighting> {
        // The rule is last, as it has spaces.
        let mut words = line.splitn(12, ' ');
        let mut next = || words.next();
        let (number, time_ns, left_ns) =
            (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let from = match next()? {
            "a" => Host::A,
            "b" => Host::B,
            _ => return None,
        };
        let place = match next()? {
            "left" => Place::Left,
            "held" => Place::Held,
            "lost" => Place::Lost,
            "arrived" => Place::Arrived,
            _ => return None,
        };
        let length = next()?.parse().ok()?;
        let flags: Vec<bool> = next()?.chars().map(|flag| flag == '1').collect();
        let [again, probe, damaged, doubled, held, routed] = flags[..] else {
            return None;
        };
        let fragment = next()?.parse().ok().zip(next()?.parse().ok());
        let cause = next()?;
        let cause = counters::CAUSES.into_iter().find(|it| *it == cause);
        let digits = next()?.strip_prefix('-')?.as_bytes();
        let bytes = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        let rule = next().filter(|rule| !rule.is_empty()).map(str::to_owned);
        Some(Sighting {
            number,
            time_ns,
            left_ns,
            from,
            place,
            bytes,
            length,
            again,
            probe,
            damaged,
            doubled,
            held,
            routed,
            fragment,
            cause,
            rule,
        })
    }
}

/// Where a packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At its sender's card; it arrives at once, or after the delay that all packets
    /// have.
    Left,
    /// At its sender's card; it is held back and arrives later.
    Held,
    /// At its sender's card; it never arrives.
    Lost,
    /// At its receiver's card.
    Arrived,
}

/// A packet on its way.
#[derive(Debug)]
struct OnItsWay {
    due: Instant,
    order: u64,
    /// The rule that releases it once another packet has passed.
    until: Option<usize>,
    seen: Sighting,
    packet: Vec<u8>,
}

impl PartialEq for OnItsWay {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}

impl Eq for OnItsWay {}

impl PartialOrd for OnItsWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OnItsWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// Sightings that nobody has taken yet.
#[derive(Debug)]
struct Log {
    packet_bytes: usize,
    sightings: VecDeque<Sighting>,
    bytes: usize,
    missed: u64,
}

/// The wire's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The packets that each host sent: a, b.
    pub sent: [u64; 2],
    /// The packets that arrived at each host.
    pub arrived: [u64; 2],
    /// The packets lost before the wire saw them, in the queue of the host's card.
    pub overrun: [u64; 2],
    /// The packets that a card did not take.
    pub refused: u64,
    /// The sightings that nobody took in time.
    pub missed: u64,
}

/// The link between the two hosts.
#[derive(Debug)]
pub(super) struct Link {
    ends: [End; 2],
    script: Script,
    pub(super) counters: [Counters; 2],
    on_their_way: BinaryHeap<Reverse<OnItsWay>>,
    /// How many of the packets on their way each host sent.
    queued: [usize; 2],
    /// The packets that are waiting for another packet to pass.
    waiting: Vec<OnItsWay>,
    log: Option<Log>,
    counts: Counts,
    next: u64,
    buffer: Vec<u8>,
}

impl Link {
    pub(super) fn new(
        ends: [End; 2],
        rules: &Rules,
        counters: [Counters; 2],
        packet_bytes: Option<usize>,
    ) -> Link {
        Link {
            ends,
            script: Script::new(rules),
            counters,
            on_their_way: BinaryHeap::new(),
            queued: [0; 2],
            waiting: Vec::new(),
            log: packet_bytes.map(|packet_bytes| Log {
                packet_bytes,
                sightings: VecDeque::new(),
                bytes: 0,
                missed: 0,
            }),
            counts: Counts::default(),
            next: 0,
            buffer: vec![0; LONGEST_PACKET_BYTES],
        }
    }

    /// Takes what was sent and delivers what is due. Returns whether there was anything
    /// to do.
    pub(super) fn step(&mut self) -> bool {
        let mut moved = false;
        for host in [Host::A, Host::B] {
            for _ in 0..IN_A_ROW {
                let mut buffer = std::mem::take(&mut self.buffer);
                let came = self.ends[host.index()].receive(&mut buffer);
                if let Ok(Some(length)) = came {
                    let packet = &mut buffer[..length];
                    match self.ends[host.index()].before() {
                        0 => self.take(host, packet),
                        before => self.pass_on(host, packet, before),
                    }
                }
                self.buffer = buffer;
                match came {
                    Ok(Some(_)) => moved = true,
                    // A card that is down has nothing to say.
                    Ok(None) | Err(_) => break,
                }
            }
        }
        self.deliver_due() || moved
    }

    /// When the next packet is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|it| it.due).min();
        let next = self.on_their_way.peek().map(|Reverse(it)| it.due);
        [waiting, next].into_iter().flatten().min()
    }

    /// Whether a packet is still on its way.
    pub(super) fn has_packets(&self) -> bool {
        !self.on_their_way.is_empty() || !self.waiting.is_empty()
    }

    pub(super) fn descriptors(&self) -> [i32; 2] {
        [self.ends[0].fd(), self.ends[1].fd()]
    }

    /// Delivers what a host sent as one piece: no rule applies to it, and nobody is
    /// looking.
    fn pass_on(&mut self, from: Host, piece: &[u8], before: usize) {
        let facts = piece.get(before..).and_then(Facts::read);
        if facts.is_none_or(|facts| facts.target.is_multicast()) {
            return;
        }
        self.counts.sent[from.index()] += 1;
        let to = from.peer().index();
        match self.ends[to].send(piece) {
            Ok(()) => self.counts.arrived[to] += 1,
            Err(_) => self.counts.refused += 1,
        }
    }

    /// Gives the cards away; nothing is carried from now on.
    pub(super) fn let_go(&mut self) -> [End; 2] {
        std::mem::replace(&mut self.ends, [End::Gone, End::Gone])
    }

    /// The descriptors of the TUN devices.
    pub(super) fn tuns(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [self.ends[0].tun(), self.ends[1].tun()]
    }

    fn take(&mut self, from: Host, packet: &mut [u8]) {
        let now = Instant::now();
        let Some(facts) = Facts::read(packet) else { return };
        // What a kernel sends to all neighbours of its own accord is of no interest.
        if facts.target.is_multicast() {
            return;
        }
        match self.script.cuts_to(from, &facts, packet) {
            Some(most) => self.take_in_pieces(from, &facts, packet, most, now),
            None => self.take_one(from, facts, packet, now, false),
        }
    }

    /// Does what a router does with a packet that is too long for its next link and may
    /// be fragmented: the pieces travel on, and each has a fate of its own.
    fn take_in_pieces(
        &mut self,
        from: Host,
        facts: &Facts,
        packet: &[u8],
        most: u16,
        now: Instant,
    ) {
        if self.log.is_some() {
            let whole = Decision::passes(now);
            let seen = self.seen(from, facts, &whole, Some(packet));
            if let Some(log) = &mut self.log {
                log.push(seen, packet);
            }
        }
        for mut piece in headers::fragments(packet, most) {
            if let Some(facts) = Facts::read(&piece) {
                self.take_one(from, facts, &mut piece, now, true);
            }
        }
    }

    /// Judges one packet as it travels, and sends it on if it is not lost.
    fn take_one(
        &mut self,
        from: Host,
        facts: Facts,
        packet: &mut [u8],
        now: Instant,
        routed: bool,
    ) {
        let original = self.log.is_some().then(|| packet.to_vec());
        let mut decision = self.script.judge(from, facts, packet, now);
        self.counts.sent[from.index()] += 1;
        if decision.lost.is_none()
            && self.on_their_way.len() + self.waiting.len() >= MOST_ON_THEIR_WAY
        {
            decision.lost = Some(Lost::Full(None));
        }
        let seen = Sighting {
            routed,
            ..self.seen(from, &facts, &decision, original.as_deref())
        };
        let lost = decision.lost.is_some();
        if let (Some(log), Some(original)) = (&mut self.log, original) {
            let place = match (lost, decision.held) {
                (true, _) => Place::Lost,
                (false, Some(_)) => Place::Held,
                (false, None) => Place::Left,
            };
            // It left as it was; the damage happens on the way.
            log.push(
                Sighting { place, damaged: lost && seen.damaged, ..seen.clone() },
                &original,
            );
        }
        if !lost {
            self.send_on(from, seen, &decision, packet, now);
        }
        if let Some(answer) = decision.answer {
            self.answer(from, answer, decision.lost);
        }
    }

    fn seen(
        &mut self,
        from: Host,
        facts: &Facts,
        decision: &Decision,
        original: Option<&[u8]>,
    ) -> Sighting {
        self.next += 1;
        let rule = match decision.lost {
            Some(Lost::Rule(rule)) => Some(rule),
            Some(Lost::Full(rule)) => rule,
            None => decision.damaged.or(decision.doubled).or(decision.held),
        };
        let mut cause = None;
        // If nobody is looking, the counters need not be read.
        if original.is_some() && (decision.again || decision.probe) {
            let is_syn =
                matches!(facts.body, Body::Tcp { flags, .. } if flags & SYN != 0);
            cause = self.counters[from.index()].cause(is_syn);
        }
        let time_ns = if original.is_some() { now_ns() } else { 0 };
        Sighting {
            number: self.next,
            time_ns,
            left_ns: time_ns,
            from,
            place: Place::Left,
            bytes: Vec::new(),
            length: facts.length,
            again: decision.again,
            probe: decision.probe,
            damaged: decision.damaged.is_some(),
            doubled: false,
            fragment: facts.fragment.map(|offset| (offset, facts.fragment_length())),
            held: decision.held.is_some(),
            routed: false,
            cause,
            rule: rule.and_then(|rule| self.script.text(rule)).map(str::to_owned),
        }
    }

    /// Delivers a packet that is not lost, now or when it is due.
    fn send_on(
        &mut self,
        from: Host,
        seen: Sighting,
        decision: &Decision,
        packet: &[u8],
        now: Instant,
    ) {
        let copies = 1 + usize::from(decision.doubled.is_some());
        for copy in 0..copies {
            let seen = Sighting { doubled: copy > 0, ..seen.clone() };
            // Nothing overtakes what is already on its way in the same direction.
            let at_once = decision.due <= now
                && decision.until.is_none()
                && self.queued[from.index()] == 0;
            if at_once {
                self.deliver(&seen, packet);
                continue;
            }
            self.next += 1;
            let (due, order) = (decision.due, self.next);
            let packet = packet.to_vec();
            let it = OnItsWay { due, order, until: decision.until, seen, packet };
            if it.until.is_some() {
                self.waiting.push(it);
            } else {
                self.queue(it);
            }
        }
        let Some(rule) = decision.releases else { return };
        let (released, still): (Vec<OnItsWay>, Vec<OnItsWay>) =
            std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|it| it.until == Some(rule));
        self.waiting = still;
        for mut it in released {
            self.next += 1;
            (it.due, it.order, it.until) = (decision.due, self.next, None);
            self.queue(it);
        }
    }

    fn queue(&mut self, it: OnItsWay) {
        self.queued[it.seen.from.index()] += 1;
        self.on_their_way.push(Reverse(it));
    }

    fn deliver_due(&mut self) -> bool {
        if !self.has_packets() {
            return false;
        }
        let now = Instant::now();
        let mut moved = false;
        let (late, still): (Vec<OnItsWay>, Vec<OnItsWay>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|it| it.due <= now);
        self.waiting = still;
        for it in late {
            self.queue(it);
        }
        while self.on_their_way.peek().is_some_and(|Reverse(it)| it.due <= now) {
            if let Some(Reverse(it)) = self.on_their_way.pop() {
                self.queued[it.seen.from.index()] -= 1;
                self.deliver(&it.seen, &it.packet);
                moved = true;
            }
        }
        moved
    }

    fn deliver(&mut self, seen: &Sighting, packet: &[u8]) {
        let to = seen.from.peer().index();
        // Before it is delivered, so that no effect of it is seen earlier.
        if let Some(log) = &mut self.log {
            let time_ns = now_ns();
            let arrived = Sighting { place: Place::Arrived, time_ns, ..seen.clone() };
            log.push(arrived, packet);
        }
        match self.ends[to].send(packet) {
            Ok(()) => self.counts.arrived[to] += 1,
            Err(_) => self.counts.refused += 1,
        }
    }

    /// Delivers an ICMP message about a packet to the packet's sender.
    fn answer(&mut self, sender: Host, answer: Vec<u8>, why: Option<Lost>) {
        self.next += 1;
        let time_ns = now_ns();
        let rule = match why {
            Some(Lost::Rule(rule)) => self.script.text(rule).map(str::to_owned),
            _ => None,
        };
        let seen = Sighting {
            number: self.next,
            time_ns,
            left_ns: time_ns,
            from: sender.peer(),
            place: Place::Arrived,
            bytes: Vec::new(),
            length: answer.len(),
            again: false,
            probe: false,
            damaged: false,
            doubled: false,
            fragment: None,
            held: false,
            routed: false,
            cause: None,
            rule,
        };
        self.deliver(&seen, &answer);
    }

    /// Hands over the sightings since the last call, in order.
    pub(super) fn sightings(&mut self) -> VecDeque<Sighting> {
        let Some(log) = &mut self.log else { return VecDeque::new() };
        log.bytes = 0;
        std::mem::take(&mut log.sightings)
    }

    pub(super) fn counts(&mut self) -> Counts {
        for host in 0..2 {
            let card = self.counters[host].dropped();
            let overrun = self.ends[host].overrun();
            self.counts.overrun[host] = card + overrun;
        }
        self.counts.missed = self.log.as_ref().map_or(0, |log| log.missed);
        self.counts
    }

    pub(super) fn script(&self) -> &Script {
        &self.script
    }
}

impl Log {
    fn push(&mut self, mut seen: Sighting, packet: &[u8]) {
        let kept = packet.len().min(self.packet_bytes);
        if self.bytes + kept > MOST_SIGHTING_BYTES {
            self.missed += 1;
            return;
        }
        seen.bytes = packet[..kept].to_vec();
        self.bytes += kept + size_of::<Sighting>();
        self.sightings.push_back(seen);
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let seen = Sighting {
            number: 7,
            time_ns: 1_700_000_000_000_000_001,
            left_ns: 1_700_000_000_000_000_000,
            from: Host::B,
            place: Place::Lost,
            bytes: vec![0x45, 0, 0xff],
            length: 1500,
            again: true,
            probe: false,
            damaged: true,
            doubled: false,
            held: true,
            routed: false,
            fragment: Some((1480, 20)),
            cause: Some(counters::CAUSES[0]),
            rule: Some("lose b>a data 2 retransmission".to_owned()),
        };
        let plain = Sighting {
            bytes: Vec::new(),
            place: Place::Arrived,
            fragment: None,
            cause: None,
            rule: None,
            ..seen.clone()
        };
        for seen in [seen, plain] {
            let line = seen.to_line();
            assert_eq!(line.lines().count(), 1);
            assert_eq!(Sighting::from_line(&line), Some(seen.clone()), "{line}");
            // Cut off anywhere before the rule, it is no sighting.
            let rule = seen.rule.as_ref().map_or(0, String::len);
            for end in 0..line.len() - rule - seen.bytes.len() * 2 - 2 {
                assert_eq!(Sighting::from_line(&line[..end]), None, "{}", &line[..end]);
            }
        }
        for line in ["", "a b", "1 2 3 c lost 4 - 000000 - - -zz ", "\u{1b}[2J"] {
            assert_eq!(Sighting::from_line(line), None, "{line:?}");
        }
    }
}
