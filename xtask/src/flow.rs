//! `flow`: draws the calls and packets of a lesson's run, or of any programs.
//!
//! The work is done by the program `flow` (`crates/flow`), which is built only here: a first
//! `cargo xtask demo` does without the tracer. This module hands it a scene's commands, and
//! holds what it draws against the page.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::page::{Fault, Flow, Page, Scene};
use crate::run::{Network, Programs};
use crate::verdict::{Mismatch, Stage, Verdict, shortened};
use crate::{Ended, Error, demo, house, run, screen, snapshot, transcript};

/// Columns of the drawings on the pages.
pub const PAGE_COLUMNS: usize = 92;

/// The exit status of a program that the system does not let do its work.
const REFUSED: i32 = 77;

/// How often a run is repeated in which one of the kernel's timers went off.
const REPEATS: usize = 10;

/// What `flow` was asked.
#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "cargo xtask flow [OPTIONS] [LESSON[/SCENE]]\n       \
                      cargo xtask flow [OPTIONS] -- SERVER… [-- CLIENT…]…\n       \
                      cargo xtask flow [OPTIONS] --attach PID\n       \
                      cargo xtask flow [OPTIONS] show LOG.json",
    after_help = "Examples:\n  \
        cargo xtask flow udp-echo\n  \
        cargo xtask flow tcp-echo --format svg -o echo.svg\n  \
        cargo xtask flow --pcap echo.pcapng -- python3 server.py -- python3 client.py\n  \
        cargo xtask flow show lessons/02-tcp-echo/flow.json\n\n\
        Exit status: 0 drawn; 1 failed; 2 wrong command line; 77 nothing could be drawn here."
)]
pub struct Options {
    /// Lesson by number, folder or name, LESSON/SCENE for one scene; or `show` and a log
    #[arg(value_name = "LESSON", num_args = 0..=2)]
    pub words: Vec<String>,
    /// What is written; json is the event log
    #[arg(long, default_value = "text", value_parser = ["text", "json", "svg"])]
    pub format: String,
    /// Whether text is coloured
    #[arg(long, default_value = "auto", value_parser = ["auto", "always", "never"])]
    pub color: String,
    /// Columns of the text [default: the terminal's, at most 92]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub width: Option<u16>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the packets to this file as well, for Wireshark and tcpdump
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Write the event log to this file as well
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Show calls as the kernel got them, with all flags and by their kernel names
    #[arg(long)]
    pub exact: bool,
    /// Let all programs run at once, not one at a time in turn
    #[arg(long)]
    pub free: bool,
    /// Use the host's network: calls alone are drawn
    #[arg(long)]
    pub host_network: bool,
    /// Join a running program; ^C leaves it again
    #[arg(long, value_name = "PID")]
    pub attach: Vec<String>,
    /// Programs of your own, with a `--` before each
    #[arg(last = true, value_name = "PROGRAM")]
    pub programs: Vec<OsString>,
}

/// Does what `flow` was asked.
///
/// # Errors
/// No such lesson or scene; a broken page; programs that cannot be built or started.
pub fn flow(options: &Options) -> Result<Ended, Error> {
    let root = house::root();
    let own = !options.programs.is_empty() || !options.attach.is_empty();
    match &options.words[..] {
        [] if own => {
            let programs = house::build_with(&root, [], &["flow"])?;
            let mut command = flow_command(&programs);
            command.args(drawing_arguments(options)).args(live_arguments(options));
            command.arg("--").args(&options.programs);
            become_it(command)
        }
        _ if own => {
            Err(Error::new("flow: a lesson and programs of your own; give one of them"))
        }
        [show, log] if show == "show" => {
            let programs = house::build_with(&root, [], &["flow"])?;
            let mut command = flow_command(&programs);
            command.args(drawing_arguments(options)).arg("show").arg(log);
            become_it(command)
        }
        [word] if word == "show" => {
            Err(Error::new("flow show: which log? try lessons/02-tcp-echo/flow.json"))
        }
        [_, _, ..] => Err(Error::new("flow: one lesson at a time")),
        words => {
            lesson(&root, words.first().map_or(demo::FIRST, String::as_str), options)
        }
    }
}

