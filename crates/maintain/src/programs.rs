//! `lessons/programs.md`: every program, its lesson and its idea, made from the sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netlab::files;
use xtask::workspace;

/// The path of the table, relative to the root of the workspace.
pub(crate) const TABLE: &str = "lessons/programs.md";

const HEAD: &str = "\
# The programs

Every program of the course, the lesson that it belongs to, and its one idea. The table is made
from the first lines of the sources: `cargo xtask tidy --write` writes it, and `cargo xtask tidy`
says so when it is out of date. How to run one stands at its top.

| Program | Lesson | Idea |
|---|---|---|
";

/// Makes the table from the sources.
///
/// # Errors
/// Fails if a folder or a source cannot be read.
pub(crate) fn table(root: &Path) -> io::Result<String> {
    let lessons = workspace::lessons(root)?;
    let mut programs = Vec::new();
    for name in ["tcp-server", "tcp-client", "udp-server", "udp-client"] {
        programs.push(root.join("crates").join(name).join("src/main.rs"));
    }
    for lesson in &lessons {
        programs.extend(sources(&lesson.folder(root).join("src/bin"))?);
    }
    let mut rows = Vec::new();
    for source in programs.iter().filter(|source| source.is_file()) {
        let text = files::read_text(source)?;
        let path = source.strip_prefix(root).unwrap_or(source);
        rows.push(row(path, &text, &lessons));
    }
    // Sort by lesson; within a lesson the files are in order already.
    rows.sort_by_key(|(number, _)| *number);
    let rows = rows.into_iter().map(|(_, row)| row);
    Ok(HEAD.to_owned() + &rows.collect::<String>())
}

fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut sources: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.sort();
    Ok(sources)
}

/// Returns the lesson's number and the table row of one program.
fn row(path: &Path, text: &str, lessons: &[workspace::Lesson]) -> (u32, String) {
    let words = || text.lines().map_while(|line| line.strip_prefix("//!"));
    let idea = words().take_while(|line| !line.trim().is_empty());
    let idea = idea.map(str::trim).collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let lesson = lessons.iter().find(|lesson| {
        // A program in `crates/` names its lesson's folder.
        path.starts_with(Path::new("lessons").join(&lesson.directory))
            || !path.starts_with("lessons")
                && words().any(|line| line.contains(&lesson.directory))
    });
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = path.iter().nth(1).and_then(|name| name.to_str()).unwrap_or_default();
    let name = if stem == "main" { folder } else { stem };
    let path = path.to_string_lossy().replace('\\', "/");
    let link = path.strip_prefix("lessons/").map_or(format!("../{path}"), str::to_owned);
    let number = lesson.and_then(workspace::Lesson::number).unwrap_or_default();
    let of = lesson.map_or(String::from("–"), |lesson| {
        format!("[{number}]({}/README.md)", lesson.directory)
    });
    (number, format!("| [`{name}`]({link}) | {of} | {idea} |\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_its_lesson_and_its_first_sentence() {
        let lessons = [workspace::Lesson { directory: "02-tcp-echo".into() }];
        let text = "//! One idea, on\n//! two lines | here.\n//!\n//! Of `lessons/02-tcp-echo`.\n";
        let (number, of_crates) = row(Path::new("crates/a/src/main.rs"), text, &lessons);
        let idea = "| [2](02-tcp-echo/README.md) | One idea, on two lines \\| here. |\n";
        assert_eq!(number, 2);
        assert_eq!(of_crates, format!("| [`a`](../crates/a/src/main.rs) {idea}"));
        let own = Path::new("lessons/02-tcp-echo/src/bin/b.rs");
        let (_, own) = row(own, "//! One idea, on\n//! two lines | here.\n", &lessons);
        assert_eq!(own, format!("| [`b`](02-tcp-echo/src/bin/b.rs) {idea}"));
    }
}
