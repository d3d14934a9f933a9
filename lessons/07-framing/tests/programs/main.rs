//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_both_ends_stream;
mod tcp_client_lengths;
mod tcp_client_lines;
mod tcp_server_lengths;
mod tcp_server_lines;
mod tcp_server_one_recv;
