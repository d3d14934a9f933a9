//! What a host's kernel counts (`/proc/net/netstat` and `snmp`), and the timers of its
//! sockets.
//!
//! A file of `/proc/net` belongs to the network on which it was opened, so it can be read
//! from any other.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::time::{Duration, Instant};

/// The counters that name the cause of a retransmission or a probe: one of them goes up
/// per segment.
pub(super) const CAUSES: [&str; 7] = [
    "TCPLossProbes",
    "TCPFastRetrans",
    "TCPSynRetrans",
    "TCPTimeouts",
    "TCPSlowStartRetrans",
    "TCPWinProbe",
    "TCPKeepAlive",
];

/// The counters that a drawing of the run reports at its end, if they have grown.
const TOLD: [(&str, &str); 15] = [
    ("Tcp", "InCsumErrors"),
    ("Udp", "InCsumErrors"),
    ("Udp", "RcvbufErrors"),
    ("Udp", "NoPorts"),
    ("Ip", "ReasmFails"),
    ("TcpExt", "TCPLossProbes"),
    ("TcpExt", "TCPFastRetrans"),
    ("TcpExt", "TCPSlowStartRetrans"),
    ("TcpExt", "TCPTimeouts"),
    ("TcpExt", "TCPOFOQueue"),
    ("TcpExt", "TCPDSACKOldSent"),
    ("TcpExt", "TCPDSACKRecv"),
    ("TcpExt", "TCPWinProbe"),
    ("TcpExt", "TCPKeepAlive"),
    ("TcpExt", "TCPChallengeACK"),
];

/// How long after a segment was sent we look for its counter: the kernel counts a moment
/// later, on another processor.
const MOMENT: Duration = Duration::from_millis(10);

/// The counters of one host.
#[derive(Debug)]
pub(super) struct Counters {
    netstat: File,
    snmp: File,
    tcp: [Option<File>; 2],
    dev: File,
    first: Vec<u64>,
    /// For each cause, how often it had been counted when it was last read.
    causes: [u64; CAUSES.len()],
    /// Counted, but not attributed to a segment yet.
    open: [u64; CAUSES.len()],
}

impl Counters {
    /// Opens the counters of the calling thread's network.
    pub(super) fn open() -> io::Result<Counters> {
        let open = |name| File::open(format!("/proc/thread-self/net/{name}"));
        let mut counters = Counters {
            netstat: open("netstat")?,
            snmp: open("snmp")?,
            tcp: [open("tcp").ok(), open("tcp6").ok()],
            dev: open("dev")?,
            first: Vec::new(),
            causes: [0; CAUSES.len()],
            open: [0; CAUSES.len()],
        };
        counters.first = counters.told();
        counters.look();
        counters.open = [0; CAUSES.len()];
        Ok(counters)
    }

    /// The counter that says why a segment was retransmitted or a probe was sent; `None`
    /// if the kernel counted none of [`CAUSES`].
    pub(super) fn cause(&mut self, is_syn: bool) -> Option<&'static str> {
        let start = Instant::now();
        loop {
            self.look();
            // The timeout of a SYN is counted twice, the second time under its own name.
            let syn = CAUSES.iter().position(|name| *name == "TCPSynRetrans");
            let fits = |at: usize| (Some(at) == syn) == is_syn;
            let found = (0..CAUSES.len()).find(|&at| self.open[at] > 0 && fits(at));
            if let Some(at) = found {
                if is_syn {
                    self.open = [0; CAUSES.len()];
                } else {
                    self.open[at] -= 1;
                }
                return Some(CAUSES[at]);
            }
            if start.elapsed() >= MOMENT {
                return None;
            }
            std::thread::yield_now();
        }
    }

    fn look(&mut self) {
        let text = read(&self.netstat);
        for (at, name) in CAUSES.iter().enumerate() {
            let now = value(&text, "TcpExt", name);
            self.open[at] += now.saturating_sub(self.causes[at]);
            self.causes[at] = now;
        }
    }

    fn told(&self) -> Vec<u64> {
        let text = read(&self.netstat) + &read(&self.snmp);
        TOLD.iter().map(|(group, name)| value(&text, group, name)).collect()
    }

    /// The reported counters that have grown since the beginning: name and growth. The
    /// name of `InCsumErrors` says whether it is TCP's or UDP's.
    pub(super) fn grown(&self) -> Vec<(String, u64)> {
        let now = self.told();
        TOLD.iter()
            .zip(now.iter().zip(&self.first))
            .filter(|(_, (now, first))| now > first)
            .map(|((group, name), (now, first))| {
                let group = if *group == "TcpExt" { "" } else { group };
                (format!("{group}{name}"), now - first)
            })
            .collect()
    }

    /// The number of packets that the host's card lost before anybody saw them.
    pub(super) fn dropped(&self) -> u64 {
        let text = read(&self.dev);
        let line = text.lines().find_map(|line| {
            line.trim_start().strip_prefix(super::device::CARD)?.strip_prefix(':')
        });
        // Eight numbers for received packets, then `bytes packets errs drop` for sent
        // ones.
        let dropped = line.and_then(|line| line.split_whitespace().nth(11));
        dropped.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Whether some socket's timer will make its kernel send something again: a segment,
    /// or a probe of a zero window.
    pub(super) fn will_repeat(&self) -> bool {
        let mut files = self.tcp.iter().flatten();
        files.any(|file| {
            let text = read(file);
            // `sl local remote st tx:rx tr:when …`: 1 is retransmission, 4 is a window
            // probe.
            let mut timers =
                text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(5));
            timers.any(|timer| timer.starts_with("01:") || timer.starts_with("04:"))
        })
    }
}

fn read(mut file: &File) -> String {
    let mut text = String::new();
    // A file that cannot be read looks as if nothing had been counted.
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    text
}

/// The value of a counter by its group and name: a line of names comes before each line
/// of values.
fn value(text: &str, group: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(group).is_some_and(|rest| rest.starts_with(':'))
    });
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return 0 };
    let at = names.split(' ').position(|it| it == name);
    at.and_then(|at| values.split(' ').nth(at)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_under_its_name() {
        let text = "TcpExt: A B\nTcpExt: 1 2\nTcp: A C\nTcp: 3 -1\n";
        assert_eq!(value(text, "TcpExt", "B"), 2);
        assert_eq!(value(text, "Tcp", "A"), 3);
        assert_eq!(value(text, "Tcp", "C"), 0);
        assert_eq!(value(text, "Udp", "A"), 0);
    }

    #[test]
    fn this_network_counts() {
        let counters = Counters::open().unwrap();
        assert!(value(&read(&counters.netstat), "TcpExt", "TCPTimeouts") < u64::MAX);
        assert!(!read(&counters.snmp).is_empty());
    }
}
