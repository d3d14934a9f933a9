//! `start PROGRAM`: copies a lesson's program to `my/`, to be changed. `start TASK` is the
//! checker's.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::arguments::PassedOn;
use crate::{Error, Status, workspace};

/// A program of the course.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// Its source.
    source: PathBuf,
    /// The folder of its package.
    package: PathBuf,
}

/// Copies the program that the arguments name, or returns `None` if they do not name a
/// program.
///
/// # Errors
/// Fails if there is a copy already, or if a file cannot be read or written.
pub fn start(arguments: &PassedOn) -> Option<Result<Status, Error>> {
    let words = arguments.words();
    let [name] = &words[..] else { return None };
    let name = name.to_str()?;
    let root = workspace::root();
    let program = find(&root, name)?;
    Some(copy(&root, name, &program).and_then(|()| {
        let up = up_to(&root);
        let lines = format!(
            "Your copy:   {up}my/{name}/src/main.rs\n\
             Run it:      cargo run -q --manifest-path {up}my/{name}/Cargo.toml\n\
             Start again: delete the folder my/{name}, and type this command again\n"
        );
        let written = io::stdout().write_all(lines.as_bytes());
        written.map_err(Error::io("write to stdout"))?;
        Ok(Status::AsDocumented)
    }))
}

/// Returns the path from the current folder up to the root: `../../`.
fn up_to(root: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let below = here.strip_prefix(root).map_or(0, |below| below.components().count());
    "../".repeat(below)
}

/// Finds the program of that name: a lesson's, or one of the document's.
fn find(root: &Path, name: &str) -> Option<Program> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(word) {
        return None;
    }
    let lessons = workspace::lessons(root).unwrap_or_default().into_iter();
    let of_lessons = lessons.map(|lesson| {
        let package = lesson.folder(root);
        Program { source: package.join(format!("src/bin/{name}.rs")), package }
    });
    let package = root.join("crates").join(name);
    let of_document = Program { source: package.join("src/main.rs"), package };
    // Leave out the instruments: they consist of many files, and are not meant to be read
    // in one go.
    let pattern = ["tcp-", "udp-"].iter().any(|start| name.starts_with(start));
    of_lessons
        .chain(pattern.then_some(of_document))
        .find(|program| program.source.is_file() && program.package.is_dir())
}

fn copy(root: &Path, name: &str, program: &Program) -> Result<(), Error> {
    let attempt = format!("copy {name} to my/{name}");
    let read = |file: &Path| {
        let shown = file.strip_prefix(root).unwrap_or(file).display();
        netlab::files::read_text(file)
            .map_err(Error::io(&format!("{attempt}: read {shown}")))
    };
    let source = read(&program.source)?;
    let mut own = read(&program.package.join("Cargo.toml"))?;
    let shared = read(&root.join("Cargo.toml"))?;
    let folder = root.join("my").join(name);
    if folder.exists() {
        return Err(Error::new(format!(
            "{attempt}: it exists, and it is yours; move it away first"
        )));
    }
    let put = |file: &Path, text: &str| {
        fs::write(file, text).map_err(Error::io(&format!("{attempt}: write")))
    };
    fs::create_dir_all(folder.join("src")).map_err(Error::io(&attempt))?;
    put(&folder.join("src/main.rs"), &source)?;
    let library = program.package.join("src/lib.rs");
    if library.is_file()
        && let Some(package) = workspace::package_name(&program.package)
    {
        // The library that the lesson's programs share stays where it is.
        let path = program.package.strip_prefix(root).unwrap_or(&program.package);
        let row = format!("{package} = {{ path = \"{}\" }}", path.display());
        own = own.replace("[dependencies]\n", &format!("[dependencies]\n{row}\n"));
    }
    for part in parts(&program.source) {
        let name = part.file_name().unwrap_or_default();
        put(&folder.join("src").join(name), &read(&part)?)?;
    }
    put(&folder.join("Cargo.toml"), &manifest(name, &own, &shared))?;
    put(&root.join("my/Cargo.toml"), &members(&root.join("my"), &attempt)?)
}

