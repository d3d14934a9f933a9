//! `cargo fuzz run text`: see `../targets.rs`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, clippy::expect_used)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::text(data));
