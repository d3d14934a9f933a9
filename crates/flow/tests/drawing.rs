//! Drawing recorded logs: the same on every system, and safe with any input.

#![allow(clippy::expect_used, reason = "a test fails by panic")]

use flow::draw::{self, Options};
use flow::event::{Arg, Call, Event, Log, Note, Protocol, Return};
use flow::keep::Keep;
use flow::{bytes, json};

const RECORDED: &str = include_str!("data/tcp-echo.json");

fn recorded() -> Log {
    json::read(&mut RECORDED.as_bytes()).expect("the recorded log")
}

#[test]
fn recorded_echo_is_drawn_as_it_was() {
    let drawn = draw::text(&recorded(), &Options::default());
    assert_eq!(drawn, include_str!("data/tcp-echo.txt"));
}

#[test]
fn the_numbers_of_a_segment_stand_below_its_arrow() {
    let detail = Options { detail: true, ..Options::default() };
    let log = recorded();
    let drawn = draw::text(&log, &detail);
    assert!(drawn.contains(" seq 0 win 65495"), "{drawn}");
    assert!(drawn.contains(" seq 1:17 ack 1 win "), "{drawn}");
    // Nothing else differs.
    let without = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains(" seq "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(without(&drawn), draw::text(&log, &Options::default()));
    assert!(draw::svg(&log, &detail).contains("seq 1:17 ack 1 win "));
    assert!(!draw::svg(&log, &Options::default()).contains("seq 1:17"));
}

#[test]
fn a_syn_that_nobody_answers_changes_nothing_at_the_listener() {
    let received = "[SYN-RECEIVED]";
    let mut log = recorded();
    assert!(draw::text(&log, &Options::default()).contains(received));
    let mut packets = 0;
    log.events.retain(|event| {
        packets += usize::from(matches!(event, Event::Packet(_)));
        !matches!(event, Event::Packet(_)) || packets == 1
    });
    let drawn = draw::text(&log, &Options::default());
    assert!(drawn.contains(" SYN ") && !drawn.contains(received), "{drawn}");
}

#[test]
fn a_receiver_without_room_is_seen_but_not_in_a_reset() {
    let mut log = recorded();
    assert!(!draw::text(&log, &Options::default()).contains("window"));
    for (flags_then, shown) in [("ACK", " window 0 "), ("RST", " RST ")] {
        for event in &mut log.events {
            if let Event::Packet(packet) = event
                && let Protocol::Tcp { flags, window, .. } = &mut packet.protocol
            {
                (*flags, *window) = (flags_then.to_owned().into(), 0);
            }
        }
        let drawn = draw::text(&log, &Options::default());
        assert!(drawn.contains(shown), "{drawn}");
        assert_eq!(drawn.contains("window"), flags_then == "ACK", "{drawn}");
    }
}

#[test]
fn a_probe_is_told_from_an_acknowledgment() {
    let mut log = recorded();
    assert!(!draw::text(&log, &Options::default()).contains("probe"));
    // The last packet of the handshake, moved back one byte: the peer already has that
    // byte.
    let mut packets = log.events.iter_mut().filter_map(|event| match event {
        Event::Packet(packet) => Some(packet),
        _ => None,
    });
    let handshake_ack = packets.nth(2).expect("three packets");
    let Protocol::Tcp { flags, seq, .. } = &mut handshake_ack.protocol else {
        panic!("{handshake_ack:?}")
    };
    assert!(flags.is_ack_alone());
    *seq = seq.wrapping_sub(1);
    let drawn = draw::text(&log, &Options::default());
    assert_eq!(drawn.matches("ACK probe").count(), 1, "{drawn}");
}

#[test]
fn a_short_timeout_is_not_drawn_as_none() {
    let mut log = recorded();
    let wide = Options { width: 120, ..Options::default() };
    for (given, shown) in [
        ("0 s", "0 s"),
        ("0.020000 s", "0.02 s"),
        ("0.000999 s", "0.001 s"),
        ("0.999957 s", "1 s"),
        ("2.500000 s", "2.5 s"),
        ("60 s", "60 s"),
    ] {
        for event in &mut log.events {
            if let Event::Call(call) = event
                && let Some(value) = call.args.iter_mut().find(|arg| arg.name == "optval")
            {
                given.clone_into(&mut value.value);
            }
        }
        let drawn = draw::text(&log, &wide);
        assert!(drawn.contains(&format!("SO_REUSEADDR, {shown})")), "{drawn}");
    }
}

/// `recvmmsg(2)` returns how many datagrams there are, not how many bytes.
#[test]
fn datagrams_that_come_by_one_call_are_cut_off_only_where_the_kernel_says_so() {
    let log = |flags: &str| {
        let packet = |data: &str| {
            format!(
                "{{\"event\":\"packet\",\"time_ns\":5,\"from\":\"127.0.0.1:2\",\
                 \"to\":\"127.0.0.1:1\",\"protocol\":\"udp\",\
                 \"data\":{{\"bytes\":\"{data}\",\"length\":4}}}}\n"
            )
        };
        let text = format!(
            "{{\"flow\":2}}\n\
             {{\"event\":\"side\",\"time_ns\":0,\"side\":0,\"name\":\"s\",\"command\":[\"s\"]}}\n\
             {{\"event\":\"socket\",\"time_ns\":1,\"side\":0,\"inode\":9,\
             \"family\":\"AF_INET\",\"kind\":\"SOCK_DGRAM\",\"local\":\"127.0.0.1:1\"}}\n\
             {{\"event\":\"call\",\"time_ns\":2,\"id\":1,\"side\":0,\"pid\":7,\"tid\":7,\
             \"name\":\"recvmmsg\",\"args\":[],\"socket\":9}}\n\
             {}{}\
             {{\"event\":\"return\",\"time_ns\":6,\"id\":1,\"value\":2,\
             \"args\":[{{\"name\":\"msg_flags\",\"value\":\"{flags}\"}}],\
             \"data\":{{\"bytes\":\"one1\",\"length\":4}}}}\n",
            packet("one1"),
            packet("two2")
        );
        json::read(&mut text.as_bytes()).expect("a log")
    };
    let wide = Options { width: 160, ..Options::default() };
    let drawn = |flags| draw::text(&log(flags), &wide);
    assert!(!drawn("MSG_CTRUNC").contains("cut off"), "{}", drawn("MSG_CTRUNC"));
    let cut = drawn("MSG_TRUNC");
    assert!(cut.contains("1 of 2 datagrams did not fit, and were cut off"), "{cut}");
}

#[test]
fn a_run_without_sockets_says_so() {
    let mut log = recorded();
    let says_so =
        |log: &Log| draw::text(log, &Options::default()).contains("No program made");
    assert!(!says_so(&log));
    log.events.retain(|event| matches!(event, Event::Side(_) | Event::Process(_)));
    assert!(says_so(&log));
}

#[test]
fn no_line_is_wider_than_asked() {
    for width in [40, 60, 80, 133] {
        let drawn = draw::text(&recorded(), &Options { width, ..Options::default() });
        let widest = drawn.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{drawn}");
    }
}

#[test]
fn log_is_written_as_it_was_read() {
    let mut written = Vec::new();
    json::write(&mut written, &recorded()).expect("write into memory");
    assert_eq!(String::from_utf8(written).expect("UTF-8"), RECORDED);
}

#[test]
fn the_documented_example_is_a_log() {
    let text = include_str!("../FORMAT.md");
    let example = text.split("```json\n").nth(1).and_then(|it| it.split("```").next());
    let example = example.expect("an example");
    let log = json::read(&mut example.as_bytes()).expect("a log");
    assert_eq!(log.events.len(), example.lines().count() - 1);
    assert!(draw::text(&log, &Options::default()).contains("listen(3, 128) = 0"));
}

#[test]
fn a_line_without_an_end_is_refused() {
    let mut endless = std::io::BufReader::new(std::io::repeat(b' '));
    let error = json::read(&mut endless).expect_err("no end");
    assert_eq!(error.to_string(), "line 1: it has more than 64 MiB");
}

#[test]
fn a_later_version_is_refused() {
    let error = json::read(&mut &b"{\"flow\":3}\n"[..]).expect_err("version 3");
    assert!(error.to_string().contains("version 3"), "{error}");
}

/// A small generator of numbers that are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// Reads and draws; all that is asked is that it returns.
fn digest(input: &[u8]) {
    if let Ok(log) = json::read(&mut &*input) {
        let _ = draw::text(&log, &Options { width: 40, ..Options::default() });
        let _ = draw::svg(&log, &Options { exact: true, ..Options::default() });
    }
}

#[test]
fn arbitrary_bytes_make_no_panic() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2000 {
        let length = numbers.next(300);
        let input: Vec<u8> = (0..length).map(|_| numbers.next(256) as u8).collect();
        digest(&input);
        flow::packet::parse(&input, 64);
    }
}

