//! The checker on a system that refuses calls it needs, as older kernels and sandboxes do.

use std::process::{Command, Output};

use testkit::Filter;

use crate::{CHECK, check, stderr, stdout, zoo};

/// Runs the checker under a filter of the kernel's calls.
fn under(filter: Filter, arguments: &[&str]) -> Output {
    let mut check = Command::new(CHECK);
    check.args(arguments).env("CI", "true").env("CHECK_MY", "/dev/null/my");
    filter.around(&mut check);
    check.output().unwrap()
}

const CHECKS: [&str; 4] = ["tcp-echo", "--only", "2", "--"];

/// On an older kernel the verdicts are the same.
#[test]
fn linux_4_19_is_enough() {
    for (wrong, status) in [(&[][..], 0), (&["no-prefix"], 1)] {
        let arguments = [&CHECKS[..], &[zoo(), "tcp-echo"], wrong].concat();
        let output = under(Filter::linux_4_19(), &arguments);
        let (out, err) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(status), "{out}{err}");
        assert_eq!(err, stderr(&check(&arguments)), "{out}");
    }
}

/// In a container the host's network is used, and a note says that there is no fence.
#[test]
fn dockers_default_profile() {
    for filter in [Filter::docker(), Filter::default().deadly(libc::SYS_unshare)] {
        for (wrong, status) in [(&[][..], 0), (&["no-prefix"], 1)] {
            let arguments = [&CHECKS[..], &[zoo(), "tcp-echo"], wrong].concat();
            let output = under(filter.clone(), &arguments);
            let (out, err) = (stdout(&output), stderr(&output));
            assert_eq!(output.status.code(), Some(status), "{out}{err}");
            assert!(err.contains("note: no private network"), "{err}");
            assert!(err.contains("seccomp=unconfined"), "{err}");
            assert!(err.contains("is not fenced in"), "{err}");
        }
    }
}

/// A check that needs a wire cannot be run there, which is not a pass.
#[test]
fn no_wire_is_77() {
    let output = under(Filter::docker(), &["retry-client", "--", zoo(), "retry-client"]);
    let (out, err) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(77), "{out}{err}");
    assert!(out.contains("0 of 15 passed, 15 skipped"), "{out}");
    assert!(err.contains("seccomp=unconfined"), "{err}");
}

/// Without seccomp filters the checker still works; only the keeper is easier to reach.
#[test]
fn no_filters() {
    let filter = Filter::default()
        .refusing(&[libc::SYS_close_range], libc::EPERM)
        .refusing_where(libc::SYS_prctl, 0, libc::PR_SET_SECCOMP.cast_unsigned());
    let arguments = [&CHECKS[..], &[zoo(), "tcp-echo"]].concat();
    let output = under(filter, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
}

/// Runs the checker from a shell with this limit.
fn limited(limit: &str, arguments: &[&str]) -> Output {
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, CHECK]).args(arguments);
    shell.env("CHECK_MY", "/dev/null/my").output().unwrap()
}

#[test]
fn limit_that_is_too_low_is_refused_and_blames_nobody() {
    for (limit, what) in [("-n 100", "open files"), ("-v 900000", "memory addresses")] {
        let output = limited(limit, &["first-client", "--", "true"]);
        let (out, err) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), Some(77), "{limit}: {out}{err}");
        assert!(err.starts_with("check: make room for ") && err.contains(what), "{err}");
        assert_eq!((err.lines().count(), out.as_str()), (1, ""), "{limit}: {err}");
    }
}

#[test]
fn limit_that_may_be_raised_is_raised() {
    // Fifty clients and what belongs to the program do not go into 48 descriptors.
    let command = ["queue", "--only", "3", "--", zoo(), "queue", "none"];
    let output = limited("-S -n 48", &command);
    let (out, err) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
}
