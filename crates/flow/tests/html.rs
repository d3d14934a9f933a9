//! The drawing as HTML: it shows what was recorded, and whatever programs call
//! themselves, print and send stays text.

use flow::draw::{Options, html};
use flow::event::{
    Arg, Call, Change, Data, Event, Held, Log, Note, Observed, Packet, Printed, Process,
    Protocol, Return, Side, Socket, Source,
};

/// What would run, break out of a tag, reverse the direction of text, or not be text at
/// all.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" \
                       onmouseover='alert(3)' &lt; <!-- \u{202e}\u{2066}\u{200b}\u{7}\u{1b}[2J\
                       \u{ad}\u{61c}\u{9b}\u{3164}\u{fe0f}";

fn hostile_log() -> Log {
    let text = || HOSTILE.to_owned();
    let data = |bytes: &[u8]| Data { bytes: bytes.to_vec(), length: bytes.len() as u64 };
    let mut bytes = HOSTILE.as_bytes().to_vec();
    bytes.extend([0xff, 0xfe, 0x00, 0xc3]);
    let long = vec![b'<'; 1 << 20];
    let observed = Observed {
        kernel: Some(vec![Held {
            local: text(),
            peer: Some(text()),
            state: Some(text()),
            recv_q: u32::MAX,
            send_q: 0,
            socket: Some(7),
        }]),
        printed: [&bytes, &long]
            .map(|bytes| Printed { side: 0, fd: 1, data: data(bytes) })
            .to_vec(),
        source_hash: None,
        gone: vec![7, u64::MAX],
    };
    let (time_ns, side, pid) = (0, 0, 1);
    let call = |id, name: String, bytes: &[u8]| {
        Event::Call(Call {
            time_ns,
            id,
            side,
            pid,
            tid: 1,
            name,
            args: vec![Arg { name: text(), value: text() }],
            socket: Some(7),
            data: Some(data(bytes)),
            source: Some(Source { file: text(), line: 3 }),
            observed: observed.clone(),
        })
    };
    let returned = |id| {
        Event::Return(Return {
            time_ns,
            id,
            value: None,
            waited: true,
            error: Some(text()),
            args: vec![Arg { name: text(), value: text() }],
            socket: Some(7),
            data: Some(data(&bytes)),
            observed: observed.clone(),
        })
    };
    let mut log = Log::default();
    log.header.system = text();
    log.header.measured = vec!["kernel".to_owned(), text()];
    log.events = vec![
        Event::Side(Side {
            time_ns,
            side,
            name: text(),
            command: vec![text(), text()],
            host: None,
        }),
        Event::Socket(Socket {
            time_ns,
            side,
            inode: 7,
            family: text(),
            kind: text(),
            local: Some(text()),
            peer: Some(text()),
        }),
        call(1, text(), &bytes),
        Event::Packet(Packet {
            wire: None,
            time_ns,
            from: text(),
            to: text(),
            protocol: Protocol::Udp,
            data: data(&long),
        }),
        returned(1),
        call(2, "send".to_owned(), &long),
        returned(2),
        // Returns without a call, and a call that never returns.
        returned(99),
        call(3, "connect".to_owned(), b""),
        Event::Process(Process {
            time_ns,
            side,
            pid,
            what: Change::Killed(text()),
            observed: observed.clone(),
        }),
        Event::Note(Note { time_ns, text: text() }),
    ];
    log
}

fn document(log: &Log) -> String {
    let file = |name: &str| {
        let (title, text) = (name.to_owned(), format!("one\ntwo\n{HOSTILE}\n"));
        Some(html::File { title, text, page: None })
    };
    html::document(log, &Options::default(), &file)
}

/// The names of a document's elements, in order; what is inside scripts does not count.
fn elements(document: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if end > 0 {
            names.push(&rest[..end]);
            if ["script", "style"].contains(&&rest[..end]) {
                let end = format!("</{}>", &rest[..end]);
                rest = rest.split_once(&end).map_or("", |(_, behind)| behind);
            }
        }
    }
    names
}

#[test]
fn whatever_a_program_says_stays_text() {
    let document = document(&hostile_log());
    let elements = elements(&document);
    let count = |name| elements.iter().filter(|it| **it == name).count();
    // The data of the steps, and the one script.
    assert_eq!((count("script"), count("img"), count("style")), (2, 0, 1));
    let hidden =
        document.chars().find(|c| common::is_hidden(*c) && !['\n', '\t'].contains(c));
    assert_eq!(hidden, None);
    let (before, rest) = document.split_once("<script type=").unwrap();
    let (_, after) = rest.split_once("</script>").unwrap();
    for attribute in ["onerror=alert(2)>", "onmouseover='alert"] {
        assert!(!before.contains(attribute), "{attribute}");
        assert!(!after.contains(attribute), "{attribute}");
    }
    assert!(document.contains("onerror=alert(2)&gt;"), "it is shown");
    // Each line of a megabyte is cut.
    assert!(document.len() < 200_000, "{} bytes", document.len());
}

#[test]
fn the_data_of_the_steps_is_json_that_html_does_not_read() {
    let document = document(&hostile_log());
    let data = document.split_once("<script type=\"application/json\">").unwrap().1;
    let data = data.split_once("</script>").unwrap().0;
    assert!(!data.contains(['<', '>', '&', '\u{202e}']), "{data}");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let steps = data["steps"].as_array().unwrap();
    assert_eq!(steps.len(), document.matches("<li class=s-row").count());
    let printed = data["printed"][0][2].as_str().unwrap();
    assert!(printed.starts_with("</script><script>alert(1)"), "as text: {printed}");
    assert!(printed.ends_with("\\xff\\xfe\\x00\\xc3"), "{printed}");
}

#[test]
fn the_policy_names_the_script_and_the_sheet_and_nothing_else() {
    let document = document(&Log::default());
    let between = |from: &str, to: &str| {
        let rest = document.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0
    };
    let policy = between("Content-Security-Policy content=\"", "\"");
    let style = html::digest(between("<style>", "</style>"));
    let script = html::digest(
        document.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0,
    );
    assert_eq!(
        policy,
        format!(
            "default-src 'none';style-src {style};script-src {script};img-src \
             data:;base-uri 'none';form-action 'none'"
        )
    );
    assert!(!document.contains("style="), "the policy forbids the attribute");
}

#[test]
fn steps_are_those_of_the_recording() {
    let log = include_bytes!("data/tcp-echo.json");
    let log = flow::json::read(&mut &log[..]).unwrap();
    let document = document(&log);
    assert_eq!(document.matches("<li class=s-row").count(), 30);
    for shown in [">SYN ACK</code>", "connect(3, 127.0.0.1:12345)", ">LISTEN</b>"] {
        assert!(document.contains(shown), "{shown}");
    }
}

#[test]
fn an_empty_log_is_a_page_that_says_so() {
    let document = document(&Log::default());
    assert!(document.contains("No program made a socket call"), "{document}");
}
