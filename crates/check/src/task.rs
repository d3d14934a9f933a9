//! A task: what a program must do, and the checks that test whether it does.

use crate::arena::Arena;
use crate::outcome::Outcome;

/// How binding a check is, as in RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The task is not done unless it passes.
    Must,
    /// There may be good reasons not to pass it: a failure is reported, but not fatal.
    Should,
}

impl Level {
    /// Returns the word of RFC 2119.
    pub fn word(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
        }
    }
}

/// One test of the program.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// How binding it is.
    pub level: Level,
    /// What it asks, as a sentence about "it", the program.
    pub asks: &'static str,
    /// The likely cause if it fails.
    pub cause: &'static str,
    /// The page to read, relative to the root of the checkout.
    pub page: &'static str,
    /// Runs the check.
    pub run: fn(&mut Arena<'_>) -> Outcome,
    /// Whether it waits for a time that the statement names, and is better begun early.
    pub takes_long: bool,
}

impl Check {
    /// The same check, of a time that the statement names.
    pub(crate) const fn takes_long(self) -> Check {
        Check { takes_long: true, ..self }
    }
}

/// Creates a check that a program must pass to complete the task.
pub(crate) const fn must(
    asks: &'static str,
    cause: &'static str,
    page: &'static str,
    run: fn(&mut Arena<'_>) -> Outcome,
) -> Check {
    Check { level: Level::Must, asks, cause, page, run, takes_long: false }
}

/// Creates a check that a good program passes, but that the task does not depend on.
pub(crate) const fn should(
    asks: &'static str,
    cause: &'static str,
    page: &'static str,
    run: fn(&mut Arena<'_>) -> Outcome,
) -> Check {
    Check { level: Level::Should, asks, cause, page, run, takes_long: false }
}

/// The kind of program that a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It listens, and the checker plays the clients.
    TcpServer,
    /// It connects, and the checker plays the server.
    TcpClient,
    /// It waits for datagrams, and the checker plays the clients.
    UdpServer,
    /// It sends datagrams, and the checker plays the server.
    UdpClient,
}

/// A program to write.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// Its name on the command line.
    pub name: &'static str,
    /// The lesson that it belongs to.
    pub lesson: u32,
    /// Whether the course can continue without it.
    pub optional: bool,
    /// The kind of program.
    pub role: Role,
    /// Every requirement, in Markdown.
    pub statement: &'static str,
    /// What somebody has learned whose program has passed.
    pub learned: &'static str,
    /// The checks. They are numbered from 1 by their position here, so append new ones.
    pub checks: &'static [Check],
}

impl Task {
    /// Returns the first line of the statement, without its `#`.
    pub fn title(&self) -> &'static str {
        let line = self.statement.lines().next().unwrap_or_default();
        line.trim_start_matches(['#', ' '])
    }

    /// Returns whether it is a project, which puts several lessons together and comes after
    /// the last of them.
    pub fn is_project(&self) -> bool {
        self.optional && !self.name.starts_with("rfc")
    }

    /// Returns the name of its folder for a learner's own work, such as `07-framing`.
    pub fn folder(&self) -> String {
        format!("{:02}-{}", self.lesson, self.name)
    }
}
