//! The language of the wire's rules.
//!
//! One rule per line; `#` begins a comment. A rule reads as you would say it:
//!
//! | rule | what it does |
//! |---|---|
//! | `lose WHICH` | the packet is gone |
//! | `double WHICH` | it arrives twice |
//! | `swap DIRECTION KIND N M` | packet N arrives after packet M |
//! | `flip WHICH [bit N]` | a bit of its payload is flipped |
//! | `flip-checksummed WHICH` | two words of it are swapped, which the checksum does not notice |
//! | `delay [WHICH] TIME` | it arrives that much later |
//! | `rate [DIRECTION] SPEED [queue N]` | the link carries no more than that; N packets wait (20) |
//! | `mtu BYTES [DIRECTION] [silent] [from packet N]` | longer packets get an ICMP answer, or none; those that may be fragmented are |
//! | `cut at WHICH`, `mend after TIME`, `mend after N packets` | cuts both directions, from that packet on |
//! | `answer WHICH unreachable` | the packet is gone, an ICMP message comes back |
//! | `set [a\|b] NAME VALUE` | sets a sysctl of net.ipv4, in this network alone |
//!
//! WHICH is `[DIRECTION] [KIND] [NUMBERS] [retransmission]`. The direction is `a>b` or
//! `b>a`; without one, both. The kind is one of `syn`, `syn-ack`, `ack` (and nothing
//! else), `data`, `fin`, `rst`, `probe`, `segment` (any TCP segment), `datagram` (UDP),
//! `fragment`, `icmp`, and `packet` (any). The numbers are `2`, `2 3 5`, `every 10`,
//! `from 3`, or `5% seed 7`. They count original segments of the rule's kind, in the
//! rule's direction. A retransmission has no number, unless the rule says
//! `retransmission`, which counts only those. A percentage applies to all packets.

use std::fmt;
use std::time::Duration;

/// One of the two hosts of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// Where clients run: `10.77.0.1`, `fd77::1`.
    A,
    /// Where the first program runs, the server: `10.77.0.2`, `fd77::2`.
    B,
}

impl Host {
    /// Returns the other host.
    pub fn peer(self) -> Host {
        match self {
            Host::A => Host::B,
            Host::B => Host::A,
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) fn index(self) -> usize {
        match self {
            Host::A => 0,
            Host::B => 1,
        }
    }

    /// The direction of what this host sends: `a>b` for [`Host::A`].
    #[cfg(target_os = "linux")]
    pub(super) fn direction(self) -> &'static str {
        match self {
            Host::A => "a>b",
            Host::B => "b>a",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Host::A => "a",
            Host::B => "b",
        })
    }
}

/// The rules of a wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    pub(super) all: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// The rule as it was written.
    pub(super) text: String,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Lose(Which),
    Double(Which),
    Swap(Which, [u64; 2]),
    Flip(Which, usize),
    FlipChecksummed(Which),
    Delay(Which, Duration),
    Rate { from: Option<Host>, bits_per_second: u64, queue: usize },
    Mtu { from: Option<Host>, bytes: u16, silent: bool, from_packet: u64 },
    Cut(Which),
    MendAfter(Duration),
    MendAfterPackets(u64),
    Answer(Which),
    Set { host: Option<Host>, name: String, value: String },
}

impl What {
    pub(super) fn mends(&self) -> bool {
        matches!(self, What::MendAfter(_) | What::MendAfterPackets(_))
    }
}

/// Which packets a rule applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) from: Option<Host>,
    pub(super) kind: Kind,
    pub(super) numbers: Numbers,
    pub(super) retransmission: bool,
}

