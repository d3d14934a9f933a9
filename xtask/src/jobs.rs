//! Jobs: scenes of pages, found by a user's word, run side by side, and reported in order.

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use common::Visible;
use netlab::{Network, workers};

use crate::Error;
use crate::interrupt;
use crate::page::{Page, Scene};
use crate::runner::Runner;
use crate::verdict::Verified;
use crate::workspace::Lesson;

/// A scene, and its page.
pub(crate) type Job<'a> = (&'a Page, &'a Scene);

pub(crate) fn jobs(pages: &[Page]) -> Vec<Job<'_>> {
    pages
        .iter()
        .flat_map(|page| page.scenes.iter().map(move |scene| (page, scene)))
        .collect()
}

/// Returns a title such as `pairings: python-rust`, or just the scene if the page is the
/// lesson's
/// `README.md`.
pub(crate) fn title(page: &Page, scene: &Scene) -> String {
    let stem = page.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let main = if scene.name.is_empty() { "main" } else { &scene.name };
    if stem == "README" { main.to_owned() } else { format!("{stem}: {main}") }
}

/// Returns the index of the scene that a user's word means.
pub(crate) fn find(
    lesson: &Lesson,
    jobs: &[Job<'_>],
    word: &str,
) -> Result<usize, Error> {
    let is = |(page, scene): &Job<'_>| scene.name == word || title(page, scene) == word;
    jobs.iter().position(is).ok_or_else(|| {
        let names: Vec<_> = jobs.iter().map(|(p, s)| title(p, s)).collect();
        Error::usage(format!(
            "find scene `{}` of {}: no such scene; {}there are: {}",
            Visible(word.as_bytes()),
            lesson.directory,
            did_you_mean(word, &names),
            names.join(", ")
        ))
    })
}

/// Returns `did you mean NAME? ` if one of the names is similar to the word.
pub(crate) fn did_you_mean(word: &str, names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match similar::get_close_matches(word, &names, 1, 0.6).first() {
        Some(name) => format!("did you mean {name}? "),
        None => String::new(),
    }
}

/// Runs all jobs, as many at a time as there are processors if the network allows it, and
/// passes each to `report` in the order of the list.
pub(crate) fn verify_all(
    runner: &Runner,
    root: &Path,
    jobs: &[Job<'_>],
    mut report: impl FnMut(usize, Verified) -> io::Result<()>,
) -> io::Result<()> {
    let at_once = match runner.network {
        Network::Private => thread::available_parallelism().map_or(1, NonZero::get),
        Network::Host => 1,
    };
    // Start nothing new once a signal has asked for the end.
    let work = |at: usize| {
        let (page, scene) = jobs[at];
        (!interrupt::asked()).then(|| runner.verify(root, page, scene, &mut |_| {}))
    };
    let mut result = Ok(());
    workers::in_order(at_once, jobs.len(), work, |at, verified| {
        let Some(verified) = verified else { return false };
        result = report(at, verified);
        result.is_ok()
    })?;
    result?;
    if interrupt::asked() {
        return Err(io::Error::other("interrupted by a signal"));
    }
    Ok(())
}
