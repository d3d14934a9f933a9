//! Marks of figures: below a paragraph, a comment names the run that its figures come from.
//!
//! ```markdown
//! The server read 1024 bytes and closed; 3976 lay unread. It waits for a minute.
//! <!-- figures from long: 1024 bytes; 3976 = 5000 - 1024 -->
//! <!-- figures from wait: a minute = timewait,59sec -->
//! ```
//!
//! Here they are read; `cargo xtask tidy` compares the figures (`crates/maintain/src/figures.rs`).

use crate::markdown::Comment;

/// A mark: figures of one paragraph that share a source.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark {
    /// A scene of the page, LESSON/SCENE, or a file of the checkout.
    pub source: String,
    /// The figures, as the paragraph says them and as the source shows them.
    pub figures: Vec<(String, String)>,
    /// The paragraph above the mark, with whitespace normalized.
    pub paragraph: String,
    /// The line of the mark, from 1.
    pub line: usize,
}

impl Mark {
    /// Parses a mark. Returns `None` if the comment is not one.
    pub(crate) fn parse(comment: &Comment<'_>) -> Option<Result<Mark, String>> {
        let content = plain(comment.content);
        let mark = content.strip_prefix("figure")?;
        let form =
            "write <!-- figures from SCENE: FIGURE; FIGURE = WHAT THE RUN SHOWS -->";
        let parts = mark.strip_prefix("s from ").and_then(|mark| mark.split_once(": "));
        let Some((source, figures)) = parts else {
            return Some(Err(format!("a mark of figures that cannot be read: {form}")));
        };
        let figures: Vec<(String, String)> = figures
            .split(';')
            .map(|figure| {
                let (said, shown) = figure.split_once(" = ").unwrap_or((figure, figure));
                (said.trim().to_owned(), shown.trim().to_owned())
            })
            .collect();
        if figures.iter().any(|(said, shown)| said.is_empty() || shown.is_empty()) {
            return Some(Err(format!("a mark with a figure that is empty: {form}")));
        }
        if comment.paragraph.trim().is_empty() {
            let message = "a mark of figures must be right below its paragraph, and there is \
                           none here";
            return Some(Err(message.into()));
        }
        let (source, paragraph) = (source.trim().to_owned(), plain(comment.paragraph));
        Some(Ok(Mark { source, figures, paragraph, line: comment.line }))
    }
}

/// Normalizes whitespace, and removes the commas in `10,000,000` and the marks of emphasis.
pub fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text: Vec<char> = words.join(" ").replace("**", "").chars().collect();
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.get(at)).is_some_and(char::is_ascii_digit)
    };
    let comma = |at: usize| {
        text[at] == ','
            && digit(at.checked_sub(1))
            && (1..=3).all(|next| digit(Some(at + next)))
            && !digit(Some(at + 4))
    };
    (0..text.len()).filter(|at| !comma(*at)).map(|at| text[at]).collect()
}
