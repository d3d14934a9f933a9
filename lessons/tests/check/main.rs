//! Compares every page with a run of it, and both with its snapshots.
//!
//! There is one test per scene: `02-tcp-echo`, `02-tcp-echo/busy`,
//! `02-tcp-echo/pairings.rust-python`; two per drawing: `02-tcp-echo/flow` for a run,
//! `02-tcp-echo/flow.json` for the recording; `README`, for the transcript in it; and
//! `tidy`, for what no run can show. A scene whose programs are not installed is reported
//! as ignored, with the name of the program; so is one that needs IPv6 where there is
//! none.
//!
//! With the variable `LESSONS_NETWORK=host`, the runs use the host's loopback, one at a
//! time, instead of a private network each.

mod summary;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use maintain::tidy;
use netlab::Network;
use summary::Plan;
use xtask::page::{Flow, Page, Scene};
use xtask::runner::{self, Runner};
use xtask::verdict::{Verdict, Verified};
use xtask::workspace::{self, Lesson};
use xtask::{build, flow, snapshot};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match trials() {
        Ok(trials) => {
            let plan = Plan::of(&trials);
            // Whoever names a test knows what they asked for.
            let whole = arguments.filter.is_none()
                && arguments.skip.is_empty()
                && !arguments.list
                && !arguments.ignored;
            let conclusion = libtest_mimic::run(&arguments, trials);
            if whole {
                let _ = write!(std::io::stdout(), "{}", plan.summary(&conclusion));
            }
            conclusion.exit_code()
        }
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Result<Vec<Trial>, String> {
    let root = workspace::root();
    let mut course = Vec::new();
    for lesson in
        workspace::lessons(&root).map_err(|error| format!("read lessons/: {error}"))?
    {
        let pages = lesson.pages(&root).map_err(|faults| {
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })?;
        course.push((lesson, pages));
    }
    let readme = workspace::page(&root, &root.join("README.md")).map_err(|faults| {
        faults.iter().map(|fault| format!("{fault}\n")).collect::<String>()
    })?;
    let pages = course.iter().flat_map(|(_, pages)| pages).chain([&readme]);
    let programs = build::programs_of_and(&root, pages, &["flow"])?;
    // This process still has one thread, as entering a network of its own requires.
    let host = std::env::var("LESSONS_NETWORK").is_ok_and(|network| network == "host");
    let network = runner::choose_network(host).map_err(|error| error.to_string())?;
    let mut runner = Runner::new(programs, network);
    // A busy machine takes its time; a page that hangs is reported well before this.
    runner.limits.run = Duration::from_secs(120);
    let runner = Arc::new(runner);
    let mut trials = vec![Trial::test("tidy", {
        let root = root.clone();
        move || agree(&root)
    })];
    // It shows a private network, and a run on the host's would wait for this one's end.
    if network == Network::Private {
        let (root, runner) = (root.clone(), Arc::clone(&runner));
        trials.push(Trial::test("README", move || {
            readme
                .scenes
                .iter()
                .try_for_each(|scene| verify(&root, &runner, &readme, scene))
        }));
    }
    let refusal = flow::refusal(&runner.programs, runner.network);
    for (lesson, pages) in course {
        for page in pages.into_iter().map(Arc::new) {
            for at in 0..page.flows.len() {
                let page = Arc::clone(&page);
                trials.extend(flow_trials(&root, &runner, &lesson, page, at, &refusal));
            }
            for at in 0..page.scenes.len() {
                trials.push(trial(&root, &runner, &lesson, Arc::clone(&page), at));
            }
        }
    }
    Ok(trials)
}

fn agree(root: &Path) -> Result<(), Failed> {
    let faults = tidy::faults(root)?;
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.iter().map(|fault| format!("{fault}\n")).collect::<String>().into())
}

fn trial(
    root: &Path,
    runner: &Arc<Runner>,
    lesson: &Lesson,
    page: Arc<Page>,
    at: usize,
) -> Trial {
    let scene = &page.scenes[at];
    let name = trial_name(lesson, &page, &scene.name);
    let skip = missing(root, runner, &page, scene);
    let (root, runner) = (root.to_owned(), Arc::clone(runner));
    Trial::test(name, {
        let page = Arc::clone(&page);
        move || check(&root, &runner, &page, &page.scenes[at])
    })
    .with_ignored_flag(skip.is_some())
    .with_kind(skip.unwrap_or_default())
}

/// `02-tcp-echo`, followed by the page's name if it is not README, and by a word.
fn trial_name(lesson: &Lesson, page: &Page, word: &str) -> String {
    let stem = page.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let parts = [if stem == "README" { "" } else { stem }, word];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let slash = if parts.is_empty() { "" } else { "/" };
    format!("{}{slash}{}", lesson.directory, parts.join("."))
}

/// Why a scene cannot run here: what this machine lacks.
fn missing(root: &Path, runner: &Runner, page: &Page, scene: &Scene) -> Option<String> {
    let folder = root.join(page.path.parent().unwrap_or(Path::new("")));
    runner.lacks(scene, &folder).map(|why| format!("skipped, {why}"))
}

