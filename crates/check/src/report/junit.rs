//! The report as JUnit XML.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{message, printed};
use crate::outcome::Stop;
use crate::run::Judgement;
use crate::task::Task;

pub(super) fn write(
    to: &mut dyn Write,
    task: &Task,
    judged: &[Judgement],
    strict: bool,
) -> io::Result<()> {
    let mut suite = TestSuite::new(task.name);
    for judgement in judged {
        suite.add_test_case(case(judgement, strict));
    }
    let mut report = Report::new("check");
    report.add_test_suite(suite);
    report.serialize(&mut *to).map_err(io::Error::other)
}

fn case(judgement: &Judgement, strict: bool) -> TestCase {
    let words = message(judgement).unwrap_or_default().replace('\n', "; ");
    let status = match &judgement.result {
        Ok(()) => TestCaseStatus::success(),
        // JUnit has no warnings: a SHOULD that failed is reported as skipped, with its
        // reason.
        Err(Stop::Failed(_)) if !judgement.failed(strict) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("SHOULD: {words}"));
            status
        }
        Err(Stop::Failed(_)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(judgement.check.level.word());
            status.set_message(words);
            let (cause, page) = (judgement.cause(), judgement.check.page);
            let cause = cause.unwrap_or_default();
            status.set_description(format!("likely cause: {cause}\nread: {page}"));
            status
        }
        Err(Stop::Skipped(_)) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(words);
            status
        }
        Err(Stop::Broken(_) | Stop::Late(_)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("checker");
            status.set_message(words);
            status
        }
    };
    let mut case =
        TestCase::new(format!("{} {}", judgement.id, judgement.check.asks), status);
    case.set_classname(judgement.id.split('/').next().unwrap_or_default());
    case.set_time(judgement.elapsed);
    let remark = judgement.remark.as_ref().map(|it| format!("remark: {it}\n"));
    case.set_system_out(remark.unwrap_or_default() + &printed(&judgement.entries));
    case
}
