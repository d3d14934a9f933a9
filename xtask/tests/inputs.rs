//! What a command reads may be a FIFO that nobody writes to, a folder, or a line of a gigabyte: it
//! says so in one line, soon and in little memory, and fails.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What stands where a file should be, and what the message says of it.
const INPUTS: [(&str, &str); 3] = [
    ("fifo", "it is a FIFO"),
    ("folder", "it is a folder"),
    ("long", "it has more than"),
];

/// The page of the course's only lesson.
const PAGE: &str = "lessons/01-one/README.md";

/// The program, its words, and the file that it reads: below the folder of a course, of which
/// `COURSE` is the path.
const COMMANDS: [(&str, &[&str], &str); 10] = [
    ("flow", &["show", "COURSE/log.json"], "log.json"),
    ("flow", &["show", "COURSE/log.json", "--summary"], "log.json"),
    ("flow", &["--wire", "COURSE/rules", "--", "true"], "rules"),
    (
        "check",
        &[
            "tcp-echo",
            "--resume",
            "COURSE/kept",
            "--batch",
            "COURSE/lessons",
            "--",
            "true",
        ],
        "kept",
    ),
    ("xtask", &["demo", "1"], PAGE),
    ("xtask", &["flow", "1"], PAGE),
    ("maintain", &["update"], PAGE),
    ("maintain", &["tidy"], PAGE),
    ("maintain", &["new-lesson", "half-close"], "README.md"),
    ("book", &["--root", "COURSE", "--out", "COURSE/book"], "lessons/README.md"),
];

#[test]
fn what_cannot_be_read_to_its_end() {
    for (program, words, file) in COMMANDS {
        for (input, reason) in INPUTS {
            let folder = tempfile::tempdir().unwrap();
            let course = folder.path();
            make_course(course);
            put(input, &course.join(file));
            let Some(output) = run(program, words, course) else { continue };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            let context =
                format!("{program} {words:?}, {input}: {}\n{out}{err}", output.status);
            assert!(matches!(output.status.code(), Some(1 | 2)), "{context}");
            // `tidy` tells its faults on standard output, and finds some more in this course.
            let said = if words == ["tidy"] { out } else { err };
            let lines: Vec<&str> = said
                .lines()
                .filter(|line| words != ["tidy"] || line.contains(PAGE))
                .collect();
            assert_eq!(lines.len(), 1, "{context}");
            // The book does not look at what is no file.
            let reason =
                if program == "book" && input != "long" { "there is no" } else { reason };
            assert!(lines[0].contains(reason), "{context}");
        }
    }
}

fn make_course(course: &Path) {
    for folder in ["xtask", "lessons/01-one"] {
        fs::create_dir_all(course.join(folder)).unwrap();
    }
    fs::write(course.join(PAGE), "```console one\n$ true\n```\n").unwrap();
    for (file, row) in [
        ("README.md", "| 1 | [one](lessons/01-one/) |\n"),
        ("lessons/README.md", "| 1 | [one](01-one/) |\n"),
    ] {
        fs::write(course.join(file), row).unwrap();
    }
}

/// Puts one of [`INPUTS`] there.
fn put(input: &str, file: &Path) {
    let _ = fs::remove_file(file);
    match input {
        "fifo" => {
            assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        }
        "folder" => fs::create_dir(file).unwrap(),
        // It has no room on the disk: all of it is a hole.
        _ => File::create(file).unwrap().set_len(1 << 30).unwrap(),
    }
}

/// Runs the command in so little memory that the long line has no room in it, or returns `None` if its program is not built. Who
/// waits for the FIFO is ended, so that the test is not.
fn run(program: &str, words: &[&str], course: &Path) -> Option<Output> {
    let program = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name(program);
    if !program.is_file() {
        skip(&format!("{} is not built: cargo build --workspace", program.display()));
        return None;
    }
    let course = course.to_str().unwrap();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "60", "prlimit", "--as=1073741824"]).arg(program);
    command.args(words.iter().map(|word| word.replace("COURSE", course)));
    command.env("CARGO_MANIFEST_DIR", format!("{course}/xtask"));
    command.env("CHECK_MY", format!("{course}/my")).env_remove("CI").stdin(Stdio::null());
    Some(command.output().unwrap())
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