/// Draws a lesson's run; where the system does not allow one, the recording beside the page.
fn lesson(root: &Path, word: &str, options: &Options) -> Result<Ended, Error> {
    let (word, only) = match word.split_once('/') {
        Some((word, scene)) => (word, Some(scene)),
        None => (word, None),
    };
    let lesson = house::lesson(root, word)?;
    let pages = lesson.pages(root)?;
    let jobs = demo::jobs(&pages);
    let at = only.map_or(Ok(0), |word| demo::find(&lesson, &jobs, word))?;
    let Some((page, scene)) = jobs.get(at) else {
        return Err(Error(format!("{}: nothing on this page runs", lesson.directory)));
    };
    let programs = house::build_with(root, &pages, &["flow"])?;
    let mut command = flow_command(&programs);
    command.args(drawing_arguments(options)).args(live_arguments(options));
    let folder = folder(root, page);
    let sides =
        sides(&programs, &folder, page, scene).map_err(|reason| match reason {
            Unable::Page(fault) => Error(fault.to_string()),
            Unable::Missing(what) => {
                Error(format!("draw {word}: {what}; install it first"))
            }
        })?;
    // What the programs print is what `demo` shows.
    command.arg("--quiet").args(sides);
    run::lay_environment(&mut command);
    let status = wait_through_interrupts(&mut command)?;
    let recording = recording(root, page, &scene.name);
    if status.code() != Some(REFUSED) || !recording.is_file() {
        return Ok(ended(status));
    }
    let mut command = flow_command(&programs);
    command.args(drawing_arguments(options)).arg("show").arg(&recording);
    let status = wait_through_interrupts(&mut command)?;
    Ok(ended(status))
}

fn flow_command(programs: &Programs) -> Command {
    Command::new(program(programs))
}

fn program(programs: &Programs) -> PathBuf {
    programs.binaries.join(format!("flow{}", std::env::consts::EXE_SUFFIX))
}

fn folder(root: &Path, page: &Page) -> PathBuf {
    root.join(page.path.parent().unwrap_or(Path::new("")))
}

/// Where the recorded log of a scene's run is kept: beside its page.
fn recording(root: &Path, page: &Page, scene: &str) -> PathBuf {
    folder(root, page).join(format!("{}.json", snapshot::flow_name(page, scene)))
}

/// The options about how something is drawn, in the words of `flow`.
fn drawing_arguments(options: &Options) -> Vec<OsString> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let terminal = options.output.is_none() && io::stdout().is_terminal();
    let color = match options.color.as_str() {
        // Asked here: for the programs of a lesson the variable is always set.
        "auto" if terminal && !no_color => "always",
        "auto" => "never",
        other => other,
    };
    let columns = || {
        let terminal = screen::width().filter(|_| io::stdout().is_terminal());
        terminal.unwrap_or(PAGE_COLUMNS).clamp(40, PAGE_COLUMNS)
    };
    let width = options.width.map_or_else(columns, usize::from).to_string();
    let mut words: Vec<OsString> =
        ["--format", &options.format, "--color", color, "--width", &width]
            .map(OsString::from)
            .into();
    if let Some(file) = &options.output {
        words.extend(["--output".into(), absolute(file)]);
    }
    if options.exact {
        words.push("--exact".into());
    }
    words
}

/// The options about how something is run.
fn live_arguments(options: &Options) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for (name, file) in [("--pcap", &options.pcap), ("--log", &options.log)] {
        if let Some(file) = file {
            words.extend([name.into(), absolute(file)]);
        }
    }
    for (name, wanted) in
        [("--free", options.free), ("--host-network", options.host_network)]
    {
        if wanted {
            words.push(name.into());
        }
    }
    for pid in &options.attach {
        words.extend(["--attach".into(), pid.into()]);
    }
    words
}

/// A lesson's commands run in its folder; the user's files are where the user is.
fn absolute(file: &Path) -> OsString {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).into()
}

/// Why a scene cannot be handed to `flow`.
enum Unable {
    /// A program of it is not installed.
    Missing(String),
    /// The page asks for what `flow` does not do.
    Page(Fault),
}

