//! Figures in a page's prose: compares a number in a sentence with the run that printed it.
//!
//! Below a paragraph, a comment names the source and the figures that come from it:
//!
//! ```markdown
//! The server read 1024 bytes and closed; 3976 lay unread. It waits for a minute.
//! <!-- figures from long: 1024 bytes; 3976 = 5000 - 1024 -->
//! <!-- figures from wait: a minute = timewait,59sec -->
//! ```
//!
//! Each figure must appear in the paragraph, and in the source: as it is, or as the words
//! after its `=`, or as a calculation with numbers that all appear there. The result is
//! compared in the figure's unit, `KiB` or `MiB`. The source is a scene of the page
//! (`main` is the one without a name), a scene of another page (`tcp-echo/long`), or a
//! file of the checkout. `elsewhere` means a source that no run shows, such as a
//! standard: such a figure need only appear in the paragraph.
//!
//! On a page that has a mark, every number of bytes or milliseconds must have one, so
//! that none can be changed or added without being checked.

use std::path::Path;

use netlab::files;
use xtask::figures::plain;
use xtask::markdown;
use xtask::page::{Diagnostic, Page};
use xtask::workspace::Lesson;

/// Returns a fault for each figure of `page` that its paragraph or its source does not
/// have.
pub(crate) fn faults(
    root: &Path,
    course: &[(&Lesson, Page)],
    page: &Page,
) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for mark in &page.marks {
        let mut fault = |message| {
            faults.push(Diagnostic { path: page.path.clone(), line: mark.line, message });
        };
        let source = match &mark.source[..] {
            ELSEWHERE => Some(String::new()),
            name => source(root, course, page, name),
        };
        let Some(source) = source else {
            let source = &mark.source;
            fault(format!(
                "figures from `{source}`: no scene of this page, no LESSON/SCENE and no \
                 file has that name"
            ));
            continue;
        };
        for (said, shown) in &mark.figures {
            if !stands(&mark.paragraph, said) {
                fault(format!(
                    "the paragraph above does not say `{said}`, which its mark takes from \
                     `{}`: fix the sentence, or the mark",
                    mark.source
                ));
            } else if mark.source != ELSEWHERE
                && let Err(why) = holds(&source, said, shown)
            {
                fault(format!(
                    "the paragraph above says `{said}`, but {why} in `{}`: fix the \
                     sentence and its mark",
                    mark.source
                ));
            }
        }
    }
    if !page.marks.is_empty() {
        faults.extend(unmarked(page));
    }
    faults
}

/// The name of the source of a figure that no run shows.
const ELSEWHERE: &str = "elsewhere";

/// Returns a fault for each number of bytes or milliseconds in a page's prose without a
/// mark.
fn unmarked(page: &Page) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (line, paragraph) in markdown::paragraphs(&page.text) {
        let paragraph = plain(&paragraph);
        let marks = page.marks.iter().filter(|mark| mark.paragraph == paragraph);
        let said: Vec<f64> = marks
            .flat_map(|mark| &mark.figures)
            .flat_map(|(said, _)| numbers_of(said))
            .collect();
        // Skip every second piece between backticks: it is code.
        let prose: Vec<&str> = paragraph.split('`').step_by(2).collect();
        let prose = prose.join("`");
        let words: Vec<&str> = prose.split(' ').collect();
        for pair in words.windows(2) {
            let number = pair[0].trim_start_matches(|c: char| !c.is_ascii_digit());
            let unit = pair[1].trim_end_matches(|c: char| !c.is_alphabetic());
            let Ok(number) = number.parse::<f64>() else { continue };
            // 0 bytes means the end of a stream, and is not a measurement.
            if UNITS.contains(&unit) && number != 0.0 && !said.contains(&number) {
                let message = format!(
                    "`{number} {unit}` has no mark: write below the paragraph <!-- figures \
                     from SCENE: {number} {unit} -->, or `from {ELSEWHERE}` where no run \
                     shows it"
                );
                faults.push(Diagnostic { path: page.path.clone(), line, message });
            }
        }
    }
    faults
}

/// The units of figures that must be marked.
const UNITS: &[&str] = &["byte", "bytes", "KiB", "MiB", "MB", "ms", "milliseconds"];

