//! The report as JSON: one object, written as the checks are judged, so that a run that is
//! cut short leaves what is known by then. `format` is the version of its fields: it
//! increases when a field changes its meaning, not when one is added.

use std::io::{self, Write};

use serde::Serialize;

use super::{message, printed};
use crate::outcome::{Finding, Stop};
use crate::run::Judgement;
use crate::task::Task;
use crate::timeline::Entry;

/// The version of the fields.
const FORMAT: u32 = 2;

#[derive(Serialize)]
struct Test<'a> {
    id: &'a str,
    /// What the check asks.
    name: &'a str,
    /// `MUST` or `SHOULD`.
    level: &'static str,
    /// `pass`, `fail`, `skip`, or `error` if the checker itself failed.
    status: &'static str,
    message: Option<String>,
    /// The limit that the program exceeded.
    limit: Option<&'a str>,
    #[serde(flatten)]
    finding: Option<&'a Finding>,
    /// A short name for the diagnosis, if there is one.
    diagnosis: Option<&'static str>,
    cause: Option<String>,
    /// The id of an earlier check that failed for the same reason.
    follows: Option<&'a str>,
    /// What was noticed about the program besides, by now. It does not count.
    remark: Option<&'a str>,
    page: &'a str,
    duration_ms: u64,
    /// What the program printed.
    output: Option<String>,
    timeline: &'a [Entry],
}

pub(super) fn begin(to: &mut dyn Write, task: &Task) -> io::Result<()> {
    let name = serde_json::to_string(task.name)?;
    let lesson = task.lesson;
    write!(to, "{{\n\"format\": {FORMAT},\n\"task\": {name},\n\"lesson\": {lesson},\n")?;
    write!(to, "\"tests\": [")
}

pub(super) fn tell(
    to: &mut dyn Write,
    number: usize,
    judgement: &Judgement,
) -> io::Result<()> {
    write!(to, "{}", if number == 1 { "\n" } else { ",\n" })?;
    serde_json::to_writer(&mut *to, &test(judgement))?;
    to.flush()
}

pub(super) fn end(
    to: &mut dyn Write,
    judged: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    let broken = judged.iter().find(|judgement| judgement.is_broken());
    let status = match &broken {
        Some(_) => "error",
        None if judged.iter().any(|judgement| judgement.failed(strict)) => "fail",
        None => "pass",
    };
    let first = broken.or(judged.iter().find(|judgement| judgement.failed(strict)));
    let words = first.map(|it| format!("{}: {}", it.id, message(it).unwrap_or_default()));
    let words = serde_json::to_string(&words)?;
    writeln!(to, "\n],\n\"status\": \"{status}\",\n\"message\": {words}\n}}")
}

fn test(judgement: &Judgement) -> Test<'_> {
    let status = match &judgement.result {
        Ok(()) => "pass",
        Err(Stop::Failed(_)) => "fail",
        Err(Stop::Skipped(_)) => "skip",
        Err(Stop::Broken(_) | Stop::Late(_)) => "error",
    };
    let output = printed(&judgement.entries);
    let finding = judgement.finding();
    Test {
        id: &judgement.id,
        name: judgement.check.asks,
        level: judgement.check.level.word(),
        status,
        message: message(judgement),
        limit: finding.and_then(Finding::limit),
        finding,
        diagnosis: finding.and_then(|it| it.diagnosis.as_ref()).map(|it| it.name()),
        cause: judgement.cause(),
        follows: judgement.follows.as_deref(),
        remark: judgement.remark.as_deref(),
        page: judgement.check.page,
        duration_ms: u64::try_from(judgement.elapsed.as_millis()).unwrap_or(u64::MAX),
        output: (!output.is_empty()).then_some(output),
        timeline: &judgement.entries,
    }
}