#[test]
fn damaged_logs_make_no_panic() {
    let mut numbers = Numbers(42);
    let lines: Vec<&str> = RECORDED.lines().collect();
    for _ in 0..2000 {
        let mut damaged: Vec<&str> = lines.clone();
        // Lines lost, doubled or swapped; then bytes changed, mostly digits into digits.
        for _ in 0..numbers.next(6) {
            let (a, b) = (numbers.next(damaged.len()), numbers.next(damaged.len()));
            match numbers.next(3) {
                0 => drop(damaged.remove(a)),
                1 => damaged.swap(a, b),
                _ => damaged.insert(a, damaged[b]),
            }
        }
        let mut input = damaged.join("\n").into_bytes();
        for _ in 0..numbers.next(20) {
            let at = numbers.next(input.len());
            input[at] = match input[at] {
                b'0'..=b'9' => b'0' + numbers.next(10) as u8,
                _ if numbers.next(4) == 0 => numbers.next(256) as u8,
                same => same,
            };
        }
        digest(&input);
    }
}

#[test]
fn bytes_come_back_from_their_text() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(bytes::unescape(&bytes::escape(&all)), Some(all));
}

#[test]
fn a_strangers_log_cannot_obey_the_terminal() {
    let mut log = recorded();
    let arg = Arg { name: "addr".to_owned(), value: "\x1b]0;owned\x07".to_owned() };
    for event in &mut log.events {
        match event {
            Event::Call(Call { name, args, .. }) => {
                name.push('\x1b');
                args.push(arg.clone());
            }
            Event::Return(Return { args, .. }) => args.push(arg.clone()),
            Event::Side(side) => side.name.push('\x1b'),
            _ => {}
        }
    }
    for drawn in [
        draw::text(&log, &Options::default()),
        draw::svg(&log, &Options { exact: true, ..Options::default() }),
    ] {
        assert!(!drawn.contains('\x1b'), "{drawn:?}");
    }
}

