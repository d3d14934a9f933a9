//! What the course's maintainer needs besides the learner's tasks: `update` rewrites the pages
//! from a run, `tidy` checks that pages, tables and files agree, `new-lesson` begins a lesson, and
//! `ci` runs what CI runs. `cargo xtask` builds this program when one of them is asked for; the
//! test of the pages, in `lessons/tests`, asks `tidy` too.

pub mod ci;
mod figures;
pub mod new_lesson;
mod programs;
pub mod tidy;
pub mod update;
