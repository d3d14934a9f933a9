//! The report as Exercism's `results.json` ([test-runner interface], version 2). Each test
//! has the status `pass`, `fail` or `error`, and the whole passes if every test does. So
//! what does not count is left out: a SHOULD without `--strict`, a check that was skipped.
//! If the program does not start, the whole has the status `error`, with a message.
//!
//! [test-runner interface]: https://exercism.org/docs/building/tooling/test-runners/interface

use std::io::{self, Write};

use serde::Serialize;

use super::{message, printed};
use crate::diagnosis::Diagnosis;
use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Level;
use crate::timeline::{Entry, What};

/// The maximum number of characters of `output`, which the interface sets.
const OUTPUT: usize = 500;

#[derive(Serialize)]
struct Results {
    version: u32,
    /// `pass`, `fail` or `error`.
    status: &'static str,
    /// Present only if the status is `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tests: Vec<Test>,
}

#[derive(Serialize)]
struct Test {
    name: String,
    /// What the check did, step by step.
    test_code: String,
    /// `pass`, `fail` or `error`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

pub(super) fn write(
    to: &mut dyn Write,
    judged: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    let results = match judged.iter().find_map(error) {
        Some(message) => Results {
            version: 2,
            status: "error",
            message: Some(message),
            tests: Vec::new(),
        },
        None => {
            let counts = |it: &&Judgement| strict || it.check.level == Level::Must;
            let tests: Vec<Test> =
                judged.iter().filter(counts).filter_map(test).collect();
            let passed = tests.iter().all(|test| test.status == "pass");
            let status = if passed { "pass" } else { "fail" };
            Results { version: 2, status, message: None, tests }
        }
    };
    serde_json::to_writer_pretty(&mut *to, &results)?;
    writeln!(to)
}

/// Returns the reason for an `error` of the whole, if this judgement is one.
fn error(judgement: &Judgement) -> Option<String> {
    let dead = judgement.finding().and_then(|it| it.diagnosis.as_ref());
    (judgement.is_broken() || dead.is_some_and(Diagnosis::is_total))
        .then(|| message(judgement).unwrap_or_default())
}

fn test(judgement: &Judgement) -> Option<Test> {
    let status = match &judgement.result {
        Ok(()) => "pass",
        Err(Stop::Failed(_)) => "fail",
        Err(Stop::Skipped(_) | Stop::Broken(_) | Stop::Late(_)) => return None,
    };
    let printed = printed(&judgement.entries);
    let output = (!printed.is_empty()).then(|| shortened(&printed));
    Some(Test {
        name: format!("{} {}", judgement.id, judgement.check.asks),
        test_code: steps(&judgement.entries),
        status,
        message: message(judgement),
        output,
    })
}

/// Cuts a text to the maximum length, with a last line that says so.
fn shortened(text: &str) -> String {
    const LEFT_OUT: &str = "\n… the rest is left out";
    if text.chars().count() <= OUTPUT {
        return text.to_owned();
    }
    let room = OUTPUT - LEFT_OUT.chars().count();
    text.chars().take(room).chain(LEFT_OUT.chars()).collect()
}

/// Returns what the checker's side of the conversation did, one step per line.
fn steps(entries: &[Entry]) -> String {
    let lines = entries.iter().filter(|entry| entry.who != "program").map(|entry| {
        let who = &entry.who;
        match &entry.what {
            What::Does { text } => format!("{who} {text}"),
            What::Sends(bytes) => format!("{who} sends \"{}\"", bytes.text),
            What::Gets(bytes) => format!("{who} receives \"{}\"", bytes.text),
            What::Prints { text, .. } => format!("{who} prints \"{text}\""),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_and_says_so() {
        assert_eq!(shortened("short"), "short");
        let cut = shortened(&"é".repeat(600));
        assert_eq!(cut.chars().count(), OUTPUT);
        assert!(cut.ends_with("the rest is left out"));
    }
}