/// Everything that a log can contain, made longer and worse than it should be.
fn hostile() -> Log {
    let mut log = recorded();
    log.header.system = "\x1b[2J\u{202e}Linux\u{fffe}".to_owned();
    for event in &mut log.events {
        match event {
            Event::Call(Call { source: Some(source), .. }) => {
                source.file = format!("{}\x1b.rs", "long".repeat(40));
            }
            Event::Packet(packet) => packet.from.push('\x07'),
            Event::Note(note) => note.text.push('\u{202e}'),
            _ => {}
        }
    }
    log
}

#[test]
fn a_recordings_origin_and_long_names_are_drawn_safely() {
    let options = Options { recording: true, ..Options::default() };
    let log = hostile();
    for drawn in [draw::text(&log, &options), draw::svg(&log, &options)] {
        let hidden =
            |letter: char| letter != '\n' && letter.is_control() || letter == '\u{202e}';
        assert!(!drawn.contains(hidden), "{drawn:?}");
        assert!(drawn.contains("A recording, made on"), "{drawn}");
    }
    // XML does not allow it.
    assert!(!draw::svg(&log, &options).contains('\u{fffe}'));
    for width in [40, 80] {
        let drawn = draw::text(&log, &Options { width, ..options.clone() });
        let widest = drawn.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{drawn}");
    }
}

#[test]
fn a_log_that_breaks_off_is_drawn_as_far_as_it_goes() {
    let cut = &RECORDED[..RECORDED.len() - 20];
    let log = json::read(&mut cut.as_bytes()).expect("the whole lines");
    assert_eq!(log.events.len(), recorded().events.len());
    let drawn = draw::text(&log, &Options::default());
    assert!(drawn.contains("breaks off in the middle of line"), "{drawn}");
    // A line that is wrong in the middle of a log does not count as cut off.
    let wrong = RECORDED.replacen("\"event\":\"call\"", "\"event\":\"cal\"", 1);
    json::read(&mut wrong.as_bytes()).expect_err("a line that is no event");
}

