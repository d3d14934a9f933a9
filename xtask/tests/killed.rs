//! Whatever this project runs leaves nothing behind when it is killed at a random moment:
//! no process, and so no namespace and no port in use; no mount, no file.
//!
//! Thirty kills in a test run, and ten over a wire; for more of both,
//! `KILLS=300 cargo test -p xtask --test killed`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netlab::process;

/// Programs that run for long, with children and grandchildren, and refuse to end.
const PAGE: &str = "```console server\n\
    $ sh -c 'trap \"\" TERM INT HUP; sleep 1000 & sh -c \"sleep 1000 & sleep 1000\"'\n```\n\n\
    ```console other/one\n$ sh -c 'echo here; setsid sleep 1000 & exec sleep 1000'\nhere\n^C\n```\n\n\
    ```console other/two\n$ sh -c 'sleep 1000 | sleep 1000'\n```\n";

/// The same over a wire that loses and delays packets, while there is traffic on it.
const WIRE_PAGE: &str = "```wire\nlose 10% seed 3\ndelay 20ms\n```\n\n\
    ```console server\n$ sh -c 'sleep 1000 & setsid sleep 1000 & sleep 1000'\n```\n\n\
    ```console client\n$ sh -c 'setsid sleep 1000 & exec sleep 1000'\n```\n";

/// Sends datagrams to host b, which nobody receives, and lasts without Python too.
const SENDS: &str = "sleep 1000 & python3 -c 'import socket, time\n\
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
    while True: s.sendto(b\"x\", (\"10.77.0.2\", 9)); time.sleep(0.001)'; sleep 1000";

/// A small generator of pseudorandom numbers (Knuth's MMIX), so that every test run is
/// the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The process that is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// The process that was started.
    Itself,
    /// One of its descendants.
    Descendant,
    /// Its process group, as a terminal or a supervisor would.
    Group,
}

#[test]
fn at_random_moments() {
    kill_at_random_moments(0, 4, 30);
}

#[test]
fn over_a_wire_at_random_moments() {
    kill_at_random_moments(4, 2, 10);
}

/// Kills one of the `count` kinds of command from `first` on, as often as the variable `KILLS`
/// says, or else `kills` times.
fn kill_at_random_moments(first: u64, count: u64, kills: u32) {
    let asked = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok());
    let mut random = Random(20);
    let (mounts, cards) = (mounts(), cards());
    for round in 0..asked.unwrap_or(kills) {
        let scratch = tempfile::tempdir().unwrap();
        let kind = first + random.below(count);
        let Some((what, mut command)) = command(kind, scratch.path()) else {
            continue;
        };
        let victim = [Victim::Itself, Victim::Descendant, Victim::Group]
            [usize::try_from(random.below(3)).unwrap()];
        let moment = Duration::from_micros(random.below(300_000));
        // Everything that it starts inherits this variable, and is found by it.
        let mark = format!("KILLED={}-{first}-{round}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let temporary = scratch.path().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        command.env(name, value).env("TMPDIR", &temporary);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        let context = format!("round {round}: {what}, {victim:?} after {moment:?}");
        std::thread::park_timeout(moment);
        kill(&mut child, victim, &mut random);
        none_has(&mark, &context);
        assert_eq!(self::mounts(), mounts, "{context}");
        assert_eq!(self::cards(), cards, "{context}");
        let files: Vec<PathBuf> = fs::read_dir(&temporary)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(files.is_empty(), "{context}: {files:?}");
    }
}

/// Returns a `demo` of a course that has only this page.
fn demo(course: &Path, page: &str) -> Command {
    fs::create_dir_all(course.join("xtask")).unwrap();
    fs::create_dir_all(course.join("lessons/01-one")).unwrap();
    fs::write(course.join("lessons/01-one/README.md"), page).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env("CARGO_MANIFEST_DIR", course.join("xtask"));
    command.args(["demo", "--all", "--scenes"]);
    command
}

/// Returns a command that runs for long, or `None` if its program is not built.
fn command(kind: u64, scratch: &Path) -> Option<(&'static str, Command)> {
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let tool = |name: &str| {
        let tool = xtask.with_file_name(name);
        if !tool.is_file() {
            skip(&format!("{name} is not built: cargo build --workspace"));
        }
        tool.is_file().then(|| Command::new(tool))
    };
    const LASTS: &str = "sleep 1000 & setsid sleep 1000 & sleep 1000";
    let demo = |page: &str| demo(scratch, page);
    match kind {
        0 => Some(("demo", demo(PAGE))),
        1 => {
            let mut command = demo(PAGE);
            command.arg("--host-network");
            Some(("demo", command))
        }
        2 => {
            let mut command = tool("flow")?;
            command.args(["--", "sh", "-c", LASTS, "--", "sh", "-c", LASTS]);
            Some(("flow", command))
        }
        3 => {
            let mut command = tool("check")?;
            command.args(["tcp-echo", "--", "sh", "-c", LASTS]);
            Some(("check", command))
        }
        4 => {
            let mut command = tool("flow")?;
            command.args(["--rule", "lose 10% seed 3", "--rule", "delay 20ms"]);
            command.args(["--", "sh", "-c", LASTS, "--", "sh", "-c", SENDS]);
            Some(("flow over a wire", command))
        }
        _ => Some(("demo over a wire", demo(WIRE_PAGE))),
    }
}

fn kill(child: &mut Child, victim: Victim, random: &mut Random) {
    match victim {
        Victim::Itself => child.kill().unwrap(),
        Victim::Group => process::signal_group(child.id(), process::Signal::Kill),
        Victim::Descendant => {
            let family = process::family(child.id());
            let at = random.below(u64::try_from(family.len()).unwrap());
            process::kill(family[usize::try_from(at).unwrap()]);
            // The command may continue without that process, so ask it to end.
            std::thread::park_timeout(Duration::from_millis(100));
            process::signal_group(child.id(), process::Signal::Terminate);
        }
    }
    child.wait().unwrap();
}

/// Expects that within two seconds no process has the variable.
fn none_has(variable: &str, context: &str) {
    let has = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    let mut left = Vec::new();
    let none = testkit::soon(Duration::from_secs(2), || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        left = processes.filter(|path| has(path)).collect();
        left.is_empty()
    });
    let commands = left.iter().map(|path: &PathBuf| {
        String::from_utf8_lossy(&fs::read(path.join("cmdline")).unwrap_or_default())
            .replace('\0', " ")
    });
    assert!(none, "{context}: {left:?}: {:?}", commands.collect::<Vec<_>>());
}

/// The network cards of this network.
fn cards() -> Vec<String> {
    let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let cards = devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    cards.map(str::to_owned).collect()
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
