//! The formats of a report.

use crate::{CHECK, check, stdout, zoo};

#[test]
fn failing_check_is_drawn() {
    if testkit::sibling(CHECK, "flow").is_none() {
        testkit::skip("failing_check_is_drawn", "no flow beside check");
        return;
    }
    let output = check(&["tcp-echo", "--flow", "--", zoo(), "tcp-echo", "no-prefix"]);
    let text = stdout(&output);
    assert!(text.contains("tcp-echo/2 once more, drawn: got \"Hello TCP"), "{text}");
    for words in [
        "bind(3, 127.0.0.1:12345)",
        "[LISTEN]",
        "SYN ACK",
        "accept(3) = 4",
        "main.rs:",
        "16 bytes \"Hello TCP Server\"",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    assert!(!text.contains("SIGCONT"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_the_wire_did_is_drawn() {
    if testkit::sibling(CHECK, "flow").is_none() {
        testkit::skip("what_the_wire_did_is_drawn", "no flow beside check");
        return;
    }
    // Whatever the load: the server waits until the checker has given up, and is then ended.
    for (number, wire) in [
        ("2", "13 bytes \"1 deposit 100\" doubled"),
        ("3", "13 bytes \"1 balance 100\" ─✗"),
    ] {
        let only = ["once-server", "--flow", "--only", number, "--", zoo()];
        let output = check(&[&only[..], &["once-server", "drops-copies"]].concat());
        let text = stdout(&output);
        if text.contains("no wire: ") || output.status.code() == Some(77) {
            testkit::skip("what_the_wire_did_is_drawn", "this system allows no wire");
            return;
        }
        let (_, drawn) = text.split_once("once more, drawn").unwrap_or_default();
        for words in ["b: program", "recvfrom(3, 2048)", wire] {
            assert!(drawn.contains(words), "no `{words}` in {text}");
        }
    }
}

#[test]
fn check_that_is_named_is_drawn_though_it_passes() {
    if testkit::sibling(CHECK, "flow").is_none() {
        testkit::skip(
            "check_that_is_named_is_drawn_though_it_passes",
            "no flow beside check",
        );
        return;
    }
    // This check stops the program for a while, which a tracer must not hide.
    let only = ["queue", "--flow", "--only", "3", "--", zoo(), "queue", "right"];
    let text = stdout(&check(&only));
    assert!(text.contains("queue/3 once more, drawn: it passed"), "{text}");
    assert!(text.contains("gets SIGSTOP"), "{text}");
    let text = stdout(&check(&["queue", "--flow", "--", zoo(), "queue", "right"]));
    assert!(text.contains("No check failed; --only ID names one to draw."), "{text}");
    let output = check(&[&["--format", "tap"], &only[..]].concat());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn json_has_the_fields_of_the_interface() {
    let output =
        check(&["tcp-echo", "--format", "json", "--", zoo(), "tcp-echo", "no-prefix"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["format"], 2);
    assert_eq!(report["status"], "fail");
    assert_eq!(report["task"], "tcp-echo");
    let tests = report["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 14);
    assert_eq!(tests[0]["status"], "pass");
    let second = &tests[1];
    assert_eq!(second["id"], "tcp-echo/2");
    assert_eq!(second["status"], "fail");
    assert_eq!(second["level"], "MUST");
    assert_eq!(second["expected"], "\"Echo: Hello TCP Server\"");
    assert_eq!(second["page"], "lessons/02-tcp-echo/README.md");
    assert!(second["message"].as_str().unwrap().contains("expected: "));
    assert!(second["output"].as_str().unwrap().contains("Received: Hello"));
    let timeline = second["timeline"].as_array().unwrap();
    assert!(timeline.iter().any(|it| it["what"] == "sends" && it["length"] == 16));
    assert_eq!(output.status.code(), Some(1));
}

/// The program does what the task asks, and one of its threads never waits.
#[test]
fn program_that_never_rests_passes_with_a_remark() {
    let program = ["--only", "7", "--", zoo(), "rfc863", "spins"];
    for (format, remark) in [
        ("human", "  remark        it never rests: while it had no client, it used 1 s"),
        ("json", "\"remark\":\"it never rests: "),
        ("tap", "\n# remark: it never rests: "),
        ("junit", "remark: it never rests: "),
    ] {
        let output = check(&[&["rfc863", "--format", format][..], &program].concat());
        let text = stdout(&output);
        assert!(text.contains(remark), "{format}: {text}");
        assert_eq!(output.status.code(), Some(0), "{format}: {text}");
    }
}

#[test]
fn junit_names_failures_and_keeps_warnings_apart() {
    let output =
        check(&["tcp-echo", "--format", "junit", "--", zoo(), "tcp-echo", "raw"]);
    let text = stdout(&output);
    assert!(text.contains("tests=\"14\"") && text.contains("failures=\"0\""), "{text}");
    assert!(text.contains("<skipped message=\"SHOULD: expected: escapes"), "{text}");
    let output =
        check(&["tcp-echo", "--format", "junit", "--", zoo(), "tcp-echo", "newline"]);
    let text = stdout(&output);
    assert!(text.contains("failures=\"2\""), "{text}");
    assert!(text.contains("<failure message=\"expected: "), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn tap_has_a_plan_and_a_line_for_each() {
    let output = check(&["udp-echo", "--format", "tap", "--", zoo(), "udp-echo", "raw"]);
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("TAP version 13"));
    assert!(text.contains("\n1..17\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 16, "{text}");
    assert!(text.contains("\nnot ok 15 - udp-echo/15 it prints no terminal control"));
    assert!(text.contains(" # TODO SHOULD\n  ---\n  severity: \"SHOULD\"\n"), "{text}");
}

#[test]
fn limit_that_was_hit_is_the_first_word_in_every_form() {
    let harm = ["--output", "64", "--", zoo(), "nasty", "flood"];
    for (format, words) in [
        ("json", "\"message\":\"limit hit: it printed more than 64 KiB"),
        ("junit", "<failure message=\"limit hit: it printed more than 64 KiB"),
        ("tap", "  ---\n  limit_hit: \"it printed more than 64 KiB"),
        ("human", "  limit hit     it printed more than 64 KiB"),
    ] {
        let only = ["tcp-echo", "--only", "1", "--format", format];
        let text = stdout(&check(&[&only[..], &harm].concat()));
        assert!(text.contains(words), "{format}: {text}");
    }
}

#[test]
fn tap_is_read_by_prove() {
    if netlab::environment::on_path("prove").is_none() {
        return testkit::skip("tap_is_read_by_prove", "prove is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, flaw, status) in [("right.tap", "raw", 0), ("wrong.tap", "newline", 1)] {
        let only = ["udp-echo", "--format", "tap", "--", zoo(), "udp-echo", flaw];
        let file = folder.path().join(name);
        std::fs::write(&file, check(&only).stdout).unwrap();
        let mut prove = std::process::Command::new("prove");
        let output = prove.args(["-e", "cat"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{}", stdout(&output));
    }
}

#[test]
fn exercism_has_what_its_interface_asks_for_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let results = |flaw: &[&str]| -> serde_json::Value {
        let into = folder.path().to_str().unwrap();
        let words = ["tcp-echo", "--format", "exercism", "--into", into, "--"];
        let output = check(&[&words, flaw].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stdout.is_empty());
        let file = std::fs::read(folder.path().join("results.json")).unwrap();
        serde_json::from_slice(&file).unwrap()
    };
    let report = results(&[zoo(), "tcp-echo", "newline"]);
    assert_eq!((&report["version"], &report["status"]), (&2.into(), &"fail".into()));
    let tests = report["tests"].as_array().unwrap();
    // Two checks are SHOULDs.
    assert_eq!(tests.len(), 12);
    for test in tests {
        assert!(["pass", "fail"].contains(&test["status"].as_str().unwrap()), "{test}");
        assert!(test["output"].as_str().is_none_or(|it| it.chars().count() <= 500));
        assert_ne!(test["test_code"], test["name"]);
    }
    assert!(tests[1]["test_code"].as_str().unwrap().contains("sends \"Hello TCP"));
    // A SHOULD that fails does not make the whole fail.
    assert_eq!(results(&[zoo(), "tcp-echo", "raw"])["status"], "pass");
    let dead = results(&["sh", "-c", "echo no port >&2; exit 3"]);
    assert_eq!(dead["status"], "error");
    assert!(dead["message"].as_str().unwrap().contains("no port"), "{dead}");
    assert!(dead.get("tests").is_none());
}
