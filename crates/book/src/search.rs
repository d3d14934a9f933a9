//! The index that the browser searches. It is a script, because a page opened as a file
//! may not read another file.

use flow::draw::html;

use crate::page::Rendered;
use crate::site::Source;

/// How many characters of a section are searched and shown.
const LETTERS: usize = 2500;

/// The sections, each with its address, title and text.
#[derive(Debug, Default)]
pub struct Index {
    entries: Vec<[String; 3]>,
}

impl Index {
    /// Adds the sections of a page.
    pub fn add_page(&mut self, name: &str, page: &Source, rendered: &Rendered) {
        for section in &rendered.sections {
            let title = match section.title.as_str() {
                title if title == page.title => title.to_owned(),
                title => format!("{} › {title}", page.title),
            };
            let address = match section.id.as_str() {
                "" => name.to_owned(),
                id => format!("{name}#{id}"),
            };
            self.add(address, title, &section.text);
        }
    }

    /// Adds a source file: its name, and what its first comment says.
    pub fn add_source(&mut self, name: &str, path: &str, text: &str) {
        let about: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .collect();
        self.add(name.to_owned(), path.to_owned(), &about.join(" "));
    }

    fn add(&mut self, address: String, title: String, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text: String = words.join(" ").chars().take(LETTERS).collect();
        self.entries.push([address, title, text]);
    }

    /// The index as a script, with what searches it.
    pub fn script(&self) -> String {
        let rows: Vec<String> = self
            .entries
            .iter()
            .map(|entry| format!("[{}]", entry.each_ref().map(|it| string(it)).join(",")))
            .collect();
        let search = html::lean(include_str!("../assets/search.js"));
        format!("window.bookIndex=[{}];\n{search}\n", rows.join(",\n"))
    }
}

/// Quotes a text as a JavaScript string.
fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '<' => out.push_str("\\u003c"),
            c if c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_string() {
        assert_eq!(string("a\"b\\c</script>\n"), "\"a\\\"b\\\\c\\u003c/script>\\u000a\"");
    }
}
