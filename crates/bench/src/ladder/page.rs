//! Rewrites the tables that lesson 15 quotes.

use std::fs;
use std::io;
use std::path::Path;

/// The first line of a block that quotes the tables.
const FENCE: &str = "```text lessons/15-measuring/kept/ladder.txt";
/// The placeholder for a table that is not quoted yet: `<!-- table: FIRST LINE -->`.
const PLACE: (&str, &str) = ("<!-- table: ", " -->");

/// Updates the sections that the page quotes, each found by its first line, with those in
/// `text`. A comment that names a section is replaced by it.
///
/// # Errors
/// Fails if the page cannot be read or written.
pub(super) fn quote(page: &Path, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(page)?;
    let new = quoted(&old, text);
    if new == old { Ok(()) } else { fs::write(page, new) }
}

fn quoted(page: &str, text: &str) -> String {
    let sections: Vec<&str> = text.split("\n\n").map(str::trim_end).collect();
    let find =
        |title: &str| sections.iter().find(|one| one.lines().next() == Some(title));
    let mut lines = page.lines();
    let mut new = String::new();
    while let Some(line) = lines.next() {
        let place = line.strip_prefix(PLACE.0).and_then(|it| it.strip_suffix(PLACE.1));
        if let Some(section) = place.and_then(find) {
            new.push_str(&format!("{FENCE}\n{section}\n```\n"));
            continue;
        }
        new.push_str(line);
        new.push('\n');
        if line != FENCE {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let title = block.first().copied().unwrap_or_default();
        // Keep a section that this run does not have.
        new.push_str(
            find(title).map_or(block.join("\n"), |one| (*one).to_owned()).as_str(),
        );
        new.push_str("\n```\n");
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_that_the_page_quotes_are_those_of_the_run() {
        let page = format!(
            "Before\n\n{FENCE}\none\n  old\n```\n\n{FENCE}\ntwo\n  old\n```\n\n\
             <!-- table: three -->\n<!-- table: four -->\nAfter\n"
        );
        let text = "a machine\n\none\n  new\n  and more\n\nthree\n  new\n";
        let expected = format!(
            "Before\n\n{FENCE}\none\n  new\n  and more\n```\n\n{FENCE}\ntwo\n  old\n```\n\n\
             {FENCE}\nthree\n  new\n```\n<!-- table: four -->\nAfter\n"
        );
        assert_eq!(quoted(&page, text), expected);
    }
}
