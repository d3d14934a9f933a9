//! Shows the terminals of a run, line by line as the lines come: side by side if the
//! terminal is wide enough, else as one stream with labels.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::page::Scene;
use crate::run::Shown;
use crate::verdict::shortened;

/// The minimum width of a column: the document's longest line fits.
const COLUMN: usize = 37;

/// The colours of terminals, by their index in the scene.
const COLOURS: [AnsiColor; 4] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow];

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// Writes the lines of one scene.
pub(crate) struct Screen<W> {
    out: W,
    names: Vec<String>,
    /// The width of the terminal; `None` if the output is a file or a pipe.
    width: Option<usize>,
    /// The width of a column, if there are columns.
    column: Option<usize>,
    /// The first error from `out`; what is shown after that is lost.
    failed: Option<io::Error>,
}

impl<W: Write> Screen<W> {
    /// Creates a screen for `scene` on a terminal of `width` columns, or `None` if the
    /// output is not a terminal.
    pub(crate) fn new(out: W, scene: &Scene, width: Option<usize>) -> Self {
        let names: Vec<String> =
            scene.terminals.iter().map(|terminal| terminal.name.clone()).collect();
        let column = width.and_then(|width| {
            let column = (width / names.len().max(1)).saturating_sub(3);
            (names.len() > 1 && column >= COLUMN).then_some(column)
        });
        let mut screen = Screen { out, names, width, column, failed: None };
        screen.head();
        screen
    }

    fn head(&mut self) {
        let Some(column) = self.column else { return };
        let names = self.names.clone();
        let cells: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| styled(style(at).bold(), &fill(name, column)))
            .collect();
        let line = cells.join(" │ ");
        self.write(&line);
        let rule = vec!["─".repeat(column); names.len()].join("─┼─");
        self.write(&styled(DIM, &rule));
    }

    /// Shows one line.
    pub(crate) fn line(&mut self, shown: Shown<'_>) {
        let text = shortened(shown.line).replace('\t', "    ");
        let style = if text.starts_with("$ ") { BOLD } else { Style::new() };
        let Some(column) = self.column else {
            let width = self.names.iter().map(|name| name.width()).max().unwrap_or(0);
            let name = fill(&self.names[shown.terminal], width);
            let label = styled(self::style(shown.terminal), &name);
            // In a file, a line is not wrapped.
            let room = self.width.map_or(usize::MAX, |all| all.saturating_sub(width + 3));
            for (at, piece) in wrap(&text, room.max(20)).into_iter().enumerate() {
                let label = if at == 0 { &label } else { &fill("", width) };
                self.write(&format!("{label} │ {}", styled(style, piece)));
            }
            return;
        };
        for piece in wrap(&text, column) {
            let mut cells = vec![fill("", column); self.names.len()];
            let padding = " ".repeat(column.saturating_sub(piece.width()));
            cells[shown.terminal] = styled(style, piece) + &padding;
            let row = cells.join(" │ ");
            self.write(&row);
        }
    }

    fn write(&mut self, line: &str) {
        if self.failed.is_none() {
            let line = line.trim_end();
            self.failed =
                writeln!(self.out, "{line}").and_then(|()| self.out.flush()).err();
        }
    }

    /// Returns the first error that occurred while writing, if any.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}

fn style(terminal: usize) -> Style {
    COLOURS[terminal % COLOURS.len()].on_default()
}

/// Returns `text` in `style`, which the stream drops if it has no colour.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if style.is_plain() { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

/// Pads `text` with spaces to `width` columns.
pub(crate) fn fill(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Cuts `text` into pieces of at most `width` columns, at a space if one is near.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.width() > width {
        let mut used = 0;
        let end = rest
            .char_indices()
            .find(|(_, c)| {
                used += c.width().unwrap_or(0);
                used > width
            })
            .map_or(rest.len(), |(at, _)| at);
        let space = rest[..end].rfind(' ').filter(|at| *at > end / 2).map(|at| at + 1);
        // A character that is wider than the column gets a piece of its own.
        let first = rest.chars().next().map_or(1, char::len_utf8);
        let (piece, after) = rest.split_at(space.unwrap_or(end).max(first));
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Returns the width, in columns, of the terminal on standard output, if it is one.
#[cfg(unix)]
#[allow(unsafe_code, reason = "TIOCGWINSZ has no form in std")]
pub(crate) fn width() -> Option<usize> {
    // SAFETY: TIOCGWINSZ writes one winsize, which outlives the call and is valid as zeros.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let result = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size);
        (result == 0).then_some(size)
    };
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Returns the width of the terminal on standard output, from the environment or else 80.
#[cfg(not(unix))]
pub(crate) fn width() -> Option<usize> {
    use std::io::IsTerminal;
    if !io::stdout().is_terminal() {
        return None;
    }
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).or(Some(80))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Page;
    use std::path::Path;

    fn draw(width: Option<usize>, lines: &[(usize, &str)]) -> String {
        let text = "```console server\n$ a\n```\n\n```console client\n$ b\n```\n";
        let page = Page::parse(Path::new("p.md"), text).unwrap();
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, &page.scenes[0], width);
        for (terminal, line) in lines {
            screen.line(Shown { terminal: *terminal, line });
        }
        screen.finish().unwrap();
        let out = String::from_utf8(out).unwrap();
        anstream::adapter::strip_str(&out).to_string()
    }

    #[test]
    fn a_pipe_or_a_narrow_terminal_gets_one_labelled_stream() {
        let lines = [(0, "$ a"), (1, "$ b"), (0, "one")];
        let expected = "server │ $ a\nclient │ $ b\nserver │ one\n";
        assert_eq!(draw(None, &lines), expected);
        assert_eq!(draw(Some(79), &lines), expected);
    }

    #[test]
    fn a_wide_terminal_gets_columns() {
        let drawn = draw(Some(80), &[(0, "$ a"), (1, "$ b"), (0, "one")]);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines[0].find('│'), Some(COLUMN + 1));
        assert_eq!(lines[2], format!("{} │", fill("$ a", COLUMN)));
        assert_eq!(lines[3], format!("{} │ $ b", fill("", COLUMN)));
    }

    #[test]
    fn long_lines_are_wrapped_and_endless_ones_cut() {
        let long = "word ".repeat(20);
        let drawn = draw(Some(80), &[(1, &long)]);
        assert!(drawn.lines().all(|line| line.width() <= 80), "{drawn}");
        assert_eq!(drawn.matches("word").count(), 20);
        let endless = "x".repeat(100_000);
        assert!(draw(None, &[(0, &endless)]).contains("(100000 bytes)"));
        assert_eq!(wrap("ééé", 1), ["é", "é", "é"]);
        assert_eq!(wrap("日本", 2), ["日", "本"]);
        assert_eq!(wrap("日本", 1), ["日", "本"]);
    }

    #[test]
    fn a_closed_output_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let scene = Scene {
            name: String::new(),
            terminals: Vec::new(),
            wire: None,
            linux: false,
        };
        let mut screen = Screen::new(Full, &scene, None);
        screen.names.push("server".into());
        screen.line(Shown { terminal: 0, line: "x" });
        assert_eq!(screen.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