/// The command lines of a scene, each with a `--` before it, from the folder of its page.
fn sides(
    programs: &Programs,
    folder: &Path,
    page: &Page,
    scene: &Scene,
) -> Result<Vec<OsString>, Unable> {
    let fault =
        |line, message| Unable::Page(Fault { path: page.path.clone(), line, message });
    let mut words: Vec<OsString> = Vec::new();
    for (at, terminal) in scene.terminals.iter().enumerate() {
        // `flow` starts each side when the one before is ready; the second command of a
        // terminal starts when the first has ended, which is the same for the last alone.
        if let (Some(second), true) =
            (terminal.steps.get(1), at + 1 < scene.terminals.len())
        {
            let message = format!(
                "terminal {} has several commands, and others come after it: `flow` cannot \
                 draw this scene",
                terminal.name
            );
            return Err(fault(second.line, message));
        }
        for step in &terminal.steps {
            if step.words.first().is_some_and(|word| word == "strace") {
                let message = "strace traces this program, and a program has one tracer: \
                               `flow` cannot draw this scene";
                return Err(fault(step.line, message.to_owned()));
            }
            let (program, arguments) =
                programs.resolve(&step.words, folder).map_err(|missing| {
                    if missing.is_not_installed() {
                        Unable::Missing(missing.to_string())
                    } else {
                        fault(step.line, missing.to_string())
                    }
                })?;
            words.extend(["--".into(), program.into()]);
            words.extend(arguments.iter().map(OsString::from));
        }
    }
    // The page's folder is where the commands run.
    words.splice(0..0, ["--directory".into(), folder.into()]);
    Ok(words)
}

/// Replaces this process by the command, so that the terminal's ^C is the command's alone.
#[cfg(unix)]
fn become_it(mut command: Command) -> Result<Ended, Error> {
    use std::os::unix::process::CommandExt as _;
    let error = command.exec();
    Err(Error(format!("start {}: {error}", command.get_program().to_string_lossy())))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<Ended, Error> {
    wait_through_interrupts(&mut command).map(ended)
}

/// Runs the command to its end. ^C is for it, not for this process.
fn wait_through_interrupts(command: &mut Command) -> Result<ExitStatus, Error> {
    #[cfg(unix)]
    let id = signal_hook::flag::register(
        signal_hook::consts::SIGINT,
        std::sync::Arc::default(),
    )
    .map_err(Error::io("watch for signals"))?;
    let status = command.status().map_err(|error| {
        Error(format!("start {}: {error}", command.get_program().to_string_lossy()))
    });
    #[cfg(unix)]
    signal_hook::low_level::unregister(id);
    status
}

fn ended(status: ExitStatus) -> Ended {
    match status.code() {
        Some(0) => Ended::Well,
        Some(REFUSED) => Ended::Skipped,
        _ => Ended::Badly,
    }
}

/// A run that was drawn.
#[derive(Debug)]
pub struct Drawn {
    /// The drawing in the form of the pages, without colour.
    pub lines: Vec<String>,
    /// The event log, with paths relative to the checkout.
    pub log: String,
}

/// Why the runs of this system cannot be drawn whole, if they cannot.
pub fn refusal(programs: &Programs, network: Network) -> Option<String> {
    if network == Network::Host {
        return Some("packets are captured on a private network alone".into());
    }
    let mut command = flow_command(programs);
    command.args(["--quiet", "--"]).arg(program(programs)).arg("--version");
    let output = command.stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code() == Some(REFUSED)).then(|| said.trim().to_owned())
}

/// Runs the scene of a drawing and holds what came against the page.
///
/// A run in which one of the kernel's timers went off (an acknowledgment that was delayed, a
/// segment that was sent again, where the page has none) is another one than the page's: the
/// machine was busy. It is repeated, ten times at most.
pub fn hold(
    stage: &Stage,
    root: &Path,
    page: &Page,
    flow: &Flow,
) -> (Verdict, Option<Drawn>) {
    let mut last = (Verdict::Matches, None);
    for _ in 0..REPEATS {
        let drawn = match live(stage, root, page, flow) {
            Ok(drawn) => drawn,
            Err(verdict) => return (verdict, None),
        };
        let verdict = compare(page, flow, &drawn.lines);
        let timers = timers(&drawn.lines);
        last = (verdict, Some(drawn));
        if matches!(last.0, Verdict::Matches) || timers <= timers_of(flow) {
            break;
        }
    }
    last
}

