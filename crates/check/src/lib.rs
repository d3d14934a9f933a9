//! Tests a learner's own program, in any language, against the requirements of a lesson.
//!
//! A [`task`] has a statement and [`checks`]; a check is a short function in plain terms:
//! start the server, connect, send, expect. Each check runs in an [`arena`]: a network of its
//! own, the program under test behind a fence ([`subject`]), and the checker's peers
//! ([`peer`]). No wait depends on the clock alone ([`patience`]). [`run`] runs checks side by
//! side and [`report`] reports the results.
//!
//! It needs Linux; on other systems it says so.

#![cfg(target_os = "linux")]

pub mod arena;
mod asked;
mod batch;
pub mod checks;
pub mod cli;
pub mod command;
pub mod course;
pub mod diagnosis;
mod drawing;
mod expect;
mod lateness;
pub mod outcome;
pub mod patience;
pub mod peer;
pub mod report;
pub mod run;
pub mod subject;
pub mod task;
mod text;
pub mod timeline;
mod watch;
mod wired;
