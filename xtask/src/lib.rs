//! Runs the commands on the lessons' pages, and verifies the output that the pages show.
//!
//! One module per task (`demo`, `flow`, `wire`, `book`, …), on top of what they share:
//! [`page`] reads a page, [`build`] builds the programs that it runs, [`runner`] runs its scenes
//! (with [`run`]) and compares their output with the page (with [`transcript`]), and
//! [`verdict`] holds and explains the result. The tests of `lessons/` use the same modules. Other
//! tasks are programs of their own, which [`hand_over`] builds and starts.
//!
//! Is this the right tool? To keep one program's terminal transcripts true, use
//! [`trycmd`](https://docs.rs/trycmd). This one is for pages in which *several* programs
//! talk to each other, each in a terminal of its own.

pub mod arguments;
pub mod build;
pub mod error;
pub mod figures;
pub mod interrupt;
mod jobs;
pub mod markdown;
pub mod page;
pub mod run;
pub mod runner;
pub mod snapshot;
pub mod transcript;
pub mod verdict;
pub mod workspace;

pub mod book;
pub mod copy;
pub mod demo;
pub mod flow;
pub mod hand_over;
mod screen;
mod slow;
pub mod wire;

pub use error::{Error, Status};
