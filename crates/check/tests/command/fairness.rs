//! A correct program passes, however it is started and whatever else it does. If one thing is
//! wrong with a program, that is what the report says.

use std::time::{Duration, Instant};

use crate::{check, stdout, zoo};

/// Expects all checks to pass.
fn passes(arguments: &[&str]) {
    let output = check(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stdout(&output));
}

/// Returns whether a program is on PATH; if not, prints a line that says what is skipped.
fn has(test: &str, program: &str) -> bool {
    let found = netlab::environment::on_path(program).is_some();
    if !found {
        testkit::skip(test, &format!("{program} is not installed"));
    }
    found
}

#[test]
fn helper_in_a_session_of_its_own_is_stopped_and_ended_with_the_rest() {
    for wrapper in [&["setsid", "-w"][..], &["dumb-init"], &["tini", "-s", "--"]] {
        if !has("helper_in_a_session_of_its_own", wrapper[0]) {
            continue;
        }
        for task in ["whoami", "goodbye"] {
            passes(&[&[task, "--"], wrapper, &[zoo(), task, "none"]].concat());
        }
    }
}

/// A daemon: its first process ends, and the one that serves stays.
#[test]
fn program_that_goes_into_the_background_has_not_ended() {
    let daemon = ["sh", "-c", "\"$0\" rfc862 none &", zoo()];
    let only = ["rfc862", "--strict", "--only", "2", "--only", "13", "--"];
    passes(&[&only[..], &daemon].concat());
}

#[test]
fn program_may_take_its_time_to_start() {
    let command = "sleep 1.5; exec \"$0\" tcp-echo";
    passes(&["tcp-echo", "--", "sh", "-c", command, zoo()]);
}

#[test]
fn program_that_does_not_start_is_known_at_once_and_says_why_itself() {
    let began = Instant::now();
    let output =
        check(&["tcp-echo", "--all", "--", "sh", "-c", "echo no port >&2; exit 3"]);
    let text = stdout(&output);
    // Allow for a busy machine: each check alone used to take two seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(
        text.contains("likely cause  the program itself says why: no port"),
        "{text}"
    );
    assert_eq!(text.matches("follows       from tcp-echo/1").count(), 13, "{text}");
    assert_eq!(text.matches("likely cause").count(), 1, "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn run_stops_at_the_first_must_that_fails_and_says_what_to_do() {
    let flawed = ["--", zoo(), "tcp-echo", "keeps-open"];
    let text = stdout(&check(&[&["tcp-echo"], &flawed[..]].concat()));
    assert!(text.contains("2 of 14 passed, 1 MUST failed, 11 not run"), "{text}");
    assert!(text.contains("Fix tcp-echo/3, then run the same command again."), "{text}");
    let text = stdout(&check(&[&["tcp-echo", "--all"], &flawed[..]].concat()));
    assert!(text.contains("3 MUST failed"), "{text}");
    assert!(!text.contains("not run"), "{text}");
}

#[test]
fn success_says_what_was_learned() {
    let text = stdout(&check(&["tcp-echo", "--", zoo(), "tcp-echo"]));
    assert!(text.contains("What you know now: A server is socket, bind"), "{text}");
}

#[test]
fn report_fits_80_columns() {
    for arguments in [
        &["--help"][..],
        &["--list"],
        &["tcp-echo", "--all", "--", zoo(), "tcp-echo", "no-prefix"],
        &["download", "--all", "--verbose", "--", zoo(), "download", "no-limit"],
    ] {
        let text = stdout(&check(arguments));
        let wide: Vec<&str> =
            text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{arguments:?}: {wide:#?}");
    }
}
