//! Compares what terminals showed with the page, up to a consistent renaming of what
//! varies.
//!
//! Four things differ from run to run and mean nothing: an ephemeral port, a process id,
//! the time of day and a measured duration. Each is replaced with a placeholder:
//! `[PORT-1]`, `[PID-1]`,
//! `[TIME]` or `[DURATION]`. Ports and process ids are numbered in the order in which they first
//! appear in a scene, so if two terminals show the same number, the page must too. Everything else
//! is compared to the letter.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// The ports that a kernel assigns by itself: Linux starts at 32768 (`ip(7)`,
/// `ip_local_port_range`), other systems at 49152 (RFC 6335 §6).
const EPHEMERAL: std::ops::RangeInclusive<u32> = 32768..=65535;

/// Something in a line that varies from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Port,
    Pid,
    Time,
    Duration,
}

/// A part of a line that varies: its kind, and its range in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Variable {
    kind: Kind,
    start: usize,
    end: usize,
}

/// Replaces what varies with placeholders, consistently over the lines of one scene.
#[derive(Debug, Default)]
pub struct Renaming {
    names: HashMap<(Kind, String), usize>,
    counts: HashMap<Kind, usize>,
}

impl Renaming {
    /// Returns the line with placeholders.
    pub fn apply(&mut self, line: &str) -> String {
        let mut renamed = String::with_capacity(line.len());
        let mut from = 0;
        for variable in variables(line) {
            let value = &line[variable.start..variable.end];
            renamed.push_str(&line[from..variable.start]);
            renamed.push_str(&self.placeholder(variable.kind, value));
            from = variable.end;
        }
        renamed.push_str(&line[from..]);
        renamed
    }

    /// Does the same for all lines of all terminals, in order.
    pub fn apply_all(terminals: &[Vec<String>]) -> Vec<Vec<String>> {
        let mut renaming = Renaming::default();
        let lines = terminals.iter();
        lines
            .map(|lines| lines.iter().map(|line| renaming.apply(line)).collect())
            .collect()
    }

    fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        let word = match kind {
            Kind::Time => return "[TIME]".into(),
            Kind::Duration => return "[DURATION]".into(),
            Kind::Port => "PORT",
            Kind::Pid => "PID",
        };
        let count = self.counts.entry(kind).or_default();
        let number = self.names.entry((kind, value.to_owned())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("[{word}-{number}]")
    }
}

/// Returns a single line with placeholders for what varies.
pub fn renamed(line: &str) -> String {
    Renaming::default().apply(line)
}

/// Returns the lines that `came`, with the values that `page` shows for the same
/// placeholders, so that rewriting a page changes only what really differs.
pub fn in_the_words_of(page: &[Vec<String>], came: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut on_page = Renaming::default();
    let mut shown: HashMap<String, String> = HashMap::new();
    for line in page.iter().flatten() {
        for variable in variables(line) {
            let value = &line[variable.start..variable.end];
            let placeholder = on_page.placeholder(variable.kind, value);
            shown.entry(placeholder).or_insert_with(|| value.to_owned());
        }
    }
    let rename = |line: &String, renaming: &mut Renaming| {
        let mut words = String::new();
        let mut from = 0;
        for variable in variables(line) {
            let value = &line[variable.start..variable.end];
            words.push_str(&line[from..variable.start]);
            let placeholder = renaming.placeholder(variable.kind, value);
            // All durations share one placeholder, so keep each as it came.
            let on_page =
                shown.get(&placeholder).filter(|_| variable.kind != Kind::Duration);
            words.push_str(on_page.map_or(value, String::as_str));
            from = variable.end;
        }
        words + &line[from..]
    };
    let mut renaming = Renaming::default();
    let lines = came.iter();
    lines
        .map(|lines| lines.iter().map(|line| rename(line, &mut renaming)).collect())
        .collect()
}

/// The difference between two transcripts of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The index of the first line of the page that differs.
    pub line: usize,
    /// All lines, each after `  ` (the same), `- ` (only on the page) or `+ ` (only in
    /// the run).
    pub diff: String,
}

/// Compares the page with what came, terminal by terminal. `None` means that there is no
/// difference.
pub fn compare(page: &[Vec<String>], came: &[Vec<String>]) -> Vec<Option<Difference>> {
    let (mut expected, mut got) = (Renaming::apply_all(page), Renaming::apply_all(came));
    for line in expected.iter_mut().chain(&mut got).flatten() {
        drop_empty_column(line);
    }
    (0..page.len())
        .map(|terminal| {
            let (expected, got) = (&expected[terminal], &got[terminal]);
            (expected != got)
                .then(|| difference(expected, got, &page[terminal], &came[terminal]))
        })
        .collect()
}

