//! `new-lesson`: creates the folder, the page and the table rows of a lesson yet to be written.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use netlab::files;
use xtask::workspace;
use xtask::{Error, Status};

/// The options of `new-lesson`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The lesson's name, in lower case with dashes: half-close
    pub name: String,
    /// Its number [default: the next free one]
    #[arg(long)]
    pub number: Option<u32>,
}

/// Creates the lesson and says what to do next.
///
/// # Errors
/// Fails if the name or number is taken or not valid, or if a file cannot be written. No existing
/// lesson is overwritten.
pub fn new_lesson(options: &Options) -> Result<Status, Error> {
    let root = workspace::root();
    let directory = make(&root, &options.name, options.number)?;
    writeln!(
        anstream::stdout(),
        "created lessons/{directory}: a package with its page, and its row in the two tables of \
         lessons\n\
         next:\n\
         1. write its programs into src/bin/ there, then the page: CONTRIBUTING.md has its \
         blocks\n\
         2. cargo xtask demo {name} --scenes\n   \
            runs it, and shows what differs\n\
         3. cargo xtask update {name}\n   \
            writes what the programs print into the page\n\
         4. cargo test -p lessons\n   \
            compares with its snapshots, and shows what is new; accept it:\n   \
            cargo insta review, or INSTA_UPDATE=always cargo test -p lessons\n\
         5. cargo test, then cargo xtask ci; then commit page, programs and snapshots",
        name = options.name,
    )
    .map_err(Error::io("write to stdout"))?;
    Ok(Status::AsDocumented)
}

/// Creates the lesson in the checkout at `root`, and returns its folder's name.
fn make(root: &Path, name: &str, number: Option<u32>) -> Result<String, Error> {
    let attempt = format!("make lesson `{}`", common::Visible(name.as_bytes()));
    let lessons = workspace::lessons(root).map_err(Error::io("read lessons/"))?;
    let number = free(root, &lessons, name, number)
        .map_err(|why| Error::new(format!("{attempt}: {why}")))?;
    let directory = format!("{number:02}-{name}");
    let folder = root.join("lessons").join(&directory);
    let title = title(name);
    // Read the tables first, so that nothing is created if one of them cannot be found.
    let tables = [
        (
            "README.md",
            format!("| {number} | [{title}](lessons/{directory}/README.md) | … |"),
        ),
        (
            "lessons/README.md",
            format!("| {number} | [{title}]({directory}/README.md) | … | written |"),
        ),
    ];
    let mut edits = Vec::new();
    for (file, row) in tables {
        let text = files::read_text(&root.join(file))
            .map_err(Error::io(&format!("{attempt}: read {file}")))?;
        let text = with_row(&text, number, &row).ok_or_else(|| {
            Error::new(format!(
                "{attempt}: {file} has no table of lessons (rows that begin with `| 1 |`)"
            ))
        })?;
        edits.push((file, text));
    }
    let workspace = files::read_text(&root.join("Cargo.toml"))
        .map_err(Error::io(&format!("{attempt}: read Cargo.toml")))?;
    let workspace = with_member(&workspace, &directory).ok_or_else(|| {
        Error::new(format!(
            "{attempt}: Cargo.toml has no lesson among the workspace's members"
        ))
    })?;
    // First of the three: cargo knows no lesson that it does not name.
    edits.insert(0, ("Cargo.toml", workspace));
    if folder.exists() {
        let message =
            format!("{attempt}: lessons/{directory} exists; move it away first");
        return Err(Error::new(message));
    }
    let before =
        lessons.iter().rev().find(|lesson| lesson.number().is_some_and(|n| n < number));
    let made = stage(root, &files(name, number, &title, before), &edits)
        .and_then(|()| move_into_place(root, &folder, &edits));
    let _ = fs::remove_dir_all(root.join(STAGED));
    made.map_err(|(what, error)| Error::io(&format!("{attempt}: write {what}"))(error))?;
    Ok(directory)
}

/// Where a lesson is made before it is moved into place: whoever is killed meanwhile leaves
/// nothing but this folder, which is no lesson and which the next new lesson removes.
const STAGED: &str = "lessons/.new-lesson";

