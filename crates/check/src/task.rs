//! A task: what a program must do, and the checks that see whether it does.

use crate::arena::Arena;
use crate::outcome::Outcome;

/// How binding a check is, as in RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The task is not done without it.
    Must,
    /// There may be reasons to do otherwise: a failure is reported, but not fatal.
    Should,
}

impl Level {
    /// The word of RFC 2119.
    pub fn word(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
        }
    }
}

/// One question to the program.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// How binding.
    pub level: Level,
    /// What is asked, as a sentence about "it", the program.
    pub asks: &'static str,
    /// What most likely is wrong where it fails.
    pub cause: &'static str,
    /// The page to read, from the root of the checkout.
    pub page: &'static str,
    /// Asks.
    pub run: fn(&mut Arena<'_>) -> Outcome,
}

/// A check that the task stands or falls with.
pub(crate) const fn must(
    asks: &'static str,
    cause: &'static str,
    page: &'static str,
    run: fn(&mut Arena<'_>) -> Outcome,
) -> Check {
    Check { level: Level::Must, asks, cause, page, run }
}

/// A check that a good program passes.
pub(crate) const fn should(
    asks: &'static str,
    cause: &'static str,
    page: &'static str,
    run: fn(&mut Arena<'_>) -> Outcome,
) -> Check {
    Check { level: Level::Should, asks, cause, page, run }
}

/// What kind of program a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It listens, and the checker plays the clients.
    TcpServer,
    /// It connects, and the checker plays the server.
    TcpClient,
    /// It waits for datagrams.
    UdpServer,
    /// It sends datagrams.
    UdpClient,
}

/// A program to write.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The lesson that it belongs to.
    pub lesson: u32,
    /// Whether the course goes on without it.
    pub optional: bool,
    /// The kind of program.
    pub role: Role,
    /// Every requirement, in Markdown.
    pub statement: &'static str,
    /// What somebody knows whose program has passed.
    pub learned: &'static str,
    /// The checks. Their numbers, from 1, are their places here: new ones go to the end.
    pub checks: &'static [Check],
}

impl Task {
    /// The first line of the statement without its mark.
    pub fn title(&self) -> &'static str {
        let line = self.statement.lines().next().unwrap_or_default();
        line.trim_start_matches(['#', ' '])
    }

    /// Whether it puts the lessons together: a project, for after the last of them.
    pub fn is_project(&self) -> bool {
        self.optional && !self.name.starts_with("rfc")
    }

    /// The name of its folder for a learner's own work: `07-framing`.
    pub fn folder(&self) -> String {
        format!("{:02}-{}", self.lesson, self.name)
    }
}