/// `ss` of iproute2 7.3 and later leaves out the heading of a column in which every row is empty.
fn drop_empty_column(line: &mut String) {
    if let Some(rest) = line.strip_suffix("Process")
        && rest.trim_end().ends_with("Address:Port")
    {
        line.truncate(rest.trim_end().len());
    }
}

/// Returns the difference between the renamed lines, shown as the original lines.
fn difference(
    expected: &[String],
    got: &[String],
    page: &[String],
    came: &[String],
) -> Difference {
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let got: Vec<&str> = got.iter().map(String::as_str).collect();
    let mut first = None;
    let mut diff = String::new();
    let mut on_page = 0;
    // After this time the diff is still correct, but no longer the shortest.
    let mut differ = TextDiff::configure();
    differ.timeout(Duration::from_millis(200));
    for change in differ.diff_slices(&expected, &got).iter_all_changes() {
        let (sign, line) = match (change.tag(), change.old_index(), change.new_index()) {
            (ChangeTag::Equal, Some(old), _) => ("  ", &page[old]),
            (ChangeTag::Delete, Some(old), _) => ("- ", &page[old]),
            (_, _, Some(new)) => ("+ ", &came[new]),
            _ => continue,
        };
        if change.tag() != ChangeTag::Equal {
            first.get_or_insert(on_page);
        }
        if change.tag() != ChangeTag::Insert {
            on_page += 1;
        }
        let _ = writeln!(diff, "{sign}{line}");
    }
    Difference { line: first.unwrap_or(0).min(page.len().saturating_sub(1)), diff }
}

/// Returns the ports below the ephemeral range that a line names: those that must be free.
pub(crate) fn documented_ports(line: &str) -> Vec<u16> {
    let command = line.starts_with('$');
    let mut ports = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(u8::is_ascii_digit) {
        let start = at + found;
        at = end_of_digits(bytes, start);
        let before = &line[..start];
        let alone = line[at..].chars().next().is_none_or(char::is_whitespace);
        let named = behind_an_address(before)
            || behind_the_word(before, "port")
            || (command && before.ends_with(' ') && alone);
        ports.extend(line[start..at].parse().ok().filter(|port: &u16| {
            named && *port >= 1024 && !EPHEMERAL.contains(&u32::from(*port))
        }));
    }
    ports
}

/// Returns whether a line has an IPv6 address in short form: `::1`, `[::]:80`, `fe80::1`.
pub(crate) fn names_ipv6(line: &str) -> bool {
    let mut words = line.split(|c: char| c.is_whitespace() || "[]()',\"".contains(c));
    words.any(|word| word.contains("::") && word.parse::<Ipv6Addr>().is_ok())
}

fn variables(line: &str) -> Vec<Variable> {
    let mut variables = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(u8::is_ascii_digit) {
        let start = at + found;
        let end = end_of_digits(bytes, start);
        let variable = clock(bytes, start)
            .or_else(|| duration(line, start, end))
            .or_else(|| port(line, start, end))
            .or_else(|| pid(line, start, end));
        at = variable.as_ref().map_or(end, |variable| variable.end);
        variables.extend(variable);
    }
    variables
}

