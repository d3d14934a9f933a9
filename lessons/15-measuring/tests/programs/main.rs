//! Tests the last rung against the scenarios of the ladder, `testkit::ladder`; the load
//! generator; and the figures that are kept.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends with a panic")]

mod kept;
#[cfg(unix)]
mod lively;
#[cfg(target_os = "linux")]
mod load;

#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_fast, "tcp-server-fast", Serves::Many);
