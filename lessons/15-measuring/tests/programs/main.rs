//! The last rung against the scenarios of the ladder, `testkit::ladder`; and the load generator.

#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_fast, "tcp-server-fast", Serves::Many);