fn end_of_digits(bytes: &[u8], start: usize) -> usize {
    start + bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Recognizes a time of day: `23:59:01`, with or without a fraction.
fn clock(bytes: &[u8], start: usize) -> Option<Variable> {
    let shape = bytes.get(start..start + 8)?;
    let fits = shape.iter().enumerate().all(|(i, b)| match i {
        2 | 5 => *b == b':',
        _ => b.is_ascii_digit(),
    });
    let mut end = start + 8;
    if bytes.get(end) == Some(&b'.') {
        end = end_of_digits(bytes, end + 1);
    }
    fits.then_some(Variable { kind: Kind::Time, start, end })
}

/// Recognizes a measured duration: `12.3 ms`. One without a fraction was set, not measured,
/// with three exceptions: a timer in a drawing (see [`timer`]); the timeout of poll(2), `],
/// 99 ms)` in a drawing, of which a program may have used up a part before; and the timer
/// of a TIME-WAIT that
/// `ss -o` shows, `timewait,59sec`, which is running down.
fn duration(line: &str, start: usize, end: usize) -> Option<Variable> {
    let bytes = line.as_bytes();
    let (before, behind) = (&line[..start], &line[end..]);
    if let Some(variable) = timer(line, start, end) {
        return Some(variable);
    }
    if before.ends_with("], ") && behind.starts_with(" ms)")
        || before.ends_with("(timewait,") && behind.starts_with("sec,")
    {
        return Some(Variable { kind: Kind::Duration, start, end });
    }
    if bytes.get(end) != Some(&b'.') || !bytes.get(end + 1)?.is_ascii_digit() {
        return None;
    }
    let end = end_of_digits(bytes, end + 1);
    let unit = line[end..].strip_prefix(' ').unwrap_or(&line[end..]);
    let unit: String = unit.chars().take_while(|c| c.is_alphabetic()).collect();
    let units = ["ns", "µs", "us", "ms", "s"];
    units.contains(&unit.as_str()).then_some(Variable {
        kind: Kind::Duration,
        start,
        end,
    })
}

/// Recognizes how long one of the kernel's timers took, in a drawing: `· 204 ms: tail loss probe ·`,
/// `·  1.0 s ·`. It is padded to a fixed width, so the padding varies with it. So does the unit: what
/// takes 0.9 s on the page takes a second on a busy machine.
fn timer(line: &str, start: usize, end: usize) -> Option<Variable> {
    let before = line[..start].trim_end_matches(' ');
    if !before.ends_with('·') || !line[before.len()..].starts_with(' ') {
        return None;
    }
    let end = match line.as_bytes().get(end) {
        Some(b'.') => end_of_digits(line.as_bytes(), end + 1),
        _ => end,
    };
    let start = before.len() + 1;
    let unit = [" ms", " s"].into_iter().find(|unit| line[end..].starts_with(unit))?;
    Some(Variable { kind: Kind::Duration, start, end: end + unit.len() })
}

/// Recognizes a number in the ephemeral range after an address or the word port.
fn port(line: &str, start: usize, end: usize) -> Option<Variable> {
    let before = &line[..start];
    if !behind_an_address(before) && !behind_the_word(before, "port") {
        return None;
    }
    let number: u32 = line[start..end].parse().ok()?;
    EPHEMERAL.contains(&number).then_some(Variable { kind: Kind::Port, start, end })
}

/// Returns whether the text ends with an address, before its port: `('127.0.0.1', 1`,
/// `127.0.0.1:1`, `[::1]:1`, `localhost:1`, `*:1`.
fn behind_an_address(before: &str) -> bool {
    before.ends_with("', ")
        || before.strip_suffix(':').is_some_and(|host| {
            host.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ']' || c == '*')
        })
}

fn pid(line: &str, start: usize, end: usize) -> Option<Variable> {
    behind_the_word(&line[..start], "pid").then_some(Variable {
        kind: Kind::Pid,
        start,
        end,
    })
}

