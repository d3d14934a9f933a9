//! The report for a person: the first failure is explained, the others take a line each.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::{Check, Level, Task};
use crate::timeline::{Bytes, Entry, What};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const WIDTH: usize = 80;

/// Writes a report as the judgements come.
#[derive(Debug)]
pub struct Human<W> {
    to: W,
    verbose: bool,
    explained: bool,
}

impl<W: Write> Human<W> {
    /// Creates a report. With `verbose`, it shows the timeline of every check and explains
    /// every failure.
    pub fn new(to: W, verbose: bool) -> Self {
        Human { to, verbose, explained: false }
    }

    /// Writes one judgement.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn tell(&mut self, judgement: &Judgement) -> io::Result<()> {
        let Judgement { id, check, .. } = judgement;
        let level = check.level.word();
        let (mark, style) = match &judgement.result {
            Ok(()) => ("✓", GOOD),
            Err(Stop::Failed(_)) if check.level == Level::Should => ("!", WARN),
            Err(Stop::Failed(_)) => ("✗", BAD),
            Err(Stop::Skipped(_)) => ("-", DIM),
            Err(Stop::Broken(_) | Stop::Late(_)) => ("?", WARN),
        };
        let head = format!("{mark} {id} {level} ");
        let indent = head.chars().count();
        for (number, line) in wrapped(check.asks, WIDTH - indent).iter().enumerate() {
            match number {
                0 => writeln!(
                    self.to,
                    "{style}{mark} {id}{style:#} {DIM}{level}{DIM:#} {line}"
                )?,
                _ => writeln!(self.to, "{:indent$}{line}", "")?,
            }
        }
        if let Some(remark) = &judgement.remark {
            self.row("remark", remark)?;
        }
        match &judgement.result {
            Ok(()) => {
                if self.verbose {
                    self.timeline(&judgement.entries, usize::MAX)?;
                }
            }
            Err(Stop::Failed(_)) => self.failure(judgement)?,
            Err(Stop::Skipped(why)) => self.row("skipped", why)?,
            Err(Stop::Late(why)) => {
                self.row("too late", why)?;
                self.row("", "your program is not at fault; run it again later")?;
            }
            Err(Stop::Broken(why)) => {
                self.row("broken", &format!("the checker itself failed: {why}"))?;
                self.row("", "your program is not at fault; please report this")?;
            }
        }
        Ok(())
    }

    fn failure(&mut self, judgement: &Judgement) -> io::Result<()> {
        let Some(finding) = judgement.finding() else { return Ok(()) };
        if let Some(limit) = finding.limit() {
            self.row("limit hit", limit)?;
        }
        if let Some(earlier) = &judgement.follows
            && !self.verbose
        {
            return self
                .row("follows", &format!("from {earlier}: it has the same cause"));
        }
        if self.explained && !self.verbose {
            return self.row("got", &finding.got);
        }
        self.explained = true;
        self.row("expected", &finding.expected)?;
        self.row("got", &finding.got)?;
        if let Some(condition) = &judgement.condition
            && !finding.got.contains(condition.as_str())
        {
            self.row("then", condition)?;
        }
        self.row("likely cause", &judgement.cause().unwrap_or_default())?;
        self.row("read", judgement.check.page)?;
        if !judgement.entries.is_empty() {
            writeln!(self.to, "  what happened")?;
            let most = if self.verbose { usize::MAX } else { 24 };
            self.timeline(&judgement.entries, most)?;
        }
        writeln!(self.to)
    }

    fn row(&mut self, word: &str, text: &str) -> io::Result<()> {
        for (number, line) in wrapped(text, WIDTH - 16).iter().enumerate() {
            let word = if number == 0 { word } else { "" };
            writeln!(self.to, "  {DIM}{word:<12}{DIM:#}  {line}")?;
        }
        Ok(())
    }

    /// Writes a paragraph of text, wrapped.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines().flat_map(|line| wrapped(line, WIDTH)) {
            writeln!(self.to, "{line}")?;
        }
        Ok(())
    }

    fn timeline(&mut self, entries: &[Entry], most: usize) -> io::Result<()> {
        let shown = |entry: &Entry| {
            let pieces = |bytes: &Bytes| match bytes.pieces {
                1 => String::new(),
                pieces => format!(", in {pieces} pieces"),
            };
            let at = Duration::from_micros(entry.at_us).as_secs_f64() * 1000.0;
            let what = match &entry.what {
                What::Does { text } => cut(text, 54),
                What::Sends(bytes) => {
                    sent("→", &bytes.text, bytes.length, &pieces(bytes))
                }
                What::Gets(bytes) => sent("←", &bytes.text, bytes.length, ""),
                What::Prints { stream, text } => format!("{stream}: {}", cut(text, 46)),
            };
            format!("  {DIM}{at:>8.1} ms{DIM:#}  {:<9} {what}", entry.who)
        };
        let (head, tail) = match entries.len() > most {
            true => (most / 2, most - most / 2),
            false => (entries.len(), 0),
        };
        for entry in &entries[..head] {
            writeln!(self.to, "{}", shown(entry))?;
        }
        if tail > 0 {
            writeln!(self.to, "            … {} more", entries.len() - head - tail)?;
        }
        for entry in &entries[entries.len() - tail..] {
            writeln!(self.to, "{}", shown(entry))?;
        }
        Ok(())
    }

    /// Writes the drawings of a check that was run once more with `flow` drawing the program.
    /// `judgement` is `None` if there was nothing to draw.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn drawing(&mut self, judgement: Option<&Judgement>) -> io::Result<()> {
        let Some(judgement) = judgement else {
            return writeln!(self.to, "No check failed; --only ID names one to draw.");
        };
        let got = match &judgement.result {
            Ok(()) => "it passed".to_owned(),
            Err(Stop::Failed(finding)) => format!("got {}", finding.got),
            Err(Stop::Skipped(why) | Stop::Broken(why) | Stop::Late(why)) => why.clone(),
        };
        writeln!(self.to, "\n{} once more, drawn: {got}", judgement.id)?;
        for drawing in &judgement.drawings {
            writeln!(self.to, "\n{}", drawing.trim_end())?;
        }
        Ok(())
    }

    /// Writes the last line: how many of the `asked` checks passed, failed, and so on.
    ///
    /// # Errors
    /// Fails if the output is closed or full.
    pub fn sum(
        &mut self,
        task: &Task,
        judged: &[Judgement],
        asked: usize,
        network: &str,
        elapsed: Duration,
    ) -> io::Result<()> {
        let count = |counts: fn(&Judgement) -> bool| {
            judged.iter().filter(|judgement| counts(judgement)).count()
        };
        let passed = count(Judgement::passed);
        let mut parts = vec![format!("{passed} of {asked} passed")];
        let mut part = |number: usize, words: &str| {
            if number > 0 {
                parts.push(format!("{number} {words}"));
            }
        };
        part(count(|it| it.failed(false)), "MUST failed");
        part(count(|it| it.failed(true) && !it.failed(false)), "SHOULD failed");
        part(count(|it| matches!(it.result, Err(Stop::Skipped(_)))), "skipped");
        part(count(Judgement::is_broken), "could not be judged");
        part(asked - judged.len(), "not run");
        let seconds = elapsed.as_secs_f64();
        self.say(&format!(
            "{}: {}; {seconds:.2} s, {network}",
            task.name,
            parts.join(", ")
        ))
    }
}

