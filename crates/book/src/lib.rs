//! The course as a web book: static pages, whose conversations one can step through.
//!
//! [`site`] finds the pages and says where each goes, [`page`] turns Markdown into HTML,
//! [`code`] shows source, [`conversation`] reads the recording of a drawing, [`layout`] is
//! what every page has, [`search`] makes the index, [`whole`] has all on one page, which
//! [`pdf`] prints. The component that steps through a
//! conversation is `flow`'s own: a page of `flow --format html` has the same.
//!
//! The pages make no request elsewhere, work from `file://` and from any folder of a web
//! server, and read without JavaScript.

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

/// Why the book could not be made: `attempt: reason; what to do`, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn file(attempt: &str, path: &Path, error: &dyn fmt::Display) -> Error {
        Error(format!("{attempt} {}: {error}", path.display()))
    }
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Pages, those of source files among them.
    pub pages: usize,
    /// Conversations to step through.
    pub conversations: usize,
    /// Bytes of all files.
    pub bytes: usize,
}

/// Makes the book of the checkout at `root` in the folder `out`, which it empties first if a
/// book is in it.
///
/// # Errors
/// A page or a recording that cannot be read, a recording that is stale, a link that leads
/// nowhere, a folder that holds something else, a file that cannot be written.
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

/// The file by which a folder is known to hold a book, and nothing that a person made.
const MARK: &str = ".sockets-in-rust-book";

fn prepare(out: &Path) -> Result<(), Error> {
    let failed = |attempt: &str, error: std::io::Error| Error::file(attempt, out, &error);
    match std::fs::read_dir(out) {
        Ok(mut entries) => {
            if out.join(MARK).is_file() {
                std::fs::remove_dir_all(out).map_err(|error| failed("empty", error))?;
            } else if entries.next().is_some() {
                return Err(Error(format!(
                    "write the book into {}: the folder holds something that is no book; \
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