#[test]
fn a_syn_that_was_dropped_first_is_received_the_second_time() {
    let mut log = recorded();
    let at = log.events.iter().position(|it| matches!(it, Event::Packet(_)));
    let syn = log.events[at.expect("a packet")].clone();
    log.events.insert(at.expect("a packet"), syn);
    let drawn = draw::text(&log, &Options::default());
    let lines: Vec<&str> = drawn
        .lines()
        .filter(|it| it.contains("SYN ") && !it.contains("SYN ACK"))
        .collect();
    assert_eq!(lines.len(), 2, "{drawn}");
    assert!(!lines[0].contains("[SYN-RECEIVED]"), "{drawn}");
    assert!(lines[1].contains("[SYN-RECEIVED]"), "{drawn}");
}

/// Takes a moment if the time grows with the length, and many minutes if it grows with
/// the square.
#[test]
fn three_hundred_thousand_packets_are_drawn() {
    let mut log = recorded();
    let packet = log.events.iter().find(|it| matches!(it, Event::Packet(_)));
    let packet = packet.expect("a packet").clone();
    log.events.extend((0..300_000).map(|_| packet.clone()));
    let began = processor_time();
    let drawn = draw::text(&log, &Options::default());
    assert!(drawn.contains("rows are left out"), "{drawn}");
    let took = processor_time().saturating_sub(began);
    assert!(took.as_secs() < 60, "{took:?}");
}

/// The processor time of this thread, whatever else the machine is doing; zero if the
/// system does not say.
fn processor_time() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|it| it.parse().ok());
    std::time::Duration::from_nanos(nanoseconds.unwrap_or(0))
}

#[test]
fn a_million_events_stay_few_in_memory() {
    let mut keep = Keep::new(flow::event::Header::default(), 100);
    for time_ns in 0..1_000_000 {
        keep.push(Event::Note(Note { time_ns, text: String::new() }));
    }
    let log = keep.into_log();
    assert_eq!(log.events.len(), 201);
    assert!(draw::text(&log, &Options::default()).contains("999800 events"));
}

#[test]
fn times_stand_before_the_rows() {
    let log = recorded();
    let options = Options { time: true, width: 110, ..Options::default() };
    let drawn = draw::text(&log, &options);
    let syn = log.events.iter().find_map(|event| match event {
        Event::Packet(packet) => Some(packet.time_ns),
        _ => None,
    });
    let syn = format!("{:>9.3}", syn.expect("a packet") as f64 / 1e6);
    let line = drawn.lines().find(|line| line.contains("[SYN-SENT]")).expect("a SYN");
    assert!(line.starts_with(&syn), "{drawn}");
    assert!(
        drawn.lines().any(|line| line.contains("accept = 4") && line.contains(" ms)"))
    );
    let widest = drawn.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(110), "{drawn}");
}

#[test]
fn a_filter_draws_what_is_asked_for() {
    let log = recorded();
    let rows = |filter: draw::Filter| {
        let diagram = draw::Diagram::new(&log, &Options { filter, ..Options::default() });
        let text = |row: &draw::Row| match row {
            draw::Row::Call { text, .. } | draw::Row::Return { text, .. } => text.clone(),
            draw::Row::Packet(arrow) => arrow.label.clone(),
            draw::Row::Life { text, .. } => text.clone(),
            other => format!("{other:?}"),
        };
        let texts: Vec<String> = diagram.rows.iter().map(text).collect();
        texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>()
    };
    let all = rows(draw::Filter::default());
    // A C program calls it recv, and the kernel recvfrom.
    for name in ["recv", "recvfrom"] {
        let calls =
            rows(draw::Filter { calls: vec![name.to_owned()], ..Default::default() });
        assert!(
            !calls.is_empty() && calls.iter().all(|it| it.starts_with("recv")),
            "{calls:?}"
        );
    }
    let at_port = rows(draw::Filter { ports: vec![12345], ..Default::default() });
    assert!(
        at_port.iter().any(|it| it == "SYN") && at_port.len() < all.len(),
        "{at_port:?}"
    );
    assert!(at_port.iter().all(|it| !it.starts_with("exits")), "{at_port:?}");
    assert!(rows(draw::Filter { ports: vec![9], ..Default::default() }).is_empty());
    assert!(rows(draw::Filter { errors: true, ..Default::default() }).is_empty());
    let client = rows(draw::Filter {
        processes: vec!["tcp-client".to_owned()],
        ..Default::default()
    });
    assert!(client.iter().any(|it| it.starts_with("connect")), "{client:?}");
    assert!(client.iter().all(|it| !it.starts_with("listen")), "{client:?}");
}

