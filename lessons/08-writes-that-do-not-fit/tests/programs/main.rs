//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod clients;
mod servers;
mod tcp_both_ends_full;
mod tcp_both_ends_window;
mod tcp_client_both_ways;
mod tcp_client_write_first;
mod tcp_server_hoard;
mod tcp_server_stream;
