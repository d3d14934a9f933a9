//! `cargo xtask`: runs the lessons, and helps their maintainers. `cargo xtask help` lists the
//! tasks.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use xtask::arguments::PassedOn;
use xtask::hand_over::{hand_over, main_of};
use xtask::{Error, book, copy, demo, flow, wire};

/// Runs what the lessons say, and verifies what they show
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    disable_help_subcommand = false,
    after_help = "Exit status: 0 as documented; 1 differs or failed; 2 wrong command line;\n\
                  77 could not run here (says why)."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run a lesson's terminals as its page says, and compare
    Demo(demo::Options),
    /// Draw the calls and packets of a lesson, or of your own programs
    Flow(PassedOn),
    /// Draw the same over a wire that loses or damages what you name
    Wire(PassedOn),
    /// Test your own program, in any language, against what a lesson asks
    Check(PassedOn),
    /// Put a starter of a task, or a copy of a lesson's program, into my/
    Start(PassedOn),
    /// Say where you are in the course, what passed, what comes next
    Next(PassedOn),
    /// Show the worked program of a task that you passed
    Solution(PassedOn),
    /// Write the course as a web book, with conversations to step through
    Book(book::Options),
    /// Rewrite the transcripts on the pages from a run, where they differ
    Update(PassedOn),
    /// Check that quotations, figures, commands, links and tables agree
    Tidy(PassedOn),
    /// Create the folder and the page of a new lesson
    NewLesson(PassedOn),
    /// Measure the first build, a run, and the servers side by side
    Bench(PassedOn),
    /// Run what CI runs after the tests: lints, docs, the lessons again
    Ci(PassedOn),
}

fn main() -> ExitCode {
    let started = Instant::now();
    main_of(|arguments: Arguments| run(arguments.task, started))
}

fn run(task: Task, started: Instant) -> Result<ExitCode, Error> {
    let ended = match task {
        Task::Demo(options) => demo::demo(&options, started),
        Task::Flow(arguments) => flow::flow(&arguments),
        Task::Wire(arguments) => wire::wire(&arguments),
        Task::Check(arguments) => return hand_over("check", None, &arguments),
        Task::Start(arguments) => match copy::start(&arguments) {
            Some(ended) => ended,
            None => return hand_over("check", Some("start"), &arguments),
        },
        Task::Next(arguments) => return hand_over("check", Some("next"), &arguments),
        Task::Solution(arguments) => {
            return hand_over("check", Some("solution"), &arguments);
        }
        Task::Book(options) => book::book(&options),
        Task::Bench(arguments) => return hand_over("bench", None, &arguments),
        Task::Update(arguments) => return maintain("update", &arguments),
        Task::Tidy(arguments) => return maintain("tidy", &arguments),
        Task::NewLesson(arguments) => return maintain("new-lesson", &arguments),
        Task::Ci(arguments) => return maintain("ci", &arguments),
    };
    ended.map(ExitCode::from)
}

fn maintain(task: &str, arguments: &PassedOn) -> Result<ExitCode, Error> {
    hand_over("maintain", Some(task), arguments)
}