/// Returns whether the text ends with the word, before its number: `port 1`, `Port 1`,
/// `port=1`,
/// `port: 1`, but not `support 1`.
fn behind_the_word(before: &str, word: &str) -> bool {
    let before = before.trim_end_matches([' ', '=', ':']).as_bytes();
    // Look only at the end: the text before it may be a megabyte long.
    let Some(at) = before.len().checked_sub(word.len()) else { return false };
    let (rest, last) = before.split_at(at);
    last.eq_ignore_ascii_case(word.as_bytes())
        && !rest.last().is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_varies_gets_a_placeholder() {
        for (line, expected) in [
            ("Connected by ('127.0.0.1', 47794)", "Connected by ('127.0.0.1', [PORT-1])"),
            ("127.0.0.1:51244 -> [::1]:40000", "127.0.0.1:[PORT-1] -> [::1]:[PORT-2]"),
            ("on port 40000, Port=40000", "on port [PORT-1], Port=[PORT-1]"),
            ("[pid  4711] x, pid=4711", "[pid  [PID-1]] x, pid=[PID-1]"),
            ("at 12:34:56.789 it took 3.2 ms", "at [TIME] it took [DURATION] ms"),
            ("┊  · 204 ms: tail loss ·  ┊", "┊  · [DURATION]: tail loss ·  ┊"),
            ("┊  ·   9 ms ·  ┊", "┊  · [DURATION] ·  ┊"),
            ("┊  ·  1.0 s ·  ┊", "┊  · [DURATION] ·  ┊"),
            (
                "poll([4 POLLOUT], 99 ms) = 0 []",
                "poll([4 POLLOUT], [DURATION] ms) = 0 []",
            ),
            ("timer:(timewait,59sec,0)", "timer:(timewait,[DURATION]sec,0)"),
        ] {
            assert_eq!(renamed(line), expected);
        }
    }

    /// The cost must grow linearly with the line, not with its square: 100,000 numbers
    /// once took more than 448 s.
    #[test]
    fn a_line_of_many_numbers_is_read_once() {
        // Time of this thread alone: on a busy machine it waits for its turn.
        let used = || {
            let file = "/proc/thread-self/schedstat";
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let nanoseconds = text.split(' ').next().and_then(|it| it.parse().ok());
            Duration::from_nanos(nanoseconds.unwrap_or_default())
        };
        let started = used();
        for piece in ["40000 ", "port 40000, ", "1:2:", "= : 1", "12:34:56.7 ms "] {
            let line = piece.repeat(100_000);
            renamed(&line);
            documented_ports(&line);
        }
        let took = used().saturating_sub(started);
        assert!(took < Duration::from_secs(20), "{took:?}");
    }

    #[test]
    fn two_long_transcripts_are_compared_in_bounded_time() {
        let many =
            |word: &str| (0..20_000).map(|at| format!("{word} {}", at % 7)).collect();
        let (page, came): (Vec<String>, Vec<String>) = (many("a"), many("b"));
        let started = std::time::Instant::now();
        assert!(compare(&[page], &[came])[0].is_some());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn what_does_not_vary_stays() {
        for line in [
            "Server is listening on port 12345...",
            "no reply within 1000 ms",
            "setsockopt(3, SO_RCVTIMEO, 50 ms) = 0",
            "sent 65507 bytes",
            "support 40000",
            "recv gave 40000, then 0",
            "version 1.95.0",
        ] {
            assert_eq!(renamed(line), line);
        }
    }

    #[test]
    fn documented_ports_are_those_that_must_be_free() {
        for (line, expected) in [
            ("$ nc -l 12345", vec![12345]),
            ("$ serve --port=8080 --port 9000", vec![8080, 9000]),
            ("Server is listening on port 12345...", vec![12345]),
            ("Connected by ('127.0.0.1', 47794)", vec![]),
            ("bind 127.0.0.1:12345: address already in use", vec![12345]),
            ("recv gave 4096 bytes", vec![]),
            ("$ serve --port 0", vec![]),
        ] {
            assert_eq!(documented_ports(line), expected, "{line}");
        }
    }

    #[test]
    fn an_ipv6_address_is_seen_where_it_stands() {
        for line in
            ["$ nc ::1 80", "on [::]:80", "('::1', 47794, 0, 0)", "::ffff:127.0.0.1"]
        {
            assert!(names_ipv6(line), "{line}");
        }
        for line in ["std::net::TcpStream", "at 12:34:56", "127.0.0.1:80", "x::1", ":::"]
        {
            assert!(!names_ipv6(line), "{line}");
        }
    }

    #[test]
    fn the_same_number_must_be_the_same_everywhere() {
        let page = [lines(&["port 40001"]), lines(&["port 40001", "port 40002"])];
        let same = [lines(&["port 50001"]), lines(&["port 50001", "port 50002"])];
        let other = [lines(&["port 50001"]), lines(&["port 50002", "port 50001"])];
        assert!(compare(&page, &same).iter().all(Option::is_none));
        assert!(compare(&page, &other)[1].is_some());
    }

    #[test]
    fn a_column_that_newer_tools_leave_out_is_no_difference() {
        let page = [lines(&["State Local Address:Port  Peer Address:Port Process"])];
        let newer = [lines(&["State Local Address:Port  Peer Address:Port"])];
        let other = [lines(&["State Local Address:Port  Peer Address:Port Cookie"])];
        for (one, two) in [(&page, &newer), (&newer, &page), (&page, &page)] {
            assert!(compare(one, two)[0].is_none());
        }
        assert!(compare(&page, &other)[0].is_some());
    }

    #[test]
    fn a_difference_names_its_first_line_and_shows_what_came() {
        let page = [lines(&["$ a", "port 40001", "two", "three"])];
        let came = [lines(&["$ a", "port 50001", "zwei", "three"])];
        let difference = compare(&page, &came)[0].clone().unwrap();
        assert_eq!(difference.line, 2);
        assert_eq!(difference.diff, "  $ a\n  port 40001\n- two\n+ zwei\n  three\n");
    }

    #[test]
    fn lines_that_are_missing_or_too_many_have_a_place() {
        let page = [lines(&["$ a", "one"])];
        assert_eq!(compare(&page, &[lines(&["$ a"])])[0].clone().unwrap().line, 1);
        let more = [lines(&["$ a", "one", "two"])];
        assert_eq!(compare(&page, &more)[0].clone().unwrap().line, 1);
    }

    #[test]
    fn a_page_keeps_its_own_numbers() {
        let page = [lines(&["port 47794", "old"])];
        let came = [lines(&["port 50001", "new port 50001 and port 50002"])];
        let words = in_the_words_of(&page, &came);
        assert_eq!(words, [lines(&["port 47794", "new port 47794 and port 50002"])]);
    }
}
