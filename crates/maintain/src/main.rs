//! The maintainer's tasks of `cargo xtask`, which builds and starts this program.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use maintain::{ci, new_lesson, tidy, update};
use xtask::hand_over;

/// The maintainer's tasks
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Rewrite the transcripts on the pages from a run, where they differ
    Update(update::Options),
    /// Check that quotations, figures, commands, links and tables agree
    Tidy(tidy::Options),
    /// Create the folder and the page of a new lesson
    NewLesson(new_lesson::Options),
    /// Run what CI runs after the tests: lints, docs, the lessons again
    Ci,
}

fn main() -> ExitCode {
    hand_over::main_of(|arguments: Arguments| match arguments.task {
        Task::Update(options) => update::update(&options),
        Task::Tidy(options) => tidy::tidy(&options),
        Task::NewLesson(options) => new_lesson::new_lesson(&options),
        Task::Ci => ci::ci(),
    })
}
