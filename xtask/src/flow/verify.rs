//! Verifies the drawings on the pages against runs and recordings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::{
    PAGE_COLUMNS, REFUSED, Unable, flow_command, folder, program, recording, sides,
};
use crate::page::{Diagnostic, Flow, Page};
use netlab::Network;

use crate::run::{self, Programs};
use crate::runner::Runner;
use crate::transcript;
use crate::verdict::{Mismatch, Verdict, shortened};

/// After this many runs, a difference in nothing but acknowledgments is ignored.
const ACKNOWLEDGMENT_REPEATS: usize = 3;

/// The maximum number of runs, if one of the kernel's timers goes off in each.
const REPEATS: usize = 10;

/// A run that was drawn.
#[derive(Debug)]
pub struct Drawn {
    /// The drawing as the pages show it, without colour.
    pub lines: Vec<String>,
    /// The event log, with paths relative to the checkout.
    pub log: String,
}

/// Returns why runs cannot be drawn completely on this system, if they cannot.
pub fn refusal(programs: &Programs, network: Network) -> Option<String> {
    if network == Network::Host {
        return Some("packets are captured only on a private network".into());
    }
    let mut command = flow_command(programs);
    command.args(["--quiet", "--"]).arg(program(programs)).arg("--version");
    let output = command.stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code() == Some(REFUSED)).then(|| said.trim().to_owned())
}

/// Runs the scene of a drawing and compares the result with the page.
///
/// If one of the kernel's timers went off during the run, and not in the page's (an
/// acknowledgment was delayed, a segment was retransmitted), then the machine was busy,
/// and the run is repeated, up to ten times.
///
/// So is a run over a wire with a delay. What takes its time on the wire and what a program
/// does meanwhile have no order but that of the clock: a very busy machine may stop a program
/// for as long as the wire takes.
///
/// A run is also repeated if it differs only in acknowledgments that travel alone.
/// Whether an acknowledgment travels alone or with the next segment depends on a timer of
/// the kernel of some 40 ms, which a program that gets no processor may miss each time.
/// After three runs such a difference is ignored: the page shows a run that did happen,
/// which is recorded beside it, and that recording is compared to the letter.
pub fn verify(
    runner: &Runner,
    root: &Path,
    page: &Page,
    flow: &Flow,
) -> (Verdict, Option<Drawn>) {
    let mut last = (Verdict::Matches, None);
    let delayed = page
        .scene(&flow.scene)
        .and_then(|it| it.wire.as_ref())
        .is_some_and(|rules| rules.iter().any(|rule| rule.starts_with("delay ")));
    for run in 1..=REPEATS {
        let drawn = match live(runner, root, page, flow) {
            Ok(drawn) => drawn,
            Err(verdict) => return (verdict, None),
        };
        let verdict = compare(page, flow, &drawn.lines);
        let timers = timers_on(&drawn.lines);
        let only_acknowledgments = {
            let lines = without_acknowledgments(&drawn.lines);
            let flow =
                Flow { lines: without_acknowledgments(&flow.lines), ..flow.clone() };
            matches!(compare(page, &flow, &lines), Verdict::Matches)
        };
        last = (verdict, Some(drawn));
        if matches!(last.0, Verdict::Matches) {
            break;
        }
        if only_acknowledgments {
            if run >= ACKNOWLEDGMENT_REPEATS {
                last.0 = Verdict::Matches;
                break;
            }
        } else if timers <= timers_on(&flow.lines) && !delayed {
            break;
        }
    }
    last
}