/// The recorded echo, and the same packets once more from another port.
fn two_connections() -> Log {
    let mut log = recorded();
    let second = |event: &Event| {
        let Event::Packet(packet) = event else { return None };
        let mut packet = packet.clone();
        for address in [&mut packet.from, &mut packet.to] {
            *address = address.replace(":48872", ":48873");
        }
        Some(Event::Packet(packet))
    };
    let more: Vec<Event> = log.events.iter().filter_map(second).collect();
    log.events.extend(more);
    log
}

#[test]
fn several_connections_have_marks_and_one_has_none() {
    let alone = draw::text(&recorded(), &Options::default());
    assert!(!alone.contains('#'), "{alone}");
    let wide = Options { width: 170, ..Options::default() };
    let drawn = draw::text(&two_connections(), &wide);
    for mark in ["#1 SYN port 48872 to 12345", "#2 SYN port 48873 to 12345", "#1 FIN"] {
        assert!(drawn.contains(mark), "{drawn}");
    }
    // Once, at the beginning of each connection.
    assert_eq!(drawn.matches(" port ").count(), 2, "{drawn}");
}

#[test]
fn a_filter_draws_one_connection() {
    let filter = draw::Filter { connections: vec![1], ..Default::default() };
    let options = Options { filter, ..Options::default() };
    let drawn = draw::text(&two_connections(), &options);
    assert!(drawn.contains("#1 SYN") && !drawn.contains("#2"), "{drawn}");
    // Includes the calls on its sockets, but not those on the listener.
    assert!(drawn.contains("connect(") && drawn.contains("recv("), "{drawn}");
    assert!(!drawn.contains("listen("), "{drawn}");
    let filter = draw::Filter { connections: vec![2], ..Default::default() };
    let options = Options { filter, ..Options::default() };
    let drawn = draw::text(&two_connections(), &options);
    assert!(drawn.contains("#2 SYN") && !drawn.contains("connect("), "{drawn}");
}

/// `flow --attach` notes what it cannot do before it has joined the program.
#[test]
fn nothing_is_drawn_of_a_note_before_the_first_program() {
    let mut live =
        draw::Live::new(flow::event::Header::default(), Options::default(), &[]);
    live.push(Event::Note(Note {
        time_ns: 0,
        text: "Only calls, no packets".to_owned(),
    }));
    assert_eq!(live.more(true), "");
}

/// Draws a log event by event as they come; returns what was written, without the heads.
fn as_it_comes(log: &Log, at_rest: bool) -> (String, String) {
    let options = Options::default();
    let sides: Vec<(String, Option<&str>)> = log
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Side(side) => Some((side.name.clone(), None)),
            _ => None,
        })
        .collect();
    let mut live = draw::Live::new(log.header.clone(), options.clone(), &sides);
    let (mut came, mut heads) = (String::new(), 0);
    for event in &log.events {
        live.push(event.clone());
        let more = live.more(at_rest);
        let rows =
            more.split_once('\n').filter(|(head, _)| head.starts_with("tcp-client"));
        heads += usize::from(rows.is_some());
        came.push_str(rows.map_or(more.as_str(), |(_, rows)| rows));
    }
    assert!(heads > 0 && !came.is_empty(), "{came}");
    let whole = draw::text(log, &options);
    (came + &live.finish(&whole), whole)
}

#[test]
fn rows_that_come_one_by_one_are_the_whole_drawing() {
    let (came, whole) = as_it_comes(&recorded(), false);
    let rows = whole.split_once('\n').map(|(_, rows)| rows);
    assert_eq!(Some(came.as_str()), rows);
}

#[test]
fn a_draft_that_was_wrong_is_drawn_again() {
    // That there are two connections is known only when the second begins.
    let (came, whole) = as_it_comes(&two_connections(), false);
    assert!(came.ends_with(&format!("\nThe whole run:\n{whole}")), "{came}");
    // Each call is taken for one that waits.
    let (came, whole) = as_it_comes(&recorded(), true);
    assert!(came.ends_with(&format!("\nThe whole run:\n{whole}")), "{came}");
}

