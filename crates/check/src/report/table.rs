//! The report about many programs, with a line for each.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde::{Deserialize, Serialize};

use super::{Format, message};
use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Task;

/// The result of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// The name of its folder, escaped: any report may show it.
    pub name: String,
    /// `pass`, `fail`, or `error` if the checker itself failed.
    pub status: String,
    /// The number of checks that it passed.
    pub passed: usize,
    /// The number of all checks.
    pub checks: usize,
    /// The id of the first check that counts and did not pass.
    pub first: Option<String>,
    /// What that check expected and got.
    pub message: Option<String>,
    /// The likely cause.
    pub cause: Option<String>,
    /// The result of each check.
    pub tests: Vec<RowTest>,
}

/// The result of one check of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowTest {
    /// Task and number, such as `tcp-echo/3`.
    pub id: String,
    /// `pass`, `fail`, `skip`, or `error` if the checker itself failed.
    pub status: String,
    /// `MUST` or `SHOULD`.
    pub level: String,
    /// What the check expected and got, if it did not pass.
    pub message: Option<String>,
    /// What was noticed about the program besides, by then. It does not count.
    pub remark: Option<String>,
}

impl RowTest {
    pub(crate) fn of(judgement: &Judgement) -> RowTest {
        let status = match &judgement.result {
            Ok(()) => "pass",
            Err(Stop::Failed(_)) => "fail",
            Err(Stop::Skipped(_)) => "skip",
            Err(Stop::Broken(_) | Stop::Late(_)) => "error",
        };
        RowTest {
            id: judgement.id.clone(),
            status: status.to_owned(),
            level: judgement.check.level.word().to_owned(),
            message: message(judgement),
            remark: judgement.remark.clone(),
        }
    }
}

impl TableRow {
    /// Returns the result in a few words.
    pub(crate) fn outcome(&self) -> String {
        let TableRow { passed, checks, .. } = self;
        match (self.status.as_str(), &self.first) {
            ("pass", _) => format!("passed {passed} of {checks}"),
            ("fail", Some(first)) => {
                format!("failed at {first}, passed {passed} of {checks}")
            }
            ("fail", None) => match &self.message {
                Some(why) => {
                    // What to do about it stands in the other forms.
                    let why = why.split("; ").next().unwrap_or_default();
                    format!("could not be started: {}", shown(why))
                }
                None => "could not be started".to_owned(),
            },
            _ => "could not be judged".to_owned(),
        }
    }
}

/// Writes the results of many programs.
///
/// # Errors
/// Fails if the output is closed or full.
pub(crate) fn table(
    to: &mut dyn Write,
    format: Format,
    task: &Task,
    rows: &[TableRow],
) -> io::Result<()> {
    match format {
        Format::Human => for_a_person(to, task, rows),
        Format::Csv => csv(to, rows),
        Format::Junit => junit(to, rows),
        Format::Tap => tap(to, rows),
        Format::Json | Format::Exercism => {
            serde_json::to_writer_pretty(&mut *to, rows)?;
            writeln!(to)
        }
    }
}

fn shown(text: &str) -> String {
    common::Escaped(text.as_bytes()).to_string()
}

fn for_a_person(to: &mut dyn Write, task: &Task, rows: &[TableRow]) -> io::Result<()> {
    /// The maximum number of columns, of a line's 80, for the name.
    const MOST: usize = 30;
    let names: Vec<String> =
        rows.iter().map(|row| row.name.chars().take(MOST).collect()).collect();
    let width = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    for (name, row) in names.iter().zip(rows) {
        let mark = if row.status == "pass" { "✓" } else { "✗" };
        writeln!(to, "{mark} {name:<width$}  {}", row.outcome())?;
    }
    let passed = rows.iter().filter(|row| row.status == "pass").count();
    writeln!(to, "{}: {passed} of {} programs passed", task.name, rows.len())
}

fn csv(to: &mut dyn Write, rows: &[TableRow]) -> io::Result<()> {
    writeln!(to, "name,status,passed,checks,first,message,cause")?;
    for row in rows {
        let of = |text: &Option<String>| field(text.as_deref().unwrap_or_default());
        let (name, status) = (field(&row.name), &row.status);
        let (passed, checks) = (row.passed, row.checks);
        let (first, message, cause) = (of(&row.first), of(&row.message), of(&row.cause));
        writeln!(to, "{name},{status},{passed},{checks},{first},{message},{cause}")?;
    }
    Ok(())
}

/// Returns a field of a CSV file (RFC 4180). A spreadsheet takes a field that begins like a
/// formula for one, even in quotation marks; an apostrophe before it makes it text.
fn field(text: &str) -> String {
    let text = text.lines().map(shown).collect::<Vec<_>>().join("; ");
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = text.replace('"', "\"\"");
    format!("\"{}{text}\"", if formula { "'" } else { "" })
}

fn junit(to: &mut dyn Write, rows: &[TableRow]) -> io::Result<()> {
    let mut report = Report::new("check");
    for row in rows {
        let mut suite = TestSuite::new(shown(&row.name));
        for test in &row.tests {
            suite.add_test_case(case(test));
        }
        if row.tests.is_empty() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(row.message.clone().unwrap_or_default());
            suite.add_test_case(TestCase::new("it can be started", status));
        }
        report.add_test_suite(suite);
    }
    report.serialize(&mut *to).map_err(io::Error::other)
}

fn case(test: &RowTest) -> TestCase {
    let message = test.message.clone().unwrap_or_default().replace('\n', "; ");
    let mut status = match (test.status.as_str(), test.level.as_str()) {
        ("pass", _) => TestCaseStatus::success(),
        ("fail", "MUST") => TestCaseStatus::non_success(NonSuccessKind::Failure),
        ("error", _) => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::skipped(),
    };
    if test.status != "pass" {
        status.set_message(message);
    }
    TestCase::new(test.id.clone(), status)
}

fn tap(to: &mut dyn Write, rows: &[TableRow]) -> io::Result<()> {
    writeln!(to, "TAP version 13\n1..{}", rows.len())?;
    for (number, row) in rows.iter().enumerate() {
        let word = if row.status == "pass" { "ok" } else { "not ok" };
        let name = shown(&row.name).replace('#', "\\#");
        writeln!(to, "{word} {} - {name}: {}", number + 1, row.outcome())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_is_no_formula_and_ends_where_it_ends() {
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field("one\ntwo\x1b"), "\"one; two\\x1b\"");
    }
}