/// What could not be written, and why.
type Unwritten = (String, io::Error);

/// Writes the lesson's files, and the changed ones of the checkout, into the folder [`STAGED`].
fn stage(
    root: &Path,
    files: &[(&str, String)],
    edits: &[(&str, String)],
) -> Result<(), Unwritten> {
    let staged = root.join(STAGED);
    let _ = fs::remove_dir_all(&staged);
    let write = |path: PathBuf, text: &str| {
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = made.and_then(|()| fs::write(&path, text));
        written.map_err(|error| {
            (path.strip_prefix(root).unwrap_or(&path).display().to_string(), error)
        })
    };
    for (file, text) in files {
        write(staged.join("lesson").join(file), text)?;
    }
    for (at, (_, text)) in edits.iter().enumerate() {
        write(staged.join(at.to_string()), text)?;
    }
    Ok(())
}

/// Moves what is staged to where it belongs. If one part cannot be moved, those before it are
/// taken back.
fn move_into_place(
    root: &Path,
    folder: &Path,
    edits: &[(&str, String)],
) -> Result<(), Unwritten> {
    let staged = root.join(STAGED);
    let shown =
        |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    fs::rename(staged.join("lesson"), folder).map_err(|error| (shown(folder), error))?;
    let mut moved: Vec<(PathBuf, String)> = Vec::new();
    for (at, (file, _)) in edits.iter().enumerate() {
        let file = root.join(file);
        let old = files::read_text(&file);
        let replaced = old
            .and_then(|old| fs::rename(staged.join(at.to_string()), &file).map(|()| old));
        match replaced {
            Ok(old) => moved.push((file, old)),
            Err(error) => {
                for (file, old) in moved {
                    let _ = fs::write(file, old);
                }
                let _ = fs::remove_dir_all(folder);
                return Err((shown(&file), error));
            }
        }
    }
    Ok(())
}

/// Returns the number of a new lesson: `number` if one is given, else the next free one.
///
/// # Errors
/// Fails if the name or the number is not valid, or taken.
fn free(
    root: &Path,
    lessons: &[workspace::Lesson],
    name: &str,
    number: Option<u32>,
) -> Result<u32, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !letter || !name.chars().all(fits) || name.ends_with('-') || name.contains("--") {
        return Err(
            "not a name for a lesson; use lower-case letters, digits and single \
             dashes, as in half-close"
                .into(),
        );
    }
    if let Some(taken) = lessons.iter().find(|lesson| lesson.name() == name) {
        return Err(format!("lessons/{} has that name; choose another", taken.directory));
    }
    let numbers = || lessons.iter().filter_map(workspace::Lesson::number);
    // The table of the course also has rows for planned lessons, and the next number
    // comes after those. To write a planned lesson, give its number.
    let course = files::read_text(&root.join("lessons/README.md")).unwrap_or_default();
    let planned = course.lines().filter_map(number_of);
    let next = || numbers().chain(planned).max().unwrap_or(0) + 1;
    let number = number.unwrap_or_else(next);
    if number == 0 || number > 99 || numbers().any(|taken| taken == number) {
        return Err(format!(
            "number {number} is taken, or not from 1 to 99; leave --number out for \
             the next free one"
        ));
    }
    Ok(number)
}