/// The tests of a drawing: its run if the system allows tracing, and its recording.
fn flow_trials(
    root: &Path,
    runner: &Arc<Runner>,
    lesson: &Lesson,
    page: Arc<Page>,
    at: usize,
    refusal: &Option<String>,
) -> [Trial; 2] {
    let drawing = &page.flows[at];
    let name = match &drawing.scene[..] {
        "" => "flow".to_owned(),
        scene => format!("{scene}.flow"),
    };
    let name = trial_name(lesson, &page, &name);
    let skip = match refusal {
        Some(why) => Some(format!("skipped, {why}")),
        None => page
            .scene(&drawing.scene)
            .and_then(|scene| missing(root, runner, &page, scene)),
    };
    let explain = |verdict: Verdict| {
        let verified = Verified { verdict, outcome: None };
        if verified.is_good() { Ok(()) } else { Err(Failed::from(verified.explain())) }
    };
    let live = Trial::test(name.clone(), {
        let (root, runner, page) =
            (root.to_owned(), Arc::clone(runner), Arc::clone(&page));
        move || match flow::verify(&runner, &root, &page, &page.flows[at]).0 {
            // Whether it can run was checked before; nothing may be silently left out.
            Verdict::Skipped(why) => Err(format!("the run was refused: {why}").into()),
            verdict => explain(verdict),
        }
    });
    let recorded = Trial::test(format!("{name}.json"), {
        let (root, runner) = (root.to_owned(), Arc::clone(runner));
        move || {
            let drawing = &page.flows[at];
            explain(flow::verify_recording(&runner.programs, &root, &page, drawing))?;
            accept_flow(&root, &page, drawing)
        }
    });
    let ignored = skip.is_some();
    [live.with_ignored_flag(ignored).with_kind(skip.unwrap_or_default()), recorded]
}

/// Compares a drawing with its snapshot.
fn accept_flow(root: &Path, page: &Page, drawing: &Flow) -> Result<(), Failed> {
    let name = snapshot::flow_name(page, &drawing.scene);
    let content = snapshot::contents(std::slice::from_ref(&drawing.lines)).concat();
    accept(root, page, &name, "the flow", drawing.line, &content).map_err(Failed::from)
}

/// Compares the page with the run.
fn verify(
    root: &Path,
    runner: &Runner,
    page: &Page,
    scene: &Scene,
) -> Result<(), Failed> {
    let verified = runner.verify(root, page, scene, &mut |_| {});
    if matches!(verified.verdict, Verdict::Matches) {
        return Ok(());
    }
    let network = match runner.network {
        Network::Private => "",
        Network::Host => "(on the host's network) ",
    };
    Err(format!("{network}{}", verified.explain()).into())
}

/// Compares the page with the run, and then both with the snapshots.
fn check(root: &Path, runner: &Runner, page: &Page, scene: &Scene) -> Result<(), Failed> {
    verify(root, runner, page, scene)?;
    let on_page: Vec<Vec<String>> =
        scene.terminals.iter().map(|terminal| terminal.lines.clone()).collect();
    let mut failures = String::new();
    for (terminal, content) in scene.terminals.iter().zip(snapshot::contents(&on_page)) {
        let name = snapshot::name(page, scene, terminal);
        let what = format!("terminal {}", terminal.name);
        if let Err(failure) = accept(root, page, &name, &what, terminal.line, &content) {
            failures += &failure;
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.into()) }
}

/// Compares what is on a page, from line `line` on, with its snapshot.
fn accept(
    root: &Path,
    page: &Page,
    name: &str,
    what: &str,
    line: usize,
    content: &str,
) -> Result<(), String> {
    let path = page.path.display();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join(snapshot::folder(page)));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(format!("{what} of {path}"));
    let compared = settings.bind(|| {
        let compare = || insta::assert_snapshot!(name, content);
        catch_unwind(AssertUnwindSafe(compare))
    });
    let file = root.join(snapshot::folder(page)).join(format!("{name}.snap"));
    if compared.is_err() && !file.exists() {
        return Err(format!(
            "{path}:{line}: {what} has no snapshot {name}.snap yet; if the page is right, \
             make it with `cargo insta review` or `INSTA_UPDATE=always cargo test -p \
             lessons`\n"
        ));
    }
    compared.map_err(|_| {
        let line = line + first_difference(root, page, name, content);
        format!(
            "{path}:{line}: {what} differs from its snapshot {name}.snap; accept it with \
             `cargo insta review` if the page is right\n"
        )
    })
}

/// The index of the first line in which the snapshot file differs from `content`.
fn first_difference(root: &Path, page: &Page, name: &str, content: &str) -> usize {
    let file = root.join(snapshot::folder(page)).join(format!("{name}.snap"));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // The content follows a head between two lines of `---`.
    let accepted = text.splitn(3, "---\n").nth(2).unwrap_or_default();
    let same = accepted.lines().zip(content.lines()).take_while(|(a, b)| a == b).count();
    same.min(content.lines().count().saturating_sub(1))
}
