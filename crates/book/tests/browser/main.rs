//! Tests the book in a real browser, headless Chromium. Where it is not installed, every
//! test is skipped, visibly.

mod driver;
mod pages;
mod recorded;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use driver::{Browser, Result};
use libtest_mimic::{Arguments, Trial};

/// The book under test, and the one browser that the tests share in turn.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) book: PathBuf,
    browser: Mutex<Option<Browser>>,
}

impl Stage {
    /// The address of a page.
    pub(crate) fn page(&self, name: &str) -> String {
        format!("file://{}/{name}", self.book.display())
    }

    /// The pages that have conversations.
    pub(crate) fn conversations(&self) -> Vec<String> {
        self.pages()
            .into_iter()
            .filter(|name| {
                let text =
                    std::fs::read_to_string(self.book.join(name)).unwrap_or_default();
                text.contains("<figure class=s-steps")
            })
            .collect()
    }

    /// All pages but those of source files.
    pub(crate) fn pages(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.book).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".html"))
            .filter(|name| !name.ends_with(".rs.html") && !name.ends_with(".py.html"))
            .collect();
        names.sort();
        names
    }
}

/// A test: its name, its function, and a file that it needs besides the browser.
type Test = (&'static str, fn(&Stage, &Browser) -> Result<()>, Option<PathBuf>);

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(HOLD) {
        return hold(Path::new(&folder));
    }
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let axe = root.join("target/axe/node_modules/axe-core/axe.min.js");
    let tests: Vec<Test> = vec![
        ("every_conversation_is_stepped_through", recorded::every_conversation, None),
        ("lesson_2_shows_what_was_recorded", recorded::lesson_2, None),
        ("python_lines_are_shown", recorded::python, None),
        ("hover_and_focus_mark_what_belongs_together", pages::hover_and_focus, None),
        ("a_step_has_an_address", pages::deep_link, None),
        ("arrow_keys_belong_to_who_has_the_focus", pages::arrow_keys, None),
        ("commands_are_copied_without_their_prompt", pages::copy, None),
        ("words_are_found", pages::search, None),
        ("everything_reads_without_javascript", pages::no_javascript, None),
        ("light_and_dark", pages::light_and_dark, None),
        ("no_page_is_wider_than_its_window", pages::widths, None),
        ("a_lesson_is_printed", pages::print, None),
        ("the_whole_book_is_printed", pages::whole_book, None),
        ("hostile_programs_run_nothing", pages::hostile, None),
        ("a_test_that_is_killed_leaves_no_browser", killed, None),
        ("axe_finds_nothing", pages::axe, Some(axe)),
    ];
    // Listing the tests does not make the book.
    let mut refusal = None;
    let book = folder.join("book");
    if !arguments.list
        && let Err(error) = book::build(&root, &book)
    {
        refusal = Some(error.to_string());
    }
    let browser = match Browser::start(&folder) {
        Ok(browser) => browser,
        Err(error) => {
            refusal.get_or_insert(error);
            None
        }
    };
    let missing = match (&browser, &refusal) {
        (None, None) => Some("skipped, chromedriver is not installed".to_owned()),
        _ => None,
    };
    let stage = Arc::new(Stage { root, book, browser: Mutex::new(browser) });
    let trials = tests
        .into_iter()
        .map(|(name, test, needs)| {
            let missing = missing.clone().or_else(|| {
                let file = needs.filter(|file| !file.is_file())?;
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                Some(format!("skipped, {name} is not there: .ci/run fetches it"))
            });
            let (stage, refusal) = (Arc::clone(&stage), refusal.clone());
            let trial = Trial::test(name, move || {
                if let Some(refusal) = refusal {
                    return Err(refusal.into());
                }
                let browser =
                    stage.browser.lock().unwrap_or_else(PoisonError::into_inner);
                let browser = browser.as_ref().ok_or("there is no browser")?;
                browser.reset()?;
                test(&stage, browser)?;
                let complaints = browser.complaints()?;
                if complaints.is_empty() {
                    Ok(())
                } else {
                    Err(format!("the console shows {complaints:?}").into())
                }
            });
            let ignored = missing.is_some();
            trial.with_ignored_flag(ignored).with_kind(missing.unwrap_or_default())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(stage.browser.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit_code()
}

/// The variable that names the folder in which this program, started by its own test,
/// holds a browser until it is killed.
const HOLD: &str = "BOOK_TEST_HOLDS_A_BROWSER_IN";

fn hold(folder: &Path) -> ExitCode {
    let Ok(Some(browser)) = Browser::start(folder) else { return ExitCode::FAILURE };
    if writeln!(std::io::stdout(), "{}", browser.port()).is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}

/// A program that holds a browser is killed: its driver goes too, and the folder with
/// everything that the browser stored.
fn killed(stage: &Stage, _: &Browser) -> Result<()> {
    let say = |error: std::io::Error| error.to_string();
    let folder = stage.book.with_file_name(format!("killed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(say)?;
    let mut held = Command::new(std::env::current_exe().map_err(say)?)
        .env(HOLD, &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(say)?;
    let mut port = String::new();
    let out = held.stdout.take().ok_or("the program has no output")?;
    BufReader::new(out).read_line(&mut port).map_err(say)?;
    let port: u16 = port.trim().parse().map_err(|_| format!("no browser: {port:?}"))?;
    let kept = || std::fs::read_dir(&folder).map(Iterator::count).map_err(say);
    let before = kept()?;
    held.kill().map_err(say)?;
    held.wait().map_err(say)?;
    let begin = std::time::Instant::now();
    while kept()? > 0 || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
        if begin.elapsed() > driver::DEADLINE {
            return Err(format!("{} or its driver is left", folder.display()));
        }
        std::thread::yield_now();
    }
    std::fs::remove_dir(&folder).map_err(say)?;
    same("folders of a browser that is there", &before, &1)
}

/// Fails with what was expected and what was found, if they differ.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &T,
    expected: &T,
) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {got:?}"))
}