#[cfg(target_os = "linux")]
impl Which {
    /// Whether the rule applies to all packets alike.
    pub(super) fn is_all(&self) -> bool {
        self.kind == Kind::Packet && self.numbers == Numbers::All
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Rst,
    Probe,
    Segment,
    Datagram,
    Fragment,
    Icmp,
    Packet,
}

/// All kinds, by name.
pub(super) const KINDS: [(&str, Kind); 12] = [
    ("syn", Kind::Syn),
    ("syn-ack", Kind::SynAck),
    ("ack", Kind::Ack),
    ("data", Kind::Data),
    ("fin", Kind::Fin),
    ("rst", Kind::Rst),
    ("probe", Kind::Probe),
    ("segment", Kind::Segment),
    ("datagram", Kind::Datagram),
    ("fragment", Kind::Fragment),
    ("icmp", Kind::Icmp),
    ("packet", Kind::Packet),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numbers {
    All,
    These(Vec<u64>),
    Every(u64),
    From(u64),
    /// Parts per million, and the seed that picks them.
    Share(u64, u64),
}

/// A rule that cannot be parsed. Displays as one line, with what is possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The index of the line among those that were given, from 0.
    pub line: usize,
    message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RuleError {}

const VERBS: &str = "lose, double, swap, flip, flip-checksummed, delay, rate, mtu, cut, \
                     mend, answer, set";

impl Rules {
    /// Parses rules, one per line.
    ///
    /// # Errors
    /// The first line that is not a rule, with what is possible in its place.
    pub fn parse<'a>(
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<Rules, RuleError> {
        let mut all: Vec<Rule> = Vec::new();
        for (line, text) in lines.into_iter().enumerate() {
            let said = text.split('#').next().unwrap_or_default().trim();
            if said.is_empty() {
                continue;
            }
            let fail = |message| RuleError {
                line,
                message: format!("rule `{}`: {message}", shown(said)),
            };
            let what = rule(&mut Words::new(said)).map_err(fail)?;
            if what.mends() {
                let before = all.iter().rev().map(|rule| &rule.what);
                let cut = before.clone().position(|what| matches!(what, What::Cut(_)));
                let mended = before.clone().position(What::mends);
                let wrong = match (cut, mended) {
                    (None, _) => "nothing was cut before this",
                    (Some(cut), Some(mended)) if mended < cut => {
                        "the cut before this is mended already"
                    }
                    _ => "",
                };
                if !wrong.is_empty() {
                    let message = format!("{wrong}; write `cut at a>b data 2` first");
                    return Err(fail(message));
                }
            }
            all.push(Rule { text: said.to_owned(), what });
        }
        Ok(Rules { all })
    }

    /// Whether no rule applies to packets.
    #[cfg(target_os = "linux")]
    pub(super) fn let_everything_pass(&self) -> bool {
        self.all.iter().all(|rule| matches!(rule.what, What::Set { .. }))
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The rules as they were written.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|rule| rule.text.as_str())
    }
}

/// What a person wrote, without anything that a terminal would obey. A rule is ASCII, except
/// for a `µ`; letters of other alphabets are shown, but nothing that is invisible or changes
/// the direction of the text.
fn shown(text: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().map(|c| if plain(c) { c } else { '?' }).take(200).collect()
}

/// The words of a rule, taken one after another.
struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Words<'a> {
        Words { words: text.split_whitespace().collect(), at: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        self.at += usize::from(is);
        is
    }

    /// Takes the next word if `read` can parse it.
    fn take_if<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.peek()?)?;
        self.at += 1;
        Some(value)
    }

    /// Takes the next word, which must be one that `read` can parse.
    fn need<T>(
        &mut self,
        read: impl Fn(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<T, String> {
        match self.peek() {
            None => Err(format!("expected {wanted}")),
            Some(word) => self
                .take_if(read)
                .ok_or_else(|| format!("`{}`: expected {wanted}", shown(word))),
        }
    }

    fn end(&self, possible: &str) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(word) if possible.is_empty() => {
                Err(format!("`{}`: expected the end of the rule", shown(word)))
            }
            Some(word) => {
                Err(format!("`{}` is not understood; possible: {possible}", shown(word)))
            }
        }
    }
}

