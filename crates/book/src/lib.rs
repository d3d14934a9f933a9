//! The course as a web book: static pages, with conversations that you can step through.
//!
//! [`site`] finds the pages and decides where each one goes, [`page`] turns Markdown into
//! HTML, [`code`] shows source code, [`conversation`] reads the recording behind a
//! drawing, [`layout`] is what every page has, [`search`] makes the index, and [`whole`]
//! puts everything on one page, which [`pdf`] prints. The component that steps through a
//! conversation is `flow`'s own; the pages of `flow --format html` use it too.
//!
//! The pages make no requests to other sites, work from `file://` and from any folder of
//! a web server, and can be read without JavaScript.

pub mod code;
pub mod conversation;
pub mod layout;
pub mod page;
pub mod pdf;
pub mod search;
pub mod site;
pub mod whole;

use std::fmt;
use std::path::Path;

use common::Visible;

/// Why the book could not be made. Displays as one line: `attempt: reason; what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may name what a user typed, or quote a file.
        let lines = self.0.split('\n').map(|line| Visible(line.as_bytes()).to_string());
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for Error {}

impl Error {
    fn file(attempt: &str, path: &Path, error: &std::io::Error) -> Error {
        let error = netlab::with_remedy(error);
        Error(format!("{attempt} {}: {error}", path.display()))
    }
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The number of pages, including those of source files.
    pub pages: usize,
    /// The number of conversations to step through.
    pub conversations: usize,
    /// The total size of all files in bytes.
    pub bytes: usize,
}

/// Makes the book of the checkout at `root` in the folder `out`, emptying the folder
/// first if it holds a book.
///
/// # Errors
/// A page or a recording cannot be read, a recording is stale, a link leads nowhere, the
/// folder holds something other than a book, or a file cannot be written.
pub fn build(root: &Path, out: &Path) -> Result<Written, Error> {
    let site = site::Site::read(root)?;
    let files = site.files()?;
    prepare(out)?;
    let mut written = Written::default();
    for file in &files {
        let path = out.join(&file.name);
        std::fs::write(&path, &file.content)
            .map_err(|error| Error::file("write", &path, &error))?;
        written.bytes += file.content.len();
        written.pages += usize::from(file.name.ends_with(".html"));
        let content = String::from_utf8_lossy(&file.content);
        written.conversations += content.matches("<figure class=s-steps").count();
    }
    Ok(written)
}

/// The file that marks a folder as holding a book, and nothing that a person made.
const MARK: &str = ".sockets-in-rust-book";

fn prepare(out: &Path) -> Result<(), Error> {
    let failed = |attempt: &str, error: std::io::Error| Error::file(attempt, out, &error);
    match std::fs::read_dir(out) {
        Ok(mut entries) => {
            if out.join(MARK).is_file() {
                std::fs::remove_dir_all(out).map_err(|error| failed("empty", error))?;
            } else if entries.next().is_some() {
                return Err(Error(format!(
                    "write the book into {}: the folder holds something that is not a book; \
                     name another with --out",
                    out.display()
                )));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", error)),
    }
    std::fs::create_dir_all(out).map_err(|error| failed("make", error))?;
    std::fs::write(out.join(MARK), "").map_err(|error| failed("write into", error))
}
