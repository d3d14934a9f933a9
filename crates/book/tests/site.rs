//! The book as files: its links, what it loads, its size, how long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files of the book, by name.
fn files() -> BTreeMap<String, String> {
    let site = book::site::Site::read(&root()).and_then(|site| site.files());
    let files = site.unwrap_or_else(|error| panic!("{error}"));
    files
        .into_iter()
        .map(|it| (it.name, String::from_utf8_lossy(&it.content).into_owned()))
        .collect()
}

fn pages(files: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    files.iter().filter(|(name, _)| name.ends_with(".html"))
}

/// The values of `name=` in the tags of a page, without quotes.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find('>').unwrap_or(rest.len());
        let tag = &rest[..end];
        for (at, found) in tag.match_indices(&format!("{name}=")) {
            if !tag[..at].ends_with(' ') {
                continue;
            }
            let value = &tag[at + found.len()..];
            values.push(match value.strip_prefix('"') {
                Some(value) => value.split('"').next().unwrap_or_default(),
                None => value.split([' ', '>']).next().unwrap_or_default(),
            });
        }
    }
    values
}

#[test]
fn no_link_is_dead() {
    let files = files();
    let ids: BTreeMap<&String, BTreeSet<&str>> = pages(&files)
        .map(|(name, page)| (name, attributes(page, "id").into_iter().collect()))
        .collect();
    let mut links = 0;
    let mut dead = Vec::new();
    for (name, page) in pages(&files) {
        for link in attributes(page, "href") {
            links += 1;
            if link.starts_with("https://")
                || link.starts_with("http://")
                || link == "data:,"
            {
                continue;
            }
            let (file, id) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name.as_str() } else { file };
            let found = files.contains_key(file);
            let known = id.is_empty()
                || ids.get(&file.to_owned()).is_some_and(|it| it.contains(id));
            if !found || !known {
                dead.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(links > 1000, "{links} links");
    assert!(dead.is_empty(), "{} of {links} links are dead: {dead:#?}", dead.len());
}

#[test]
fn an_id_is_there_once() {
    for (name, page) in pages(&files()) {
        let mut seen = BTreeSet::new();
        for id in attributes(page, "id") {
            assert!(seen.insert(id), "{name}: two elements have the id {id}");
        }
    }
}

#[test]
fn every_page_has_the_policy_and_loads_nothing_from_elsewhere() {
    for (name, page) in pages(&files()) {
        assert!(page.contains(book::layout::POLICY.as_str()), "{name}");
        for source in attributes(page, "src") {
            let elsewhere = source.contains(':') || source.starts_with("//");
            let held = source.starts_with("data:image/");
            assert!(!elsewhere || held, "{name}: {source}");
        }
        // The policy forbids inline styles and scripts.
        for name_of in ["style", "onclick", "onload", "onerror"] {
            assert!(attributes(page, name_of).is_empty(), "{name}: {name_of}");
        }
        let scripts = page.matches("<script").count();
        let data = page.matches("<script type=\"application/json\">").count();
        // The page for printing has no script.
        let own = match name.as_str() {
            book::whole::NAME => 0,
            _ => 2 + usize::from(data > 0),
        };
        assert_eq!(scripts, data + own, "{name}: its scripts, and data");
        assert_eq!(page.matches("<style").count(), 1, "{name}");
        assert_eq!(page.matches("rel=stylesheet").count(), 1, "{name}");
        // Whatever comes before the link to the style sheet is shown at once.
        let asks = page.find("<link rel=stylesheet");
        let starts = name == book::whole::NAME || page.find("<h1") < asks;
        assert!(starts, "{name}: its title waits for a style sheet");
    }
}

#[test]
fn a_lesson_is_small() {
    let files = files();
    for (name, page) in pages(&files) {
        // Lessons start with a number. They load the page, its style sheet, its scripts,
        // and perhaps a picture.
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let sources = attributes(page, "src").into_iter();
        let loaded: BTreeSet<&str> =
            sources.filter(|it| !it.starts_with("data:")).collect();
        let loaded_bytes: usize = loaded.iter().map(|it| files[*it].len()).sum();
        let weight = page.len() + files["book.css"].len() + loaded_bytes;
        let requests = 2 + loaded.len();
        assert!(weight <= 100_000, "{name} takes {weight} bytes");
        assert!(requests <= 4, "{name} takes {requests} requests");
    }
    assert!(files["search.js"].len() < 400_000, "{} bytes", files["search.js"].len());
}

#[test]
fn every_program_has_a_page_with_a_place_for_each_line() {
    let files = files();
    for (path, name) in [
        ("crates/tcp-server/src/main.rs", "crates-tcp-server-src-main.rs.html"),
        ("lessons/02-tcp-echo/server.py", "src-02-server.py.html"),
    ] {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        let lines = attributes(&files[name], "id");
        let last = format!("L{}", text.lines().count());
        assert!(lines.contains(&"L1") && lines.contains(&last.as_str()), "{path}");
    }
}

#[test]
fn a_page_has_its_parts() {
    let files = files();
    let lesson = &files["02-tcp-echo.html"];
    for part in [
        // Python and Rust side by side; a terminal with its command; a folded answer.
        "<div class=pair><div><div class=code>",
        "<kbd>cargo run -q -p tcp-server</kbd>",
        "<details><summary>Answer</summary>",
        // The name of a scene; a reference; the address of a heading; the link to the
        // next page.
        "<span class=scene>",
        "https://www.rfc-editor.org/rfc/rfc9293",
        "<a class=anchor href=\"#run-it\"",
        "<a rel=next href=\"02-tcp-echo-pairings.html\">",
        "<figure class=s-steps id=\"flow\"",
    ] {
        assert!(lesson.contains(part), "{part}");
    }
    assert!(!lesson.contains("<!--"), "comments are for the tools");
    let pairings = &files["02-tcp-echo-pairings.html"];
    assert_eq!(pairings.matches("<div class=\"terms beside\" id=\"scene-").count(), 4);
    assert!(files["index.html"].contains("<figure class=s-steps"));
}

#[test]
fn a_command_of_the_questions_leads_to_the_scene_that_it_runs() {
    let files = files();
    let questions = &files["questions.html"];
    let families =
        "<a href=\"06-refused-or-timed-out-addresses.html#scene-families\"><code>";
    assert!(
        questions.contains(&format!("{families}cargo xtask demo 6/families</code></a>"))
    );
    assert!(
        questions.contains("#scene-two\"><code>4/two</code></a>"),
        "without the command"
    );
    for page in [questions, &files["errors.html"]] {
        let demo = "<code>cargo xtask demo ";
        let mut commands = 0;
        for (at, _) in page.match_indices(demo) {
            let name = &page[at + demo.len()..];
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                commands += 1;
                let shown = name.split('<').next().unwrap_or_default();
                assert!(page[..at].ends_with("\">"), "{shown}: there is no such scene");
            }
        }
        assert!(commands > 30, "{commands} commands");
    }
}

#[test]
fn a_folder_that_is_no_book_is_left_alone() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("not-a-book");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mine"), "mine").unwrap();
    let error = book::build(&root(), &folder).unwrap_err();
    assert!(error.to_string().contains("holds something that is not a book"), "{error}");
    assert_eq!(std::fs::read_to_string(folder.join("mine")).unwrap(), "mine");
}

