//! How long the whole book takes once the program is built, compared with reading the
//! same files.
//!
//! ```sh
//! cargo bench -p book --bench whole_book
//! ```
//!
//! No test asserts these times: on a loaded machine it would fail through no fault of
//! ours.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Pairs of measurements.
const PAIRS: usize = 15;

fn main() -> ExitCode {
    let text = match measure(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")) {
        Ok(text) => text,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "measure the book: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn measure(root: &Path) -> Result<String, String> {
    let (mut building, mut reading) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..PAIRS {
        let start = Instant::now();
        let files = book::site::Site::read(root).and_then(|site| site.files());
        let files = files.map_err(|error| error.to_string())?;
        building.push(start.elapsed());
        bytes = files.iter().map(|file| file.content.len()).sum();
        let start = Instant::now();
        read(&root.join("lessons")).map_err(|error| error.to_string())?;
        reading.push(start.elapsed());
    }
    let (building, reading) = (median(building), median(reading));
    Ok(format!(
        "the whole book, {} kB   {:8.1} ms, median of {PAIRS}\n\
         reading lessons/ alone  {:8.1} ms\n",
        bytes / 1000,
        building.as_secs_f64() * 1e3,
        reading.as_secs_f64() * 1e3,
    ))
}

fn read(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            read(&path)?;
        } else {
            fs::read(&path)?;
        }
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
