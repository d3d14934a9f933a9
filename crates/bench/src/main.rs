//! `cargo xtask bench`: measures how long a first `cargo xtask demo` takes, compared with a
//! yardstick, and how long a warm one takes. Its subcommands measure other things.
//!
//! The yardstick is the cold build of an empty program with the two libraries that every
//! lesson program has, `socket2` and `clap`. The two are built in turns, in fresh
//! folders, from crates that have been downloaded already.

mod checker;
#[cfg(target_os = "linux")]
mod ladder;
mod tracing;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xtask::interrupt::Scratch;
use xtask::{Error, Status, build, hand_over, interrupt, workspace};

/// Measure the first build, a run, and the servers side by side
#[derive(Debug, Clone, clap::Parser)]
#[command(bin_name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Options {
    /// Something else to measure
    #[command(subcommand)]
    what: Option<What>,
    /// Cold builds of each; 0 leaves them out
    #[arg(long, default_value_t = 3)]
    builds: usize,
    /// Warm runs of `demo` and of `flow`
    #[arg(long, default_value_t = 20)]
    runs: usize,
}

/// The other things to measure.
#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// The servers of lessons 12 to 15 side by side, with plots
    #[cfg(target_os = "linux")]
    Ladder(ladder::Options),
    /// The last rung for half an hour, among clients of all kinds
    #[cfg(target_os = "linux")]
    Soak(ladder::soak::Options),
    /// `flow` beside strace and beside a tracer that does nothing
    Flow(tracing::Options),
    /// `check` on the solutions of lessons 2 to 9, one task after the other
    Check,
}

fn main() -> ExitCode {
    hand_over::main_of(|options: Options| bench(&options))
}

/// Measures, and prints medians and a ratio.
///
/// # Errors
/// Fails if a command fails or a folder cannot be written.
fn bench(options: &Options) -> Result<Status, Error> {
    match &options.what {
        #[cfg(target_os = "linux")]
        Some(What::Ladder(options)) => return ladder::ladder(options),
        #[cfg(target_os = "linux")]
        Some(What::Soak(options)) => return ladder::soak::soak(options),
        Some(What::Flow(options)) => return tracing::tracing(options),
        Some(What::Check) => return checker::checker(),
        _ => {}
    }
    let root = workspace::root();
    interrupt::watch().map_err(Error::io("watch for signals"))?;
    if options.builds > 0 {
        cold(&root, options.builds)?;
    }
    if options.runs > 0 {
        warm(&root, options.runs)?;
    }
    Ok(Status::AsDocumented)
}

fn cold(root: &Path, builds: usize) -> Result<(), Error> {
    let (lock, scratch) = builds_folder(root)?;
    let result = cold_in(root, scratch.path(), builds);
    let removed = scratch.remove().map_err(Error::io("remove the folder of the builds"));
    drop(lock);
    result.and(removed)
}

/// Makes the folder of the builds, below `target`, where the next measurement finds it if this one
/// is killed. The lock says that it is in use.
fn builds_folder(root: &Path) -> Result<(File, Scratch), Error> {
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder).map_err(Error::io("make target/bench"))?;
    let lock = File::create(folder.join("builds.lock"))
        .map_err(Error::io("make target/bench/builds.lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(
                "measure first builds: another bench builds in target/bench/builds; wait for it",
            ));
        }
        Err(TryLockError::Error(error)) => {
            return Err(Error::io("lock target/bench/builds.lock")(error));
        }
    }
    let scratch = Scratch::new(folder.join("builds"))
        .map_err(Error::io("make a folder for the builds"))?;
    Ok((lock, scratch))
}

fn cold_in(root: &Path, folder: &Path, builds: usize) -> Result<(), Error> {
    let yardstick = folder.join("yardstick");
    write_yardstick(root, &yardstick).map_err(Error::io("write the yardstick"))?;
    let mut demo_times = Vec::new();
    let mut yardstick_times = Vec::new();
    for build in 0..builds {
        let clone = folder.join(format!("clone-{build}"));
        let clone_name = clone.to_string_lossy().into_owned();
        time("git", &["clone", "--quiet", &root.to_string_lossy(), &clone_name], folder)?;
        // What the alias `xtask` stands for: in a folder below this checkout, cargo would join
        // the aliases of both.
        let demo = ["--offline", "run", "--quiet", "--package", "xtask", "--", "demo"];
        demo_times.push(time("cargo", &demo, &clone)?);
        let _ = fs::remove_dir_all(yardstick.join("target"));
        yardstick_times.push(time(
            "cargo",
            &["build", "--quiet", "--offline"],
            &yardstick,
        )?);
    }
    let crates = |folder: &Path, package: &str| {
        count(
            folder,
            &["tree", "--offline", "-e", "no-dev", "--prefix", "none", "-p", package],
        )
    };
    let ours = crates(root, "xtask")?;
    let theirs = crates(&yardstick, "yardstick")?;
    let (demo, build) = (median(&mut demo_times), median(&mut yardstick_times));
    say(&format!(
        "cold, {builds} builds each, medians (seconds)\n\
         fresh clone to verdict   {:6.2}   {ours} crates for xtask\n\
         yardstick                {:6.2}   {theirs} crates\n\
         ratio                    {:6.2}",
        demo.as_secs_f64(),
        build.as_secs_f64(),
        demo.as_secs_f64() / build.as_secs_f64(),
    ))
}

