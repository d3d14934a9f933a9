//! Programs on the two hosts of a wire.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use flow::event::{Event, Fate, Flag, Log, OnWire, Packet, Protocol};
use libtest_mimic::{Failed, Trial};
use testkit::Filter;

use crate::behaviour::under;
use crate::tool::{self, flow, log, run, says, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_lost_segment_is_drawn_and_comes_again", &["python3"], lost_segment),
        trial("a_handshake_and_a_farewell_repeated", &["python3"], handshake),
        trial("held_doubled_and_damaged_are_marked", &["python3"], marks),
        trial("a_rule_that_never_matched_is_told", &["python3"], never_matched),
        trial("a_wrong_rule_is_a_wrong_command_line", &[], wrong_rule),
        trial("a_wrong_file_of_rules_is_one_too", &[], wrong_file),
        trial("tshark_marks_the_same_segments", &["python3", "tshark"], tshark),
        trial("a_drawing_of_a_wire_is_the_same_each_time", &["python3"], same_each_time),
        trial(
            "neither_tun_nor_veth_shows_the_recording",
            &["python3"],
            neither_tun_nor_veth,
        ),
        trial("older_kernels_and_sandboxes", &["python3"], older_kernels_and_sandboxes),
    ]
}

const SERVER: &str = "import socket\n\
    l = socket.create_server(('10.77.0.2', 12345))\n\
    c, _ = l.accept()\n\
    while data := c.recv(100): c.sendall(data)\n\
    c.close(); l.close()\n";

const CLIENT: &str = "import socket\n\
    c = socket.create_connection(('10.77.0.2', 12345))\n\
    for word in (b'first', b'second', b'third'):\n\
    \x20 c.sendall(word); assert c.recv(100) == word\n\
    c.close()\n";

/// Whether the kernel allows a wire; if not, says so.
pub(crate) fn is_allowed() -> bool {
    let probe = flow(&["--rule", "lose b>a fin 9", "--", "true"]).output();
    let refused = probe.is_ok_and(|it| it.status.code() == Some(77));
    if refused {
        testkit::skip("wire", "this system allows no wire");
    }
    !refused
}

/// The echo of three words over a wire; `None` if the kernel allows no wire.
fn echo(rules: &[&str], more: &[&str]) -> Option<Log> {
    if !is_allowed() {
        return None;
    }
    let python = tool::python();
    let mut options: Vec<&str> = rules.iter().flat_map(|it| ["--rule", *it]).collect();
    options.extend(more);
    Some(log(&options, &[&[&python, "-c", SERVER], &[&python, "-c", CLIENT]]))
}

fn passed(log: &Log) -> impl Iterator<Item = (&Packet, &OnWire)> {
    log.events.iter().filter_map(|event| match event {
        Event::Packet(packet) => Some((packet, packet.wire.as_ref()?)),
        _ => None,
    })
}

fn drawing(log: &Log) -> String {
    flow::draw::text(log, &flow::draw::Options { width: 92, ..Default::default() })
}

fn lost_segment() -> Result<(), Failed> {
    let Some(log) = echo(&["lose a>b data 2"], &[]) else { return Ok(()) };
    let lost: Vec<_> = passed(&log).filter(|(_, it)| it.fate == Fate::Lost).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].0.data.bytes, b"second");
    assert_eq!(lost[0].1.rule.as_deref(), Some("lose a>b data 2"));
    let again: Vec<_> = passed(&log).filter(|(_, it)| it.again).collect();
    // If the machine stands still for long, it comes more than once.
    let first = again.first().ok_or("it never came again")?;
    assert_eq!(first.1.cause.as_deref(), Some("TCPLossProbes"));
    let text = drawing(&log);
    assert!(text.contains("6 bytes \"second\" ─"), "{text}");
    assert!(text.contains("✗"), "{text}");
    assert!(text.contains(" ms: tail loss probe ·"), "{text}");
    assert!(text.contains("6 bytes \"second\" again ─"), "{text}");
    assert!(text.contains("The kernel of a counted TCPLossProbes "), "{text}");
    let picture = flow::draw::svg(&log, &flow::draw::Options::default());
    assert!(picture.contains("class='lost'") && picture.contains("class='time'"));
    Ok(())
}

/// The rules by which a's timer goes off before b's: b answers half a second later than a
/// has asked.
const ANSWER_IS_LOST: [&str; 2] = ["delay a>b syn 1 500ms", "lose b>a syn-ack 1"];

