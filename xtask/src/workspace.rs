//! Where things are in the workspace: its root, its packages, the lessons and their pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::Visible;
use netlab::files;

use crate::Error;
use crate::jobs::did_you_mean;
use crate::page::{Diagnostic, Page};

/// Returns the root of the checkout.
pub fn root() -> PathBuf {
    netlab::environment::checkout("xtask", env!("CARGO_MANIFEST_DIR"))
}

/// A lesson: a folder in `lessons/` with a `README.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The folder's name, such as `02-tcp-echo`.
    pub directory: String,
}

impl Lesson {
    /// Returns the lesson's number: 2 for `02-tcp-echo`, `None` for an appendix.
    pub fn number(&self) -> Option<u32> {
        self.directory.split_once('-')?.0.parse().ok()
    }

    /// Returns the lesson's name: `tcp-echo` for `02-tcp-echo`.
    pub fn name(&self) -> &str {
        match self.directory.split_once('-') {
            Some((number, name)) if number.parse::<u32>().is_ok() => name,
            _ => &self.directory,
        }
    }

    /// Returns whether a user's word means this lesson: its number, its folder or its name.
    pub fn is_called(&self, word: &str) -> bool {
        let number = word.parse::<u32>().ok();
        word == self.directory
            || word == self.name()
            || (number.is_some() && number == self.number())
    }

    /// Returns the path of its folder.
    pub fn folder(&self, root: &Path) -> PathBuf {
        root.join("lessons").join(&self.directory)
    }

    /// Returns the name of its package, or `None` if it has no programs other than those in
    /// `crates/`.
    pub fn package(&self, root: &Path) -> Option<String> {
        package_name(&self.folder(root))
    }

    /// Reads its pages: `README.md` first, then its other Markdown files in order.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or with all faults of the first faulty page.
    pub fn pages(&self, root: &Path) -> Result<Vec<Page>, Vec<Diagnostic>> {
        let folder = self.folder(root);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(|error| vec![unreadable(root, &folder, &error)])?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "md"))
            .collect();
        files.sort_by_key(|path| {
            (path.file_stem().is_none_or(|s| s != "README"), path.clone())
        });
        files.iter().map(|file| page(root, file)).collect()
    }
}

/// Reads one page.
///
/// # Errors
/// The same as [`Lesson::pages`].
pub fn page(root: &Path, file: &Path) -> Result<Page, Vec<Diagnostic>> {
    let text =
        files::read_text(file).map_err(|error| vec![unreadable(root, file, &error)])?;
    Page::parse(file.strip_prefix(root).unwrap_or(file), &text)
}

fn unreadable(root: &Path, file: &Path, error: &io::Error) -> Diagnostic {
    let path = file.strip_prefix(root).unwrap_or(file).to_owned();
    Diagnostic { path, line: 1, message: format!("read the page: {error}") }
}

/// Returns the name of the package whose `Cargo.toml` is in `folder`, if there is one.
pub fn package_name(folder: &Path) -> Option<String> {
    let manifest = files::read_text(&folder.join("Cargo.toml")).ok()?;
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = "))?;
    Some(name.trim().trim_matches('"').to_owned())
}

/// Returns the folder of a package of the workspace: in `crates/`, a lesson's, or `xtask`.
pub fn package_folder(root: &Path, name: &str) -> Option<PathBuf> {
    let known = [root.join("crates").join(name), root.join(name)];
    let of_lesson = || {
        let mut lessons = lessons(root).ok()?.into_iter();
        let lesson =
            lessons.find(|lesson| lesson.package(root).as_deref() == Some(name))?;
        Some(lesson.folder(root))
    };
    let named = |folder: &PathBuf| package_name(folder).as_deref() == Some(name);
    known.into_iter().find(named).or_else(of_lesson)
}

/// Returns all lessons, in order: the numbered ones, then the appendices. A folder whose name
/// begins with a dot is none.
///
/// # Errors
/// Fails if the folder `lessons` cannot be read.
pub fn lessons(root: &Path) -> io::Result<Vec<Lesson>> {
    let mut lessons = Vec::new();
    for entry in fs::read_dir(root.join("lessons"))? {
        let path = entry?.path();
        // One that is no file is reported when it is read.
        if !path.join("README.md").exists() {
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match name.to_str().filter(|name| !name.chars().any(common::is_hidden)) {
            Some(name) => lessons.push(Lesson { directory: name.to_owned() }),
            None => {
                let name = Visible(name.as_encoded_bytes());
                let message = format!("a letter of `{name}` cannot be seen; rename it");
                return Err(io::Error::other(message));
            }
        }
    }
    lessons.sort_by(|a, b| a.directory.cmp(&b.directory));
    Ok(lessons)
}

/// Returns the lesson that a user's word means, and the name of the scene after its
/// slash. The path of the folder, as a shell completes it, means the lesson too.
///
/// # Errors
/// The same as [`lesson`].
pub fn lesson_and_scene<'a>(
    root: &Path,
    word: &'a str,
) -> Result<(Lesson, Option<&'a str>), Error> {
    let word = word.strip_prefix("lessons/").unwrap_or(word);
    let (word, scene) = word.split_once('/').unwrap_or((word, ""));
    Ok((lesson(root, word)?, Some(scene).filter(|scene| !scene.is_empty())))
}

/// Returns the lesson that a user's word means.
///
/// # Errors
/// Fails with a message that lists the lessons.
pub fn lesson(root: &Path, word: &str) -> Result<Lesson, Error> {
    let lessons = lessons(root).map_err(Error::io("read lessons/"))?;
    if let Some(lesson) = lessons.iter().find(|lesson| lesson.is_called(word)) {
        return Ok(lesson.clone());
    }
    let short: Vec<&str> = lessons.iter().map(Lesson::name).collect();
    let hint = did_you_mean(word, &short);
    let names = lessons.iter().map(|lesson| match lesson.number() {
        Some(number) => format!("{number} {}", lesson.name()),
        None => lesson.name().to_owned(),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let word = Visible(word.as_bytes());
    let message =
        format!("find lesson `{word}`: no such lesson; {hint}there are: {names}");
    Err(Error::usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_a_lesson_and_perhaps_a_scene() {
        let root = root();
        for (word, wanted) in [
            ("tcp-echo", None),
            ("tcp-echo/", None),
            ("lessons/02-tcp-echo/", None),
            ("2/main", Some("main")),
            ("lessons/02-tcp-echo/main", Some("main")),
        ] {
            let (lesson, scene) = lesson_and_scene(&root, word).unwrap();
            assert_eq!((lesson.name(), scene), ("tcp-echo", wanted), "{word}");
        }
        for word in ["", "/", "lessons/", "lessons", "/main"] {
            assert!(lesson_and_scene(&root, word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_lesson_goes_by_number_directory_and_name() {
        let lesson = Lesson { directory: "02-tcp-echo".into() };
        for word in ["2", "02", "02-tcp-echo", "tcp-echo"] {
            assert!(lesson.is_called(word), "{word}");
        }
        for word in ["3", "tcp", "", "-", "2-tcp-echo"] {
            assert!(!lesson.is_called(word), "{word}");
        }
        let appendix = Lesson { directory: "appendix-the-source-document".into() };
        assert_eq!(
            (appendix.number(), appendix.name()),
            (None, appendix.directory.as_str())
        );
    }
}
