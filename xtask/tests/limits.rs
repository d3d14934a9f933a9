//! Under limits of the system: where no process or thread can be made.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::process::Command;

/// Two scenes side by side, of two terminals each.
const PAGE: &str = "```console one\n$ echo 1\n1\n```\n\n```console two\n$ echo 2\n2\n```\n\n\
                    ```console more/one\n$ echo 1\n1\n```\n\n```console more/two\n$ echo 2\n2\n```\n";

/// Where no process or no thread can be made, an error says so on a line, and nothing panics.
#[test]
fn few_processes() {
    let checkout = tempfile::tempdir().unwrap();
    fs::create_dir_all(checkout.path().join("xtask")).unwrap();
    fs::create_dir_all(checkout.path().join("lessons/01-one")).unwrap();
    fs::write(checkout.path().join("lessons/01-one/README.md"), PAGE).unwrap();
    let user = Command::new("id").arg("-u").output().unwrap();
    let mut refused = 0;
    for most in 1.. {
        assert!(most < 200, "no run with {most} processes and threads");
        let mut command = Command::new("setpriv");
        command.env("CARGO_MANIFEST_DIR", checkout.path().join("xtask"));
        if user.stdout == b"0\n" {
            // The limit does not hold for root; nobody has no process yet.
            let open =
                Command::new("chmod").args(["-R", "a+rX"]).arg(checkout.path()).status();
            assert!(open.unwrap().success());
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        } else {
            return skip("root alone can be another user, one without a process yet");
        }
        command.args([
            "prlimit",
            &format!("--nproc={most}"),
            env!("CARGO_BIN_EXE_xtask"),
        ]);
        command.args(["demo", "--all", "--scenes"]);
        let output = match command.output() {
            Ok(output) => output,
            Err(_) => return skip("setpriv is not installed"),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (status, out, err) =
            (output.status.code(), text(&output.stdout), text(&output.stderr));
        if err.contains("Permission denied") {
            return skip("another user cannot read this checkout's programs");
        }
        assert!(!err.contains("panicked") && !out.contains("panicked"), "{most}: {err}");
        assert!(status.is_some_and(|status| status != 101), "{most}: {out}{err}");
        refused += u32::from(status == Some(1));
        // Others may be running as nobody too: what is enough is found by trying.
        if status == Some(0) {
            break;
        }
    }
    assert!(refused > 0, "the limit was never felt");
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
