//! `book`: writes the course as a web book, and opens it. The work is done by the program `book`
//! (`crates/book`), which is built only here.

use std::env;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Visible;

use crate::{Error, Status, build, workspace};

/// The options of `book`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit status: 0 written; 1 failed; 2 wrong command line.")]
pub struct Options {
    /// Open the book in the browser
    #[arg(long)]
    pub open: bool,
    /// Where the book goes [default: target/book]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Print the book into a PDF as well; needs Chromium
    #[arg(long, value_name = "FILE")]
    pub pdf: Option<PathBuf>,
}

/// Writes the book, and says where it is.
///
/// # Errors
/// Fails if the program cannot be built or started, or, with `--open`, if no browser can be
/// started.
pub fn book(options: &Options) -> Result<Status, Error> {
    let root = workspace::root();
    let programs = build::programs_of_and(&root, [], &["book"]).map_err(Error::new)?;
    let out = options.out.clone().unwrap_or_else(|| root.join("target/book"));
    let program = programs.binaries.join(format!("book{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.arg("--root").arg(&root).arg("--out").arg(&out);
    if let Some(file) = &options.pdf {
        command.arg("--pdf").arg(file);
    }
    let status = build::status(&mut command).map_err(Error::io("start book"))?;
    if !status.success() {
        return Ok(Status::Failed);
    }
    let start = out.join("index.html");
    if options.open {
        let opener = if cfg!(target_os = "macos") {
            &["open"][..]
        } else if cfg!(windows) {
            &["cmd", "/C", "start", ""][..]
        } else {
            &["xdg-open"][..]
        };
        let mut command = Command::new(opener[0]);
        command.args(&opener[1..]).arg(&start);
        let status = build::status(command.stdin(Stdio::null())).map_err(|error| {
            let (name, start) = (opener[0], start.display());
            Error::new(format!("open {start}: {name}: {error}; open it by hand"))
        })?;
        return Ok(if status.success() { Status::AsDocumented } else { Status::Failed });
    }
    let start = Visible(start.as_os_str().as_encoded_bytes());
    writeln!(io::stdout(), "Open {start}").map_err(Error::io("write to stdout"))?;
    Ok(Status::AsDocumented)
}