/// Creates an empty program with the workspace's versions of `socket2` and `clap`.
fn write_yardstick(root: &Path, folder: &Path) -> io::Result<()> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let dependency = |name: &str| {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
        line.unwrap_or_default().to_owned() + "\n"
    };
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"yardstick\"\nedition = \"2024\"\n\n[dependencies]\n"
            .to_owned()
            + &dependency("clap")
            + &dependency("socket2")
            + "\n[workspace]\n",
    )?;
    fs::write(folder.join("src/main.rs"), "fn main() {}\n")?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map(drop)
}

fn warm(root: &Path, runs: usize) -> Result<(), Error> {
    let demo = ["xtask", "demo", "tcp-echo/main"];
    let flow = ["xtask", "flow", "tcp-echo"];
    time("cargo", &demo, root)?;
    time("cargo", &flow, root)?;
    let mut whole = Vec::new();
    let mut drawn = Vec::new();
    let mut over = Vec::new();
    let mut run = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let output = output("cargo", &demo, root)?;
        let (without, with) = (start.elapsed(), time("cargo", &flow, root)?);
        whole.push(without);
        drawn.push(with);
        // If a busy machine made the demo slower than its drawing, count no difference.
        over.push(with.saturating_sub(without));
        let figure = output
            .split("; the run itself ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let figure =
            figure.and_then(|figure| figure.parse::<f64>().ok()).unwrap_or(f64::NAN);
        run.push(Duration::try_from_secs_f64(figure / 1e3).unwrap_or_default());
    }
    let say_row = |name: &str, times: &mut Vec<Duration>| {
        let middle = median(times);
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        say(&format!(
            "{name} {:8.1} {:8.1} {:8.1}",
            milliseconds(times[0]),
            milliseconds(middle),
            milliseconds(times[times.len() - 1]),
        ))
    };
    say(&format!("warm, {runs} runs (milliseconds)      min   median      max"))?;
    say_row("the run: spawn to reap    ", &mut run)?;
    say_row("cargo xtask demo, whole   ", &mut whole)?;
    say_row("cargo xtask flow, whole   ", &mut drawn)?;
    say_row("flow over demo, in pairs  ", &mut over)?;
    let ratio = median(&mut drawn).as_secs_f64() / median(&mut whole).as_secs_f64();
    say(&format!("flow to demo, ratio of medians {ratio:12.2}"))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn time(program: &str, arguments: &[&str], folder: &Path) -> Result<Duration, Error> {
    let start = Instant::now();
    output(program, arguments, folder)?;
    Ok(start.elapsed())
}

fn count(folder: &Path, arguments: &[&str]) -> Result<usize, Error> {
    let text = output("cargo", arguments, folder)?;
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let mut names: Vec<&str> = names.filter(|line| !line.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.len())
}

fn output(program: &str, arguments: &[&str], folder: &Path) -> Result<String, Error> {
    let attempt = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    // These variables, which cargo gave this process, must not affect the other checkout.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_TARGET_DIR");
    let output = build::output(command.stdin(Stdio::null()));
    let output = output.map_err(Error::io(&attempt))?;
    if interrupt::asked() {
        return Err(Error::new(format!("{attempt}: interrupted by a signal")));
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(Error::new(format!("{attempt}: {}; {last}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn say(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(Error::io("write to stdout"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_a_bench_that_was_killed_has_left_is_removed_and_two_do_not_meet() {
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join("target/bench/builds/clone-0");
        fs::create_dir_all(&left).unwrap();
        let (lock, scratch) = builds_folder(root.path()).unwrap();
        assert!(!left.exists() && scratch.path().is_dir());
        let message = builds_folder(root.path()).unwrap_err().to_string();
        assert!(message.contains("another bench"), "{message}");
        assert!(scratch.path().is_dir());
        scratch.remove().unwrap();
        drop(lock);
        builds_folder(root.path()).unwrap();
    }
}
