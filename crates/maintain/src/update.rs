//! `update`: rewrites the transcripts and the drawings on the pages from a run, if they differ in
//! more than what varies, and records what was drawn. It is a maintainer's tool, and refuses to run
//! in CI.

use std::env;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use xtask::build;
use xtask::page::{Flow, Page};
use xtask::runner::{self, Runner};
use xtask::verdict::{Verdict, Verified};
use xtask::workspace;
use xtask::{Error, Status};
use xtask::{flow, interrupt, transcript};

/// The options of `update`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Lesson by number, folder or name [default: every lesson]
    pub lesson: Option<String>,
}

/// Runs the pages and rewrites what differs.
///
/// # Errors
/// Fails in CI, if a page is faulty, if programs cannot be built, or if a file cannot be written.
pub fn update(options: &Options) -> Result<Status, Error> {
    if env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false") {
        return Err(Error::new(
            "update the pages: refused in CI (the variable CI is set); pages change only \
             when a person looks at them",
        ));
    }
    let root = workspace::root();
    let lessons = match &options.lesson {
        Some(word) => match workspace::lesson_and_scene(&root, word)? {
            (lesson, None) => vec![lesson],
            (lesson, Some(_)) => {
                return Err(Error::new(format!(
                    "update `{word}`: lessons are updated as a whole; try {}",
                    lesson.name()
                )));
            }
        },
        None => workspace::lessons(&root).map_err(Error::io("read lessons/"))?,
    };
    let mut pages = Vec::new();
    for lesson in lessons {
        pages.extend(lesson.pages(&root)?);
    }
    let drawn = pages.iter().any(|page| !page.flows.is_empty());
    let more: &[&str] = if drawn { &["flow"] } else { &[] };
    let programs = build::programs_of_and(&root, &pages, more)?;
    let network = runner::choose_network(false)?;
    let runner = Runner::new(programs, network);
    let mut out = anstream::stdout();
    let mut say =
        |line: String| writeln!(out, "{line}").map_err(Error::io("write to stdout"));
    let mut ended = Status::AsDocumented;
    for page in &pages {
        let path = page.path.display();
        let (text, problems) = rewritten(&runner, &root, page);
        if interrupt::asked() {
            return Err(Error::new("update the pages: interrupted by a signal"));
        }
        for problem in problems {
            say(problem)?;
            ended = Status::Failed;
        }
        if text == page.text {
            say(format!("{path}: as it was"))?;
            continue;
        }
        fs::write(root.join(&page.path), &text)
            .map_err(Error::io(&format!("write {path}")))?;
        say(format!("{path}: rewritten; now accept the snapshots: cargo insta review"))?;
    }
    Ok(ended)
}

/// Returns the page's text with the transcripts of a run, and the problems that came up.
fn rewritten(runner: &Runner, root: &Path, page: &Page) -> (String, Vec<String>) {
    let mut edits = Vec::new();
    let mut problems = Vec::new();
    for scene in page.scenes.iter().take_while(|_| !interrupt::asked()) {
        let verified = runner.verify(root, page, scene, &mut |_| {});
        match (&verified.verdict, &verified.outcome) {
            (Verdict::Differs(_), Some(outcome)) => {
                let on_page: Vec<Vec<String>> = scene
                    .terminals
                    .iter()
                    .map(|terminal| terminal.lines.clone())
                    .collect();
                let lines = transcript::in_the_words_of(&on_page, &outcome.terminals);
                for (terminal, lines) in scene.terminals.iter().zip(lines) {
                    let lines = lines.iter().map(|line| match line.as_str() {
                        "" => "\n".to_owned(),
                        line => format!("{}{line}\n", terminal.indent),
                    });
                    edits.push((terminal.range.clone(), lines.collect()));
                }
            }
            (Verdict::Matches, _) => {}
            (Verdict::Skipped(why), _) => problems.push(format!(
                "{}: scene `{}` is left as it is: {why}",
                page.path.display(),
                scene.name
            )),
            _ => problems.push(verified.explain().trim_end().to_owned()),
        }
    }
    for flow in page.flows.iter().take_while(|_| !interrupt::asked()) {
        match flow_edit(runner, root, page, flow) {
            Ok(edit) => edits.extend(edit),
            Err(problem) => problems.push(problem),
        }
    }
    // Replace from the end, so that the positions of the earlier edits stay valid.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = page.text.clone();
    for (range, lines) in edits {
        text.replace_range(range, &lines);
    }
    (text, problems)
}

/// Returns the edit of a page's drawing, if it changes. Also writes its recorded log, if
/// that changes.
fn flow_edit(
    runner: &Runner,
    root: &Path,
    page: &Page,
    drawing: &Flow,
) -> Result<Option<(Range<usize>, String)>, String> {
    let path = page.path.display();
    let left = |why: &str| {
        format!("{path}: the flow of scene `{}` is left as it is: {why}", drawing.scene)
    };
    if let Some(why) = flow::refusal(&runner.programs, runner.network) {
        return Err(left(&why));
    }
    let (verdict, drawn) = flow::verify(runner, root, page, drawing);
    let Some(drawn) = drawn else {
        return Err(match &verdict {
            Verdict::Skipped(why) => left(why),
            _ => Verified { verdict, outcome: None }.explain().trim_end().to_owned(),
        });
    };
    let recorded = flow::verify_recording(&runner.programs, root, page, drawing);
    let same = matches!(verdict, Verdict::Matches);
    if !same || !matches!(recorded, Verdict::Matches) {
        flow::write_recording(root, page, drawing, &drawn)
            .map_err(|error| left(&format!("write its recorded log: {error}")))?;
    }
    let words = transcript::in_the_words_of(
        std::slice::from_ref(&drawing.lines),
        std::slice::from_ref(&drawn.lines),
    );
    let lines = || words.concat().join("\n") + "\n";
    Ok((!same).then(|| (drawing.range.clone(), lines())))
}
