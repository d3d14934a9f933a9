//! `flow -- SERVER -- CLIENT`: runs programs and draws what they say to the kernel, and
//! what the kernel says to the network.

mod cli;
#[cfg(target_os = "linux")]
mod drafting;
#[cfg(target_os = "linux")]
mod run;

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use cli::{Cli, Color, Command, Format, Rows};
use flow::draw;
use flow::draw::summary::Summary;
use flow::event::Log;

/// The exit status if the system does not allow the drawing.
const REFUSED: u8 = 77;

/// Why the program ends without a drawing: a message and an exit status.
struct ExitError {
    message: String,
    status: u8,
}

impl ExitError {
    /// An attempt that failed.
    fn new(message: impl Into<String>) -> ExitError {
        ExitError { message: message.into(), status: 1 }
    }

    /// An attempt that this system does not allow.
    fn refused(message: impl Into<String>) -> ExitError {
        ExitError { message: message.into(), status: REFUSED }
    }
}

fn main() -> ExitCode {
    if let Err(message) = netlab::process::begin() {
        let _ = writeln!(io::stderr(), "{message}");
        return ExitCode::FAILURE;
    }
    let cli: Cli = common::parse_arguments();
    let done = match &cli.command {
        _ if cli.summary && !matches!(cli.format, Format::Text | Format::Json) => {
            Err(ExitError {
                message: "flow: --summary is text or JSON; give --format text or json"
                    .to_owned(),
                status: 2,
            })
        }
        Some(Command::Show { log, sources }) => show(log, sources.as_deref(), &cli),
        None => live(&cli),
    };
    let done = match (done, &cli.recording) {
        (Err(refusal), Some(log)) if refusal.status == REFUSED => {
            let _ = writeln!(io::stderr(), "{}", refusal.message);
            let shown = show(log, None, &cli);
            // The user asked for what the rules of the wire do, and they did nothing.
            let on_a_wire = cli.wire.is_some() || !cli.rule.is_empty();
            if on_a_wire && shown.is_ok() {
                return ExitCode::from(REFUSED);
            }
            shown
        }
        (done, _) => done,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If stderr is closed, there is nobody to tell.
            let _ = writeln!(io::stderr(), "{}", failure.message);
            ExitCode::from(failure.status)
        }
    }
}

#[cfg(target_os = "linux")]
use run::live;

#[cfg(not(target_os = "linux"))]
fn live(_: &Cli) -> Result<(), ExitError> {
    Err(ExitError::refused(
        "trace a program: this needs Linux; draw a recorded log with `flow show LOG.json`",
    ))
}

/// Draws a recorded log.
fn show(path: &Path, sources: Option<&Path>, cli: &Cli) -> Result<(), ExitError> {
    let shown = shown(path);
    let failed = |reason: &dyn std::fmt::Display| {
        ExitError::new(format!(
            "read {shown}: {reason}; is it a log of `flow --format json`?"
        ))
    };
    let file = netlab::files::open(path).map_err(|error| failed(&error))?;
    let mut file = io::BufReader::new(file);
    if cli.summary && sources.is_none() {
        // The totals need no event for longer than a moment.
        let mut summary = Summary::default();
        let read = flow::json::read_each(&mut file, |event| summary.push(&event));
        read.map_err(|it| failed(&it))?;
        return write_summary(&summary, cli);
    }
    let log = flow::json::read(&mut file).map_err(|it| failed(&it))?;
    if let Some(folder) = sources {
        for (file, text) in flow::sources::read(&log, folder) {
            if let Err(why) = text {
                return Err(ExitError::new(format!(
                    "show {}: the run is stale: {}: {why}; record it again",
                    shown,
                    flow::bytes::printable(&file)
                )));
            }
        }
    }
    write_log(&log, cli, true)
}

/// How to draw a log, according to the command line.
fn options(cli: &Cli, recording: bool) -> draw::Options {
    let terminal = cli.output.is_none() && io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    let (rows, window) = match cli.rows {
        Rows::Most(rows) => (rows, None),
        Rows::Part(first, last) => (usize::MAX, Some((first, last))),
    };
    draw::Options {
        width: width(cli),
        color: match cli.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color,
        },
        exact: cli.exact,
        rows,
        window,
        recording,
        time: cli.time,
        fold: cli.fold,
        detail: cli.detail,
        filter: draw::Filter {
            ports: cli.port.clone(),
            connections: cli.connection.clone(),
            calls: cli.call.clone(),
            errors: cli.errors,
            processes: cli.process.clone(),
        },
    }
}

/// How wide the text is: as wide as the terminal that it goes to, up to what two programs can
/// make use of, or 80 columns.
fn width(cli: &Cli) -> usize {
    const WIDEST: usize = 200;
    let into_terminal = cli.output.is_none() && io::stdout().is_terminal();
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let columns =
        terminal.filter(|_| into_terminal).map(|(width, _)| usize::from(width.0));
    // A terminal that does not say how wide it is says 0.
    let columns = columns.filter(|columns| *columns > 0);
    cli.width.unwrap_or_else(|| columns.map_or(80, |it| it.clamp(40, WIDEST)))
}

/// Writes the totals of a log in the requested format.
fn write_summary(summary: &Summary, cli: &Cli) -> Result<(), ExitError> {
    let report = summary.report();
    let text = if cli.format == Format::Json {
        let json = serde_json::to_string(&report);
        json.map_err(|it| ExitError::new(format!("write the totals: {it}")))? + "\n"
    } else {
        report.text(width(cli))
    };
    write_output(text.as_bytes(), cli)
}

/// Writes a log in the requested format.
fn write_log(log: &Log, cli: &Cli, recording: bool) -> Result<(), ExitError> {
    if cli.summary {
        let mut summary = Summary::default();
        log.events.iter().for_each(|event| summary.push(event));
        return write_summary(&summary, cli);
    }
    let options = options(cli, recording);
    let mut bytes = Vec::new();
    match cli.format {
        Format::Text => bytes = draw::text(log, &options).into_bytes(),
        Format::Svg => bytes = draw::svg(log, &options).into_bytes(),
        Format::Html => {
            // Relative paths in a log start from this folder.
            let files: HashMap<String, String> = flow::sources::read(log, Path::new("."))
                .into_iter()
                .filter_map(|(file, text)| Some((file, text.ok()?)))
                .collect();
            let file = |name: &str| {
                let text = files.get(name)?.clone();
                let here = std::env::current_dir().unwrap_or_default();
                let title = Path::new(name).strip_prefix(here).unwrap_or(Path::new(name));
                let title = title.display().to_string();
                Some(draw::html::File { title, text, page: None })
            };
            bytes = draw::html::document(log, &options, &file).into_bytes();
        }
        Format::Json => {
            flow::json::write(&mut bytes, log)
                .map_err(|it| ExitError::new(it.to_string()))?;
        }
    }
    write_output(&bytes, cli)
}

/// A path as it is shown in a message: safe for a terminal.
fn shown(path: &Path) -> String {
    flow::bytes::printable(&path.to_string_lossy())
}

fn write_output(bytes: &[u8], cli: &Cli) -> Result<(), ExitError> {
    let result = match &cli.output {
        Some(path) => std::fs::write(path, bytes),
        None => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
    };
    let to = cli.output.as_deref().map_or("standard output".to_owned(), shown);
    result.map_err(|error| {
        let error = netlab::with_remedy(&error);
        ExitError::new(format!("write the drawing to {to}: {error}"))
    })
}