#[test]
fn a_window_shows_a_part_of_the_rows() {
    let rows = |window| {
        let options = Options { window, ..Options::default() };
        draw::Diagram::new(&recorded(), &options).rows
    };
    let all = rows(None);
    let part = rows(Some((5, 7)));
    let (before, after) = (draw::Row::Cut(4), draw::Row::Cut(all.len() - 7));
    assert_eq!(part.first(), Some(&before));
    assert_eq!(part.last(), Some(&after));
    assert_eq!(part[1..4], all[4..7]);
    assert_eq!(rows(Some((1, usize::MAX))), all);
    assert_eq!(rows(Some((usize::MAX, usize::MAX))), [draw::Row::Cut(all.len())]);
    let drawn =
        draw::text(&recorded(), &Options { window: Some((5, 7)), ..Options::default() });
    assert!(drawn.contains("4 rows are left out"), "{drawn}");
}

#[test]
fn sums_of_a_log() {
    let mut summary = draw::summary::Summary::default();
    recorded().events.iter().for_each(|event| summary.push(event));
    let report = summary.report();
    let [echo] = &report.connections[..] else { panic!("{report:?}") };
    assert_eq!((echo.bytes, echo.round_trips), ([16, 22], 1));
    assert_eq!((echo.end.as_deref(), echo.packets), (Some("closed"), [5, 5]));
    let text = report.text(60);
    assert!(text.lines().all(|line| line.chars().count() <= 72), "{text}");
    // This log is from before what the kernel holds was measured.
    assert!(text.contains("not measured"), "{text}");
}

#[test]
fn repeats_are_folded_when_asked() {
    let mut log = recorded();
    let last = log.events.iter().rposition(|it| matches!(it, Event::Call(_)));
    let last = last.expect("a call");
    // The last call and its return, thirty more times.
    let round = [log.events[last].clone(), log.events[last + 1].clone()];
    for _ in 0..30 {
        log.events.splice(last + 2..last + 2, round.clone());
    }
    let plain = draw::text(&log, &Options::default());
    assert_eq!(plain.matches("close(3) = 0").count(), 32, "{plain}");
    let folded = draw::text(&log, &Options { fold: true, ..Options::default() });
    assert_eq!(folded.matches("close(3) = 0").count(), 2, "{folded}");
    assert!(folded.contains("this row × 31"), "{folded}");
}

/// A packet between the two hosts of a wire. `from_a` says which of them sends it.
fn on_a_wire(time_ms: u64, from_a: bool, tcp: &str, data: &[u8], wire: &str) -> String {
    let (a, b) = ("10.77.0.1:40000", "10.77.0.2:12345");
    let (from, to) = if from_a { (a, b) } else { (b, a) };
    let (bytes, length) = (bytes::escape(data).replace('\\', "\\\\"), data.len());
    format!(
        "{{\"event\":\"packet\",\"time_ns\":{time_ms}000000,\"from\":\"{from}\",\"to\":\"{to}\",\
         \"protocol\":{{\"tcp\":{{{tcp},\"window\":64}}}},\
         \"data\":{{\"bytes\":\"{bytes}\",\"length\":{length}}},\
         \"wire\":{{\"left_ns\":{time_ms}000000,{wire}}}}}\n"
    )
}

/// A stream of one piece over a wire that loses it, so that its FIN arrives first.
fn a_fin_before_its_data() -> Log {
    let mut text = String::from("{\"flow\":2,\"system\":\"Linux 6.18 x86_64\"}\n");
    for (side, host) in ["b", "a"].iter().enumerate() {
        text.push_str(&format!(
            "{{\"event\":\"side\",\"time_ns\":0,\"side\":{side},\"name\":\"program\",\
             \"command\":[],\"host\":\"{host}\"}}\n"
        ));
    }
    let arrived = "\"fate\":\"arrived\"";
    let lost = "\"fate\":\"lost\",\"rule\":\"lose a>b data 1\"";
    let again = "\"fate\":\"arrived\",\"again\":true,\"cause\":\"TCPFastRetrans\"";
    let flags = |flags: &str, seq: u32, ack: u32| {
        format!("\"flags\":\"{flags}\",\"seq\":{seq},\"ack\":{ack}")
    };
    let (data, count) = ([0xff; 24], 24);
    for (time_ms, from_a, tcp, data, wire) in [
        (1, true, flags("SYN", 100, 0), &b""[..], arrived),
        (2, false, flags("SYN ACK", 200, 101), b"", arrived),
        (3, true, flags("ACK", 101, 201), b"", arrived),
        (4, true, flags("PSH ACK", 101, 201), &data, lost),
        (5, true, flags("FIN ACK", 101 + count, 201), b"", arrived),
        (6, false, flags("ACK", 201, 101), b"", arrived),
        (600, true, flags("PSH ACK", 101, 201), &data, again),
        (601, false, flags("ACK", 201, 102 + count), b"", arrived),
    ] {
        text.push_str(&on_a_wire(time_ms, from_a, &tcp, data, wire));
    }
    json::read(&mut text.as_bytes()).expect("a log")
}

