//! The judgement: what the rules say about one packet after another.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::headers::{self, ACK, Body, Complaint, FIN, Facts, RST, SYN};
use super::rules::{Host, KINDS, Kind, Numbers, Rules, What, Which};

/// The most connections whose sequence numbers are followed.
const MOST_FLOWS: usize = 4096;

/// How long a packet is held at most while it waits for another one to pass: longer than
/// the kernel waits before it retransmits, and than a program on a busy machine needs for
/// its next send.
pub(super) const LONGEST_HELD: Duration = Duration::from_secs(3);

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Why it does not arrive, if it does not.
    pub(super) lost: Option<Lost>,
    /// When it arrives.
    pub(super) due: Instant,
    /// The rule about this packet that held it back, if any.
    pub(super) held: Option<usize>,
    /// The rule whose second packet it waits for.
    pub(super) until: Option<usize>,
    /// The rule whose waiting packet goes right after this one.
    pub(super) releases: Option<usize>,
    /// The rule that makes it arrive twice.
    pub(super) doubled: Option<usize>,
    /// The rule that changed its payload.
    pub(super) damaged: Option<usize>,
    /// The ICMP message in answer to it.
    pub(super) answer: Option<Vec<u8>>,
    /// Whether all that it carries had been sent before.
    pub(super) again: bool,
    /// Whether it asks if the peer is still there, or has room.
    pub(super) probe: bool,
}

impl Decision {
    /// The decision if no rule applies.
    pub(super) fn passes(now: Instant) -> Decision {
        Decision {
            lost: None,
            due: now,
            held: None,
            until: None,
            releases: None,
            doubled: None,
            damaged: None,
            answer: None,
            again: false,
            probe: false,
        }
    }
}

/// Why a packet is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// This rule loses it.
    Rule(usize),
    /// The queue of this rule, or the wire's own, was full.
    Full(Option<usize>),
}

/// What decides which kinds a packet is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kinds {
    facts: Facts,
    again: bool,
    probe: bool,
}

impl Kinds {
    fn is(&self, kind: Kind) -> bool {
        let Body::Tcp { flags, .. } = self.facts.body else {
            return match kind {
                Kind::Packet => true,
                Kind::Datagram => matches!(self.facts.body, Body::Udp { .. }),
                Kind::Fragment => {
                    matches!(
                        self.facts.body,
                        Body::Fragment | Body::Udp { fragment: true }
                    )
                }
                Kind::Icmp => self.facts.body == Body::Icmp,
                _ => false,
            };
        };
        let has = |flag| flags & flag != 0;
        let data = self.facts.payload_length() > 0;
        match kind {
            Kind::Packet | Kind::Segment => true,
            Kind::Syn => has(SYN) && !has(ACK),
            Kind::SynAck => has(SYN) && has(ACK),
            Kind::Fin => has(FIN),
            Kind::Rst => has(RST),
            Kind::Data => data,
            Kind::Probe => self.probe,
            Kind::Ack => has(ACK) && !has(SYN | FIN | RST) && !data && !self.probe,
            Kind::Datagram | Kind::Fragment | Kind::Icmp => false,
        }
    }
}

/// A rule, how many packets it has counted, and how many it has matched.
#[derive(Debug)]
struct Live {
    what: What,
    counted: u64,
    matched: u64,
}

impl Live {
    /// Counts a packet that host `from` sent, and returns whether the rule is about it.
    fn hits(&mut self, from: Host, kinds: &Kinds) -> bool {
        let is_for = |of: Option<Host>| of.is_none_or(|of| of == from);
        match &self.what {
            What::Lose(which)
            | What::Double(which)
            | What::Swap(which, _)
            | What::Flip(which, _)
            | What::FlipChecksummed(which)
            | What::Delay(which, _)
            | What::Answer(which)
            | What::Cut(which) => which.matches(from, kinds, &mut self.counted),
            What::Rate { from: of, .. } => is_for(*of),
            What::Mtu { from: of, from_packet, .. } => {
                self.counted += 1;
                is_for(*of) && self.counted >= *from_packet
            }
            What::MendAfter(_) | What::MendAfterPackets(_) | What::Set { .. } => false,
        }
    }
}

