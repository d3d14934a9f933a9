//! The servers against the scenarios of the ladder, `testkit::ladder`.

testkit::tcp_rung!(tcp_server_one_at_a_time, "tcp-server-one-at-a-time", Serves::One);
testkit::tcp_rung!(tcp_server_threads, "tcp-server-threads", Serves::Many);
testkit::tcp_rung!(tcp_server_pool, "tcp-server-pool", Serves::Few);
testkit::udp_rung!(udp_server_one_at_a_time, "udp-server-one-at-a-time");
