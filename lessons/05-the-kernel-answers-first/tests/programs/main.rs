//! The lesson's programs, a module for each.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod tcp_client_crowd;
mod tcp_client_send;
mod tcp_server_late;