/// A cut of the link.
#[derive(Debug, Clone, Copy)]
struct Cut {
    rule: usize,
    since: Instant,
    lost: u64,
}

/// One direction of a link with a limited rate.
#[derive(Debug, Default)]
struct Line {
    /// When each queued packet will have been sent.
    leaves: VecDeque<Instant>,
}

/// The rules at work.
#[derive(Debug)]
pub(super) struct Script {
    rules: Vec<Live>,
    texts: Vec<String>,
    /// How far each direction of a connection has sent.
    sent: HashMap<(IpAddr, IpAddr, u16, u16), u32>,
    cut: Option<Cut>,
    lines: HashMap<(usize, Host), Line>,
    /// How many packets of each kind each host has sent.
    tallies: [[u64; KINDS.len()]; 2],
}

impl Script {
    pub(super) fn new(rules: &Rules) -> Script {
        Script {
            rules: rules
                .all
                .iter()
                .map(|rule| Live { what: rule.what.clone(), counted: 0, matched: 0 })
                .collect(),
            texts: rules.lines().map(str::to_owned).collect(),
            sent: HashMap::new(),
            cut: None,
            lines: HashMap::new(),
            tallies: [[0; KINDS.len()]; 2],
        }
    }

    pub(super) fn text(&self, rule: usize) -> Option<&str> {
        self.texts.get(rule).map(String::as_str)
    }

    /// Judges the next packet that host `from` sent; if a rule damages it, it is damaged
    /// on return.
    pub(super) fn judge(
        &mut self,
        from: Host,
        facts: Facts,
        bytes: &mut [u8],
        now: Instant,
    ) -> Decision {
        let (again, probe) = self.follow(&facts);
        let kinds = Kinds { facts, again, probe };
        for (tally, (_, kind)) in self.tallies[from.index()].iter_mut().zip(KINDS) {
            *tally += u64::from(kinds.is(kind));
        }
        let mut decision = Decision { again, probe, ..Decision::passes(now) };
        let mut rates = Vec::new();
        for rule in 0..self.rules.len() {
            self.apply(rule, from, &kinds, bytes, now, &mut decision, &mut rates);
        }
        self.pass_the_cut(now, &mut decision);
        for (rule, bits_per_second, queue) in rates {
            if decision.lost.is_none() {
                let line = self.lines.entry((rule, from)).or_default();
                match line.send(now, facts.length, bits_per_second, queue) {
                    Some(leaves) => decision.due += leaves.saturating_duration_since(now),
                    None => decision.lost = Some(Lost::Full(Some(rule))),
                }
            }
        }
        decision
    }

