//! The recording behind a drawing on a page, as a conversation to step through.

use std::collections::HashMap;
use std::path::Path;

use flow::draw::{self, Options, html};
use flow::event::{Arg, Data, Event, Held, Log, Observed};

use crate::Error;
use crate::site::Site;

/// The width of the drawings on the pages, in columns.
const PAGE_COLUMNS: usize = 92;

/// The path of the recording behind a drawing: in `snapshots/`, beside the page.
fn recording(page: &str, scene: &str) -> String {
    let (folder, file) = page.rsplit_once('/').unwrap_or((".", page));
    let stem = file.trim_end_matches(".md");
    let parts = [if stem == "README" { "" } else { stem }, scene, "flow"];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{folder}/snapshots/{}.json", parts.join("."))
}

/// Draws the recording of the drawing whose lines are on the page.
///
/// # Errors
/// There is no recording, it cannot be read, or a source file has changed since the run.
pub fn draw(
    site: &Site,
    page: &str,
    scene: &str,
    id: &str,
    lines: &[&str],
) -> Result<String, Error> {
    let path = recording(page, scene);
    let failed = |reason: &dyn std::fmt::Display| {
        Error(format!("draw {path}: {reason}; record it with cargo xtask update"))
    };
    let file = std::fs::File::open(site.root.join(&path)).map_err(|it| failed(&it))?;
    let log = flow::json::read(&mut std::io::BufReader::new(file));
    let mut log = log.map_err(|error| failed(&error))?;
    let mut files = HashMap::new();
    for (name, text) in flow::sources::read(&log, &site.root) {
        let text =
            text.map_err(|why| failed(&format!("the run is stale: {name}: {why}")))?;
        let title = title(&name);
        let page = site.name(&name).map(str::to_owned);
        files.insert(name, html::File { title, text, page });
    }
    let options = Options { width: PAGE_COLUMNS, recording: true, ..Options::default() };
    let drawn = draw::text(&log, &options);
    rename(&mut log, &renaming(&drawn, lines));
    Ok(html::steps(&log, &options, id, &|name| files.get(name).cloned()))
}

/// The title of a source file beside the conversation: `tcp-server/src/main.rs`, or just
/// its name where that is enough.
fn title(path: &str) -> String {
    let path = Path::new(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name != "main.rs" {
        return name;
    }
    let package = path.ancestors().nth(2).and_then(Path::file_name);
    format!("{}/{name}", package.unwrap_or_default().to_string_lossy())
}

/// Maps numbers in the recording to those on the page. A page keeps its ephemeral ports
/// if they are the only difference, so the two may differ. Only what the tests of the
/// pages allow to differ is renamed: numbers from 32768 up.
fn renaming(drawn: &str, lines: &[&str]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for (drawn, shown) in drawn.lines().zip(lines) {
        for (drawn, shown) in numbers(drawn).zip(numbers(shown)) {
            let is_ephemeral =
                |number: &str| number.parse().is_ok_and(|it: u64| it >= 32768);
            if drawn != shown && is_ephemeral(drawn) && is_ephemeral(shown) {
                names.insert(drawn.to_owned(), shown.to_owned());
            }
        }
    }
    names
}

fn numbers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_digit()).filter(|it| !it.is_empty())
}

/// Renames the ports of a log wherever they occur in an address or a text; sequence
/// numbers, inodes and times are not texts, and stay.
fn rename(log: &mut Log, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    let text = |text: &mut String| *text = renamed(text, names);
    let maybe = |it: &mut Option<String>| {
        if let Some(it) = it {
            text(it);
        }
    };
    let data = |data: &mut Data| {
        // Only data that is text throughout, and keeps its length.
        if let Ok(old) = std::str::from_utf8(&data.bytes) {
            let new = renamed(old, names).into_bytes();
            if new.len() == data.bytes.len() {
                data.bytes = new;
            }
        }
    };
    let observed = |it: &mut Observed| {
        for Held { local, peer, .. } in it.kernel.iter_mut().flatten() {
            text(local);
            maybe(peer);
        }
        it.printed.iter_mut().for_each(|it| data(&mut it.data));
    };
    let args = |args: &mut Vec<Arg>| args.iter_mut().for_each(|it| text(&mut it.value));
    for event in &mut log.events {
        match event {
            Event::Socket(it) => {
                maybe(&mut it.local);
                maybe(&mut it.peer);
            }
            Event::Call(it) => {
                args(&mut it.args);
                it.data.iter_mut().for_each(data);
                observed(&mut it.observed);
            }
            Event::Return(it) => {
                args(&mut it.args);
                it.data.iter_mut().for_each(data);
                observed(&mut it.observed);
            }
            Event::Packet(it) => {
                text(&mut it.from);
                text(&mut it.to);
                data(&mut it.data);
            }
            Event::Process(it) => observed(&mut it.observed),
            _ => {}
        }
    }
}

/// The text with every number in `names` replaced.
fn renamed(text: &str, names: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        out.push_str(names.get(number).map_or(number, String::as_str));
        let other = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        out.push_str(&behind[..other]);
        rest = &behind[other..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_stands_in_the_folder_of_the_snapshots() {
        for (page, scene, file) in [
            ("lessons/02-a/README.md", "", "lessons/02-a/snapshots/flow.json"),
            ("lessons/02-a/README.md", "busy", "lessons/02-a/snapshots/busy.flow.json"),
            ("lessons/02-a/more.md", "b", "lessons/02-a/snapshots/more.b.flow.json"),
        ] {
            assert_eq!(recording(page, scene), file);
        }
    }

    #[test]
    fn ports_are_those_of_the_page() {
        let names = renaming(
            "connect 127.0.0.1:40594 12345 7",
            &["connect 127.0.0.1:47794 12399 8"],
        );
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(
            renamed("('127.0.0.1', 40594) 140594", &names),
            "('127.0.0.1', 47794) 140594"
        );
    }
}
