//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_both_ends_time_wait;
mod tcp_client_addresses;
mod tcp_client_alone;
mod tcp_server_addresses;
