//! `update` on a course with one page.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A course with this page.
struct Course(tempfile::TempDir);

impl Course {
    fn new(page: &str) -> Course {
        let course = Course(tempfile::tempdir().unwrap());
        fs::create_dir_all(course.0.path().join("xtask")).unwrap();
        fs::create_dir_all(course.0.path().join("lessons/01-one")).unwrap();
        fs::write(course.page(), page).unwrap();
        course
    }

    fn page(&self) -> PathBuf {
        self.0.path().join("lessons/01-one/README.md")
    }

    /// Returns the exit status of `update`, its standard output and its standard error.
    fn update(&self, lessons: &[&str], ci: bool) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maintain"));
        command.arg("update").args(lessons);
        command.env("CARGO_MANIFEST_DIR", self.0.path().join("xtask"));
        command.env_remove("CI").stdin(Stdio::null());
        if ci {
            command.env("CI", "true");
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn refuses_in_ci() {
    let course = Course::new("```console one\n$ echo hello\nother\n```\n");
    let (status, _, err) = course.update(&[], true);
    assert_eq!(status, Some(1));
    assert!(err.starts_with("update the pages: refused in CI"), "{err}");
    assert!(fs::read_to_string(course.page()).unwrap().contains("other"));
}

#[test]
fn rewrites_what_differs_and_no_more() {
    let page = "# A\n\n```console one\n$ printf 'port %s\\nnew\\n' 50001\nport 40000\nold\n```\n\nend\n";
    let course = Course::new(page);
    let (status, _, err) = course.update(&[], false);
    assert_eq!(status, Some(0), "{err}");
    let text = fs::read_to_string(course.page()).unwrap();
    assert_eq!(text, page.replace("\nold\n", "\nnew\n"));
    let (_, out, _) = course.update(&["one"], false);
    assert_eq!(out, "lessons/01-one/README.md: as it was\n");
}
