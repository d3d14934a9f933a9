//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod udp_both_ends_loop;
mod udp_client_numbers;
mod udp_client_retry;
mod udp_server_once;
mod udp_server_twice;
