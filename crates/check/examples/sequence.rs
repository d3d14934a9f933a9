//! How long the right programs of lessons 2 to 9 take to pass, one task after the other.
//!
//! `cargo xtask bench check` builds and runs it.
//!
//! Each task is checked by the command itself, as its user waits for it: from its start to its
//! end, with the solution in Rust and, if there is a `python3`, the one in Python.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::print_stderr, reason = "so are its errors")]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match measure::all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench check: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("bench check: the checker needs Linux; run it there");
    ExitCode::from(77)
}

#[cfg(target_os = "linux")]
mod measure {
    use std::ffi::OsString;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use check::checks;
    use check::course::{Language, solution};
    use check::task::Task;

    /// The right programs of one task: in Rust, and in Python if it can run here.
    struct Programs {
        task: Task,
        commands: Vec<Vec<OsString>>,
    }

    pub(crate) fn all() -> Result<(), String> {
        let own =
            std::env::current_exe().map_err(|error| format!("find itself: {error}"))?;
        let built = own.ancestors().nth(2).map(Path::to_owned).unwrap_or_default();
        let python = python();
        let languages: &[&str] =
            if python.is_some() { &["Rust", "Python"] } else { &["Rust"] };
        println!("{:24}{}", "seconds", heads(languages));
        let mut sums = vec![[Duration::ZERO; 2]; languages.len()];
        for programs in programs(&built, python.as_deref().map(Path::new)) {
            let mut row = format!("{:24}", programs.task.name);
            for (command, sums) in programs.commands.iter().zip(&mut sums) {
                let took = time(&built.join("check"), &programs.task, command)?;
                row += &format!("{:9.2}", took.as_secs_f64());
                sums[1] += took;
                if !programs.task.optional {
                    sums[0] += took;
                }
            }
            println!("{row}");
        }
        for (place, name) in ["the course's own", "all of them"].into_iter().enumerate() {
            let sums = sums.iter().map(|sum| format!("{:9.2}", sum[place].as_secs_f64()));
            println!("{name:24}{}", sums.collect::<String>());
        }
        Ok(())
    }

    /// Returns the path of the interpreter itself: a shim in front of it would cost more time
    /// than it.
    fn python() -> Option<OsString> {
        let mut asks = Command::new("python3");
        asks.args(["-c", "import sys; print(sys.executable)"]).stdin(Stdio::null());
        let output = asks.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().into())
    }

    fn heads(languages: &[&str]) -> String {
        languages.iter().map(|it| format!("{it:>9}")).collect()
    }

    fn programs(built: &Path, python: Option<&Path>) -> Vec<Programs> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let of_lessons =
            |task: &Task| (2..=9).contains(&task.lesson) && !task.is_project();
        let tasks = checks::all().into_iter().filter(of_lessons);
        tasks
            .map(|task| {
                let file = solution(&task, Language::Rust);
                let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
                let mut name = OsString::from("solution-");
                name.push(folder);
                // The services take their name as an argument; the other programs ignore it.
                let rust = built.join("examples").join(name);
                let mut commands = vec![vec![rust.into(), task.name.into()]];
                if let Some(python) = python {
                    let file = root.join(solution(&task, Language::Python));
                    commands.push(vec![python.into(), file.into(), task.name.into()]);
                }
                Programs { task, commands }
            })
            .collect()
    }

    /// Runs the checker on a program that must pass.
    fn time(
        checker: &Path,
        task: &Task,
        command: &[OsString],
    ) -> Result<Duration, String> {
        let mut check = Command::new(checker);
        // The learner's own programs and progress have no part in it.
        check.arg(task.name).arg("--").args(command).env("CHECK_MY", "/dev/null/my");
        check.stdin(Stdio::null());
        let began = Instant::now();
        let output = check.output().map_err(|error| {
            format!("start {}: {error}; is it built?", checker.display())
        })?;
        let took = began.elapsed();
        match output.status.success() {
            true => Ok(took),
            false => Err(format!(
                "check {}: {}; the program should pass: run the command yourself",
                task.name, output.status
            )),
        }
    }
}