fn handshake() -> Result<(), Failed> {
    let rules = [&ANSWER_IS_LOST[..], &["lose a>b fin 1"]].concat();
    let Some(log) = echo(&rules, &[]) else { return Ok(()) };
    let text = drawing(&log);
    let rows: Vec<&str> = text.lines().collect();
    let row = |words| rows.iter().position(|it| it.contains(words)).ok_or("no such row");
    let (asked, answered) = (row("SYN again")?, row("SYN ACK again")?);
    assert!(rows[asked - 1].contains(" s: retransmission timeout"), "{text}");
    // It answers what came again; no timer of b has gone off.
    assert_eq!(answered, asked + 1, "{text}");
    assert!(text.contains("FIN again"), "{text}");
    // Each state of an end is shown once.
    assert!(text.contains("✗"), "{text}");
    for state in ["SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "CLOSE-WAIT", "TIME-WAIT"] {
        assert_eq!(text.matches(state).count(), 1, "{state}: {text}");
    }
    Ok(())
}

fn marks() -> Result<(), Failed> {
    let rules = ["delay a>b data 1 60ms", "double b>a data 2", "flip a>b data 3 bit 3"];
    let Some(log) = echo(&rules, &[]) else { return Ok(()) };
    let text = drawing(&log);
    for words in [
        "\"first\" held back",
        "\"first\" late",
        "\"second\" doubled",
        "\"third\" damaged",
        "\"third\" again",
        "TcpInCsumErrors 1",
    ] {
        // What was damaged is shown as it arrived.
        let words = words.replace("\"third\" damaged", " damaged");
        assert!(text.contains(&words), "{words}: {text}");
    }
    Ok(())
}

fn never_matched() -> Result<(), Failed> {
    let Some(log) = echo(&["lose a>b data 9"], &[]) else { return Ok(()) };
    let text = drawing(&log);
    assert!(text.contains("The rule `lose a>b data 9` never matched"), "{text}");
    assert!(text.contains("a>b carried 1 syn, "), "{text}");
    Ok(())
}

