//! `tidy`: checks that quotations, figures, commands, links, tables and snapshots agree with the
//! files:
//!
//! - a quotation on a page appears in the file that it names, letter by letter;
//! - a figure that a sentence takes from a run appears in that run's terminals or drawing;
//! - a scene that a sentence names exists, and so does the file that a link names;
//! - a program from outside the checkout is one that CI installs: if it is missing, its scene is
//!   skipped, so a misspelt one would be skipped everywhere;
//! - every file in a lesson's `snapshots/` belongs to a block of its pages;
//! - the table of programs, `lessons/programs.md`, is what the sources say;
//! - the tables of lessons in `README.md` and `lessons/README.md` have a row for every
//!   lesson.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::figures;
use crate::programs;
use netlab::files;
use xtask::markdown;
use xtask::page::{Diagnostic, Page, Quotation};
use xtask::snapshot;
use xtask::workspace::{self, Lesson};
use xtask::{Error, Status};

/// The programs that the pages run besides the checkout's own. `.ci/run` installs those
/// that a plain Debian lacks.
const PROGRAMS: &[&str] =
    &["bash", "cat", "curl", "python3", "sh", "ss", "strace", "unshare"];

/// The page that explains what the lessons' errors mean.
const ERRORS: &str = "lessons/errors.md";

/// The page of common questions, and where they are answered.
const QUESTIONS: &str = "lessons/questions.md";

/// The sheet of calls, states and errors, to print on one page of A4, and how much fits
/// on that.
const SHEET: &str = "lessons/sheet.md";
const SHEET_COLUMNS: usize = 80;
const SHEET_LINES: usize = 66;

/// The options of `tidy`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Write the table of programs first
    #[arg(long)]
    pub write: bool,
}

/// Checks the workspace and prints what is wrong, one fault per line.
///
/// # Errors
/// Fails if `lessons/` cannot be read or standard output cannot be written.
pub fn tidy(options: &Options) -> Result<Status, Error> {
    let root = workspace::root();
    if options.write {
        let table =
            programs::table(&root).map_err(Error::io("make the table of programs"))?;
        fs::write(root.join(programs::TABLE), table)
            .map_err(Error::io(&format!("write {}", programs::TABLE)))?;
    }
    let faults = faults(&root).map_err(Error::io("read lessons/"))?;
    let mut out = anstream::stdout();
    for fault in &faults {
        writeln!(out, "{fault}").map_err(Error::io("write to stdout"))?;
    }
    if faults.is_empty() {
        writeln!(
            out,
            "tidy: quotations, figures, commands, links, tables and snapshots agree with the files"
        )
        .map_err(Error::io("write to stdout"))?;
        return Ok(Status::AsDocumented);
    }
    Ok(Status::Failed)
}

/// Returns everything in the checkout at `root` that does not agree.
///
/// # Errors
/// Fails if `lessons/` cannot be read.
pub fn faults(root: &Path) -> std::io::Result<Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let lessons = workspace::lessons(root)?;
    let mut course = Vec::new();
    for lesson in &lessons {
        match lesson.pages(root) {
            Err(broken) => faults.extend(broken),
            Ok(pages) => {
                for page in &pages {
                    faults.extend(
                        page.quotations.iter().filter_map(|q| misquoted(root, page, q)),
                    );
                    faults.extend(dead_links(root, &page.path, &page.text));
                    faults.extend(unknown_programs(page));
                }
                faults.extend(stray_snapshots(root, &lesson.folder(root), &pages));
                course.extend(pages.into_iter().map(|page| (lesson, page)));
            }
        }
    }
    let table = programs::table(root)?;
    if files::read_text(&root.join(programs::TABLE)).ok().as_ref() != Some(&table) {
        faults.push(Diagnostic {
            path: PathBuf::from(programs::TABLE),
            line: 1,
            message: "the table differs from the programs: cargo xtask tidy --write"
                .into(),
        });
    }
    let mut others = Vec::new();
    for file in ["README.md", "lessons/README.md", ERRORS, QUESTIONS, SHEET] {
        let file = root.join(file);
        if file.is_file() {
            match workspace::page(root, &file) {
                Err(broken) => faults.extend(broken),
                Ok(page) => others.push(page),
            }
        }
    }
    for page in course.iter().map(|(_, page)| page).chain(&others) {
        faults.extend(figures::faults(root, &course, page));
        faults.extend(unknown_scenes(&course, page));
    }
    faults.extend(lesson_tables(root, &lessons));
    let plain =
        ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", ERRORS, QUESTIONS, SHEET];
    for page in plain {
        if let Ok(text) = files::read_text(&root.join(page)) {
            faults.extend(dead_links(root, Path::new(page), &text));
            faults.extend((page == SHEET).then(|| too_large(&text)).flatten());
        }
    }
    Ok(faults)
}