/// Returns the text of a source, with whitespace normalized: the terminals, the drawing and
/// the wire's rules of a scene, or a file.
fn source(
    root: &Path,
    course: &[(&Lesson, Page)],
    page: &Page,
    name: &str,
) -> Option<String> {
    if let Some(shown) = scene(page, name) {
        return Some(shown);
    }
    if let Some((word, name)) = name.split_once('/') {
        let mut pages = course.iter().filter(|(lesson, _)| lesson.is_called(word));
        if let Some(shown) = pages.find_map(|(_, page)| scene(page, name)) {
            return Some(shown);
        }
    }
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    files::read_text(&root.join(name)).ok().filter(|_| inside).map(|text| plain(&text))
}

/// Returns the text of a scene's terminals, drawing and wire rules.
fn scene(page: &Page, name: &str) -> Option<String> {
    let name = if name == "main" { "" } else { name };
    let scene = page.scene(name)?;
    let terminals = scene.terminals.iter().flat_map(|terminal| &terminal.lines);
    let flows = page.flows.iter().filter(|flow| flow.scene == name);
    let rules = scene.wire.iter().flatten();
    let lines = terminals.chain(flows.flat_map(|flow| &flow.lines)).chain(rules);
    let lines: Vec<&str> = lines.map(String::as_str).collect();
    Some(plain(&lines.join("\n")))
}

/// Returns whether `words` appear in `text`, and not as part of a longer word or number.
fn stands(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, found)| {
        let (before, behind) = (&text[..at], &text[at + found.len()..]);
        let longer = |inner: char, outer: Option<char>, beyond: Option<char>| {
            let digit = |c: char| c.is_ascii_digit();
            inner.is_alphanumeric()
                && (outer.is_some_and(char::is_alphanumeric)
                    || digit(inner) && outer == Some('.') && beyond.is_some_and(digit))
        };
        let (mut left, mut right) = (before.chars().rev(), behind.chars());
        let first = found.chars().next().unwrap_or(' ');
        let last = found.chars().next_back().unwrap_or(' ');
        !longer(first, left.next(), left.next())
            && !longer(last, right.next(), right.next())
    })
}

/// Checks that `source` shows a figure. Fails with the reason why not.
fn holds(source: &str, said: &str, shown: &str) -> Result<(), String> {
    let Some((numbers, result)) = sum(shown) else {
        return if stands(source, shown) {
            Ok(())
        } else {
            Err(format!("`{shown}` does not appear"))
        };
    };
    let there = numbers_of(source);
    if let Some(number) = numbers.iter().find(|number| !there.contains(number)) {
        return Err(format!("the number {number} does not appear"));
    }
    // A number that is spelt out is taken at its word.
    let Some(number) = numbers_of(said).first().copied() else { return Ok(()) };
    let unit = if said.contains("KiB") {
        1024.0
    } else if said.contains("MiB") {
        1024.0 * 1024.0
    } else {
        1.0
    };
    if (number * unit - result).abs() < 1e-6 {
        Ok(())
    } else {
        Err(format!("`{shown}` is {result}"))
    }
}

/// Evaluates a calculation such as `5000 - 1024`, from left to right. Returns its numbers
/// and its result, or `None` if it is not a calculation.
fn sum(text: &str) -> Option<(Vec<f64>, f64)> {
    let mut words = text.split(' ');
    let first: f64 = words.next()?.parse().ok()?;
    let (mut numbers, mut result) = (vec![first], first);
    while let Some(sign) = words.next() {
        let number: f64 = words.next()?.parse().ok()?;
        numbers.push(number);
        match sign {
            "+" => result += number,
            "-" => result -= number,
            "*" => result *= number,
            "/" => result /= number,
            _ => return None,
        }
    }
    Some((numbers, result))
}

