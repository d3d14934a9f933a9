//! Tests a learner's own program, in any language, against what a lesson asks.
//!
//! A [`task`] has a statement and [`checks`]; a check is a short function in plain terms:
//! start the server, connect, send, expect. It plays on a [`stage`]: a network of its own,
//! the program under test behind a fence ([`stranger`]), the checker's peers ([`talk`]).
//! Nothing waits by the clock alone ([`patience`]). [`run`] runs checks side by side and
//! [`report`] tells what came of them.
//!
//! The instrument needs Linux: elsewhere it says so.

#![cfg(target_os = "linux")]

pub mod checks;
pub mod cli;
pub mod course;
mod drawing;
pub mod outcome;
pub mod patience;
pub mod report;
pub mod run;
pub mod stage;
pub mod stranger;
pub mod talk;
pub mod task;
pub mod timeline;