/// Returns a fault for each dead link in the tables of lessons, and for each lesson without
/// a row in them.
fn lesson_tables(root: &Path, lessons: &[Lesson]) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for table in ["README.md", "lessons/README.md"] {
        let path = PathBuf::from(table);
        match files::read_text(&root.join(table)) {
            Err(error) => {
                let message = format!("read the table of lessons: {error}");
                faults.push(Diagnostic { path, line: 1, message });
            }
            Ok(text) => {
                faults.extend(dead_links(root, &path, &text));
                for lesson in lessons {
                    if !text.contains(&format!("{}/", lesson.directory)) {
                        let directory = &lesson.directory;
                        let message =
                            format!("no link to lessons/{directory}/: add its row");
                        faults.push(Diagnostic { path: path.clone(), line: 1, message });
                    }
                }
            }
        }
    }
    faults
}

/// Returns a fault for each lesson or scene that a page's prose names, as in `cargo xtask
/// demo 4/who` or `6/both`, and that does not exist.
fn unknown_scenes(course: &[(&Lesson, Page)], page: &Page) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(page.text.lines()) {
        for code in line.split('`').skip(1).step_by(2) {
            let command = ["cargo xtask demo ", "cargo xtask flow "]
                .iter()
                .find_map(|start| code.strip_prefix(start));
            let digit = code.starts_with(|c: char| c.is_ascii_digit());
            let word = match command {
                Some(words) => words.split(' ').next().unwrap_or_default(),
                None if digit && code.contains('/') => code,
                None => continue,
            };
            let (lesson, scene) = word.split_once('/').unwrap_or((word, "main"));
            let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if word.starts_with('-') || scene.is_empty() || !scene.chars().all(name) {
                continue;
            }
            let scene = if scene == "main" { "" } else { scene };
            let known = course.iter().any(|(other, page)| {
                other.is_called(lesson) && page.scene(scene).is_some()
            });
            if !known {
                let message =
                    format!("no lesson has the scene `{word}` that this line names");
                let path = page.path.clone();
                faults.push(Diagnostic { path, line: number, message });
            }
        }
    }
    faults
}

/// Returns a fault if the sheet does not fit on a page of A4.
fn too_large(text: &str) -> Option<Diagnostic> {
    let fault = |line, message| Some(Diagnostic { path: SHEET.into(), line, message });
    let mut lines = text.lines().enumerate();
    if let Some((at, _)) = lines.find(|(_, line)| line.chars().count() > SHEET_COLUMNS) {
        let message =
            format!("wider than the {SHEET_COLUMNS} columns that fit on a sheet");
        return fault(at + 1, message);
    }
    let count = text.lines().count();
    let message = format!("{count} lines; {SHEET_LINES} fit on a sheet");
    if count > SHEET_LINES { fault(count, message) } else { None }
}