fn rule(words: &mut Words<'_>) -> Result<What, String> {
    let verb = words.next().unwrap_or_default();
    let (what, possible) = match verb {
        "lose" => (What::Lose(which(words)?), WHICH),
        "double" => (What::Double(which(words)?), WHICH),
        "swap" => (swap(words)?, ""),
        "flip" => (flip(words)?, "bit N, and before it a direction, kind, numbers"),
        "flip-checksummed" => (What::FlipChecksummed(which(words)?), WHICH),
        "delay" => (What::Delay(which(words)?, words.need(time, TIME)?), ""),
        "rate" => (rate(words)?, "queue N"),
        "mtu" => (mtu(words)?, "a>b, b>a, silent, from packet N"),
        "cut" => {
            words.need(|word| (word == "at").then_some(()), "`at a>b data 3`")?;
            (What::Cut(which(words)?), WHICH)
        }
        "mend" => (mend(words)?, ""),
        "answer" => {
            let which = which(words)?;
            words.need(|word| (word == "unreachable").then_some(()), "`unreachable`")?;
            (What::Answer(which), "")
        }
        "set" => (set(words)?, ""),
        other => {
            return Err(format!("`{}` is not a rule; possible: {VERBS}", shown(other)));
        }
    };
    words.end(possible)?;
    Ok(what)
}

fn swap(words: &mut Words<'_>) -> Result<What, String> {
    let which = which(words)?;
    match which.numbers.clone() {
        Numbers::These(two)
            if two.len() == 2 && two[0] < two[1] && which.from.is_some() =>
        {
            Ok(What::Swap(which, [two[0], two[1]]))
        }
        _ => Err("expected a direction and two numbers, the smaller first: \
                  swap a>b data 2 3"
            .to_owned()),
    }
}

fn flip(words: &mut Words<'_>) -> Result<What, String> {
    let which = which(words)?;
    let bit = match words.take("bit") {
        true => words.need(|word| word.parse().ok(), "the number of a bit, from 0")?,
        false => 0,
    };
    Ok(What::Flip(which, bit))
}

fn rate(words: &mut Words<'_>) -> Result<What, String> {
    let from = words.take_if(direction);
    let bits_per_second = words.need(speed, "a speed: 64kbit, 1Mbit, 1Gbit")?;
    let queue = match words.take("queue") {
        true => {
            let packets = |word: &str| {
                word.parse().ok().filter(|packets| (1..=MOST_HELD).contains(packets))
            };
            words.need(packets, "a number of packets, 1 to 1000")?
        }
        false => 20,
    };
    Ok(What::Rate { from, bits_per_second, queue })
}

fn mtu(words: &mut Words<'_>) -> Result<What, String> {
    let size = |word: &str| word.parse().ok().filter(|bytes| *bytes >= 68);
    let bytes = words.need(size, "a number of bytes, 68 to 65535")?;
    let (mut from, mut silent, mut from_packet) = (None, false, 1);
    loop {
        if let Some(direction) = words.take_if(direction) {
            from = Some(direction);
        } else if words.take("silent") {
            silent = true;
        } else if words.take("from") {
            words.need(|word| (word == "packet").then_some(()), "`packet N`")?;
            from_packet = words.need(number, "the number of a packet, at least 1")?;
        } else {
            return Ok(What::Mtu { from, bytes, silent, from_packet });
        }
    }
}

fn mend(words: &mut Words<'_>) -> Result<What, String> {
    words.need(|word| (word == "after").then_some(()), "`after 2s`")?;
    if let Some(packets) = words.take_if(number) {
        words.need(
            |word| ["packet", "packets"].contains(&word).then_some(()),
            "packets",
        )?;
        Ok(What::MendAfterPackets(packets))
    } else {
        words.need(time, "a time (2s, 500ms) or `3 packets`").map(What::MendAfter)
    }
}

fn set(words: &mut Words<'_>) -> Result<What, String> {
    let host = words.take_if(|word| match word {
        "a" => Some(Host::A),
        "b" => Some(Host::B),
        _ => None,
    });
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = |word: &str| word.chars().all(fits).then(|| word.to_owned());
    let name = words.need(name, "a name in net.ipv4, such as tcp_retries2")?;
    let value = words.need(|word| Some(word.to_owned()), "a value")?;
    Ok(What::Set { host, name, value })
}

/// The most packets that one rule holds back.
pub(super) const MOST_HELD: usize = 1000;

