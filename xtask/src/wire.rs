//! `wire`: two private hosts, a link between them that loses what you name, and the drawing
//! of what became of it.
//!
//! The work is done by the program `flow`, which makes the wire, and by [`crate::flow`], which
//! hands it a scene's commands and rules.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use netlab::wire::Rules;

use crate::page::{Page, Scene};
use crate::run::Programs;
use crate::{Error, Status, build, flow, interrupt, jobs, workspace};

/// The exit status of a program that the system does not let do its work.
const REFUSED: i32 = 77;

/// What `wire` was asked.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(
    override_usage = "cargo xtask wire [OPTIONS] LESSON[/SCENE]\n       \
                      cargo xtask wire [OPTIONS] --rule RULE… -- SERVER… [-- CLIENT…]…",
    after_help = "Rules:\n  \
        lose a>b data 2        lose b>a syn-ack 1     lose 5% seed 7\n  \
        double a>b data 1      swap a>b data 2 3      delay 20ms\n  \
        flip a>b data 1 bit 9  rate 1Mbit queue 20    mtu 1400 from packet 5\n  \
        cut at b>a data 3      mend after 2s          answer a>b unreachable\n  \
        flip-checksummed a>b data 1                   set tcp_retries2 3\n\
        Numbers count original segments; with `retransmission` repeated ones.\n\n\
        Examples:\n  \
        cargo xtask wire 10\n  \
        cargo xtask wire --rule 'lose a>b data 1' -- \\\n    \
        python3 -m http.server --bind 10.77.0.2 -- curl http://10.77.0.2:8000\n\n\
        Exit status: 0 drawn; 1 failed; 2 wrong command line or rule; 77 not here."
)]
pub struct Options {
    /// A rule of the wire; as often as you like
    #[arg(long, value_name = "RULE")]
    pub rule: Vec<String>,
    /// A file of rules, one a line
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// How it is drawn.
    #[command(flatten)]
    pub flow: flow::Options,
}

/// Does what `wire` was asked; the exit status.
pub fn wire(options: &Options) -> ExitCode {
    if let Err(message) = Rules::parse(options.rule.iter().map(String::as_str)) {
        return said(&message.to_string(), 2);
    }
    match run(options) {
        Ok(Status::AsDocumented) => ExitCode::SUCCESS,
        Ok(Status::Failed) => ExitCode::FAILURE,
        Ok(Status::Skipped) => ExitCode::from(77),
        Err(error) => said(&error.to_string(), 1),
    }
}

fn said(message: &str, status: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(status)
}

fn run(options: &Options) -> Result<Status, Error> {
    let root = workspace::root();
    let flow = &options.flow;
    match (&flow.words[..], flow.programs.is_empty()) {
        ([], false) => {
            let programs = build::programs_of_and(&root, [], &["flow"])?;
            let mut command = flow::flow_command(&programs);
            command
                .args(flow::drawing_arguments(flow))
                .args(flow::live_arguments(flow))
                .args(rules(options))
                .arg("--")
                .args(&flow.programs);
            flow::become_it(command)
        }
        ([word], true) if options.rule.is_empty() && options.rules.is_none() => {
            let words =
                [flow::drawing_arguments(flow), flow::live_arguments(flow)].concat();
            lesson(&root, word, &words)
        }
        ([_], true) => Err(Error::new(
            "wire: the rules of a lesson stand on its page; give programs of your own with \
             --rule, after a `--`",
        )),
        ([], true) => Err(Error::new(
            "wire: which lesson, or which programs? try cargo xtask wire 10, or --help",
        )),
        _ => Err(Error::new(
            "wire: a lesson and programs of your own, or two lessons; give one of them",
        )),
    }
}

/// The rules in the words of `flow`. Without one it is a wire that only carries.
fn rules(options: &Options) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for rule in &options.rule {
        words.extend(["--rule".into(), rule.into()]);
    }
    if let Some(file) = &options.rules {
        words.extend(["--wire".into(), file.into()]);
    }
    if words.is_empty() {
        words.extend(["--rule".into(), "# none".into()]);
    }
    words
}

/// Draws a scene of a lesson, or all its scenes that run on a wire, one after another.
fn lesson(root: &Path, word: &str, words: &[OsString]) -> Result<Status, Error> {
    let (lesson, only) = workspace::lesson_and_scene(root, word)?;
    if only.is_some() {
        return flow::lesson(root, word, words);
    }
    let pages = lesson.pages(root)?;
    let jobs = jobs::jobs(&pages);
    let on_a_wire: Vec<(&Page, &Scene)> =
        jobs.into_iter().filter(|(_, scene)| scene.wire.is_some()).collect();
    if on_a_wire.is_empty() {
        return Err(Error::new(format!(
            "{}: no scene of this page runs on a wire; try cargo xtask wire 10",
            lesson.directory
        )));
    }
    let programs = build::programs_of_and(root, &pages, &["flow"])?;
    let mut all = Status::AsDocumented;
    for (page, scene) in on_a_wire {
        let status = draw(root, &programs, page, scene, words)?;
        if status != Status::AsDocumented && all != Status::Failed {
            all = status;
        }
    }
    Ok(all)
}

fn draw(
    root: &Path,
    programs: &Programs,
    page: &Page,
    scene: &Scene,
    words: &[OsString],
) -> Result<Status, Error> {
    let mut out = anstream::stdout();
    let mut say =
        |line: &str| writeln!(out, "{line}").map_err(Error::io("write to stdout"));
    say(&format!("── {} ──", scene.name))?;
    for rule in scene.wire.iter().flatten() {
        say(rule)?;
    }
    let mut command: Command = flow::scene_command(root, programs, page, scene, words)?;
    let status = command.status().map_err(Error::io("start flow"))?;
    say("")?;
    if interrupt::asked() {
        return Err(Error::new("interrupted"));
    }
    Ok(match status.code() {
        Some(0) => Status::AsDocumented,
        Some(REFUSED) => Status::Skipped,
        _ => Status::Failed,
    })
}