#[test]
fn a_fin_counts_when_everything_before_it_has_arrived() {
    let wide = Options { width: 120, ..Options::default() };
    let drawn = draw::text(&a_fin_before_its_data(), &wide);
    let row = |words: &str| drawn.lines().find(|it| it.contains(words)).expect("a row");
    assert!(!row(" FIN ─").contains("[CLOSE-WAIT]"), "{drawn}");
    assert!(row("again").contains("[CLOSE-WAIT]"), "{drawn}");
    // It could not be acknowledged before, so nothing was held back.
    assert!(row("[FIN-WAIT-2]").contains(" ACK ─"), "{drawn}");
    assert!(!drawn.contains("delayed"), "{drawn}");
}

#[test]
fn what_happened_to_a_packet_is_said_where_its_data_has_no_room() {
    let narrow = Options { width: 80, ..Options::default() };
    let drawn = draw::text(&a_fin_before_its_data(), &narrow);
    let row = drawn.lines().find(|it| it.contains("again")).expect("a row");
    assert!(row.contains(" 24 bytes \"\\xff") && row.contains("… again ─"), "{drawn}");
}

/// A tracer that gets no processor may not see that a program slept until its timeout.
#[test]
fn what_a_timeout_ended_has_waited() {
    let mut text = String::from("{\"flow\":2,\"system\":\"Linux 6.18 x86_64\"}\n");
    for (side, host) in ["b", "a"].iter().enumerate() {
        text.push_str(&format!(
            "{{\"event\":\"side\",\"time_ns\":0,\"side\":{side},\"name\":\"program\",\
             \"command\":[],\"host\":\"{host}\"}}\n"
        ));
    }
    // The first waits for 200 ms; the second does not wait.
    for (id, begin_ms, end_ms) in [(1, 10, 210), (2, 300, 301)] {
        text.push_str(&format!(
            "{{\"event\":\"call\",\"time_ns\":{begin_ms}000000,\"id\":{id},\"side\":1,\
             \"pid\":7,\"tid\":7,\"name\":\"recvfrom\",\
             \"args\":[{{\"name\":\"sockfd\",\"value\":\"3\"}}],\"socket\":5}}\n\
             {{\"event\":\"return\",\"time_ns\":{end_ms}000000,\"id\":{id},\
             \"error\":\"EAGAIN\"}}\n"
        ));
    }
    let log = json::read(&mut text.as_bytes()).expect("a log");
    let drawn = draw::text(&log, &Options { width: 100, ..Options::default() });
    assert_eq!(drawn.matches("· 200 ms ·").count(), 1, "{drawn}");
    assert_eq!(drawn.matches(" ms ·").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("= -1 EAGAIN").count(), 2, "{drawn}");
}