    /// The size into which a router on this wire cuts this packet, if it is too long and
    /// may be cut: its pieces are judged in its place.
    pub(super) fn cuts_to(
        &mut self,
        from: Host,
        facts: &Facts,
        bytes: &[u8],
    ) -> Option<u16> {
        let mut narrowest = None;
        for live in &mut self.rules {
            let What::Mtu { from: of, bytes: most, silent: _, from_packet } = live.what
            else {
                continue;
            };
            let is_narrow = of.is_none_or(|of| of == from)
                && live.counted + 1 >= from_packet
                && facts.length > usize::from(most);
            if is_narrow && headers::may_be_cut(bytes) {
                live.matched += 1;
                narrowest = Some(narrowest.map_or(most, |it: u16| it.min(most)));
            }
        }
        narrowest
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one judgement")]
    fn apply(
        &mut self,
        rule: usize,
        from: Host,
        kinds: &Kinds,
        bytes: &mut [u8],
        now: Instant,
        decision: &mut Decision,
        rates: &mut Vec<(usize, u64, usize)>,
    ) {
        let live = &mut self.rules[rule];
        if !live.hits(from, kinds) {
            return;
        }
        let facts = &kinds.facts;
        let lose = |decision: &mut Decision| {
            decision.lost.get_or_insert(Lost::Rule(rule));
        };
        let matched = match live.what {
            What::Lose(_) => {
                lose(decision);
                true
            }
            What::Double(_) => {
                decision.doubled = Some(rule);
                true
            }
            What::Swap(_, [first, second]) => {
                if live.counted == first {
                    (decision.held, decision.until) = (Some(rule), Some(rule));
                    decision.due = now + LONGEST_HELD;
                }
                if live.counted == second {
                    decision.releases = Some(rule);
                }
                live.counted == second
            }
            What::Flip(_, bit) => {
                let flipped = headers::flip(bytes, facts, bit);
                if flipped {
                    decision.damaged = Some(rule);
                }
                flipped
            }
            What::FlipChecksummed(_) => {
                let exchanged = headers::exchange_words(bytes, facts);
                if exchanged {
                    decision.damaged = Some(rule);
                }
                exchanged
            }
            What::Delay(ref which, time) => {
                decision.due += time;
                if !which.is_all() {
                    decision.held = Some(rule);
                }
                true
            }
            What::Rate { bits_per_second, queue, .. } => {
                rates.push((rule, bits_per_second, queue));
                true
            }
            What::Mtu { bytes: most, silent, .. } => {
                let too_long = facts.length > usize::from(most);
                if too_long {
                    lose(decision);
                }
                if too_long && !silent {
                    let what = Complaint::TooBig(most);
                    decision.answer = Some(headers::complaint(bytes, facts, what));
                }
                too_long
            }
            What::Answer(_) => {
                lose(decision);
                let what = Complaint::Unreachable;
                decision.answer = Some(headers::complaint(bytes, facts, what));
                true
            }
            What::Cut(_) => {
                self.cut.get_or_insert(Cut { rule, since: now, lost: 0 });
                true
            }
            What::MendAfter(_) | What::MendAfterPackets(_) | What::Set { .. } => false,
        };
        live.matched += u64::from(matched);
    }

    /// Loses the packet if the link is cut, and mends the cut when it is time.
    fn pass_the_cut(&mut self, now: Instant, decision: &mut Decision) {
        let Some(cut) = &mut self.cut else { return };
        let later = self.rules.iter_mut().enumerate().skip(cut.rule + 1);
        let mend = later
            .take_while(|(_, rule)| !matches!(rule.what, What::Cut(_)))
            .find(|(_, rule)| rule.what.mends());
        let mended = match mend.as_ref().map(|(_, rule)| &rule.what) {
            Some(What::MendAfter(time)) => {
                now.saturating_duration_since(cut.since) >= *time
            }
            Some(What::MendAfterPackets(packets)) => cut.lost >= *packets,
            _ => false,
        };
        if mended {
            if let Some((_, rule)) = mend {
                rule.matched += 1;
            }
            self.cut = None;
        } else {
            cut.lost += 1;
            decision.lost = Some(Lost::Rule(cut.rule));
        }
    }

    /// Whether nothing will ever pass again: the link is cut, and no rule mends it.
    pub(super) fn is_cut_for_good(&self) -> bool {
        self.cut.is_some_and(|cut| {
            let later = self.rules.iter().skip(cut.rule + 1);
            // A rule mends the cut before it, not an earlier one.
            let mut own = later.take_while(|rule| !matches!(rule.what, What::Cut(_)));
            !own.any(|rule| rule.what.mends())
        })
    }

    /// Whether all that a segment carries had been sent before, and whether it is a
    /// probe.
    fn follow(&mut self, facts: &Facts) -> (bool, bool) {
        let Body::Tcp { flags, seq } = facts.body else { return (false, false) };
        let key = (facts.source, facts.target, facts.ports.0, facts.ports.1);
        if flags & RST != 0 {
            return (false, false);
        }
        let consumed = facts.payload_length() as u32
            + u32::from(flags & SYN != 0)
            + u32::from(flags & FIN != 0);
        let end = seq.wrapping_add(consumed);
        let before = self.sent.get(&key).copied();
        if consumed == 0 {
            return (false, before.is_some_and(|sent| sent.wrapping_sub(seq) == 1));
        }
        let again = match before {
            // A SYN with another number begins a new connection between the same
            // addresses.
            Some(sent) if flags & SYN != 0 => sent == end,
            // Sequence numbers wrap: the sign of the difference says which is later.
            Some(sent) => end.wrapping_sub(sent).cast_signed() <= 0,
            None => false,
        };
        if !again {
            if self.sent.len() >= MOST_FLOWS {
                self.sent.clear();
            }
            self.sent.insert(key, end);
        }
        (again, false)
    }

    /// What a person should be told at the end: the rules that never matched, and what
    /// the link carried.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> =
            self.idle().map(|text| format!("The rule `{text}` never matched")).collect();
        if !remarks.is_empty() {
            for host in [Host::A, Host::B] {
                remarks.push(format!(
                    "{} carried {}",
                    host.direction(),
                    self.carried(host)
                ));
            }
        }
        remarks
    }

