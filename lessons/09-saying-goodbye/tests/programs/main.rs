//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_both_ends_close_order;
mod tcp_both_ends_goodbye;
mod tcp_client_count;
mod tcp_server_count;
mod tcp_server_drain;
