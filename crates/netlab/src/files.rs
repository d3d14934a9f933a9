//! Files that a user names, or that a checkout holds: reading one waits for nobody, and ends.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The most that is read of a text: many times the longest page of the course.
const MOST_BYTES: u64 = 16 << 20;

/// Opens a file to read it, but no folder, and no FIFO: that might wait for a writer for ever. What
/// a shell has opened itself, as for `<(COMMAND)`, is below `/dev` or `/proc`, and is allowed.
///
/// # Errors
/// Those of `open(2)`, and why it is not opened.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    let wrong = |message| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    if kind.is_dir() {
        return wrong("it is a folder; name a file");
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&kind)
        && !["/dev", "/proc"].iter().any(|opened| path.starts_with(opened))
    {
        return wrong(
            "it is a FIFO, whose writer may never come; name a file, or /dev/stdin",
        );
    }
    File::open(path)
}

/// Reads a text of at most 16 MiB.
///
/// # Errors
/// Those of [`open`] and `read(2)`; the file is too long, or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    read_text_up_to(path, MOST_BYTES)
}

/// Reads a text of at most so many bytes: a device, or a file named by mistake, may have no end.
///
/// # Errors
/// The same as [`read_text`].
pub fn read_text_up_to(path: &Path, most_bytes: u64) -> io::Result<String> {
    let wrong = |message| io::Error::new(io::ErrorKind::InvalidData, message);
    let mut bytes = Vec::new();
    open(path)?.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes {
        let most = match most_bytes >> 20 {
            0 => format!("{} KiB", most_bytes >> 10),
            most => format!("{most} MiB"),
        };
        return Err(wrong(format!("it has more than {most}")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))
}
