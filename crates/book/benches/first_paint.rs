//! How soon a reader sees lesson 2: this book against mdBook's version of the same text,
//! on localhost, in turn, in one run. Needs chromedriver and mdBook (`cargo install
//! mdbook`).
//!
//! ```sh
//! cargo bench -p book
//! ```

#[allow(dead_code, reason = "the tests' driver can more")]
#[path = "../tests/browser/driver.rs"]
mod driver;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use driver::{Browser, Result};
use serde_json::json;

/// Pairs of measurements.
const PAIRS: usize = 45;

/// The page that the browser shows before each measurement.
const BEFORE: &str = "/before.html";

fn main() -> ExitCode {
    match measure() {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder =
        tempfile::tempdir().map_err(|error| format!("make a folder: {error}"))?;
    in_folder(&root, folder.path())
}

fn in_folder(root: &Path, folder: &Path) -> Result<String> {
    let Some(browser) = Browser::start(folder)? else {
        return Err("start chromedriver: it is not installed".to_owned());
    };
    let ours = folder.join("ours");
    book::build(root, &ours).map_err(|error| error.to_string())?;
    let theirs = mdbook(root, folder)?;
    let addresses = [
        ("this book", format!("{}/02-tcp-echo.html", serve(ours)?)),
        ("mdBook", format!("{}/02-tcp-echo/index.html", serve(theirs)?)),
    ];
    browser.chromium("Network.enable", &json!({}))?;
    browser.chromium("Network.setCacheDisabled", &json!({"cacheDisabled": true}))?;
    let mut paints = [Vec::new(), Vec::new()];
    let mut complete = [Vec::new(), Vec::new()];
    let mut loads = [(0, 0), (0, 0)];
    for _ in 0..PAIRS {
        for (at, (_, address)) in addresses.iter().enumerate() {
            // A small page of the same server first. Otherwise the time would include
            // starting a process, which the browser does for each server that it has not
            // seen before, and after a page of its own, which it shows for an empty 404.
            let server = address.split('/').take(3).collect::<Vec<_>>().join("/");
            browser.open(&format!("{server}{BEFORE}"))?;
            browser.open(address)?;
            browser.until(
                "first contentful paint",
                "return performance.getEntriesByName('first-contentful-paint').length > 0",
            )?;
            let seen = browser.run(
                "const all = [...performance.getEntriesByType('navigation'), \
                 ...performance.getEntriesByType('resource')]; return \
                 [performance.getEntriesByName('first-contentful-paint')[0].startTime, \
                 all.length, all.reduce((sum, it) => sum + it.encodedBodySize, 0), \
                 all[0].loadEventEnd]",
            )?;
            paints[at].push(seen[0].as_f64().unwrap_or(f64::NAN));
            complete[at].push(seen[3].as_f64().unwrap_or(f64::NAN));
            let number = |at: usize| seen[at].as_u64().unwrap_or(0);
            loads[at] = (number(1), number(2));
        }
    }
    let mut out = format!("lesson 2, {PAIRS} pairs in turn, medians and ranges\n");
    for (what, times) in
        [("first contentful paint", &mut paints), ("loaded", &mut complete)]
    {
        let mut middles = [0.0; 2];
        for (at, (name, _)) in addresses.iter().enumerate() {
            times[at].sort_by(f64::total_cmp);
            let (middle, first, last) =
                (times[at][PAIRS / 2], times[at][0], times[at][PAIRS - 1]);
            middles[at] = middle;
            let (requests, bytes) = loads[at];
            let _ = writeln!(
                out,
                "{what}: {name} {middle:.0} ms ({first:.0} to {last:.0}); {requests} \
                 requests, {} kB",
                bytes / 1000
            );
        }
        let ratio = middles[0] / middles[1];
        let _ = writeln!(out, "{what}: {ratio:.2} of mdBook's time");
    }
    Ok(out)
}

/// The lessons as an mdBook, with mdBook's default settings.
fn mdbook(root: &Path, folder: &Path) -> Result<PathBuf> {
    let say = |error: std::io::Error| error.to_string();
    let book = folder.join("theirs");
    let mut summary = "# Summary\n\n".to_owned();
    let mut lessons: Vec<PathBuf> = std::fs::read_dir(root.join("lessons"))
        .map_err(say)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("README.md").is_file())
        .collect();
    lessons.sort();
    for lesson in lessons {
        let name = lesson.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::fs::create_dir_all(book.join("src").join(&name)).map_err(say)?;
        let page = std::fs::read_to_string(lesson.join("README.md")).map_err(say)?;
        let title =
            page.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        std::fs::write(book.join("src").join(&name).join("README.md"), page)
            .map_err(say)?;
        let _ = writeln!(summary, "- [{title}]({name}/README.md)");
    }
    std::fs::write(book.join("src/SUMMARY.md"), summary).map_err(say)?;
    std::fs::write(book.join("book.toml"), "[book]\ntitle = \"Sockets in Rust\"\n")
        .map_err(say)?;
    let made = Command::new("mdbook")
        .arg("build")
        .arg(&book)
        .output()
        .map_err(|error| format!("start mdbook: {error}; cargo install mdbook"))?;
    if made.status.success() {
        Ok(book.join("book"))
    } else {
        Err(format!("mdbook build: {}", String::from_utf8_lossy(&made.stderr).trim()))
    }
}

/// Serves the files of a folder on localhost for as long as this process lives.
fn serve(folder: PathBuf) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // The measurement does not care if a browser hangs up.
            std::thread::spawn(move || answer(&stream, &folder));
        }
    });
    Ok(format!("http://{address}"))
}

fn answer(stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut to = stream;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let content = if path == BEFORE.trim_start_matches('/') {
            Some(b"<!doctype html><title>Before</title><p>Before".to_vec())
        } else {
            std::fs::read(folder.join(path)).ok()
        };
        let kind = match path.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css",
            Some("js") => "text/javascript",
            Some("svg") => "image/svg+xml",
            Some("woff2") => "font/woff2",
            _ => "application/octet-stream",
        };
        let status = if content.is_some() { "200 OK" } else { "404 Not Found" };
        let content = content.unwrap_or_default();
        // In one write: several small ones would wait for each other's acknowledgement
        // (lesson 10), and the time of both books would include that.
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        )
        .into_bytes();
        answer.extend_from_slice(&content);
        to.write_all(&answer)?;
    }
}
