//! `demo`: runs a lesson's terminals as its page says, shows them, and compares.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use netlab::Network;

use crate::jobs::{Job, find, jobs, title, verify_all};
use crate::page::{Page, Scene};
use crate::run::Shown;
use crate::runner::{self, Runner};
use crate::screen::{self, BAD, BOLD, DIM, GOOD, Screen, styled};
use crate::slow::{Keys, reading_time};
use crate::verdict::{Verdict, Verified};
use crate::workspace::{self, Lesson};
use crate::{Error, Status};
use crate::{build, interrupt};

/// The lesson that is shown if none is named: the document's own.
pub(crate) const FIRST: &str = "tcp-echo";

/// The options of `demo`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo                       the first run: TCP server, client
  cargo xtask demo --slow                the same, a line at a time
  cargo xtask demo udp-echo              another lesson
  cargo xtask demo tcp-echo --scenes     and what goes wrong, and with Python
  cargo xtask demo tcp-echo/rust-python  one scene, as it comes
  cargo xtask demo --all                 every lesson, one line each

Exit status: 0 as documented; 1 differs or failed; 2 wrong command line; 77 all
skipped, because a program is missing.")]
pub struct Options {
    /// Lesson by number or name (2, tcp-echo); LESSON/SCENE for one scene
    #[arg(conflicts_with = "all")]
    pub lesson: Option<String>,
    /// Every lesson, one line each
    #[arg(long)]
    pub all: bool,
    /// The other scenes too, one line each
    #[arg(long)]
    pub scenes: bool,
    /// Show a line at a time; any key shows the next
    #[arg(long, conflicts_with = "all")]
    pub slow: bool,
    /// Use the host's loopback, one run at a time
    #[arg(long)]
    pub host_network: bool,
    /// Seconds that one run may take
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub deadline: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero() && *duration <= Duration::from_secs(3600))
        .ok_or_else(|| "use more than 0 and at most 3600 seconds".to_owned())
}

/// Runs the task.
///
/// # Errors
/// Fails if there is no such lesson, if a page is faulty, if programs cannot be built, or if
/// standard output cannot be written.
pub fn demo(options: &Options, started: Instant) -> Result<Status, Error> {
    let root = workspace::root();
    let word = options.lesson.as_deref().unwrap_or(FIRST);
    let (lessons, only) = if options.all {
        (workspace::lessons(&root).map_err(Error::io("read lessons/"))?, None)
    } else {
        let (lesson, only) = workspace::lesson_and_scene(&root, word)?;
        (vec![lesson], only)
    };
    let mut course = Vec::new();
    for lesson in lessons {
        let pages = lesson.pages(&root)?;
        course.push((lesson, pages));
    }
    let programs = build::programs_of(&root, course.iter().flat_map(|(_, pages)| pages))?;
    let network = runner::choose_network(options.host_network)?;
    let mut runner = Runner::new(programs, network);
    runner.limits.run = options.deadline;
    runner.limits.ready = runner.limits.ready.min(options.deadline);
    let mut out = anstream::stdout();
    let mut demo = Demo {
        root: &root,
        runner,
        scenes: options.scenes,
        slow: options.slow,
        out: &mut out,
        started,
    };
    let ended = match &course[..] {
        [(lesson, pages)] if !options.all => {
            demo.lesson(lesson, pages, only, options.lesson.is_none())
        }
        _ => demo.course(&course),
    };
    match ended {
        Ok(ended) => ended,
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Status::AsDocumented)
        }
        Err(_) if interrupt::asked() => Err(Error::new("interrupted by a signal")),
        Err(error) => Err(Error::io("write to standard output")(error)),
    }
}

struct Demo<'a, W> {
    root: &'a std::path::Path,
    runner: Runner,
    /// Whether all scenes are run, or only each lesson's first.
    scenes: bool,
    /// Whether the first scene is shown a line at a time.
    slow: bool,
    out: &'a mut W,
    started: Instant,
}

