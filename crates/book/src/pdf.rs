//! The whole book as a PDF: a browser prints the page that holds all of it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::{Error, whole};

/// The browsers that can print without a window, in the order in which they are tried.
const BROWSERS: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];
/// How long a browser may take: it prints three hundred pages, perhaps on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// Prints the book in the folder `book` into `file`, and returns the file's size in
/// bytes.
///
/// # Errors
/// There is no browser, it fails or does not finish, or the file cannot be written.
pub fn print(book: &Path, file: &Path) -> Result<u64, Error> {
    let failed = |path: &Path, attempt: &str, error: std::io::Error| {
        Error::file(attempt, path, &error)
    };
    // A browser does not say so if it cannot write the file.
    std::fs::write(file, "").map_err(|error| failed(file, "write", error))?;
    let own = book.join(".browser");
    std::fs::create_dir_all(&own).map_err(|error| failed(&own, "make", error))?;
    let printed = run(book, file, &own);
    let removed = std::fs::remove_dir_all(&own);
    printed?;
    removed.map_err(|error| failed(&own, "remove", error))?;
    let bytes = std::fs::read(file).map_err(|error| failed(file, "read", error))?;
    if bytes.starts_with(b"%PDF-") {
        return Ok(bytes.len() as u64);
    }
    Err(Error(format!("print the book to {}: the browser wrote no PDF", file.display())))
}

/// Starts the first available browser, with all its own files in the folder `own`.
fn run(book: &Path, file: &Path, own: &Path) -> Result<(), Error> {
    let say = |reason: &str| Error(format!("print the book: {reason}"));
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or(path.to_owned());
    let (own, page) = (absolute(own), absolute(&book.join(whole::NAME)));
    for name in BROWSERS {
        let mut command = Command::new(name);
        for variable in ["TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, &own);
        }
        command
            .args(["--headless", "--disable-gpu", "--no-pdf-header-footer"])
            .args(["--generate-pdf-document-outline", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", own.display()))
            .arg(format!("--print-to-pdf={}", absolute(file).display()));
        if is_root() {
            // Chromium's sandbox refuses root; the page is the book's own.
            command.arg("--no-sandbox");
        }
        command.arg(format!("file://{}", page.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut browser = match command.spawn() {
            Ok(browser) => browser,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(say(&format!("start {name}: {error}"))),
        };
        let (sender, ended) = mpsc::channel();
        if let Some(mut said) = browser.stderr.take() {
            std::thread::spawn(move || {
                // The reader need not see what the browser complains about; the file
                // tells whether it worked.
                let _ = said.read_to_end(&mut Vec::new());
                let _ = sender.send(());
            });
        }
        let ended = ended.recv_timeout(DEADLINE);
        if ended == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = browser.kill();
        }
        let status = browser.wait().map_err(|error| say(&format!("{name}: {error}")))?;
        return match ended {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(say(&format!("{name}: it did not end within {DEADLINE:?}")))
            }
            _ if status.success() => Ok(()),
            _ => Err(say(&format!("{name}: {status}"))),
        };
    }
    Err(say(&format!(
        "there is no Chromium, Chrome or Edge on PATH; open {} in another browser and print it",
        page.display()
    )))
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
