//! The report for a person: the first failure explained, the others a line each.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::{Check, Level, Task};
use crate::timeline::{Entry, What};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const WIDTH: usize = 80;

/// Writes a report as the verdicts come.
#[derive(Debug)]
pub struct Human<W> {
    to: W,
    verbose: bool,
    explained: bool,
}

impl<W: Write> Human<W> {
    /// With `verbose`, every check shows its time line and every failure is explained.
    pub fn new(to: W, verbose: bool) -> Self {
        Human { to, verbose, explained: false }
    }

    /// One verdict.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn tell(&mut self, verdict: &Judgement) -> io::Result<()> {
        let Judgement { id, check, .. } = verdict;
        let level = check.level.word();
        let (mark, style) = match &verdict.result {
            Ok(()) => ("✓", GOOD),
            Err(Stop::Failed(_)) if check.level == Level::Should => ("!", WARN),
            Err(Stop::Failed(_)) => ("✗", BAD),
            Err(Stop::Skipped(_)) => ("-", DIM),
            Err(Stop::Broken(_) | Stop::Late(_)) => ("?", WARN),
        };
        writeln!(
            self.to,
            "{style}{mark} {id}{style:#} {DIM}{level}{DIM:#} {}",
            check.asks
        )?;
        match &verdict.result {
            Ok(()) => {
                if self.verbose {
                    self.timeline(&verdict.entries, usize::MAX)?;
                }
            }
            Err(Stop::Failed(_)) => self.fails(verdict)?,
            Err(Stop::Skipped(why)) => self.row("skipped", why)?,
            Err(Stop::Late(why)) => {
                self.row("late", why)?;
                self.row("", "that is no fault of your program; run it again later")?;
            }
            Err(Stop::Broken(why)) => {
                self.row("broken", &format!("the checker itself failed: {why}"))?;
                self.row("", "that is no fault of your program; please report it")?;
            }
        }
        Ok(())
    }

    fn fails(&mut self, verdict: &Judgement) -> io::Result<()> {
        let Some(fault) = verdict.finding() else { return Ok(()) };
        if self.explained && !self.verbose {
            return self.row("got", &fault.got);
        }
        self.explained = true;
        self.row("expected", &fault.expected)?;
        self.row("got", &fault.got)?;
        if let Some(condition) = &verdict.condition
            && !fault.got.contains(condition.as_str())
        {
            self.row("then", condition)?;
        }
        self.row("likely cause", verdict.check.cause)?;
        self.row("read", verdict.check.page)?;
        writeln!(self.to, "  what happened")?;
        self.timeline(&verdict.entries, if self.verbose { usize::MAX } else { 24 })?;
        writeln!(self.to)
    }

    fn row(&mut self, word: &str, text: &str) -> io::Result<()> {
        for (number, line) in wrapped(text, WIDTH - 16).iter().enumerate() {
            let word = if number == 0 { word } else { "" };
            writeln!(self.to, "  {DIM}{word:<12}{DIM:#}  {line}")?;
        }
        Ok(())
    }

    fn timeline(&mut self, entries: &[Entry], most: usize) -> io::Result<()> {
        let shown = |entry: &Entry| {
            let at = Duration::from_micros(entry.at_us).as_secs_f64() * 1000.0;
            let what = match &entry.what {
                What::Does { text } => text.clone(),
                What::Sends(bytes) => sent("→", &bytes.text, bytes.length),
                What::Gets(bytes) => sent("←", &bytes.text, bytes.length),
                What::Prints { stream, text } => format!("{stream}: {}", cut(text)),
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

    /// The drawings of a check that ran once more, with `flow` beside the program; none where
    /// there was nothing to draw.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn drawing(&mut self, verdict: Option<&Judgement>) -> io::Result<()> {
        let Some(verdict) = verdict else {
            return writeln!(self.to, "No check failed; --only ID names one to draw.");
        };
        let got = match &verdict.result {
            Ok(()) => "it passed".to_owned(),
            Err(Stop::Failed(fault)) => format!("got {}", fault.got),
            Err(Stop::Skipped(why) | Stop::Broken(why) | Stop::Late(why)) => why.clone(),
        };
        writeln!(self.to, "\n{} once more, drawn: {got}", verdict.id)?;
        for drawing in &verdict.drawings {
            writeln!(self.to, "\n{}", drawing.trim_end())?;
        }
        Ok(())
    }

    /// The last line: how many of what.
    ///
    /// # Errors
    /// The output is closed or full.
    pub fn sum(
        &mut self,
        task: &Task,
        verdicts: &[Judgement],
        network: &str,
        elapsed: Duration,
    ) -> io::Result<()> {
        let count = |counts: fn(&Judgement) -> bool| {
            verdicts.iter().filter(|verdict| counts(verdict)).count()
        };
        let passed = count(Judgement::passed);
        let mut parts = vec![format!("{passed} of {} passed", verdicts.len())];
        let mut part = |number: usize, words: &str| {
            if number > 0 {
                parts.push(format!("{number} {words}"));
            }
        };
        part(count(|it| it.failed(false)), "MUST failed");
        part(count(|it| it.failed(true) && !it.failed(false)), "SHOULD failed");
        part(count(|it| matches!(it.result, Err(Stop::Skipped(_)))), "skipped");
        part(
            count(|it| matches!(it.result, Err(Stop::Broken(_) | Stop::Late(_)))),
            "could not be judged",
        );
        let seconds = elapsed.as_secs_f64();
        writeln!(
            self.to,
            "{}: {}; {seconds:.2} s, {network}",
            task.name,
            parts.join(", ")
        )
    }
}

fn sent(arrow: &str, text: &str, length: usize) -> String {
    let plural = if length == 1 { "byte" } else { "bytes" };
    format!("{arrow} \"{}\" ({length} {plural})", cut(text))
}

/// At most 56 letters of a text that is escaped already.
fn cut(text: &str) -> String {
    const MOST: usize = 56;
    match text.char_indices().nth(MOST) {
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
        let optional = if task.optional { ", optional" } else { "" };
        writeln!(
            to,
            "{} (lesson {}{optional}): {}",
            task.name,
            task.lesson,
            task.title()
        )?;
        for (number, Check { level, asks, .. }) in task.checks.iter().enumerate() {
            let id = format!("{}/{}", task.name, number + 1);
            writeln!(to, "  {id:<24} {:<6} {asks}", level.word())?;
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
        assert_eq!(cut(&"é".repeat(57)), format!("{}…", "é".repeat(56)));
    }
}
