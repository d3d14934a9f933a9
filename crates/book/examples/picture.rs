//! Takes a picture of a page of the book: the one in the README. Needs chromedriver.
//!
//! ```sh
//! cargo xtask book
//! cargo run -q -p book --example picture -- index.html crates/book/book.webp
//! ```
//!
//! The arguments are a page and a file, optionally followed by width, height, `light` or
//! `dark`, and a step.

#[allow(dead_code, reason = "the tests' driver can more")]
#[path = "../tests/browser/driver.rs"]
mod driver;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use driver::{Browser, Result};
use serde_json::json;

fn main() -> ExitCode {
    match picture(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn picture(words: &[String]) -> Result<()> {
    let [page, file, rest @ ..] = words else {
        return Err("make a picture: give a page of the book and a file".to_owned());
    };
    let word = |at: usize, default: &str| {
        rest.get(at).map_or_else(|| default.to_owned(), Clone::clone)
    };
    let number = |at: usize, default: &str| {
        word(at, default)
            .parse::<u32>()
            .map_err(|error| format!("{}: {error}", word(at, "")))
    };
    let book = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/book");
    let book = book.canonicalize().map_err(|error| {
        format!("find the book: {error}; make it with cargo xtask book")
    })?;
    let folder =
        tempfile::tempdir().map_err(|error| format!("make a folder: {error}"))?;
    let Some(browser) = Browser::start(folder.path())? else {
        return Err("start chromedriver: it is not installed".to_owned());
    };
    browser.size(number(0, "1440")?, number(1, "860")?)?;
    browser.colours(&word(2, "light"))?;
    browser.open(&format!("file://{}/{page}", book.display()))?;
    // Goes to the step without scrolling to it.
    browser.run(&format!(
        "const it = document.querySelector('.s-steps input'); if (it) {{ it.value = {} - 1; \
         it.dispatchEvent(new Event('input')); }}",
        number(3, "24")?
    ))?;
    if let Some(selector) = rest.get(4) {
        browser.run(&format!("document.querySelector({selector:?}).scrollIntoView()"))?;
    }
    let format = if file.ends_with(".webp") { "webp" } else { "png" };
    let options = if format == "webp" {
        json!({"format": "webp", "quality": 40})
    } else {
        json!({"format": "png"})
    };
    let made = browser.chromium("Page.captureScreenshot", &options)?;
    let text = made["data"].as_str().ok_or("the browser gave no picture")?;
    let bytes = base64(text).ok_or("the browser gave no base64")?;
    std::fs::write(file, &bytes).map_err(|error| format!("write {file}: {error}"))?;
    writeln!(std::io::stdout(), "{file}: {} bytes", bytes.len())
        .map_err(|error| error.to_string())
}

/// Decodes base64 (RFC 4648 §4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let value = |letter: u8| {
        Some(match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let mut bytes = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0_u32;
        for letter in group {
            word = word << 6 | u32::from(value(*letter)?);
        }
        word <<= 6 * (4 - group.len());
        bytes.extend(&word.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}