/// Returns the other source files of a program that is a package of its own.
fn parts(source: &Path) -> Vec<PathBuf> {
    let folder = source.parent().filter(|_| source.ends_with("src/main.rs"));
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let files =
        entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|file| file != source && file.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// Returns the manifest of a copy: the package's dependencies, with paths relative to
/// `my/NAME`.
fn manifest(name: &str, own: &str, shared: &str) -> String {
    let mut text = format!(
        "[package]\nname = \"my-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         publish = false\n\n[[bin]]\nname = \"{name}\"\npath = \"src/main.rs\"\n"
    );
    let mut inside = false;
    for line in own.lines() {
        if line.starts_with('[') {
            // Take the dependencies of the program, even those of one system, but not its
            // tests'.
            inside = line == "[dependencies]"
                || line.starts_with("[target.") && line.ends_with(".dependencies]");
            if inside {
                text += &format!("\n{line}\n");
            }
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let of_workspace = line.strip_suffix(".workspace = true").and_then(|name| {
                let row = format!("{name} = ");
                shared.lines().find(|line| line.starts_with(&row))
            });
            let line = of_workspace.unwrap_or(line);
            text += &(line.replace("path = \"", "path = \"../../") + "\n");
        }
    }
    text
}

/// Returns the manifest of `my/`, as the checker writes it: every folder that holds a
/// package is a member.
fn members(mine: &Path, attempt: &str) -> Result<String, Error> {
    let entries = fs::read_dir(mine).map_err(Error::io(attempt))?;
    let mut members: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .filter_map(|folder| Some(format!("    {:?},\n", folder.file_name()?.to_str()?)))
        .collect();
    members.sort();
    Ok(format!(
        "# Your own programs: `cargo xtask start` adds one, and rewrites this file.\n\
         # Open this folder in your editor.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\n{}]\n",
        members.concat()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_lessons_and_of_the_document_are_found_and_nothing_else() {
        let root = workspace::root();
        for name in ["tcp-both-ends", "tcp-server", "udp-client"] {
            assert!(find(&root, name).is_some(), "{name}");
        }
        for name in ["", "tcp-echo", "flow", "../tcp-server", "tcp-nothing", "common"] {
            assert_eq!(find(&root, name), None, "{name}");
        }
    }

    #[test]
    fn a_copy_builds_where_it_is_put_and_is_never_overwritten() {
        let here = workspace::root();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let package = root.join("lessons/01-one");
        fs::create_dir_all(package.join("src/bin")).unwrap();
        fs::write(package.join("README.md"), "# One\n").unwrap();
        fs::write(package.join("src/bin/one.rs"), "fn main() {}\n").unwrap();
        let dependencies = "[package]\nname = \"one\"\n\n[dependencies]\n\
                            common.workspace = true\nsocket2.workspace = true\n\n\
                            [target.'cfg(unix)'.dependencies]\nnix = \"0.32\"\n\n\
                            [dev-dependencies]\ninsta.workspace = true\n";
        fs::write(package.join("src/lib.rs"), "").unwrap();
        fs::write(package.join("Cargo.toml"), dependencies).unwrap();
        fs::copy(here.join("Cargo.toml"), root.join("Cargo.toml")).unwrap();
        let program = find(root, "one").unwrap();
        copy(root, "one", &program).unwrap();
        let made = fs::read_to_string(root.join("my/one/Cargo.toml")).unwrap();
        assert!(
            made.ends_with(
                "[dependencies]\none = { path = \"../../lessons/01-one\" }\n\
                 common = { path = \"../../crates/common\" }\n\
                 socket2 = { version = \"0.6\", features = [\"all\"] }\n\n\
                 [target.'cfg(unix)'.dependencies]\nnix = \"0.32\"\n"
            ),
            "{made}"
        );
        let members = fs::read_to_string(root.join("my/Cargo.toml")).unwrap();
        assert!(members.contains("members = [\n    \"one\",\n]"), "{members}");
        let again = copy(root, "one", &program).unwrap_err().to_string();
        assert_eq!(
            again,
            "copy one to my/one: it exists, and it is yours; move it away first"
        );
    }
}
