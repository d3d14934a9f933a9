//! What `bench` refuses before it builds or measures anything.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

#[test]
fn a_wrong_word_is_a_wrong_command_line() {
    for words in [&["nothing"][..], &["--builds", "many"], &["flow", "--runs", "0"]] {
        let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
        let output = bench.args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("cargo xtask bench") || said.contains("--help"), "{said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