/// Holds the recording beside the page against its drawing.
pub fn hold_recording(
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
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return stopped(format!("start flow: {error}")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return stopped(said.trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // The last line says that it is a recording; the page's drawing is of a run.
    if lines.pop().is_none_or(|line| !line.starts_with("A recording")) {
        return stopped(format!("{name} is drawn without the words `A recording`"));
    }
    compare(page, flow, &lines)
}

/// How many packets a drawing shows that one of the kernel's timers sent.
fn timers(lines: &[String]) -> usize {
    let marks = [" delayed ", " again "];
    lines.iter().filter(|line| marks.iter().any(|mark| line.contains(mark))).count()
}

fn timers_of(flow: &Flow) -> usize {
    timers(&flow.lines)
}

fn stopped(page: &Page, flow: &Flow, message: String) -> Verdict {
    Verdict::Stopped(Fault { path: page.path.clone(), line: flow.line, message })
}

fn compare(page: &Page, flow: &Flow, lines: &[String]) -> Verdict {
    let difference =
        transcript::compare(std::slice::from_ref(&flow.lines), &[lines.to_vec()]).pop();
    let Some(difference) = difference.flatten() else { return Verdict::Matches };
    let message =
        "the flow of the run is another one than the page's; if the run is right: cargo \
         xtask update"
            .to_owned();
    let line = flow.line + difference.line;
    let fault = Fault { path: page.path.clone(), line, message };
    let diff = difference.diff.lines().map(|line| shortened(line) + "\n").collect();
    Verdict::Differs(vec![Mismatch { fault, diff }])
}

/// Runs a scene under `flow`, within the limits of the stage.
fn live(stage: &Stage, root: &Path, page: &Page, flow: &Flow) -> Result<Drawn, Verdict> {
    let stopped = |message| stopped(page, flow, message);
    let Some(scene) = page.scene(&flow.scene) else {
        return Err(stopped("there is no such scene".to_owned()));
    };
    let folder = folder(root, page);
    let sides =
        sides(&stage.programs, &folder, page, scene).map_err(|unable| match unable {
            Unable::Missing(what) => Verdict::Skipped(what),
            Unable::Page(fault) => Verdict::Stopped(fault),
        })?;
    let scratch = Scratch::new(&stage.programs)
        .map_err(|error| stopped(format!("make a folder for the log: {error}")))?;
    let (log, text) = (scratch.0.join("log.json"), scratch.0.join("drawing.txt"));
    let mut command = flow_command(&stage.programs);
    command.args(["--quiet", "--color", "never", "--width", &PAGE_COLUMNS.to_string()]);
    command.arg("--log").arg(&log).arg("--output").arg(&text).args(sides);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    run::lay_environment(&mut command);
    let (status, said) = within(&mut command, stage.limits.run).map_err(stopped)?;
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
    Ok(Drawn { lines, log: portable(&read(&log)?, root, &stage.programs) })
}

/// The log without what it says of this machine's folders.
fn portable(log: &str, root: &Path, programs: &Programs) -> String {
    let slash = |path: &Path| format!("{}/", path.display());
    log.replace(&slash(&programs.binaries), "target/debug/").replace(&slash(root), "")
}

/// Records the run of a drawing: writes its log beside the page.
///
/// # Errors
/// The file cannot be written.
pub fn write_recording(
    root: &Path,
    page: &Page,
    flow: &Flow,
    drawn: &Drawn,
) -> io::Result<()> {
    fs::write(recording(root, page, &flow.scene), &drawn.log)
}

/// Runs a command to its end, or to the deadline: how it ended, and its words on stderr.
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
        // What it traces dies with it. Elsewhere it traces nothing, and ends at once.
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

/// A folder for one run, below `target`; it is gone when this is dropped.
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
