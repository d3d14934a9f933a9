//! Runs the checks of a task, each with a fresh program on a network of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netlab::{PrivateNetwork, workers};

use crate::arena::Arena;
use crate::diagnosis::Diagnosis;
use crate::outcome::{Finding, Outcome, Stop, fails_because};
use crate::subject::{Allowance, Recipe, Run, thread_waited_for_processor};
use crate::task::{Check, Level, Task};
use crate::timeline::{Entry, Timeline};

/// The network that the programs run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A network namespace for each check.
    Private,
    /// The host's loopback: one check at a time, on a port that is free.
    Host,
}

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Setting {
    /// How to start the program.
    pub recipe: Recipe,
    /// The limits of the program.
    pub limits: Allowance,
    /// The network that it runs on.
    pub isolation: Isolation,
    /// The port that the program is told to use, on private networks.
    pub port: u16,
    /// The maximum number of checks that run at the same time, on private networks.
    pub jobs: usize,
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// Task and number, such as `tcp-echo/3`.
    pub id: String,
    /// The check.
    pub check: Check,
    /// Whether it passed, and if not, why.
    pub result: Result<(), Stop>,
    /// The id of an earlier check that failed for the same reason, if there is one.
    pub follows: Option<String>,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// The drawings of the program's conversation, if they were asked for.
    pub drawings: Vec<String>,
    /// The state of the program at the end, if the check failed.
    pub condition: Option<String>,
    /// What was noticed about the program besides, by now. It does not count. There is one in
    /// a run, at most.
    pub remark: Option<String>,
    /// How long the check took.
    pub elapsed: Duration,
}

impl Judgement {
    /// Returns whether the program did what the check asks.
    pub fn passed(&self) -> bool {
        self.result.is_ok()
    }

    /// Returns what the check found wrong with the program, if anything.
    pub fn finding(&self) -> Option<&Finding> {
        match &self.result {
            Err(Stop::Failed(finding)) => Some(finding),
            _ => None,
        }
    }

    /// Returns whether the program failed a check that counts: a MUST, or, with `strict`,
    /// any.
    pub fn failed(&self, strict: bool) -> bool {
        self.finding().is_some() && (strict || self.check.level == Level::Must)
    }

    /// Returns whether the checker was unable to judge the program.
    pub fn is_broken(&self) -> bool {
        matches!(self.result, Err(Stop::Broken(_) | Stop::Late(_)))
    }

    /// Returns whether the check cannot be run on this system.
    pub fn is_skipped(&self) -> bool {
        matches!(self.result, Err(Stop::Skipped(_)))
    }

    /// Returns the likely cause, if the check failed.
    pub fn cause(&self) -> Option<String> {
        let diagnosis = self.finding()?.diagnosis.as_ref();
        Some(diagnosis.map_or(self.check.cause.to_owned(), Diagnosis::cause))
    }
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It runs all checks.
    TheEnd,
    /// The first MUST that fails is the last check that is reported.
    TheFirstFailure,
}

/// Runs the checks with these numbers (from 1) and returns their judgements in order. Calls
/// `tell` with each as soon as it and all those before it are known. If a check shows that the
/// program does nothing at all, the rest are not run: they fail for the same reason.
pub fn run(
    task: &Task,
    numbers: &[usize],
    setting: &Setting,
    until: Until,
    mut tell: impl FnMut(&Judgement),
) -> Vec<Judgement> {
    let jobs = match setting.isolation {
        Isolation::Private => setting.jobs,
        Isolation::Host => 1,
    };
    let shared = Arc::new(Run::default());
    let mut setting = setting.clone();
    setting.recipe.shared = Arc::clone(&shared);
    let mut judged: Vec<Judgement> = Vec::new();
    let mut dead = None;
    let made = workers::in_turns(
        jobs,
        &turns(task, numbers, jobs),
        |place| judge_in_time(task, numbers[place], &setting),
        |_, mut judgement| {
            if judged.iter().any(Judgement::passed) {
                it_did_start(&mut judgement);
            }
            judgement.follows = follows(&judgement, &judged);
            if judged.iter().all(|it| it.remark.is_none()) {
                judgement.remark = shared.remark().cloned();
            }
            let total = judgement.finding().and_then(|it| it.diagnosis.as_ref());
            let total = total.is_some_and(Diagnosis::is_total);
            if total && !judged.iter().any(Judgement::passed) {
                dead = Some(judgement.clone());
            }
            tell(&judgement);
            let last = until == Until::TheFirstFailure && judgement.failed(false);
            judged.push(judgement);
            let goes_on = !last && dead.is_none();
            if !goes_on {
                shared.cancel();
            }
            goes_on
        },
    );
    if let Some(dead) = dead
        && until == Until::TheEnd
    {
        for number in &numbers[judged.len()..] {
            let judgement = not_run(task, *number, &dead);
            tell(&judgement);
            judged.push(judgement);
        }
    }
    if let Err(error) = made {
        let number = numbers[judged.len()];
        let judgement = unmade(task, number, Stop::Broken(error.to_string()));
        tell(&judgement);
        judged.push(judgement);
    }
    judged
}

