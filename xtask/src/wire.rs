//! `wire`: draws what happens between two private hosts when the link between them loses or
//! damages the packets that you name.
//!
//! The work is done by the program `flow`, which creates the wire, and by
//! [`crate::flow`], which passes it a scene's commands and rules.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use netlab::wire::Rules;

use crate::arguments::PassedOn;
use crate::page::{Page, Scene};
use crate::run::Programs;
use crate::{Error, Status, build, flow, interrupt, jobs, workspace};

/// The exit status of a program that the system does not let do its work.
const REFUSED: i32 = 77;

/// The help text. The options of `flow` are in `flow`'s own.
const HELP: &str = "\
Draw the same over a wire that loses or damages what you name

Usage: cargo xtask wire LESSON[/SCENE] [OPTIONS]   10/main is the first scene
       cargo xtask wire [OPTIONS] --rule RULE… -- SERVER… [-- CLIENT…]…

Rules:
  lose a>b data 2        lose b>a syn-ack 1     lose 5% seed 7
  double a>b data 1      swap a>b data 2 3      delay 20ms
  flip a>b data 1 bit 9  rate 1Mbit queue 20    mtu 1400 from packet 5
  cut at b>a data 3      mend after 2s          answer a>b unreachable
  flip-checksummed a>b data 1                   set tcp_retries2 3
Numbers count original segments; with `retransmission` repeated ones.
--rule gives one, and may be repeated; --wire gives a file, one rule per line.

Examples:
  cargo xtask wire 10/main   one scene; cargo xtask wire 10: all of the lesson
  cargo xtask wire --rule 'lose a>b data 1' -- \\
    python3 -m http.server --bind 10.77.0.2 -- curl http://10.77.0.2:8000

Exit status: 0 drawn; 1 failed; 2 wrong command line or rule; 77 cannot run.
All other options are those of the program flow: cargo xtask flow --help
";

/// Runs the task. A lesson comes first, as with [`flow::flow()`]; all other arguments are
/// for the program `flow`.
///
/// # Errors
/// Fails if there is no such lesson or scene, if a rule is wrong, or if programs cannot be built
/// or started.
pub fn wire(arguments: &PassedOn) -> Result<Status, Error> {
    let root = workspace::root();
    let words = arguments.words();
    let end = words.iter().position(|word| word == "--");
    let (options, own) = words.split_at(end.unwrap_or(words.len()));
    let has = |name: &str| {
        let with_value = format!("{name}=");
        options
            .iter()
            .any(|word| word == name || word.to_string_lossy().starts_with(&with_value))
    };
    let asks = ["--help", "-h"].into_iter().any(has);
    let lesson_word =
        options.first().filter(|word| !word.to_string_lossy().starts_with('-'));
    let has_rules = ["--rule", "--rules", "--wire"].into_iter().any(has);
    match (lesson_word, own.is_empty()) {
        _ if asks => {
            write!(std::io::stdout(), "{HELP}").map_err(Error::io("write to stdout"))?;
            Ok(Status::AsDocumented)
        }
        (Some(_), false) => {
            Err(Error::usage("wire: give a lesson or programs of your own, not both"))
        }
        (Some(_), true) if has_rules => Err(Error::usage(
            "wire: a lesson's rules are on its page; give programs of your own with \
             --rule, after a `--`",
        )),
        (Some(word), true) => {
            let word = word.to_string_lossy();
            if let Some(second) = options.get(1)
                && !second.to_string_lossy().starts_with('-')
            {
                return Err(Error::usage("wire: one lesson at a time"));
            }
            let words = [flow::defaults(&options[1..]), options[1..].to_vec()].concat();
            lesson(&root, &word, &words)
        }
        (None, true) => Err(Error::usage(
            "wire: which lesson, or which programs? try cargo xtask wire 10/main, or --help",
        )),
        (None, false) => {
            check(options)?;
            let programs = build::programs_of_and(&root, [], &["flow"])?;
            let mut command = flow::flow_command(&programs);
            command.args(flow::defaults(options)).args(options);
            if !has_rules {
                // Without rules the wire only carries packets.
                command.args(["--rule", "# none"]);
            }
            command.args(own);
            flow::become_it(command)
        }
    }
}

/// Checks the rules before anything is built.
fn check(options: &[OsString]) -> Result<(), Error> {
    let mut words = options.iter().map(|word| word.to_string_lossy());
    let mut rules = Vec::new();
    while let Some(word) = words.next() {
        match word.strip_prefix("--rule=") {
            Some(rule) => rules.push(rule.to_owned()),
            None if word == "--rule" => {
                rules.extend(words.next().map(|it| it.into_owned()))
            }
            None => {}
        }
    }
    let parsed = Rules::parse(rules.iter().map(String::as_str));
    parsed.map(drop).map_err(|error| Error::usage(error.to_string()))
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
            "{}: no scene of this page runs on a wire; try cargo xtask wire 10/main",
            lesson.directory
        )));
    }
    if let [(_, first), _, ..] = on_a_wire[..]
        && let Some(option) = words.iter().find_map(option_that_writes)
    {
        let name = name_of(first);
        return Err(Error::usage(format!(
            "wire {option}: each scene would replace the file of the one before; name one \
             scene, such as {}/{name}",
            lesson.name()
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

/// The option of `flow` that this word is, if it names a file to write.
fn option_that_writes(word: &OsString) -> Option<&'static str> {
    let word = word.to_string_lossy();
    ["-o", "--output", "--pcap", "--log"].into_iter().find(|name| word.starts_with(name))
}

/// A page's first scene has no name.
fn name_of(scene: &Scene) -> &str {
    if scene.name.is_empty() { "main" } else { &scene.name }
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
    say(&format!("── {} ──", name_of(scene)))?;
    for rule in scene.wire.iter().flatten() {
        say(rule)?;
    }
    let mut command: Command = flow::scene_command(root, programs, page, scene, words)?;
    #[cfg(unix)]
    netlab::process::tie(&mut command);
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