    /// The rules that never matched, as they were written.
    fn idle(&self) -> impl Iterator<Item = &str> {
        let is_idle = |(rule, _): &(&Live, &String)| {
            rule.matched == 0 && !matches!(rule.what, What::Set { .. })
        };
        self.rules.iter().zip(&self.texts).filter(is_idle).map(|(_, text)| text.as_str())
    }

    fn carried(&self, host: Host) -> String {
        let general = [Kind::Segment, Kind::Packet];
        let counts: Vec<String> = KINDS
            .iter()
            .zip(self.tallies[host.index()])
            .filter(|((_, kind), count)| *count > 0 && !general.contains(kind))
            .map(|((name, _), count)| format!("{count} {name}"))
            .collect();
        if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
    }
}

impl Which {
    /// Whether the rule applies to this packet, which is counted if it can be.
    fn matches(&self, from: Host, kinds: &Kinds, counted: &mut u64) -> bool {
        if self.from.is_some_and(|of| of != from) || !kinds.is(self.kind) {
            return false;
        }
        let counts = match self.numbers {
            Numbers::All | Numbers::Share(..) => kinds.again || !self.retransmission,
            _ => kinds.again == self.retransmission,
        };
        *counted += u64::from(counts);
        match &self.numbers {
            Numbers::All => counts,
            Numbers::These(these) => counts && these.contains(counted),
            Numbers::Every(every) => counts && counted.is_multiple_of(*every),
            // Includes what is retransmitted after that.
            Numbers::From(first) => {
                *counted >= *first && (counts || !self.retransmission)
            }
            Numbers::Share(share, seed) => {
                counts && mixed(*seed, *counted) % 1_000_000 < *share
            }
        }
    }
}