fn sent(arrow: &str, text: &str, length: usize, pieces: &str) -> String {
    let plural = if length == 1 { "byte" } else { "bytes" };
    let size = format!(" ({length} {plural}{pieces})");
    // The rest of the line: the time and the name take 25 columns; the arrow, the quotation
    // marks and an ellipsis take five.
    let most = (WIDTH - 30).saturating_sub(size.len()).min(30);
    format!("{arrow} \"{}\"{size}", cut(text, most))
}

/// Cuts a text, which is escaped already, to at most `most` characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Breaks a text into lines at its spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if lines[last].chars().count() + 1 + word.chars().count() <= width {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Lists the checks of `tasks`.
///
/// # Errors
/// The output is closed or full.
pub fn list(to: &mut dyn Write, tasks: &[Task]) -> io::Result<()> {
    for task in tasks {
        let optional = match task.optional {
            true if task.is_project() => ", project",
            true => ", optional",
            false => "",
        };
        writeln!(
            to,
            "{} (lesson {}{optional}): {}",
            task.name,
            task.lesson,
            task.title()
        )?;
        for (number, Check { level, asks, .. }) in task.checks.iter().enumerate() {
            let id = format!("{}/{}", task.name, number + 1);
            let head = format!("  {id:<14} {:<6} ", level.word());
            let indent = head.chars().count();
            for (line, text) in wrapped(asks, WIDTH - indent).iter().enumerate() {
                match line {
                    0 => writeln!(to, "{head}{text}")?,
                    _ => writeln!(to, "{:indent$}{text}", "")?,
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_nowhere_else() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("longer-than-that is", 7), ["longer-than-that", "is"]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_letter() {
        assert_eq!(cut(&"é".repeat(31), 30), format!("{}…", "é".repeat(30)));
    }
}