const WHICH: &str = "a>b, b>a; syn, syn-ack, ack, data, fin, rst, probe, segment, datagram, \
                     fragment, icmp, packet; 2, 2 3 5, every 10, from 3, 5% seed 7; retransmission";
const TIME: &str = "a time of at most an hour (20ms, 2s)";

fn which(words: &mut Words<'_>) -> Result<Which, String> {
    let from = words.take_if(direction);
    let kind = words.take_if(|word| {
        KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    });
    let numbers = if words.take("every") {
        Numbers::Every(words.need(number, "a number, at least 1")?)
    } else if words.take("from") {
        Numbers::From(words.need(number, "a number, at least 1")?)
    } else if let Some(share) = words.take_if(share) {
        let seed = match words.take("seed") {
            true => words.need(|word| word.parse().ok(), "the seed, a number")?,
            false => return Err("a percentage needs a seed: lose 5% seed 7".to_owned()),
        };
        Numbers::Share(share, seed)
    } else {
        let mut these = Vec::new();
        while let Some(number) = words.take_if(number) {
            these.push(number);
        }
        if these.is_empty() { Numbers::All } else { Numbers::These(these) }
    };
    let retransmission = words.take("retransmission");
    Ok(Which { from, kind: kind.unwrap_or(Kind::Packet), numbers, retransmission })
}

fn direction(word: &str) -> Option<Host> {
    match word {
        "a>b" => Some(Host::A),
        "b>a" => Some(Host::B),
        _ => None,
    }
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number| *number > 0)
}

/// Parses `5%` or `0.1%` as parts per million.
fn share(word: &str) -> Option<u64> {
    let percent: f64 = word.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some((percent * 10_000.0).round() as u64)
}

