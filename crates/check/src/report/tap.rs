//! The report in the Test Anything Protocol, version 13 (<https://testanything.org>), which
//! Perl's `prove` reads, among others. Each line is written as soon as its check is judged.

use std::io::{self, Write};

use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Task;

pub(super) fn begin(to: &mut dyn Write, task: &Task, count: usize) -> io::Result<()> {
    writeln!(to, "TAP version 13")?;
    writeln!(to, "1..{count}")?;
    writeln!(to, "# {}: {}", task.name, task.title())
}

pub(super) fn tell(
    to: &mut dyn Write,
    number: usize,
    judgement: &Judgement,
    strict: bool,
) -> io::Result<()> {
    let word = match judgement.result {
        Ok(()) | Err(Stop::Skipped(_)) => "ok",
        Err(_) => "not ok",
    };
    // A `#` would begin a directive.
    let asks = judgement.check.asks.replace('#', "\\#");
    write!(to, "{word} {number} - {} {asks}", judgement.id)?;
    match &judgement.result {
        Err(Stop::Skipped(why)) => writeln!(to, " # SKIP {why}")?,
        // A failed TODO does not fail the run.
        Err(Stop::Failed(_)) if !judgement.failed(strict) => {
            writeln!(to, " # TODO SHOULD")?
        }
        _ => writeln!(to)?,
    }
    let cause = judgement.cause().unwrap_or_default();
    let fields = match &judgement.result {
        Err(Stop::Failed(finding)) => {
            let mut fields = Vec::new();
            fields.extend(finding.limit().map(|limit| ("limit_hit", limit)));
            fields.extend([
                ("severity", judgement.check.level.word()),
                ("expected", &finding.expected),
                ("got", &finding.got),
                ("likely_cause", &cause),
                ("read", judgement.check.page),
            ]);
            fields.extend(judgement.follows.as_deref().map(|id| ("follows", id)));
            fields
        }
        Err(Stop::Broken(why) | Stop::Late(why)) => {
            vec![("severity", "checker"), ("message", why)]
        }
        _ => Vec::new(),
    };
    if !fields.is_empty() {
        writeln!(to, "  ---")?;
        for (name, value) in fields {
            // A JSON string is a YAML string, on one line.
            let value = serde_json::to_string(value)?;
            writeln!(to, "  {name}: {value}")?;
        }
        writeln!(to, "  ...")?;
    }
    if let Some(remark) = &judgement.remark {
        writeln!(to, "# remark: {remark}")?;
    }
    to.flush()
}