/// Returns every number in a text, even inside a word: `%05000d` contains 5000.
fn numbers_of(text: &str) -> Vec<f64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter_map(|number| number.trim_matches('.').parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENES: &str = "```console long/client\n$ sh -c 'send %05000d'\n\
                          recv 1024 bytes, 10,000,000 in all\n```\n\n\
                          ```console wait/you\n$ ss\ntimer:(timewait,59sec,0)\n```\n\n\
                          ```wire long\ndelay 50ms\n```\n";

    /// What is wrong with a page that has the scenes above and this paragraph.
    fn faults_of(paragraph: &str) -> String {
        let text = format!("{SCENES}\n{paragraph}\n");
        let faults = match Page::parse(Path::new("lessons/02-two/README.md"), &text) {
            Ok(page) => faults(Path::new("/nowhere"), &[], &page),
            Err(faults) => faults,
        };
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn figures_that_a_run_shows_are_accepted() {
        for paragraph in [
            "It read **1024 bytes**.\n<!-- figures from long: 1024 bytes -->",
            "It read 1024\nbytes of 10,000,000.\n<!-- figures from long: 1024 bytes; 10,000,000 -->",
            "3976 bytes lay unread.\n<!-- figures from long: 3976 = 5000 - 1024 -->",
            "1 KiB came.\n<!-- figures from long: 1 KiB = 1024 -->",
            "It takes 50 ms.\n<!-- figures from long: 50 ms = delay 50ms -->",
            "It takes 100 ms.\n<!-- figures from long: 100 ms = 50 + 50 -->",
            "For a minute.\n<!-- figures from wait:\na minute = timewait,59sec -->",
            "1024 for a minute.\n<!-- figures from long: 1024 -->\n<!-- figures from wait: a minute = 59sec -->",
            "A comment.\n<!-- of another kind -->",
            "Ethernet carries 1,460 bytes.\n<!-- figures from elsewhere: 1,460 bytes -->",
            "It read 1024 bytes, then 0 bytes, and `99 bytes` is code.\n<!-- figures from long: 1024 -->",
        ] {
            assert_eq!(faults_of(paragraph), "", "{paragraph}");
        }
    }

    #[test]
    fn on_a_page_with_marks_every_figure_has_one() {
        let marked = "It read 1024 bytes.\n<!-- figures from long: 1024 -->\n";
        assert_eq!(faults_of("It read 99 bytes in 5 ms."), "");
        let faults = faults_of(&format!("{marked}\nIt read (99 bytes) in\n5 ms."));
        let line = SCENES.lines().count() + 5;
        let [bytes, ms] = &faults.lines().collect::<Vec<_>>()[..] else {
            panic!("{faults}")
        };
        let place = format!("lessons/02-two/README.md:{line}: ");
        assert!(bytes.starts_with(&format!("{place}`99 bytes` has no mark")), "{bytes}");
        assert!(ms.starts_with(&format!("{place}`5 ms` has no mark")), "{ms}");
    }

    #[test]
    fn figures_that_disagree_are_found_with_page_and_line() {
        for (paragraph, expected) in [
            // The sentence was changed.
            (
                "It takes 60 ms.\n<!-- figures from long: 60 ms = delay 60ms -->",
                "does not appear",
            ),
            (
                "It read 99 bytes.\n<!-- figures from long: 1024 bytes -->",
                "does not say `1024 bytes`",
            ),
            (
                "For a year.\n<!-- figures from wait: a minute = 59sec -->",
                "does not say `a minute`",
            ),
            (
                "11024 bytes.\n<!-- figures from long: 1024 bytes -->",
                "does not say `1024 bytes`",
            ),
            // Or the run.
            (
                "99 bytes.\n<!-- figures from long: 99 bytes -->",
                "`99 bytes` does not appear in `long`",
            ),
            (
                "24 bytes.\n<!-- figures from long: 24 bytes -->",
                "`24 bytes` does not appear",
            ),
            (
                "A year.\n<!-- figures from wait: A year = 31536000 -->",
                "the number 31536000 does not appear",
            ),
            (
                "3977.\n<!-- figures from long: 3977 = 5000 - 1024 -->",
                "`5000 - 1024` is 3976",
            ),
            (
                "3976.\n<!-- figures from long: 3976 = 5001 - 1025 -->",
                "the number 5001 does not appear",
            ),
            // Or the mark says nothing.
            ("16.\n<!-- figures from lnog: 16 -->", "figures from `lnog`: no scene"),
            (
                "16.\n<!-- figures from ../x.rs: 16 -->",
                "figures from `../x.rs`: no scene",
            ),
            (
                "16.\n\n<!-- figures from long: 16 -->",
                "must be right below its paragraph",
            ),
            ("16.\n<!-- figure from long: 16 -->", "cannot be read"),
            ("16.\n<!-- figures from long: -->", "cannot be read"),
            ("16.\n<!-- figures from long: 16; -->", "a figure that is empty"),
        ] {
            let faults = faults_of(paragraph);
            let lines = SCENES.lines().count() + 2;
            let place = paragraph.lines().position(|line| line.contains("<!--"));
            let place = format!("lessons/02-two/README.md:{}: ", lines + place.unwrap());
            assert!(faults.starts_with(&place), "{paragraph}: {faults}");
            assert!(faults.contains(expected), "{paragraph}: {faults}");
        }
    }
}