fn wrong_rule() -> Result<(), Failed> {
    let run = run(&mut flow(&["--rule", "loose a>b data 2", "--", "true"]));
    assert_eq!(run.status, Some(2));
    assert!(
        run.stderr
            .starts_with("rule `loose a>b data 2`: `loose` is not a rule; possible")
    );
    assert_eq!(run.stderr.lines().count(), 1);
    // Bytes that are no text are no rule either.
    let mut wrong = flow(&[]);
    wrong.arg("--rule").arg(OsStr::from_bytes(b"lose a>b d\xff 2")).args(["--", "true"]);
    let run = tool::run(&mut wrong);
    assert_eq!(run.status, Some(2));
    assert!(
        run.stderr.starts_with("rule `lose a>b d? 2`: `d?` is not understood; possible"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1);
    Ok(())
}

/// Files that are not rules, named by mistake: each is reported in one line.
fn wrong_file() -> Result<(), Failed> {
    let file = tool::scratch("wrong.rules");
    let name = file.to_str().ok_or("a path in UTF-8")?;
    let long = b"lose a>b data 2\n".repeat(5000);
    let contents: [(&[u8], &str); 4] = [
        (b"lose a>b data 2\n\nloose\n", ":3: rule `loose`: `loose` is not a rule"),
        (b"lose a>b data 1\r\nlose\xff\n", ": it is not UTF-8 text; one rule per line"),
        (b"\x7fELF\x02\x01\x01", ":1: rule `?ELF???`: `?ELF???` is not a rule"),
        (&long, ": it has more than 64 KiB; one rule per line"),
    ];
    let check = |name: &str, said: &str| {
        let run = run(&mut flow(&["--wire", name, "--", "true"]));
        assert!(run.stderr.contains(&format!("{name}{said}")), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert_eq!(run.status, Some(2));
    };
    for (content, said) in contents {
        std::fs::write(&file, content)?;
        check(name, said);
    }
    std::fs::remove_file(&file)?;
    check(name, ": No such file or directory");
    check("/", ": it is a folder; name a file");
    check("/dev/zero", ": it has more than 64 KiB");
    Ok(())
}

/// What host a's card saw, by Wireshark's own analysis.
fn tshark() -> Result<(), Failed> {
    let rules = [&ANSWER_IS_LOST[..], &["lose a>b data 2", "lose a>b fin 1"]].concat();
    let file = tool::scratch("wire.pcapng");
    let name = file.to_str().ok_or("a path in UTF-8")?;
    let Some(log) = echo(&rules, &["--pcap", name]) else { return Ok(()) };
    let ours = passed(&log)
        .filter(|(packet, it)| it.again && packet.from.starts_with("10.77.0.1:"));
    let card = tool::scratch("a.pcapng");
    let card = card.to_str().ok_or("a path in UTF-8")?;
    let split = run(std::process::Command::new("tshark").args([
        "-r",
        name,
        "-Y",
        "frame.interface_name == \"a\"",
        "-w",
        card,
    ]));
    assert_eq!(split.status, Some(0), "{}", split.stderr);
    let marked = run(std::process::Command::new("tshark").args([
        "-r",
        card,
        "-Y",
        "tcp.analysis.retransmission && ip.src == 10.77.0.1",
        "-T",
        "fields",
        "-e",
        "tcp.len",
    ]));
    let theirs: Vec<&str> = marked.stdout.lines().collect();
    let ours: Vec<String> = ours.map(|(it, _)| it.data.length.to_string()).collect();
    assert_eq!(theirs, ours);
    // The SYN, the word and the FIN; more if the machine stands still for long.
    for bytes in ["0", "6"] {
        assert!(ours.iter().any(|it| it == bytes), "{ours:?}");
    }
    assert!(ours.len() >= 3, "{ours:?}");
    Ok(())
}

/// What does not depend on the load: what each host sent for the first time, in its order, and
/// what became of it. Whether an acknowledgment travels alone, and how often something is sent
/// again, is decided by the kernel's timers.
fn same_each_time() -> Result<(), Failed> {
    let mut first: Option<Vec<String>> = None;
    for _ in 0..5 {
        let rules = ["lose a>b data 2", "swap b>a data 2 3"];
        let Some(log) = echo(&rules, &[]) else { return Ok(()) };
        let originals = |host: &str| {
            let of_host = passed(&log)
                .filter(|(it, wire)| it.from.starts_with(host) && !wire.again);
            let told = of_host.filter_map(|(packet, wire)| {
                let Protocol::Tcp { flags, .. } = &packet.protocol else { return None };
                let bytes = String::from_utf8_lossy(&packet.data.bytes).into_owned();
                let opens_or_closes = flags.has(Flag::Syn) || flags.has(Flag::Fin);
                let counts = opens_or_closes || packet.data.length > 0;
                counts.then(|| format!("{flags} {bytes:?} {:?} {}", wire.fate, wire.held))
            });
            told.collect::<Vec<String>>()
        };
        let both = [originals("10.77.0.1:"), originals("10.77.0.2:")].concat();
        assert!(passed(&log).any(|(it, wire)| wire.again && it.data.bytes == b"second"));
        assert_eq!(&both, first.get_or_insert_with(|| both.clone()));
    }
    assert!(first.is_some_and(|lines| lines.len() >= 10));
    Ok(())
}

/// Where there is neither a TUN device nor a veth pair, the recording is shown, and said to be
/// one; the exit status says that nothing ran.
fn neither_tun_nor_veth() -> Result<(), Failed> {
    let recording =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tcp-echo.json").to_owned();
    // TUNSETIFF; sendto(2) is how rtnetlink(7) is asked for a veth pair.
    const TUNSETIFF: u32 = 0x4004_54ca;
    let rule = ["--rule", "lose a>b data 1", "--recording", &recording, "--", "true"];
    let filter = Filter::default()
        .refusing(&[libc::SYS_sendto], libc::EPERM)
        .refusing_where(libc::SYS_ioctl, 1, TUNSETIFF);
    let run = under(filter, &rule);
    if run.stderr.contains("namespace") {
        testkit::skip("neither_tun_nor_veth", run.stderr.trim());
        return Ok(());
    }
    assert!(
        run.stderr
            .starts_with("make a wire between two private hosts: open /dev/net/tun"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("modprobe tun"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
    assert!(run.stdout.contains("\"Hello TCP Server\""), "{}", run.stdout);
    let last = run.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("A recording, made on "), "{last}");
    assert_eq!(run.status, Some(77));
    Ok(())
}

/// On an older kernel, the wire does what it does on a new one; if a sandbox refuses what the
/// wire is made of, flow says which call it was and what would allow it.
fn older_kernels_and_sandboxes() -> Result<(), Failed> {
    let python = tool::python();
    let rule = ["--rule", "lose a>b data 1", "--", &python, "-c", SERVER, "--", &python];
    let rule = [&rule[..], &["-c", CLIENT]].concat();
    let plain = run(&mut flow(&rule));
    if plain.status == Some(77) {
        testkit::skip("older_kernels_and_sandboxes", plain.stderr.trim());
        return Ok(());
    }
    let old = under(Filter::linux_4_19(), &rule);
    assert_eq!(old.status, Some(0), "{}", old.stderr);
    says(&old, "─✗ ")?;
    for (filter, attempt) in [
        (Filter::docker(), "unshare(CLONE_NEW"),
        (Filter::default().deadly(libc::SYS_unshare), "unshare: "),
    ] {
        let run = under(filter, &rule);
        assert_eq!(run.status, Some(77), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains(attempt), "{}", run.stderr);
        assert!(run.stderr.contains("seccomp=unconfined"), "{}", run.stderr);
    }
    Ok(())
}
