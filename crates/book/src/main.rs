//! `book`: writes the course as a web book. `cargo xtask book` builds and runs it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use common::Visible;

/// Writes the course as a web book.
#[derive(Debug, Parser)]
#[command(name = "book", version)]
struct Cli {
    /// The checkout to make the book from
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
    /// The folder to write the book into
    #[arg(long, value_name = "FOLDER", default_value = "target/book")]
    out: PathBuf,
    /// Also print the whole book into this PDF file
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Err(message) = netlab::process::begin() {
        let _ = writeln!(std::io::stderr(), "book: {message}");
        return ExitCode::FAILURE;
    }
    let cli: Cli = common::parse_arguments();
    match write(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(cli: &Cli) -> Result<(), book::Error> {
    let say = |text: String| {
        writeln!(std::io::stdout(), "{text}")
            .map_err(|error| book::Error(format!("write to stdout: {error}")))
    };
    let written = book::build(&cli.root, &cli.out)?;
    say(format!(
        "{} pages, {} conversations, {} kB in {}",
        written.pages,
        written.conversations,
        written.bytes / 1000,
        shown(&cli.out)
    ))?;
    if let Some(file) = &cli.pdf {
        let bytes = book::pdf::print(&cli.out, file)?;
        say(format!("the whole book, {} kB in {}", bytes / 1000, shown(file)))?;
    }
    Ok(())
}

/// A path without what a terminal would obey.
fn shown(path: &Path) -> String {
    Visible(path.as_os_str().as_encoded_bytes()).to_string()
}