/// Returns the files of a new lesson.
fn files(
    name: &str,
    number: u32,
    title: &str,
    before: Option<&workspace::Lesson>,
) -> [(&'static str, String); 3] {
    let manifest = format!(
        "[package]\nname = \"{name}\"\ndescription = \"{title}\"\n\
         version.workspace = true\nedition.workspace = true\n\
         rust-version.workspace = true\nlicense.workspace = true\n\
         publish.workspace = true\n\n\
         [dependencies]\nclap.workspace = true\ncommon.workspace = true\n\
         socket2.workspace = true\n\n\
         [dev-dependencies]\ninsta.workspace = true\ntestkit.workspace = true\n\n\
         [lints]\nworkspace = true\n"
    );
    let tests = "//! The lesson's programs, a module for each.\n\
         #![allow(clippy::expect_used, reason = \"a test that cannot go on ends with a panic\")]\n";
    [
        ("README.md", page(number, title, before)),
        ("Cargo.toml", manifest),
        ("tests/programs/main.rs", tests.to_owned()),
    ]
}

/// Returns the workspace's manifest with one more lesson among its members, in order.
fn with_member(manifest: &str, directory: &str) -> Option<String> {
    let row = format!("    \"lessons/{directory}\",");
    let mut lines: Vec<&str> = manifest.lines().collect();
    let lesson = |line: &&str| line.starts_with("    \"lessons/");
    let last = lines.iter().rposition(lesson)?;
    let before = lines.iter().position(|line| lesson(line) && **line > *row);
    lines.insert(before.unwrap_or(last + 1), &row);
    Some(lines.join("\n") + "\n")
}

/// Turns `half-close` into a title: `Half close`.
fn title(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut characters = words.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// Returns the lesson's number in a row of a table of lessons.
fn number_of(line: &str) -> Option<u32> {
    line.strip_prefix('|')?.split('|').next()?.trim().parse().ok()
}

/// Returns `text` with `row` in its table of lessons: in place of the row with that
/// number, or after the last with a smaller one.
fn with_row(text: &str, number: u32, row: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    if let Some(at) = lines.iter().position(|line| number_of(line) == Some(number)) {
        lines[at] = row;
    } else {
        let last =
            lines.iter().rposition(|line| number_of(line).is_some_and(|n| n < number))?;
        lines.insert(last + 1, row);
    }
    Some(lines.join("\n") + "\n")
}

fn page(number: u32, title: &str, before: Option<&workspace::Lesson>) -> String {
    let back = before.map_or(String::new(), |lesson| {
        let number = lesson.number().unwrap_or_default();
        let (name, folder) = (self::title(lesson.name()), &lesson.directory);
        format!("[{number} · {name}](../{folder}/README.md) · ")
    });
    format!(
        "# {number} · {title}\n\n\
         {back}[the course](../README.md)\n\n\
         ## What you will see\n\n\
         One paragraph: what happens, and what is surprising about it.\n\n\
         ## Run it\n\n\
         ```console server\n\
         $ cargo run -q -p tcp-server\n\
         Server is listening on port 12345...\n\
         Connected by ('127.0.0.1', 47794)\n\
         Received: Hello TCP Server\n\
         ```\n\n\
         ```console client\n\
         $ cargo run -q -p tcp-client\n\
         Server says: Echo: Hello TCP Server\n\
         ```\n\n\
         ## The transcript\n\n\
         What each line says, and why it stands there. A figure is compared with its run:\n\
         the server listens on port 12345.\n\
         <!-- figures from main: port 12345 -->\n\n\
         ## The code\n\n\
         Quote what matters, with the file's path behind the language.\n\n\
         ## What happened on the wire\n\n\
         ```flow\n\
         ```\n\n\
         ## What goes wrong and why\n\n\
         A failure has a scene of its own, `console SCENE/TERMINAL`, that shows it.\n\n\
         ## Try it yourself\n\n\
         1. A question, with the commands that it needs.\n\n   \
            <details><summary>Answer</summary>\n\n   \
            What one sees, and why.\n\n   \
            </details>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::page::Page;

    const TABLE: &str = "# T\n\n| # | lesson | about |\n|---|---|---|\n| 1 | a | x |\n| 2 | b | y |\n\nend\n";

    #[test]
    fn a_row_goes_behind_the_smaller_ones_or_in_place_of_its_own() {
        let added = with_row(TABLE, 3, "| 3 | c |").unwrap();
        assert!(added.contains("| 2 | b | y |\n| 3 | c |\n\nend\n"), "{added}");
        let replaced = with_row(TABLE, 2, "| 2 | c |").unwrap();
        assert!(replaced.contains("| 1 | a | x |\n| 2 | c |\n\nend"), "{replaced}");
        assert!(with_row("no table\n", 3, "| 3 |").is_none());
    }

    #[test]
    fn the_page_it_makes_is_a_page() {
        let before = workspace::Lesson { directory: "03-udp-echo".into() };
        let page = page(4, "Half close", Some(&before));
        assert!(
            page.contains("\n\n[3 · Udp echo](../03-udp-echo/README.md) · [the course]")
        );
        let page = Page::parse(Path::new("README.md"), &page).unwrap();
        assert_eq!((page.scenes[0].terminals.len(), page.marks.len()), (2, 1));
    }

    #[test]
    fn what_is_no_name_or_is_taken_is_refused_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let lessons = root.join("lessons/02-tcp-echo");
        fs::create_dir_all(&lessons).unwrap();
        fs::write(lessons.join("README.md"), "").unwrap();
        let refused =
            |name: &str, number| make(root, name, number).unwrap_err().to_string();
        for name in ["", "-", "Half", "a b", "../x", "1a", "a--b", "a-"] {
            assert!(refused(name, None).contains("not a name for a lesson"), "{name}");
        }
        assert!(refused("tcp-echo", None).contains("has that name"));
        assert!(refused("new", Some(2)).contains("number 2 is taken"));
        assert!(refused("new", Some(0)).contains("number 0 is taken, or not"));
        assert!(refused("new", None).contains("read README.md"));
        fs::write(root.join("README.md"), "no table").unwrap();
        assert!(refused("new", None).contains("no table of lessons"));
        assert!(!root.join("lessons/03-new").exists());
        fs::write(root.join("README.md"), TABLE).unwrap();
        fs::write(root.join("lessons/README.md"), TABLE).unwrap();
        assert!(refused("new", None).contains("read Cargo.toml"));
        let members =
            "members = [\n    \"lessons\",\n    \"lessons/01-a\",\n    \"xtask\",\n]\n";
        fs::write(root.join("Cargo.toml"), members).unwrap();
        assert_eq!(make(root, "new", None).unwrap(), "03-new");
        let table = fs::read_to_string(root.join("README.md")).unwrap();
        assert!(table.contains("| 3 | [New](lessons/03-new/README.md) | … |"));
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(
            manifest
                .contains("\"lessons/01-a\",\n    \"lessons/03-new\",\n    \"xtask\"")
        );
        assert!(root.join("lessons/03-new/tests/programs/main.rs").is_file());
    }

    /// A checkout with one lesson, to which another can be added.
    fn checkout() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("lessons/01-a")).unwrap();
        fs::write(root.join("lessons/01-a/README.md"), "").unwrap();
        fs::write(root.join("README.md"), TABLE).unwrap();
        fs::write(root.join("lessons/README.md"), TABLE).unwrap();
        fs::write(root.join("Cargo.toml"), "members = [\n    \"lessons/01-a\",\n]\n")
            .unwrap();
        folder
    }

    #[test]
    fn what_one_that_was_killed_has_left_is_no_lesson_and_is_removed() {
        let folder = checkout();
        let root = folder.path();
        let files = files("left", 3, "Left", None);
        stage(root, &files, &[("README.md", "half".to_owned())]).unwrap();
        fs::write(root.join(STAGED).join("README.md"), "").unwrap();
        assert_eq!(workspace::lessons(root).unwrap().len(), 1);
        assert_eq!(fs::read_to_string(root.join("README.md")).unwrap(), TABLE);
        assert_eq!(make(root, "new", None).unwrap(), "03-new");
        assert!(!root.join(STAGED).exists());
        assert_eq!(workspace::lessons(root).unwrap().len(), 2);
    }

    #[test]
    fn a_part_that_cannot_be_moved_takes_back_the_others() {
        let folder = checkout();
        let root = folder.path();
        let lesson = root.join("lessons/03-new");
        let edits = [("README.md", "new".to_owned()), ("lessons", String::new())];
        stage(root, &files("new", 3, "New", None), &edits).unwrap();
        let (what, _) = move_into_place(root, &lesson, &edits).unwrap_err();
        assert_eq!(what, "lessons");
        assert!(!lesson.exists());
        assert_eq!(fs::read_to_string(root.join("README.md")).unwrap(), TABLE);
    }
}
