//! `book`: writes the course as a web book. `cargo xtask book` builds and runs it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Writes the course as a web book.
#[derive(Debug, Parser)]
#[command(name = "book", version)]
struct Cli {
    /// The checkout whose course it is
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
    /// Where the book goes
    #[arg(long, value_name = "FOLDER", default_value = "target/book")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let said = match book::build(&cli.root, &cli.out) {
        Ok(written) => writeln!(
            std::io::stdout(),
            "{} pages, {} conversations, {} kB in {}",
            written.pages,
            written.conversations,
            written.bytes / 1000,
            cli.out.display()
        ),
        Err(error) => {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
