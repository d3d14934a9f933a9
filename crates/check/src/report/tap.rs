//! The report in the Test Anything Protocol, version 14 (<https://testanything.org>).

use std::io::{self, Write};

use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Task;

pub(super) fn write(
    to: &mut dyn Write,
    task: &Task,
    verdicts: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    writeln!(to, "TAP version 14")?;
    writeln!(to, "# {}: {}", task.name, task.title())?;
    writeln!(to, "1..{}", verdicts.len())?;
    for (number, verdict) in verdicts.iter().enumerate() {
        let word = if verdict.passed() { "ok" } else { "not ok" };
        // A `#` would begin a directive.
        let asks = verdict.check.asks.replace('#', "\\#");
        write!(to, "{word} {} - {} {asks}", number + 1, verdict.id)?;
        match &verdict.result {
            Err(Stop::Skipped(why)) => writeln!(to, " # SKIP {why}")?,
            // A failed TODO does not fail the run.
            Err(Stop::Failed(_)) if !verdict.failed(strict) => {
                writeln!(to, " # TODO SHOULD")?
            }
            _ => writeln!(to)?,
        }
        let fields = match &verdict.result {
            Err(Stop::Failed(fault)) => vec![
                ("severity", verdict.check.level.word()),
                ("expected", &fault.expected),
                ("got", &fault.got),
                ("likely cause", verdict.check.cause),
                ("read", verdict.check.page),
            ],
            Err(Stop::Broken(why) | Stop::Late(why)) => {
                vec![("severity", "checker"), ("message", why)]
            }
            _ => continue,
        };
        writeln!(to, "  ---")?;
        for (name, value) in fields {
            // A JSON string is a YAML string, on one line.
            let value = serde_json::to_string(value)?;
            writeln!(to, "  {name}: {value}")?;
        }
        writeln!(to, "  ...")?;
    }
    Ok(())
}