impl<W: Write + Send> Demo<'_, W> {
    /// Demonstrates one lesson: shows its first scene as it runs, and a line for each of
    /// the others.
    fn lesson(
        &mut self,
        lesson: &Lesson,
        pages: &[Page],
        only: Option<&str>,
        default: bool,
    ) -> io::Result<Result<Status, Error>> {
        let jobs = jobs(pages);
        let first = match only.map(|word| find(lesson, &jobs, word)).transpose() {
            Ok(first) => first.unwrap_or(0),
            Err(error) => return Ok(Err(error)),
        };
        let Some((page, scene)) = jobs.get(first) else {
            writeln!(self.out, "{}: nothing on this page runs", lesson.directory)?;
            return Ok(Ok(Status::AsDocumented));
        };
        let verified = self.shown(page, scene)?;
        self.verdict(page, scene, &verified)?;
        let mut all = vec![verified];
        let others = if only.is_none() { &jobs[1..] } else { &[] };
        if self.scenes && !others.is_empty() {
            self.others(others, &mut all)?;
        }
        self.closing(&all)?;
        let ended = ended(&all);
        if ended != Status::AsDocumented {
            // The next step is to see why, which is explained above.
        } else if default {
            writeln!(
                self.out,
                "\nNow read lessons/{directory}/README.md, and run it by hand in two terminals.\n\
                 Then: cargo xtask demo udp-echo, cargo xtask demo --all, cargo test",
                directory = lesson.directory,
            )?;
        } else if !self.scenes
            && let Some((_, scene)) = others.first()
        {
            let more = match others.len() {
                1 => "1 more scene".to_owned(),
                more => format!("{more} more scenes"),
            };
            let name = lesson.name();
            writeln!(
                self.out,
                "\n{more} on this lesson's pages: cargo xtask demo {name} --scenes\n\
                 or one of them, as it comes: cargo xtask demo {name}/{}",
                scene.name,
            )?;
        }
        Ok(Ok(ended))
    }

    /// Runs a scene and shows its terminals: as it runs, or with --slow when it is over.
    fn shown(&mut self, page: &Page, scene: &Scene) -> io::Result<Verified> {
        let width = if io::stdout().is_terminal() { screen::width() } else { None };
        let mut screen = Screen::new(&mut *self.out, scene, width);
        let keys = if self.slow { Keys::listen() } else { None };
        let verified = match keys {
            None => self.runner.verify(self.root, page, scene, &mut |it| screen.line(it)),
            Some(keys) => {
                let mut lines = Vec::new();
                let verified = self.runner.verify(self.root, page, scene, &mut |it| {
                    lines.push((it.terminal, it.line.to_owned()));
                });
                for (terminal, line) in &lines {
                    screen.line(Shown { terminal: *terminal, line });
                    keys.wait(reading_time(line));
                    if interrupt::asked() {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                }
                verified
            }
        };
        screen.finish()?;
        Ok(verified)
    }

    /// Runs scenes side by side, and writes a line for each.
    fn others(&mut self, others: &[Job<'_>], all: &mut Vec<Verified>) -> io::Result<()> {
        writeln!(self.out, "\n{}", styled(BOLD, "the other scenes of this lesson"))?;
        let width = others.iter().map(|(p, s)| title(p, s).len()).max().unwrap_or(0);
        let out = &mut *self.out;
        verify_all(&self.runner, self.root, others, |at, verified| {
            let (page, scene) = others[at];
            let name = screen::fill(&title(page, scene), width);
            line(out, &mark(&verified), &name, &aside(&verified))?;
            write!(out, "{}", indented(&verified.explain()))?;
            all.push(verified);
            Ok(())
        })
    }

    /// Writes the verdict on a scene that was shown.
    fn verdict(
        &mut self,
        page: &Page,
        scene: &Scene,
        verified: &Verified,
    ) -> io::Result<()> {
        let terminals = match scene.terminals.len() {
            1 => "the terminal shows".to_owned(),
            2 => "both terminals show".to_owned(),
            count => format!("all {count} terminals show"),
        };
        let path = page.path.display();
        match &verified.verdict {
            Verdict::Matches => {
                writeln!(self.out)?;
                let text = format!("{terminals} what {path} says");
                line(self.out, &mark(verified), &text, &aside(verified))?;
            }
            Verdict::Skipped(_) => {
                line(self.out, &mark(verified), "", &aside(verified))?;
            }
            _ => write!(self.out, "\n{} {}", mark(verified), verified.explain())?,
        }
        for left in verified.outcome.iter().flat_map(|outcome| &outcome.leftovers) {
            writeln!(
                self.out,
                "{}",
                styled(DIM, &format!("  left behind, and killed: {left}"))
            )?;
        }
        Ok(())
    }

    /// Demonstrates every lesson, one line each.
    fn course(
        &mut self,
        course: &[(Lesson, Vec<Page>)],
    ) -> io::Result<Result<Status, Error>> {
        let width =
            course.iter().map(|(lesson, _)| lesson.directory.len()).max().unwrap_or(0);
        let take = if self.scenes { usize::MAX } else { 1 };
        let lessons: Vec<(&Lesson, Vec<Job<'_>>)> = course
            .iter()
            .map(|(lesson, pages)| (lesson, jobs(pages).into_iter().take(take).collect()))
            .filter(|(_, jobs): &(_, Vec<_>)| !jobs.is_empty())
            .collect();
        let all: Vec<Job<'_>> =
            lessons.iter().flat_map(|(_, jobs)| jobs.iter().copied()).collect();
        let mut lessons = lessons.iter().peekable();
        let mut done: Vec<Verified> = Vec::new();
        let mut from = 0;
        let (runner, root, out) = (&self.runner, self.root, &mut *self.out);
        verify_all(runner, root, &all, |_, verified| {
            done.push(verified);
            let Some((lesson, _)) =
                lessons.next_if(|(_, jobs)| jobs.len() == done.len() - from)
            else {
                return Ok(());
            };
            let verified = &done[from..];
            from = done.len();
            let name = screen::fill(&lesson.directory, width);
            line(out, &worst_mark(verified), &name, &summary(verified))?;
            verified
                .iter()
                .try_for_each(|verified| write!(out, "{}", indented(&verified.explain())))
        })?;
        self.closing(&done)?;
        Ok(Ok(ended(&done)))
    }

    fn closing(&mut self, all: &[Verified]) -> io::Result<()> {
        let bad = all.iter().filter(|verified| !verified.is_good()).count();
        let skipped = all
            .iter()
            .filter(|verified| matches!(verified.verdict, Verdict::Skipped(_)))
            .count();
        let good = all.len() - bad - skipped;
        let network = match (self.runner.network, all.len()) {
            (Network::Private, 1) => "on a private network",
            (Network::Private, _) => "each on a private network",
            (Network::Host, _) => "on the host's network",
        };
        let scenes = if all.len() == 1 { "scene" } else { "scenes" };
        let mut text = format!("{good} of {} {scenes} as documented", all.len());
        for (count, what) in [(bad, "not"), (skipped, "skipped")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        // Scenes run side by side, so their times may add up to more than the total.
        let (total, runs) =
            (milliseconds(self.started.elapsed()), milliseconds(elapsed(all)));
        let _ = write!(text, ", {network}\n{total} in all; ");
        text += &match (self.runner.network, all.len()) {
            (_, 1) => format!("the run itself {runs}, the rest to build and to show"),
            (Network::Private, _) => {
                format!("the runs, several at a time, {runs} when added up")
            }
            (Network::Host, _) => format!("the runs, one at a time, {runs}"),
        };
        writeln!(self.out, "{}", styled(DIM, &text))
    }
}

/// Writes `✓ NAME  aside`, in as many lines as it takes: none is wider than 80 columns.
fn line(out: &mut impl Write, mark: &str, name: &str, aside: &str) -> io::Result<()> {
    const COLUMNS: usize = 80;
    let gap = if name.is_empty() { "" } else { "  " };
    let text = format!("{name}{gap}{aside}");
    let mut pieces = screen::wrap(&text, COLUMNS - 2).into_iter();
    let first = pieces.next().unwrap_or_default();
    // Dim the part of the aside that is on the first line.
    match first.strip_prefix(&format!("{name}{gap}")) {
        Some(beside) => {
            writeln!(out, "{mark} {name}{gap}{}", styled(DIM, beside.trim_end()))?
        }
        None => writeln!(out, "{mark} {}", first.trim_end())?,
    }
    pieces.try_for_each(|piece| writeln!(out, "  {}", styled(DIM, piece.trim_end())))
}

/// Returns a summary: `3 scenes, 1 skipped: python3 is not installed, 12.1 ms`.
fn summary(verified: &[Verified]) -> String {
    let mut skips: Vec<&str> = verified
        .iter()
        .filter_map(|verified| match &verified.verdict {
            Verdict::Skipped(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    let skipped = match skips.len() {
        0 => String::new(),
        count => {
            skips.sort_unstable();
            skips.dedup();
            format!(", {count} skipped: {}", skips.join(", "))
        }
    };
    let s = if verified.len() == 1 { "" } else { "s" };
    let time = milliseconds(elapsed(verified));
    format!("{} scene{s}{skipped}, {time}", verified.len())
}

fn elapsed(verified: &[Verified]) -> Duration {
    verified.iter().filter_map(|verified| Some(verified.outcome.as_ref()?.elapsed)).sum()
}

fn ended(all: &[Verified]) -> Status {
    if all.iter().any(|verified| !verified.is_good()) {
        Status::Failed
    } else if !all.is_empty()
        && all.iter().all(|verified| matches!(verified.verdict, Verdict::Skipped(_)))
    {
        Status::Skipped
    } else {
        Status::AsDocumented
    }
}

/// Returns the mark of a lesson, which is good if nothing is wrong and something ran.
fn worst_mark(verified: &[Verified]) -> String {
    let bad = verified.iter().find(|verified| !verified.is_good());
    let ran =
        verified.iter().find(|verified| matches!(verified.verdict, Verdict::Matches));
    bad.or(ran).or(verified.first()).map(mark).unwrap_or_default()
}

fn mark(verified: &Verified) -> String {
    match verified.verdict {
        Verdict::Matches => styled(GOOD, "✓"),
        Verdict::Skipped(_) => styled(DIM, "–"),
        _ => styled(BAD, "✗"),
    }
}

fn aside(verified: &Verified) -> String {
    match (&verified.verdict, &verified.outcome) {
        (Verdict::Skipped(why), _) => format!("skipped: {why}"),
        (_, Some(outcome)) => milliseconds(outcome.elapsed),
        _ => String::new(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Formats a measured duration, always with a fraction: `3.2 ms`.
fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}