/// Returns a fault unless a quotation appears in its file as consecutive lines, perhaps
/// without their common indentation.
fn misquoted(root: &Path, page: &Page, quotation: &Quotation) -> Option<Diagnostic> {
    let fault =
        |line, message| Some(Diagnostic { path: page.path.clone(), line, message });
    let file = &quotation.file;
    let path = Path::new(file);
    let inside = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
    if !inside {
        return fault(
            quotation.line - 1,
            format!("{file} is not a path inside the workspace"),
        );
    }
    let text = match files::read_text(&root.join(path)) {
        Ok(text) => text,
        Err(error) => return fault(quotation.line - 1, format!("read {file}: {error}")),
    };
    let source: Vec<&str> = text.lines().collect();
    let quoted: Vec<&str> = quotation.lines.iter().map(String::as_str).collect();
    // For each line of the file, how many lines of the quotation follow from there.
    let best = (0..source.len())
        .map(|start| {
            let lines = &source[start..];
            let indent = lines[0].len() - lines[0].trim_start().len();
            let quoted_indent = quoted[0].len() - quoted[0].trim_start().len();
            let drop = indent.saturating_sub(quoted_indent);
            let same = |(line, quoted): &(&&str, &&str)| {
                let (margin, rest) = line.split_at(drop.min(line.len()));
                margin.trim().is_empty()
                    && (rest == **quoted
                        || line.trim().is_empty() && quoted.trim().is_empty())
            };
            lines.iter().zip(&quoted).take_while(same).count()
        })
        .max()
        .unwrap_or(0);
    if best == quoted.len() {
        return None;
    }
    let line = quoted[best];
    fault(quotation.line + best, format!("`{}` does not appear in {file}", line.trim()))
}

/// Returns a fault for each link to a file of the checkout that does not exist.
fn dead_links(root: &Path, path: &Path, text: &str) -> Vec<Diagnostic> {
    let folder = root.join(path.parent().unwrap_or(Path::new("")));
    let mut faults = Vec::new();
    for (line, link) in markdown::links(text) {
        let file = link.split(['#', '?']).next().unwrap_or_default();
        if file.is_empty() || link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        if !folder.join(file).exists() {
            faults.push(Diagnostic {
                path: path.to_owned(),
                line,
                message: format!("the link to {file} is dead"),
            });
        }
    }
    faults
}

/// Returns a fault for each command whose program is neither the checkout's nor one that CI
/// installs.
fn unknown_programs(page: &Page) -> Vec<Diagnostic> {
    let terminals = page.scenes.iter().flat_map(|scene| &scene.terminals);
    let steps = terminals.flat_map(|terminal| &terminal.steps);
    let programs =
        steps.filter_map(|step| Some((step.line, step.words.first()?.as_str())));
    let known =
        |name: &str| name == "cargo" || name.contains('/') || PROGRAMS.contains(&name);
    programs
        .filter(|(_, name)| !known(name))
        .map(|(line, name)| Diagnostic {
            path: page.path.clone(),
            line,
            message: format!(
                "no page runs {name} yet: if it is spelled correctly, add it to PROGRAMS in \
                 crates/maintain/src/tidy.rs, and its package to .ci/run"
            ),
        })
        .collect()
}

