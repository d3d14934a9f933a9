//! A line of text that can be written at any column, with styles.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar as _;

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Head,
    Line,
    Wait,
    Faint,
    State,
    Control,
    Data,
    Error,
}

impl Ink {
    fn style(self) -> Style {
        match self {
            Ink::Plain => Style::new(),
            Ink::Head => Style::new().bold(),
            Ink::Line | Ink::Faint => Style::new().dimmed(),
            Ink::Wait => AnsiColor::Yellow.on_default(),
            Ink::State => AnsiColor::Magenta.on_default(),
            Ink::Control => AnsiColor::Cyan.on_default(),
            Ink::Data => AnsiColor::Green.on_default(),
            Ink::Error => AnsiColor::Red.on_default().bold(),
        }
    }
}

/// A line, with one cell for each column of the terminal.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    /// `None` is the right half of a wide character.
    cells: Vec<(Option<char>, Ink)>,
}

impl Canvas {
    /// Writes text at a column, over whatever is there.
    pub(super) fn put(&mut self, column: usize, text: &str, ink: Ink) {
        let mut at = column;
        for letter in text.chars() {
            let width = letter.width().unwrap_or(0);
            if width == 0 {
                continue;
            }
            if self.cells.len() < at + width {
                self.cells.resize(at + width, (Some(' '), Ink::Plain));
            }
            self.cells[at] = (Some(letter), ink);
            if width == 2 {
                self.cells[at + 1] = (None, ink);
            }
            at += width;
        }
    }

    /// Appends the line to `to`, without trailing blanks, with a newline.
    pub(super) fn finish(mut self, color: bool, to: &mut String) {
        while self.cells.last().is_some_and(|(letter, _)| *letter == Some(' ')) {
            self.cells.pop();
        }
        let mut current = Ink::Plain;
        for (letter, ink) in self.cells {
            if color && ink != current {
                to.push_str(&format!("{}", current.style().render_reset()));
                to.push_str(&format!("{}", ink.style().render()));
                current = ink;
            }
            to.extend(letter);
        }
        if color {
            to.push_str(&format!("{}", current.style().render_reset()));
        }
        to.push('\n');
    }
}

/// How many columns a text takes up.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// The text cut to a width, with `…` where it was cut.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > limit {
            break;
        }
        short.push(letter);
    }
    if limit > 0 {
        short.push('…');
    }
    short
}

/// The end of the text, cut to a width, with `…` in place of its beginning.
pub(super) fn cut_start(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut used = 1;
    for letter in text.chars().rev() {
        used += letter.width().unwrap_or(0);
        if used > limit {
            break;
        }
        kept.push(letter);
    }
    if limit > 0 {
        kept.push('…');
    }
    kept.into_iter().rev().collect()
}

/// Breaks the text into lines of a width, preferably at blanks outside quotes. The first
/// line may be shorter by `reserve`, and the others are indented by two.
pub(super) fn wrap(text: &str, limit: usize, reserve: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let room = |lines: &Vec<String>| {
        let less = if lines.is_empty() { reserve } else { 0 };
        limit.saturating_sub(less).max(8)
    };
    for word in words(text) {
        let blank = usize::from(!line.trim().is_empty());
        if width(&line) + blank + width(&word) > room(&lines) && blank == 1 {
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
        } else if blank == 1 {
            line.push(' ');
        }
        // A word longer than a line is broken at the end of the line.
        for letter in word.chars() {
            if width(&line) + letter.width().unwrap_or(0) > room(&lines) {
                lines.push(std::mem::replace(&mut line, "  ".to_owned()));
            }
            line.push(letter);
        }
    }
    if !line.trim().is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The words of a text; short text in quotes counts as one word.
fn words(text: &str) -> Vec<String> {
    const SHORT: usize = 34;
    let mut words: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    for piece in text.split(' ') {
        let quotes = piece.matches('"').count() - piece.matches("\\\"").count();
        match (&mut open, quotes % 2) {
            // `= 3` is one word.
            (None, 0) => match words.last_mut() {
                Some(last) if last == "=" => *last = format!("= {piece}"),
                _ => words.push(piece.to_owned()),
            },
            (None, _) => open = Some(piece.to_owned()),
            (Some(quoted), odd) => {
                quoted.push(' ');
                quoted.push_str(piece);
                if odd == 1 {
                    words.extend(open.take());
                }
            }
        }
    }
    words.extend(open);
    words
        .into_iter()
        .flat_map(|word| {
            if width(&word) <= SHORT {
                vec![word]
            } else {
                word.split(' ').map(str::to_owned).collect()
            }
        })
        .collect()
}