/// One whose call has a timeout and returns 0 has waited for it, however long that took.
#[test]
fn what_found_nothing_within_its_timeout_has_waited() {
    let mut text = String::from(
        "{\"flow\":2,\"system\":\"Linux 6.18 x86_64\"}\n\
         {\"event\":\"side\",\"time_ns\":0,\"side\":0,\"name\":\"program\",\"command\":[]}\n",
    );
    let calls = [
        ("poll", "99 ms", 0),
        ("epoll_pwait2", "0.500000 s", 0),
        // It found something, did not want to wait, or has no timeout.
        ("poll", "99 ms", 1),
        ("epoll_wait", "0 ms", 0),
        ("select", "NULL", 0),
    ];
    for (id, (name, timeout, value)) in calls.iter().enumerate() {
        text.push_str(&format!(
            "{{\"event\":\"call\",\"time_ns\":1{id}0,\"id\":{id},\"side\":0,\"pid\":7,\"tid\":7,\
             \"name\":\"{name}\",\"args\":[{{\"name\":\"fds\",\"value\":\"[3 POLLIN]\"}},\
             {{\"name\":\"timeout\",\"value\":\"{timeout}\"}}]}}\n\
             {{\"event\":\"return\",\"time_ns\":1{id}5,\"id\":{id},\"value\":{value}}}\n"
        ));
    }
    let log = json::read(&mut text.as_bytes()).expect("a log");
    let drawn = draw::text(&log, &Options { width: 100, ..Options::default() });
    let rows =
        |row: &str| drawn.lines().filter(|it| it.trim_end().ends_with(row)).count();
    let (waited, at_once) = (["│ poll = 0", "│ epoll_wait = 0"], [") = 1", ") = 0"]);
    assert_eq!(waited.map(rows), [1, 1], "{drawn}");
    assert_eq!(at_once.map(rows), [1, 2], "{drawn}");
}

/// A program that has sent `before` bytes, of which `seen` have passed, and then sends ten more
/// that are not sent yet.
fn held_back(before: u32, seen: usize) -> String {
    let (a, b) = ("10.77.0.1:40000", "10.77.0.2:12345");
    let mut text = String::from(
        "{\"flow\":2,\"system\":\"Linux 6.18 x86_64\"}\n\
         {\"event\":\"side\",\"time_ns\":0,\"side\":0,\"name\":\"server\",\"command\":[]}\n\
         {\"event\":\"side\",\"time_ns\":0,\"side\":1,\"name\":\"client\",\"command\":[]}\n",
    );
    text += &format!(
        "{{\"event\":\"socket\",\"time_ns\":0,\"side\":1,\"inode\":7,\"family\":\"AF_INET\",\
         \"kind\":\"SOCK_STREAM\",\"local\":\"{a}\",\"peer\":\"{b}\"}}\n"
    );
    let mut packet = |from: &str, to: &str, tcp: &str, length: usize| {
        text += &format!(
            "{{\"event\":\"packet\",\"time_ns\":1,\"from\":\"{from}\",\"to\":\"{to}\",\
             \"protocol\":{{\"tcp\":{{\"window\":64240,{tcp}}}}},\
             \"data\":{{\"bytes\":\"\",\"length\":{length}}}}}\n"
        );
    };
    packet(a, b, "\"flags\":\"SYN\",\"seq\":0,\"ack\":0,\"scale\":7,\"mss\":1460", 0);
    packet(b, a, "\"flags\":\"SYN ACK\",\"seq\":0,\"ack\":1,\"scale\":7,\"mss\":1460", 0);
    packet(a, b, "\"flags\":\"ACK\",\"seq\":1,\"ack\":1", seen);
    let queue = before + 10;
    text += &format!(
        "{{\"event\":\"call\",\"time_ns\":2,\"id\":1,\"side\":1,\"pid\":1,\"tid\":1,\
         \"name\":\"write\",\"args\":[],\"socket\":7,\
         \"data\":{{\"bytes\":\"0123456789\",\"length\":10}}}}\n\
         {{\"event\":\"return\",\"time_ns\":3,\"id\":1,\"value\":10,\"kernel\":[\
         {{\"local\":\"{a}\",\"peer\":\"{b}\",\"state\":\"ESTABLISHED\",\"recv_q\":0,\
         \"send_q\":{queue},\"socket\":7}}]}}\n"
    );
    let log = json::read(&mut text.as_bytes()).expect("a log");
    draw::text(&log, &Options { width: 200, ..Options::default() })
}

#[test]
fn a_small_segment_behind_large_ones_does_not_wait_for_nagle() {
    // All that was sent before may be in flight, and makes no segment together with the rest.
    assert!(held_back(10, 0).contains("10 bytes before are not acknowledged (Nagle)"));
    assert!(
        held_back(20_000, 20_000).contains("20,000 bytes before are not acknowledged")
    );
    // Full segments are waiting, and not for an acknowledgment of a small one.
    let drawn = held_back(20_000, 14_480);
    assert!(!drawn.contains("not sent yet"), "{drawn}");
    // More than the peer has announced.
    let drawn = held_back(64_240, 64_240);
    assert!(
        drawn.contains("not sent yet: the peer has room for no more bytes"),
        "{drawn}"
    );
}
