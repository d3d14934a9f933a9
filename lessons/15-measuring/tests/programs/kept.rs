//! The figures beside the page have the shape that the page claims: the order, and ratios
//! within bands. Their absolute values are those of one machine.

const KEPT: &str = include_str!("../../kept/ladder.json");

/// A figure for a server in a case.
fn figure(case: &str, server: &str, name: &str) -> f64 {
    let start = format!("{{\"case\": \"{case}\", \"server\": \"{server}\", ");
    let line = KEPT.lines().find(|line| line.starts_with(&start));
    let line = line.unwrap_or_else(|| panic!("no {server} in {case}"));
    let rest = line.split_once(&format!("\"{name}\": ")).map(|(_, rest)| rest);
    let number = rest.and_then(|rest| rest.split([',', '}']).next());
    number.and_then(|number| number.parse().ok()).expect("a number of that name")
}

/// The ratio of the figure for `one` to that for `other`.
fn ratio(case: &str, name: &str, one: &str, other: &str) -> f64 {
    figure(case, one, name) / figure(case, other, name)
}

#[test]
fn threads_cost_most_with_many_clients() {
    let ratio =
        ratio("connections_1000", "cpu_us", "tcp-server-threads", "tcp-server-epoll");
    assert!(ratio > 1.3, "{ratio}");
}

#[test]
fn epoll_edge_and_tokio_cost_about_the_same() {
    for server in ["tcp-server-epoll-edge", "tcp-server-tokio", "tcp-server-fast"] {
        let ratio = ratio("connections_50", "cpu_us", server, "tcp-server-epoll");
        assert!((0.8..1.25).contains(&ratio), "{server}: {ratio}");
    }
}

#[test]
fn small_buffers_lose_where_much_is_sent() {
    for server in ["tcp-server-threads", "tcp-server-tokio", "tcp-server-io-uring"] {
        let ratio = ratio("bulk_8", "cpu_us", server, "tcp-server-fast");
        assert!(ratio > 1.3, "{server}: {ratio}");
    }
}

#[test]
fn a_batch_saves_system_calls() {
    let calls = |server| figure("system_calls", server, "calls_per_request");
    assert!(calls("tcp-server-io-uring") < 0.5);
    for server in ["tcp-server-poll", "tcp-server-epoll", "tcp-server-tokio"] {
        assert!((1.8..2.6).contains(&calls(server)), "{server}");
    }
    assert!(calls("tcp-server-future") > calls("tcp-server-epoll"));
}

#[test]
fn an_idle_connection_costs_what_the_page_says() {
    let bytes = |server| figure("memory", server, "bytes_per_connection");
    assert!(bytes("tcp-server-threads") > 15_000.0);
    assert!(bytes("tcp-server-tokio") > 15_000.0);
    assert!(bytes("tcp-server-epoll") < 500.0);
    assert!(bytes("tcp-server-fast") <= 64.0);
}

#[test]
fn who_looks_before_sleeping_answers_more_and_sooner() {
    for (case, least) in [("connections_1", 1.5), ("churn", 1.1)] {
        let ratio = ratio(case, "requests_per_second", "tcp-server-fast", "C, epoll");
        assert!(ratio > least, "{case}: {ratio}");
    }
    let ratio = ratio("rate_60000", "p50_us", "tcp-server-fast", "C, epoll");
    assert!(ratio < 0.7, "{ratio}");
}

#[test]
fn last_rung_is_the_best_or_cannot_be_told_from_the_best() {
    let cases =
        ["connections_1", "connections_50", "connections_1000", "bulk_1", "bulk_8"];
    for case in cases.into_iter().chain(["churn", "rate_60000"]) {
        // One program ran under both names: it is behind only if both are.
        let runs = ["tcp-server-fast", "tcp-server-fast again"];
        let ratio =
            runs.map(|run| figure(case, run, "ratio")).into_iter().fold(0.0, f64::max);
        let control = figure(case, "tcp-server-fast", "control");
        assert!(1.0 - ratio <= control, "{case}: {ratio}, control {control}");
    }
}