/// The order in which checks are begun: the first one, which tells whether there is a program at
/// all, and then those that take long. One at a time, they are better begun as they are told.
fn turns(task: &Task, numbers: &[usize], jobs: usize) -> Vec<usize> {
    let mut turns: Vec<usize> = (0..numbers.len()).collect();
    if jobs > 1 && !turns.is_empty() {
        turns[1..].sort_by_key(|place| !task.checks[numbers[*place] - 1].takes_long);
    }
    turns
}

/// Withdraws the diagnosis that the program does not start, for a program that has passed an
/// earlier check: if it stops short here, that is for this check's own cause to explain.
fn it_did_start(judgement: &mut Judgement) {
    if let Err(Stop::Failed(finding)) = &mut judgement.result
        && let Some(Diagnosis::DidNotStart(..) | Diagnosis::NeverBegins) =
            finding.diagnosis
    {
        finding.diagnosis = None;
    }
}

/// Returns the id of the first check before this one that failed for the same reason.
fn follows(judgement: &Judgement, before: &[Judgement]) -> Option<String> {
    let name = judgement.finding()?.diagnosis.as_ref()?.name();
    let same = before.iter().find(|earlier| {
        earlier
            .finding()
            .and_then(|it| it.diagnosis.as_ref())
            .is_some_and(|it| it.name() == name)
    });
    same.map(|it| it.id.clone())
}

/// Returns the judgement of a check that was not run, since it could only fail like `dead`.
fn not_run(task: &Task, number: usize, dead: &Judgement) -> Judgement {
    let finding = dead.finding().map(|finding| Finding {
        expected: finding.expected.clone(),
        got: format!("not run, since {} failed: {}", dead.id, finding.got),
        diagnosis: finding.diagnosis.clone(),
    });
    let why = finding.map_or(Stop::Skipped("not run".into()), Stop::Failed);
    Judgement { follows: Some(dead.id.clone()), ..unmade(task, number, why) }
}

/// Returns the judgement of a check that was not run, for the reason `why`.
fn unmade(task: &Task, number: usize, why: Stop) -> Judgement {
    Judgement {
        id: format!("{}/{number}", task.name),
        check: task.checks[number - 1],
        result: Err(why),
        follows: None,
        entries: Vec::new(),
        drawings: Vec::new(),
        condition: None,
        remark: None,
        elapsed: Duration::ZERO,
    }
}

/// A checker's thread that has waited this long for a processor during one check was not
/// there when it should have been: one of the program's own deadlines may have passed in
/// the meantime.
const STARVED: Duration = Duration::from_millis(500);
/// The maximum number of attempts at a check that fails while the checker is starved of
/// processor time.
const ATTEMPTS: usize = 4;
/// The maximum number of attempts at a check that comes too late to say anything.
const ATTEMPTS_IF_LATE: usize = 20;

/// Runs one check. Runs it again, on another network of its own, if it came too late to say
/// anything, or if it failed while the checker was starved of processor time.
fn judge_in_time(task: &Task, number: usize, setting: &Setting) -> Judgement {
    let mut attempt = 0;
    let waited = || thread_waited_for_processor(Path::new("/proc/thread-self"));
    loop {
        attempt += 1;
        let before = waited();
        let verdict = judge(task, number, setting);
        let attempts = match &verdict.result {
            Err(Stop::Late(_)) => ATTEMPTS_IF_LATE,
            // Limits measure what the program itself used, so a busy machine is no excuse.
            Err(Stop::Failed(finding)) if finding.limit().is_some() => 1,
            Err(_) if waited().saturating_sub(before) >= STARVED => ATTEMPTS,
            _ => 1,
        };
        if attempt >= attempts || setting.recipe.shared.is_cancelled() {
            return verdict;
        }
    }
}

