//! The report as JUnit XML.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::outcome::{Finding, Stop};
use crate::run::Judgement;
use crate::task::Task;
use crate::timeline::{Entry, What};

pub(super) fn write(
    to: &mut dyn Write,
    task: &Task,
    verdicts: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    let mut suite = TestSuite::new(task.name);
    for verdict in verdicts {
        suite.add_test_case(case(verdict, strict));
    }
    let mut report = Report::new("check");
    report.add_test_suite(suite);
    report.serialize(&mut *to).map_err(io::Error::other)
}

fn case(verdict: &Judgement, strict: bool) -> TestCase {
    let status = match &verdict.result {
        Ok(()) => TestCaseStatus::success(),
        // JUnit knows no warning: a SHOULD that failed is skipped, with its reason.
        Err(Stop::Failed(fault)) if !verdict.failed(strict) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("SHOULD: {}", words(fault)));
            status
        }
        Err(Stop::Failed(fault)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(verdict.check.level.word());
            status.set_message(words(fault));
            let (cause, page) = (verdict.check.cause, verdict.check.page);
            status.set_description(format!("likely cause: {cause}\nread: {page}"));
            status
        }
        Err(Stop::Skipped(why)) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.clone());
            status
        }
        Err(Stop::Broken(why) | Stop::Late(why)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("checker");
            status.set_message(why.clone());
            status
        }
    };
    let mut case =
        TestCase::new(format!("{} {}", verdict.id, verdict.check.asks), status);
    case.set_classname(verdict.id.split('/').next().unwrap_or_default());
    case.set_time(verdict.elapsed);
    case.set_system_out(printed(&verdict.entries));
    case
}

fn words(fault: &Finding) -> String {
    format!("expected: {}; got: {}", fault.expected, fault.got)
}

/// What the program printed, line by line.
pub(super) fn printed(entries: &[Entry]) -> String {
    let lines = entries.iter().filter_map(|entry| match &entry.what {
        What::Prints { text, .. } => Some(format!("{text}\n")),
        _ => None,
    });
    lines.collect()
}