#[test]
fn a_folder_without_the_course_is_told() {
    let error =
        book::site::Site::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
    assert!(error.to_string().contains("there is no lessons/README.md"), "{error}");
}

/// A checkout with one lesson, whose program was changed after the run was recorded.
#[test]
fn a_stale_recording_makes_no_book() {
    let checkout = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stale");
    let snapshots = "lessons/02-tcp-echo/snapshots";
    for folder in [snapshots, "crates/tcp-server/src", "crates/tcp-client/src"] {
        std::fs::create_dir_all(checkout.join(folder)).unwrap();
    }
    for file in [
        &format!("{snapshots}/flow.json"),
        "crates/tcp-server/src/main.rs",
        "crates/tcp-client/src/main.rs",
    ] {
        std::fs::copy(root().join(file), checkout.join(file)).unwrap();
    }
    let page = "# 2 · TCP echo\n\n```flow\nany\n```\n";
    std::fs::write(checkout.join("lessons/README.md"), "# The course\n").unwrap();
    std::fs::write(checkout.join("lessons/02-tcp-echo/README.md"), page).unwrap();
    let files = || book::site::Site::read(&checkout).unwrap().files();
    let made = files().unwrap_or_else(|error| panic!("{error}"));
    assert!(made.iter().any(|file| file.name == "02-tcp-echo.html"));

    let server = checkout.join("crates/tcp-server/src/main.rs");
    let text = std::fs::read_to_string(&server).unwrap();
    std::fs::write(&server, format!("// Changed.\n{text}")).unwrap();
    let error = files().unwrap_err().to_string();
    for part in [
        "flow.json",
        "tcp-server/src/main.rs",
        "not the file that ran",
        "cargo xtask update",
    ] {
        assert!(error.contains(part), "{error}");
    }
    // And a link that leads nowhere is reported with its page.
    std::fs::write(checkout.join("lessons/README.md"), "# The course\n[a](b.md)\n")
        .unwrap();
    let error = files().unwrap_err().to_string();
    assert!(error.contains("lessons/README.md: the link to b.md"), "{error}");
}
