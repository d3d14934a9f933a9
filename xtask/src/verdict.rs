//! The verdict on a scene, and its explanation for a person.

use std::fmt::Write as _;

use crate::page::Diagnostic;
use crate::run::RunOutcome;

/// The verdict on a scene.
#[derive(Debug)]
pub enum Verdict {
    /// Every terminal showed what the page says.
    Matches,
    /// Some terminals showed something else.
    Differs(Vec<Mismatch>),
    /// The run was stopped, or could not start.
    Stopped(Diagnostic),
    /// This machine lacks something that the scene needs; says what.
    Skipped(String),
}

/// A terminal whose output differs from the page.
#[derive(Debug)]
pub struct Mismatch {
    /// The line of the page where the difference begins, and which terminal it is.
    pub fault: Diagnostic,
    /// The lines as a diff: `- ` for the page, `+ ` for the run.
    pub diff: String,
}

/// A scene that was run, or should have been.
#[derive(Debug)]
pub struct Verified {
    /// The verdict.
    pub verdict: Verdict,
    /// Its output, if it ran.
    pub outcome: Option<RunOutcome>,
}

impl Verified {
    /// Returns whether the page is right, or could not be tried on this machine.
    pub fn is_good(&self) -> bool {
        matches!(self.verdict, Verdict::Matches | Verdict::Skipped(_))
    }

    /// Explains to a person what is wrong, with page and line. Empty if nothing is.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        match &self.verdict {
            Verdict::Matches | Verdict::Skipped(_) => {}
            Verdict::Differs(mismatches) => {
                for Mismatch { fault, diff } in mismatches {
                    let _ = writeln!(text, "{fault} (- the page, + the run)");
                    for line in first_and_last(&diff.lines().collect::<Vec<_>>()) {
                        let _ = writeln!(text, "{line}");
                    }
                    text.push('\n');
                }
            }
            Verdict::Stopped(fault) => {
                let _ = writeln!(text, "{fault}");
                for lines in self.outcome.iter().flat_map(|outcome| &outcome.terminals) {
                    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                    for line in first_and_last(&lines) {
                        let _ = writeln!(text, "  {}", shortened(&line));
                    }
                }
            }
        }
        text
    }
}

/// Returns the first and last lines, if there are too many for a message.
fn first_and_last(lines: &[&str]) -> Vec<String> {
    const MOST_LINES: usize = 200;
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    if lines.len() <= MOST_LINES {
        return owned(lines);
    }
    let mut kept: Vec<String> = owned(&lines[..MOST_LINES / 2]);
    kept.push(format!("… ({} lines)", lines.len() - MOST_LINES));
    kept.extend(owned(&lines[lines.len() - MOST_LINES / 2..]));
    kept
}

/// Returns a line, cut if it is too long for a message.
pub(crate) fn shortened(line: &str) -> String {
    const MOST_CHARACTERS: usize = 400;
    match line.char_indices().nth(MOST_CHARACTERS) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], line.len()),
    }
}
