//! A short seeded run of the fuzz targets (`fuzz/targets.rs`), with inputs made from the
//! pages and the recordings of the course. `FUZZ_SECONDS=300` makes it a long one, with
//! other inputs.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may panic and print"
)]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Hostile pieces of input, which no program should trip over.
const HOSTILE: &[&[u8]] = &[
    b"\x1b[2J",
    b"\xc2\x9b31m",
    "\u{202e}".as_bytes(),
    "\u{61c}".as_bytes(),
    b"]]>",
    b"\"'",
    b"\0",
    b"\xff",
    b"\\",
    b"<&>",
    b"```console a\n$ a\n",
    b"```",
    b"18446744073709551616",
    b"-1",
    b"4294967295",
    b"1e999",
    b"port 40000",
    b"\n",
    b"\r\n",
    b"{}",
    b"[]",
    b"null",
    b"<!-- figures from main: 1 -->\n",
    "日本é".as_bytes(),
];

/// A generator of pseudorandom numbers (Knuth's MMIX), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

#[test]
fn no_input_breaks_a_target() {
    let seeds = seeds();
    assert!(seeds.len() > 20, "only {} files to begin with", seeds.len());
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|it| it.parse().ok());
    for (name, target) in targets::ALL {
        let mut random = Random(seconds.unwrap_or(20));
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(3600));
        let most = if seconds.is_some() { u32::MAX } else { 300 };
        let mut tried = 0;
        while tried < most && Instant::now() < end {
            let input = mutated(&seeds, name, &mut random);
            tried += 1;
            if catch_unwind(|| target(&input)).is_err() {
                let file =
                    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.input"));
                fs::write(&file, &input).expect("write the input");
                panic!("{name}: input {tried} breaks it: {}", file.display());
            }
        }
        assert!(tried > 0);
        if seconds.is_some() {
            println!("{name}: {tried} inputs");
        }
    }
}

/// A hostile string of a megabyte, and nothing at all.
#[test]
fn the_largest_and_the_smallest_input() {
    let large = HOSTILE.concat().repeat(1 + (1 << 20) / HOSTILE.concat().len());
    for (name, target) in targets::ALL {
        let started = Instant::now();
        target(&[]);
        target(&large);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(60), "{name} took {took:?} for a megabyte");
    }
}

/// Returns the pages and the recordings.
fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let root = xtask::workspace::root();
    let mut folders = vec![root.join("lessons"), root.join("crates/flow/tests/data")];
    let mut seeds = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .expect("read a folder")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md" || it == "json") {
                seeds.push((path.clone(), fs::read(path).expect("read a seed")));
            }
        }
    }
    seeds
}

/// Returns a file, or part of one, with some random changes.
fn mutated(seeds: &[(PathBuf, Vec<u8>)], target: &str, random: &mut Random) -> Vec<u8> {
    let wanted = if target == "log" { "json" } else { "md" };
    let fitting: Vec<&Vec<u8>> = seeds
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|it| it == wanted))
        .map(|(_, bytes)| bytes)
        .collect();
    let mut bytes = fitting[random.below(fitting.len())].clone();
    match target {
        // Random bytes are hardly ever a packet, so begin with a valid header.
        "packet" => {
            bytes.truncate(120);
            bytes
                .splice(0..0, [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1]);
        }
        "transcript" | "framing" | "text" => {
            let start = random.below(bytes.len());
            bytes.drain(..start);
            bytes.truncate(2000);
        }
        // Keep whole lines, but few of them, so that the log is drawn quickly.
        "log" if random.below(3) > 0 => {
            let lines: Vec<&[u8]> =
                bytes.split_inclusive(|byte| *byte == b'\n').collect();
            bytes = lines[..lines.len().min(40)].concat();
        }
        _ => {}
    }
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len() + 1);
        let length = random.below(16).min(bytes.len() - at);
        match random.below(5) {
            0 => {
                drop(bytes.splice(at..at, HOSTILE[random.below(HOSTILE.len())].to_vec()))
            }
            1 => drop(bytes.drain(at..at + length)),
            2 => {
                let piece = bytes[at..at + length].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            // Replace a digit with a number, since many fields of a log are numbers.
            _ => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let number =
                        [&b"0"[..], b"999999999999", b"-7", b"65536"][random.below(4)];
                    drop(bytes.splice(at + digit..=at + digit, number.to_vec()));
                }
            }
        }
    }
    bytes
}
