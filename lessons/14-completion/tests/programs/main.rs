//! The servers against the scenarios of the ladder, `testkit::ladder`.

#[cfg(target_os = "linux")]
mod tcp_both_ends_ring;

testkit::tcp_rung!(tcp_server_tokio, "tcp-server-tokio", Serves::Many);
#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_future, "tcp-server-future", Serves::Many);
#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_io_uring, "tcp-server-io-uring", Serves::Many);
#[cfg(target_os = "linux")]
testkit::udp_rung!(udp_server_io_uring, "udp-server-io-uring");
