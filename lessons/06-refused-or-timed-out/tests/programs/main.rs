//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_both_ends_answers;
mod tcp_both_ends_families;
mod tcp_client_every;
mod tcp_client_timeout;