/// Runs one check.
fn judge(task: &Task, number: usize, setting: &Setting) -> Judgement {
    let began = Instant::now();
    let check = task.checks[number - 1];
    let timeline = Timeline::default();
    let mut condition = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let port = match setting.isolation {
            Isolation::Private => {
                PrivateNetwork::enter()
                    .map_err(|refusal| Stop::Broken(refusal.to_string()))?;
                tune();
                setting.port
            }
            Isolation::Host => free_port()?,
        };
        let mut arena =
            Arena::new(&setting.recipe, port, setting.limits, timeline.clone());
        arena.on_hosts_network = setting.isolation == Isolation::Host;
        arena.any_port = arena.on_hosts_network;
        let result = (check.run)(&mut arena);
        if result.is_err() {
            condition = arena.condition();
        }
        // If we killed the program, what came afterwards is not its answer to anything.
        let result = match arena.limit() {
            Some(limit) => over_the_limit(limit, result),
            None => result,
        };
        arena.clear();
        result
    }));
    let result = result.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or(panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        Err(Stop::Broken(format!("panic: {}", words.unwrap_or_default())))
    });
    Judgement {
        id: format!("{}/{number}", task.name),
        check,
        result,
        follows: None,
        entries: timeline.entries(),
        drawings: timeline.drawings(),
        condition,
        remark: None,
        elapsed: began.elapsed(),
    }
}

/// Fails the check of a program that exceeded a limit, even if the check was waiting for the
/// program's end.
fn over_the_limit(limit: String, result: Outcome) -> Outcome {
    let (expected, got) = match result {
        Err(Stop::Failed(finding)) => (finding.expected, finding.got),
        Err(other) => return Err(other),
        Ok(()) => {
            ("the program does this by itself".into(), "the checker ended it".into())
        }
    };
    fails_because(expected, got, Some(Diagnosis::Limit(limit)))
}

/// Tunes the calling thread's private network. On a kernel that lacks one of these settings a
/// check is less sharp, but not wrong.
fn tune() {
    for (name, value) in [
        // Let a program bind the port that the RFC names.
        ("ip_unprivileged_port_start", "0"),
        // Limit send buffers to 128 KiB, so that little data is enough for a short write.
        ("tcp_wmem", "4096 65536 131072"),
        // A reset must not end TIME-WAIT (RFC 1337). The peer's kernel sends one by itself if
        // a delayed ACK and the FIN after it, sent by two processors, arrive out of order.
        ("tcp_rfc1337", "1"),
    ] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value);
    }
}

/// Returns a port of the host's loopback interface that is free for both TCP and UDP.
fn free_port() -> Outcome<u16> {
    for _ in 0..100 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Stop::Broken("find a free port: none of a hundred tried was free".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::task::{Role, must};

    static CALLS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

    fn late_until(check: usize, attempt: usize) -> Outcome {
        match CALLS[check].fetch_add(1, Ordering::Relaxed) + 1 {
            number if number < attempt => Err(Stop::Late("a test".into())),
            _ => Ok(()),
        }
    }

    const TASK: Task = Task {
        name: "late",
        lesson: 0,
        optional: true,
        role: Role::TcpServer,
        statement: "",
        learned: "",
        checks: &[
            must("the third attempt is in time", "", "", |_| late_until(0, 3)),
            must("no attempt is in time", "", "", |_| late_until(1, usize::MAX)),
        ],
    };

    #[test]
    fn a_check_that_came_too_late_is_made_again() {
        let setting = Setting {
            recipe: Recipe {
                guard: "none".into(),
                command: Vec::new(),
                folder: ".".into(),
                pass: Vec::new(),
                namespaces: false,
                flow: None,
                shared: Arc::default(),
            },
            limits: Allowance::default(),
            isolation: Isolation::Host,
            port: 0,
            jobs: 1,
        };
        let mut report = Vec::new();
        let mut human = crate::report::Human::new(&mut report, false);
        let verdicts =
            run(&TASK, &[1, 2], &setting, Until::TheEnd, |it| human.tell(it).unwrap());
        let results: Vec<_> = verdicts.into_iter().map(|it| it.result).collect();
        assert_eq!(results, [Ok(()), Err(Stop::Late("a test".into()))]);
        let calls = CALLS.each_ref().map(|calls| calls.load(Ordering::Relaxed));
        assert_eq!(calls, [3, ATTEMPTS_IF_LATE]);
        let report = String::from_utf8_lossy(&report);
        assert!(report.contains("run it again"), "{report}");
    }
}