/// Compares the drawing on the page with the recording beside it.
pub fn verify_recording(
    programs: &Programs,
    root: &Path,
    page: &Page,
    flow: &Flow,
) -> Verdict {
    let stopped = |message| stopped(page, flow, message);
    let file = recording(root, page, &flow.scene);
    let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
    if !file.is_file() {
        return stopped(format!("{name} is missing: cargo xtask update records the run"));
    }
    let width = PAGE_COLUMNS.to_string();
    let mut command = flow_command(programs);
    command.args(["--width", &width, "--color", "never", "show"]).arg(&file);
    // The book shows the source beside the run, so it must be the source that ran.
    command.arg("--sources").arg(root);
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return stopped(format!("start flow: {error}")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return stopped(format!("{}: cargo xtask update", said.trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // Drop the last line, which says that it is a recording: the page shows a run.
    if lines.pop().is_none_or(|line| !line.starts_with("A recording")) {
        return stopped(format!("{name} is drawn without the words `A recording`"));
    }
    compare(page, flow, &lines)
}

/// Returns the number of packets in a drawing that one of the kernel's timers sent.
fn timers_on(lines: &[String]) -> usize {
    let marks = [" delayed ", " again ", " probe "];
    lines.iter().filter(|line| marks.iter().any(|mark| line.contains(mark))).count()
}

/// Returns the rows of a drawing without what depends on whether an acknowledgment travels
/// alone: its row, the row that says how long the kernel held it back, and the state that
/// the segment shows which would otherwise have carried it.
fn without_acknowledgments(lines: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        let words = arrow_words(line);
        if !is_acknowledgment_alone(line, &words) {
            kept.push(without_its_state(line));
        } else if words.contains(&"delayed")
            && kept.last().is_some_and(|above| says_only_a_time(above))
        {
            kept.pop();
        }
    }
    kept
}

/// Returns an arrow without the state that an acknowledgment of a FIN leads to, and without
/// the padding that makes up for it.
fn without_its_state(line: &str) -> String {
    let mut shaft = line.replace("[FIN-WAIT-2]", "");
    while shaft.contains("──") {
        shaft = shaft.replace("──", "─");
    }
    shaft
}

/// Returns the words of an arrow, without states, `[FIN-WAIT-2]`, the marks of connections,
/// `#2`, and the characters that arrows and lifelines are drawn with.
fn arrow_words(line: &str) -> Vec<&str> {
    line.split(|c: char| " │┊╵├┤◀▶─".contains(c))
        .filter(|word| !word.is_empty() && !word.starts_with(['[', '#']))
        .collect()
}

fn is_acknowledgment_alone(line: &str, words: &[&str]) -> bool {
    line.contains('─')
        && words.first() == Some(&"ACK")
        && words[1..].iter().all(|word| matches!(*word, "delayed" | "again" | "probe"))
}

/// Returns whether a row says how much time has passed, and no reason: `·  41 ms ·`.
fn says_only_a_time(line: &str) -> bool {
    matches!(arrow_words(line)[..], ["·", _, "ms" | "s", "·"])
}

fn stopped(page: &Page, flow: &Flow, message: String) -> Verdict {
    Verdict::Stopped(Diagnostic { path: page.path.clone(), line: flow.line, message })
}

fn compare(page: &Page, flow: &Flow, lines: &[String]) -> Verdict {
    let difference =
        transcript::compare(std::slice::from_ref(&flow.lines), &[lines.to_vec()]).pop();
    let Some(difference) = difference.flatten() else { return Verdict::Matches };
    let message =
        "the flow of the run differs from the page's; if the run is right: cargo \
         xtask update"
            .to_owned();
    let line = flow.line + difference.line;
    let fault = Diagnostic { path: page.path.clone(), line, message };
    let diff = difference.diff.lines().map(|line| shortened(line) + "\n").collect();
    Verdict::Differs(vec![Mismatch { fault, diff }])
}

/// Runs a scene under `flow`, within the runner's limits.
fn live(
    runner: &Runner,
    root: &Path,
    page: &Page,
    flow: &Flow,
) -> Result<Drawn, Verdict> {
    let stopped = |message| stopped(page, flow, message);
    let Some(scene) = page.scene(&flow.scene) else {
        return Err(stopped("there is no such scene".to_owned()));
    };
    let folder = folder(root, page);
    let sides =
        sides(&runner.programs, &folder, page, scene).map_err(|unable| match unable {
            Unable::Missing(what) => Verdict::Skipped(what),
            Unable::Page(fault) => Verdict::Stopped(fault),
        })?;
    let scratch = Scratch::new(&runner.programs)
        .map_err(|error| stopped(format!("make a folder for the log: {error}")))?;
    let (log, text) = (scratch.0.join("log.json"), scratch.0.join("drawing.txt"));
    let mut command = flow_command(&runner.programs);
    command.args(["--quiet", "--color", "never", "--width", &PAGE_COLUMNS.to_string()]);
    command.arg("--log").arg(&log).arg("--output").arg(&text).args(sides);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    run::lay_environment(&mut command);
    let (status, said) = within(&mut command, runner.limits.run).map_err(stopped)?;
    match status.code() {
        Some(0) => {}
        Some(REFUSED) => return Err(Verdict::Skipped(said)),
        _ => return Err(stopped(said)),
    }
    let read = |file: &Path| {
        fs::read_to_string(file)
            .map_err(|error| stopped(format!("read what flow drew: {error}")))
    };
    let lines = read(&text)?.lines().map(str::to_owned).collect();
    Ok(Drawn { lines, log: portable(&read(&log)?, root, &runner.programs) })
}

/// Returns the log without the names of this machine's folders.
fn portable(log: &str, root: &Path, programs: &Programs) -> String {
    let slash = |path: &Path| format!("{}/", path.display());
    let log = log
        .replace(&slash(&programs.binaries), "target/debug/")
        .replace(&slash(root), "");
    // The home folder appears if the user has a Python of their own, or in what it prints.
    match std::env::home_dir() {
        Some(home) if home.components().count() > 1 => log.replace(&slash(&home), "~/"),
        _ => log,
    }
}

/// Records the run of a drawing: writes its log beside the page.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write_recording(
    root: &Path,
    page: &Page,
    flow: &Flow,
    drawn: &Drawn,
) -> io::Result<()> {
    fs::write(recording(root, page, &flow.scene), &drawn.log)
}

/// Runs a command until it ends or the deadline passes. Returns its exit status and what it
/// printed on standard error.
fn within(
    command: &mut Command,
    deadline: Duration,
) -> Result<(ExitStatus, String), String> {
    #[cfg(unix)]
    netlab::process::isolate(command);
    let failed = |error: io::Error| format!("run flow: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let (done, is_done) = mpsc::channel::<()>();
    let id = child.id();
    let kill = move || {
        // What it traces dies with it. On other systems it traces nothing, and ends at
        // once.
        #[cfg(unix)]
        netlab::process::signal_group(id, netlab::process::Signal::Kill);
        #[cfg(not(unix))]
        let _ = id;
    };
    let (said, late) = thread::scope(|scope| {
        let watchdog = scope.spawn(move || {
            let late = is_done.recv_timeout(deadline).is_err();
            if late {
                kill();
            }
            late
        });
        let said = words(&mut child);
        let _ = done.send(());
        (said, watchdog.join().unwrap_or(false))
    });
    let status = child.wait().map_err(failed)?;
    if late {
        return Err(format!("the run under flow takes longer than {deadline:?}"));
    }
    Ok((status, said.map_err(failed)?))
}

fn words(child: &mut Child) -> io::Result<String> {
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        io::Read::read_to_string(stderr, &mut said)?;
    }
    Ok(said.trim().to_owned())
}

/// A folder in `target` for one run, which is removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(programs: &Programs) -> io::Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flow-{}-{count}", std::process::id());
        let folder = programs.binaries.join("tmp").join(name);
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgment_that_travels_alone_is_told_from_all_else() {
        let rows = [
            "│◀[FIN-WAIT-2]─────── ACK ────────────────────┤",
            "├──────────────────── ACK ───────────────────▶│ [CLOSED]",
            "│◀────────────── ACK delayed ─────────────────┤",
            "│◀[FIN-WAIT-2]───── #2 ACK ───────────────────┤",
            "        ·  47 ms ·                            ┊",
            " ◀[FIN-WAIT-2]─── ACK delayed ────────────────┤",
        ];
        let kept = [
            "┊◀[ESTABLISHED]──── SYN ACK ──────────────────┤",
            "├────────────── 5 bytes \"ACK\" ───────────────▶┊",
            "│◀[TIME-WAIT]──────── FIN ────────────────────┤ [LAST-ACK]",
            "│ send(3, \"ACK\") = 3",
            "│◀─────────────── RST ACK ────────────────────┤",
            "┊       · 204 ms: tail loss probe ·           ┊",
            "┊       · 250 ms ·                            ┊",
            "├──────────── 4 bytes \"two \" late ───────────▶┊",
        ];
        let lines =
            |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        assert!(without_acknowledgments(&lines(&rows)).is_empty());
        let shafts: Vec<String> = kept.iter().map(|row| without_its_state(row)).collect();
        assert_eq!(without_acknowledgments(&lines(&kept)), shafts);
        // The same reply, with the acknowledgment of a FIN and behind it.
        let with = ["│◀[FIN-WAIT-2]── 2 bytes \"13\" ────────────────┤"];
        let behind = [
            "│       ·  44 ms ·                            │",
            "│◀[FIN-WAIT-2]─── ACK delayed ────────────────┤",
            "│◀───────────── 2 bytes \"13\" ────────────────┤",
        ];
        assert_eq!(
            without_acknowledgments(&lines(&with)),
            without_acknowledgments(&lines(&behind))
        );
    }
}
