//! What must hold for any bytes: a target each, which panics where it does not.
//!
//! `cargo fuzz run TARGET` feeds them from `fuzz/`, and a short seeded run of them is among the
//! tests of `xtask` (`FUZZ_SECONDS=300 cargo test -p xtask --test fuzz` for a long one).

use std::path::Path;

use common::{Escaped, Visible, is_hidden};
use flow::draw::{self, Options, html};
use framing::{Lengths, Lines};
use quick_xml::events::Event;
use xtask::page::Page;
use xtask::transcript;

/// A target: what must hold for these bytes.
type Target = fn(&[u8]);

/// The targets by name.
pub(crate) const ALL: &[(&str, Target)] = &[
    ("log", log),
    ("page", page),
    ("transcript", transcript),
    ("packet", packet),
    ("framing", framing),
    ("text", text),
];

/// A recorded log is read or refused; what is read is drawn in every form, and no form has a
/// character that a terminal obeys or nobody sees.
pub(crate) fn log(data: &[u8]) {
    let log = match flow::json::read(&mut &data[..]) {
        Ok(log) => log,
        Err(error) => return seen(&error.to_string(), ""),
    };
    for (width, exact, recording) in [(40, false, true), (92, true, false)] {
        let options = Options { width, exact, recording, ..Options::default() };
        seen(&draw::text(&log, &options), "\n");
        let svg = draw::svg(&log, &options);
        seen(&svg, "\n");
        well_formed(&svg);
        // With the source that the log names, and without it.
        let source = |name: &str| {
            let (title, text) = (name.to_owned(), format!("{name}\n").repeat(3));
            exact.then_some(html::File { title, page: Some(text.clone()), text })
        };
        let document = html::document(&log, &options, &source);
        seen(&document, "\n\t");
        // What the log has is text: it brings no element of its own.
        for (element, most) in [("<script", 2), ("<style", 1), ("<main", 1)] {
            let found = document.matches(element).count();
            assert!(found <= most, "{found} {element} in {document}");
        }
    }
    let mut written = Vec::new();
    flow::json::write(&mut written, &log).expect("a log in memory is written");
    let again = flow::json::read(&mut &written[..]).expect("what was written is read");
    let mut second = Vec::new();
    flow::json::write(&mut second, &again).expect("a log in memory is written");
    assert_eq!(written, second, "a log that is read and written changes");
}

/// A page is read or refused, and what is said of it can be printed.
pub(crate) fn page(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Page::parse(Path::new("lessons/01-one/README.md"), &text) {
        Ok(page) => {
            for terminal in page.scenes.iter().flat_map(|scene| &scene.terminals) {
                terminal.lines.iter().for_each(|line| seen(line, "\t"));
                let lines: String =
                    terminal.lines.iter().map(|line| format!("{line}\n")).collect();
                // A terminal in the item of a list stands further right.
                let indent = terminal.indent.as_str();
                let block: String = page.text[terminal.range.clone()]
                    .lines()
                    .map(|line| {
                        format!("{}\n", line.strip_prefix(indent).unwrap_or(line))
                    })
                    .collect();
                assert_eq!(
                    block.trim_end(),
                    lines.trim_end(),
                    "a block's place is not its text"
                );
            }
        }
        Err(faults) => faults.iter().for_each(|fault| seen(&fault.to_string(), "\t")),
    }
}

/// Two transcripts are compared, a transcript is like itself, and one rewritten in the words
/// of another is like what it was.
pub(crate) fn transcript(data: &[u8]) {
    let lines = |data: &[u8]| -> Vec<String> {
        data.split(|byte| *byte == b'\n').map(|line| Visible(line).to_string()).collect()
    };
    let (one, two) = data.split_at(data.len() / 2);
    let (one, two) = ([lines(one), lines(data)], [lines(two), lines(data)]);
    assert!(transcript::compare(&one, &one).iter().all(Option::is_none));
    for difference in transcript::compare(&one, &two).into_iter().flatten() {
        assert!(difference.line < one[0].len().max(one[1].len()));
    }
    transcript::in_the_words_of(&one, &two);
    one[1].iter().for_each(|line| drop(transcript::renamed(line)));
}

/// A packet is read or refused.
pub(crate) fn packet(data: &[u8]) {
    for most in [0, 16, 1 << 16] {
        drop(flow::packet::parse(data, most));
    }
}

/// However a stream is cut, its messages are the same.
pub(crate) fn framing(data: &[u8]) {
    macro_rules! read {
        ($reader:expr, $pieces:expr) => {{
            let mut reader = $reader;
            let mut read = Vec::new();
            for piece in $pieces {
                reader.push(piece);
                loop {
                    match reader.next_message() {
                        Ok(Some(message)) => read.push(Ok(message)),
                        Ok(None) => break,
                        Err(fault) => {
                            read.push(Err(fault.to_string()));
                            break;
                        }
                    }
                }
                if read.last().is_some_and(Result::is_err) {
                    break;
                }
            }
            read
        }};
    }
    // A length that is too long is known at different moments; its words say how long it is.
    let messages = |read: Vec<Result<Vec<u8>, String>>| {
        let failed = read.last().is_some_and(Result::is_err);
        (read.into_iter().flatten().collect::<Vec<_>>(), failed)
    };
    let size = usize::from(*data.first().unwrap_or(&3) % 7) + 1;
    let whole = messages(read!(Lengths::new(100), [data]));
    assert_eq!(whole, messages(read!(Lengths::new(100), data.chunks(size))));
    let whole = messages(read!(Lines::new(100), [data]));
    assert_eq!(whole, messages(read!(Lines::new(100), data.chunks(size))));
}

/// Foreign bytes are shown without what a terminal obeys.
pub(crate) fn text(data: &[u8]) {
    seen(&Escaped(data).to_string(), "");
    seen(&Visible(data).to_string(), "\t");
    let shown = Visible(data).to_string();
    assert_eq!(Visible(shown.as_bytes()).to_string(), shown, "what is safe is changed");
}

/// No character is hidden, but for those of `allowed`.
fn seen(text: &str, allowed: &str) {
    let hidden = text.chars().find(|c| is_hidden(*c) && !allowed.contains(*c));
    assert!(
        hidden.is_none(),
        "{hidden:?} in {:?}",
        text.chars().take(2000).collect::<String>()
    );
}

fn well_formed(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let mut depth = 0_i32;
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                depth += 1;
                start.attributes().for_each(|it| drop(it.expect("an attribute")));
            }
            Ok(Event::Empty(start)) => {
                start.attributes().for_each(|it| drop(it.expect("an attribute")));
            }
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => panic!("{error}: {xml}"),
        }
    }
    assert_eq!(depth, 0, "{xml}");
}