/// Returns a fault for each snapshot or recorded log of a lesson that belongs to no block
/// of its pages.
fn stray_snapshots(root: &Path, folder: &Path, pages: &[Page]) -> Vec<Diagnostic> {
    let wanted: BTreeSet<PathBuf> = pages.iter().flat_map(snapshot::files).collect();
    let entries = fs::read_dir(folder.join("snapshots")).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .map(|file| file.strip_prefix(root).unwrap_or(&file).to_owned())
        .filter(|file| !wanted.contains(file))
        .map(|path| Diagnostic {
            path,
            line: 1,
            message:
                "this snapshot belongs to no terminal or drawing of its page: delete it"
                    .into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with one lesson, which is removed at the end of a test.
    struct Checkout(tempfile::TempDir);

    impl Checkout {
        fn new() -> Self {
            let checkout = Checkout(tempfile::tempdir().unwrap());
            checkout.write("README.md", "[one](lessons/01-one/)\n");
            checkout.write("lessons/README.md", "[one](01-one/)\n");
            checkout.write(programs::TABLE, &programs::table(checkout.0.path()).unwrap());
            checkout.write("src.rs", "fn main() {\n    one();\n\n    two();\n}\n");
            checkout
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn page(&self, text: &str) -> String {
            self.write("lessons/01-one/README.md", text);
            let faults = faults(self.0.path()).unwrap();
            faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
    }

    #[test]
    fn a_true_quotation_is_tidy() {
        let checkout = Checkout::new();
        assert_eq!(checkout.page("```rust src.rs\nfn main() {\n    one();\n```\n"), "");
        assert_eq!(checkout.page("```rust src.rs\none();\n\ntwo();\n```\n"), "");
    }

    #[test]
    fn a_word_that_changed_is_found_on_its_line() {
        let checkout = Checkout::new();
        assert_eq!(
            checkout.page("# A\n\n```rust src.rs\none();\n\nthree();\n```\n"),
            "lessons/01-one/README.md:6: `three();` does not appear in src.rs"
        );
    }

    #[test]
    fn a_quotation_of_no_file_or_from_outside_is_found() {
        let checkout = Checkout::new();
        let faults = checkout.page("```rust no.rs\nx\n```\n\n```rust ../x.rs\nx\n```\n");
        assert!(faults.contains("README.md:1: read no.rs: "), "{faults}");
        assert!(faults.contains("README.md:5: ../x.rs is not a path inside"), "{faults}");
    }

    #[test]
    fn a_misspelt_program_is_found_on_its_line() {
        let checkout = Checkout::new();
        let scene = |command: &str| format!("# One\n\n```console a\n$ {command}\n```\n");
        let faults = checkout.page(&scene("pyhton3 server.py"));
        let expected = "lessons/01-one/README.md:4: no page runs pyhton3 yet: ";
        assert!(faults.starts_with(expected), "{faults}");
        for command in ["python3 server.py", "cargo run -q -p tcp-server", "./here.sh"] {
            assert_eq!(checkout.page(&scene(command)), "");
        }
    }

    #[test]
    fn a_program_that_the_table_lacks_is_found() {
        let checkout = Checkout::new();
        checkout.write("lessons/01-one/src/bin/a.rs", "//! An idea.\n");
        let faults = checkout.page("# One\n");
        assert!(faults.contains("lessons/programs.md:1: the table differs"), "{faults}");
    }

    #[test]
    fn a_scene_that_is_not_there_is_found_on_its_line() {
        let checkout = Checkout::new();
        let scene = "# One\n\n```console busy/a\n$ sh here.sh\n```\n\n";
        for (sentence, unknown) in [
            ("type `cargo xtask demo 1/busy`, or `1/busy`", None),
            ("`cargo xtask flow -- a -- b`, `cargo xtask demo --all`, `1/2 s`", None),
            ("type `cargo xtask demo 1`", Some("1")),
            ("type `cargo xtask demo one/bzuy`", Some("one/bzuy")),
            ("as in `1/bzuy`", Some("1/bzuy")),
            ("`cargo xtask flow 7/busy --free`", Some("7/busy")),
        ] {
            let faults = checkout.page(&format!("{scene}{sentence}\n"));
            let expected = unknown.map_or(String::new(), |word| {
                format!(
                    "lessons/01-one/README.md:7: no lesson has the scene `{word}` that \
                     this line names"
                )
            });
            assert_eq!(faults, expected, "{sentence}");
        }
    }

    #[test]
    fn a_sheet_that_does_not_fit_is_found() {
        assert!(too_large(&"x\n".repeat(66)).is_none());
        let long = too_large(&"x\n".repeat(67)).unwrap().to_string();
        assert_eq!(long, "lessons/sheet.md:67: 67 lines; 66 fit on a sheet");
        let wide = too_large(&format!("x\n{}\n", "x".repeat(81))).unwrap();
        assert_eq!(wide.line, 2);
    }

    #[test]
    fn dead_links_stray_snapshots_and_missing_rows_are_found() {
        let checkout = Checkout::new();
        checkout.write("lessons/01-one/snapshots/old.snap", "");
        checkout.write("lessons/02-two/README.md", "# Two\n");
        let faults = checkout.page("# One\n\nsee [two](../03-three/) and [a](#here)\n");
        for expected in [
            "lessons/01-one/README.md:3: the link to ../03-three/ is dead",
            "lessons/01-one/snapshots/old.snap:1: this snapshot belongs to no terminal or drawing",
            "README.md:1: no link to lessons/02-two/",
            "lessons/README.md:1: no link to lessons/02-two/",
        ] {
            assert!(faults.contains(expected), "{expected} not in {faults}");
        }
    }
}
