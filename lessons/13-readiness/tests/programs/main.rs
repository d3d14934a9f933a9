//! The servers against the scenarios of the ladder, `testkit::ladder`.

#[cfg(unix)]
testkit::tcp_rung!(tcp_server_poll, "tcp-server-poll", Serves::Many);
#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_epoll, "tcp-server-epoll", Serves::Many);
#[cfg(target_os = "linux")]
testkit::tcp_rung!(tcp_server_epoll_edge, "tcp-server-epoll-edge", Serves::Many);
#[cfg(target_os = "linux")]
testkit::udp_rung!(udp_server_mmsg, "udp-server-mmsg");