/// A number that looks random, always the same for the same input: splitmix64.
fn mixed(seed: u64, count: u64) -> u64 {
    let mut z = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Line {
    /// Queues a packet and returns when it will have been sent; `None` if the queue is
    /// full.
    fn send(
        &mut self,
        now: Instant,
        bytes: usize,
        bits_per_second: u64,
        queue: usize,
    ) -> Option<Instant> {
        while self.leaves.front().is_some_and(|leaves| *leaves <= now) {
            self.leaves.pop_front();
        }
        // One is being sent; the others wait.
        if self.leaves.len() > queue {
            return None;
        }
        let takes = Duration::from_nanos(bytes as u64 * 8_000_000_000 / bits_per_second);
        let leaves = self.leaves.back().copied().unwrap_or(now) + takes;
        self.leaves.push_back(leaves);
        Some(leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::super::headers::tests::segment;
    use super::*;

    struct Try {
        script: Script,
        now: Instant,
    }

    impl Try {
        fn new(rules: &str) -> Try {
            let rules = Rules::parse(rules.lines()).unwrap();
            Try { script: Script::new(&rules), now: Instant::now() }
        }

        fn judge(&mut self, flags: u8, seq: u32, data: &[u8]) -> (Decision, Vec<u8>) {
            let mut bytes = segment(flags, seq, data);
            let facts = Facts::read(&bytes).unwrap();
            let decision = self.script.judge(Host::A, facts, &mut bytes, self.now);
            (decision, bytes)
        }

        fn is_lost(&mut self, flags: u8, seq: u32, data: &[u8]) -> bool {
            self.judge(flags, seq, data).0.lost.is_some()
        }
    }

    #[test]
    fn only_the_original_counts() {
        let mut it = Try::new("lose a>b data 2");
        assert!(!it.is_lost(SYN, 0, b""));
        assert!(!it.is_lost(ACK, 1, b"one"));
        assert!(!it.is_lost(ACK, 1, b"one"));
        assert!(it.is_lost(ACK, 4, b"two"));
        let (repeated, _) = it.judge(ACK, 4, b"two");
        assert!(repeated.again && repeated.lost.is_none());
        assert!(it.script.remarks().is_empty());
    }

    #[test]
    fn retransmissions_are_counted_where_they_are_asked_for() {
        let mut it = Try::new("lose a>b data 1 retransmission");
        assert!(!it.is_lost(ACK, 1, b"one"));
        assert!(it.is_lost(ACK, 1, b"one"));
        assert!(!it.is_lost(ACK, 1, b"one"));
    }

    #[test]
    fn a_share_takes_the_same_packets_each_time() {
        let lost = || {
            let mut it = Try::new("lose 5% seed 7");
            (0..2000).filter(|n| it.is_lost(ACK, n * 3, b"abc")).collect::<Vec<u32>>()
        };
        assert_eq!(lost(), lost());
        assert!((50..150).contains(&lost().len()), "{}", lost().len());
    }

    #[test]
    fn a_cut_is_mended_after_so_many_packets() {
        let mut it = Try::new("cut at a>b data 2\nmend after 2 packets");
        let lost: Vec<bool> = (0..5).map(|n| it.is_lost(ACK, n * 3, b"abc")).collect();
        assert_eq!(lost, [false, true, true, false, false]);
    }

    #[test]
    fn a_cut_is_mended_after_a_time() {
        let mut it = Try::new("cut at a>b data 1\nmend after 2s");
        assert!(it.is_lost(ACK, 1, b"abc"));
        it.now += Duration::from_secs(2);
        assert!(!it.is_lost(ACK, 4, b"abc"));
    }

    #[test]
    fn swapped_packets_wait_for_each_other() {
        let mut it = Try::new("swap a>b data 1 2");
        let first = it.judge(ACK, 1, b"abc").0;
        assert_eq!((first.until, first.due), (Some(0), it.now + LONGEST_HELD));
        assert_eq!(it.judge(ACK, 4, b"abc").0.releases, Some(0));
    }

    #[test]
    fn a_full_line_loses_what_does_not_fit() {
        let mut it = Try::new("rate 8kbit queue 2");
        // 43 bytes take 43 ms each; one is being sent, two wait.
        let lost: Vec<bool> = (0..4).map(|n| it.is_lost(ACK, n * 3, b"abc")).collect();
        assert_eq!(lost, [false, false, false, true]);
        it.now += Duration::from_millis(43);
        let (next, _) = it.judge(ACK, 12, b"abc");
        assert_eq!(next.due - it.now, Duration::from_millis(3 * 43));
    }

    #[test]
    fn what_is_too_long_gets_an_answer_unless_the_link_is_silent() {
        let mut it = Try::new("mtu 100 from packet 2");
        assert!(!it.is_lost(ACK, 1, &[0; 100]));
        let (decision, _) = it.judge(ACK, 101, &[0; 100]);
        assert!(decision.lost.is_some() && decision.answer.is_some());
        let (decision, _) = Try::new("mtu 100 silent").judge(ACK, 1, &[0; 100]);
        assert!(decision.lost.is_some() && decision.answer.is_none());
    }

    #[test]
    fn a_rule_that_never_matched_is_told_with_what_did_pass() {
        let mut it = Try::new("lose a>b data 7\nlose b>a fin 1");
        it.is_lost(ACK, 1, b"abc");
        it.is_lost(ACK, 4, b"");
        assert_eq!(
            it.script.remarks(),
            [
                "The rule `lose a>b data 7` never matched",
                "The rule `lose b>a fin 1` never matched",
                "a>b carried 1 ack, 1 data",
                "b>a carried nothing",
            ]
        );
    }

    #[test]
    fn a_probe_asks_one_byte_before() {
        let mut it = Try::new("lose a>b probe 1");
        assert!(!it.is_lost(ACK, 1, b"abc"));
        assert!(!it.is_lost(ACK, 4, b""));
        assert!(it.is_lost(ACK, 3, b""));
    }

    #[test]
    fn flows_are_bounded() {
        let mut it = Try::new("");
        let facts = Facts::read(&segment(ACK, 1, b"abc")).unwrap();
        for port in 0..20_000 {
            it.script.follow(&Facts { ports: (port, 1), ..facts });
        }
        assert!(it.script.sent.len() <= MOST_FLOWS);
    }
}