fn time(word: &str) -> Option<Duration> {
    let (digits, unit) = word.split_at(word.find(|c: char| c.is_alphabetic())?);
    let value: f64 = digits.parse().ok()?;
    let seconds = match unit {
        "us" | "µs" => value / 1e6,
        "ms" => value / 1e3,
        "s" => value,
        _ => return None,
    };
    (0.0..=3600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

fn speed(word: &str) -> Option<u64> {
    let (digits, unit) = word.split_at(word.find(|c: char| c.is_alphabetic())?);
    let value: f64 = digits.parse().ok()?;
    let factor = match unit {
        "bit" => 1.0,
        "kbit" => 1e3,
        "Mbit" => 1e6,
        "Gbit" => 1e9,
        _ => return None,
    };
    let bits = value * factor;
    (1.0..=1e12).contains(&bits).then_some(bits as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> What {
        Rules::parse([text]).unwrap().all.remove(0).what
    }

    fn error(text: &str) -> String {
        Rules::parse(text.split('\n')).unwrap_err().to_string()
    }

    #[test]
    fn rules_read_as_one_would_say_them() {
        let data = |numbers| Which {
            from: Some(Host::A),
            kind: Kind::Data,
            numbers,
            retransmission: false,
        };
        let two = || data(Numbers::These(vec![2]));
        assert_eq!(one("lose a>b data 2"), What::Lose(two()));
        assert_eq!(one("lose a>b data every 10"), What::Lose(data(Numbers::Every(10))));
        assert_eq!(one("flip a>b data 2 bit 9"), What::Flip(two(), 9));
        let repeated = Which { retransmission: true, ..two() };
        assert_eq!(one("lose a>b data 2 retransmission"), What::Lose(repeated));
        assert_eq!(
            one("delay a>b data 2 50ms"),
            What::Delay(two(), Duration::from_millis(50))
        );
        let What::Lose(some) = one("lose 5% seed 7") else { panic!() };
        assert_eq!(some.numbers, Numbers::Share(50_000, 7));
        assert_eq!(
            one("mtu 1400 silent from packet 5"),
            What::Mtu { from: None, bytes: 1400, silent: true, from_packet: 5 }
        );
        assert_eq!(
            one("rate 1Mbit queue 20"),
            What::Rate { from: None, bits_per_second: 1_000_000, queue: 20 }
        );
        let name = "tcp_retries2".to_owned();
        assert_eq!(
            one("set a tcp_retries2 3"),
            What::Set { host: Some(Host::A), name, value: "3".to_owned() }
        );
        for text in [
            "swap a>b data 2 3",
            "double b>a datagram 1",
            "flip-checksummed a>b data 1",
            "cut at b>a data 3",
            "answer a>b unreachable",
            "lose b>a syn-ack 1  # a remark",
        ] {
            one(text);
        }
        let both = Rules::parse(["cut at a>b data 2", "", "mend after 2s"]).unwrap();
        assert_eq!(both.lines().count(), 2);
    }

    #[test]
    fn a_wrong_rule_is_one_line_with_what_is_possible() {
        for (text, expected) in [
            (
                "loose a>b data 2",
                "rule `loose a>b data 2`: `loose` is not a rule; possible: lose",
            ),
            ("lose a>c data 2", "`a>c` is not understood; possible: a>b, b>a; syn"),
            ("lose a>b data 0", "`0` is not understood"),
            ("lose 5%", "a percentage needs a seed"),
            ("lose 101% seed 1", "`101%` is not understood"),
            ("swap a>b data 2", "expected a direction and two numbers"),
            ("swap data 1 2", "expected a direction and two numbers"),
            ("delay", "expected a time of at most an hour (20ms, 2s)"),
            ("delay 20", "expected a time of at most an hour (20ms, 2s)"),
            ("delay 20 ms", "`ms`: expected a time"),
            ("delay -20ms", "`-20ms`: expected a time"),
            ("delay 99999s", "`99999s`: expected a time of at most an hour"),
            ("delay infms", "`infms`: expected a time"),
            ("mtu 20", "`20`: expected a number of bytes, 68 to 65535"),
            ("mtu 99999", "`99999`: expected a number of bytes, 68 to 65535"),
            (
                "mtu 1400 from packet 0",
                "`0`: expected the number of a packet, at least 1",
            ),
            ("rate 1mbit", "`1mbit`: expected a speed: 64kbit, 1Mbit, 1Gbit"),
            ("rate 0bit", "`0bit`: expected a speed"),
            ("rate 1Mbit queue 0", "`0`: expected a number of packets, 1 to 1000"),
            ("rate 1Mbit queue 1001", "`1001`: expected a number of packets, 1 to 1000"),
            ("rate 1Mbit queue 99999999999999999999", "a number of packets, 1 to 1000"),
            ("lose a>b data -2", "`-2` is not understood; possible: a>b, b>a; syn"),
            ("lose a>b data 99999999999999999999", "is not understood; possible"),
            ("lose a>b data 2,3", "`2,3` is not understood; possible"),
            ("lose a > b data 2", "`a` is not understood; possible: a>b"),
            ("lose a>b data every 0", "`0`: expected a number, at least 1"),
            ("lose 5% seed -1", "`-1`: expected the seed, a number"),
            ("lose nan% seed 1", "`nan%` is not understood"),
            ("flip a>b data 1 bit -1", "`-1`: expected the number of a bit, from 0"),
            ("swap a>b data 3 2", "two numbers, the smaller first"),
            ("cut a>b data 2", "`a>b`: expected `at a>b data 3`"),
            ("mend after 2s", "nothing was cut before"),
            ("cut at a>b data 2\nmend after 2s\nmend after 3s", "is mended already"),
            ("cut at a>b data 2\nmend after 3 packages", "`packages`: expected packets"),
            ("answer a>b", "expected `unreachable`"),
            ("set ../x 1", "a name in net.ipv4"),
            ("delay 20ms please", "`please`: expected the end of the rule"),
            ("lose a>b data 2\nlose \u{1b}[2J", "`?[2J` is not understood"),
            ("lose a\u{202e}b", "`a?b` is not understood"),
            ("löse a>b data 2", "`löse` is not a rule"),
            ("\u{feff}lose a>b data 2", "`?lose` is not a rule"),
        ] {
            let message = error(text);
            assert!(message.contains(expected), "{text}: {message}");
            assert_eq!(message.lines().count(), 1);
        }
    }
}
