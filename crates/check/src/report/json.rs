//! The report for programs, in JSON.
//!
//! The fields `version`, `status`, `message` and `tests` with `name`, `status`, `message`,
//! `output` and `test_code` are those of the [Exercism test-runner interface], version 2,
//! so that what reads that can read this. The others are ours, and `format` is their
//! version: it grows when one of them changes its meaning, not when one is added.
//!
//! [Exercism test-runner interface]: https://exercism.org/docs/building/tooling/test-runners/interface

use std::io::{self, Write};

use serde::Serialize;

use crate::outcome::{Finding, Stop};
use crate::run::Judgement;
use crate::task::Task;
use crate::timeline::Entry;

/// The version of the fields that are ours.
const FORMAT: u32 = 2;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    format: u32,
    /// `pass`, `fail`, or `error` where the checker failed.
    status: &'static str,
    message: Option<String>,
    task: &'a str,
    lesson: u32,
    tests: Vec<Test<'a>>,
}

#[derive(Serialize)]
struct Test<'a> {
    name: &'a str,
    /// `pass`, `fail`, `error` or `skip`.
    status: &'static str,
    message: Option<String>,
    /// What the program printed.
    output: Option<String>,
    test_code: &'a str,
    id: &'a str,
    /// `MUST` or `SHOULD`.
    level: &'static str,
    #[serde(flatten)]
    fault: Option<&'a Finding>,
    cause: Option<&'a str>,
    page: &'a str,
    duration_ms: u64,
    timeline: &'a [Entry],
}

pub(super) fn write(
    to: &mut dyn Write,
    task: &Task,
    verdicts: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    let broken = verdicts.iter().find_map(|verdict| match &verdict.result {
        Err(Stop::Broken(why) | Stop::Late(why)) => {
            Some(format!("{}: {why}", verdict.id))
        }
        _ => None,
    });
    let status = match &broken {
        Some(_) => "error",
        None if verdicts.iter().any(|verdict| verdict.failed(strict)) => "fail",
        None => "pass",
    };
    let report = Report {
        version: 2,
        format: FORMAT,
        status,
        message: broken,
        task: task.name,
        lesson: task.lesson,
        tests: verdicts.iter().map(test).collect(),
    };
    serde_json::to_writer_pretty(&mut *to, &report)?;
    writeln!(to)
}

fn test(verdict: &Judgement) -> Test<'_> {
    let (status, message) = match &verdict.result {
        Ok(()) => ("pass", None),
        Err(Stop::Failed(Finding { expected, got })) => {
            ("fail", Some(format!("expected: {expected}\ngot: {got}")))
        }
        Err(Stop::Skipped(why)) => ("skip", Some(why.clone())),
        Err(Stop::Broken(why) | Stop::Late(why)) => ("error", Some(why.clone())),
    };
    let printed = super::junit::printed(&verdict.entries);
    Test {
        name: verdict.check.asks,
        status,
        message,
        output: (!printed.is_empty()).then_some(printed),
        test_code: verdict.check.asks,
        id: &verdict.id,
        level: verdict.check.level.word(),
        fault: verdict.finding(),
        cause: verdict.finding().map(|_| verdict.check.cause),
        page: verdict.check.page,
        duration_ms: u64::try_from(verdict.elapsed.as_millis()).unwrap_or(u64::MAX),
        timeline: &verdict.entries,
    }
}
