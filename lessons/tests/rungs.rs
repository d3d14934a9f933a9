//! Puts every server of the ladder to the tasks `rfc862` and `rfc862-udp`, strictly, and holds
//! the result against what lesson 12 says.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// A server, and the numbers of the checks that it fails with `--strict`. What the check
/// reports as the cause stands on the page.
const TCP: &[(&str, &[u32])] = &[
    // It serves one client at a time, so a silent one, fifty, and one that does not read hold
    // up the others.
    ("tcp-server-one-at-a-time", &[10, 11, 12]),
    ("tcp-server-threads", &[]),
    // Fifty clients are more than its four threads.
    ("tcp-server-pool", &[11]),
    ("tcp-server-poll", &[]),
    ("tcp-server-epoll", &[]),
    ("tcp-server-epoll-edge", &[]),
    ("tcp-server-tokio", &[]),
    ("tcp-server-future", &[]),
    ("tcp-server-io-uring", &[]),
    ("tcp-server-fast", &[]),
];
const UDP: &[(&str, &[u32])] = &[
    ("udp-server-one-at-a-time", &[]),
    ("udp-server-mmsg", &[]),
    ("udp-server-io-uring", &[]),
];

#[test]
fn each_rung_is_as_strict_as_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("debug");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--bins", "--package", "check"]);
    for package in ["one-at-a-time", "readiness", "completion", "measuring"] {
        build.args(["--package", package]);
    }
    assert!(build.current_dir(root).status().unwrap().success());

    let page = fs::read_to_string(root.join("lessons/12-one-at-a-time/README.md"));
    let page = page.unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rungs");
    fs::create_dir_all(&folder).unwrap();
    for (task, table) in [("rfc862", TCP), ("rfc862-udp", UDP)] {
        for (server, expected) in table {
            let program = programs.join(server);
            if !testkit::ladder::allowed(program.to_str().unwrap(), task) {
                continue;
            }
            let mut check = Command::new(programs.join("check"));
            check.args([task, "--strict", "--all", "--format", "tap", "--", "sh", "-c"]);
            check.args(["exec \"$0\" --port $PORT"]).arg(&program).current_dir(&folder);
            let report = check.output().unwrap();
            if report.status.code() == Some(77) {
                let why = String::from_utf8_lossy(&report.stderr);
                testkit::skip(&format!("{task}: {server}"), why.trim_end());
                continue;
            }
            let report = String::from_utf8_lossy(&report.stdout).into_owned();
            let count = if task == "rfc862" { 18 } else { 8 };
            assert!(report.contains(&format!("\n1..{count}\n")), "{server}: {report}");
            let failed: Vec<u32> =
                report.lines().filter_map(|line| number(line, "not ok ")).collect();
            let passed = report.lines().filter_map(|line| number(line, "ok ")).count();
            assert_eq!(failed, *expected, "{task}: {server}: {report}");
            assert_eq!(passed + failed.len(), count, "{task}: {server}: {report}");
            let causes: Vec<&str> = report
                .lines()
                .filter_map(|line| line.strip_prefix("  likely_cause: "))
                .collect();
            assert_eq!(causes.len(), failed.len(), "{task}: {server}: {report}");
            for cause in causes {
                assert!(page.contains(cause), "not on the page of lesson 12: {cause}");
            }
        }
    }
}

/// The number in the line of a check in TAP: `not ok 11 - rfc862/11 …`.
fn number(line: &str, result: &str) -> Option<u32> {
    line.strip_prefix(result)?.split(' ').next()?.parse().ok()
}
