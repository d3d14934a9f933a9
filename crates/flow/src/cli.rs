//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Draws what programs say to the kernel, and the kernel to the
/// network.
///
/// Give each program after a `--`. The first starts at once, each
/// next one when the one before listens, has bound its port, or has
/// ended. They run on a network of their own, where every port is
/// free.
#[derive(Debug, clap::Parser)]
#[command(verbatim_doc_comment)]
#[command(
    name = "flow",
    version,
    override_usage = "flow [OPTIONS] -- SERVER… [-- CLIENT…]…\n       \
                      flow [OPTIONS] --attach PID\n       \
                      flow [OPTIONS] show LOG.json",
    after_help = "Examples:\n  \
        flow -- python3 server.py -- python3 client.py\n  \
        flow --format svg -o echo.svg -- ./server -- ./client\n  \
        flow --pcap echo.pcapng -- ./server -- ./client\n  \
        flow --live -- ./server -- ./client\n  \
        flow --summary show echo.json\n  \
        flow show echo.json\n\n\
        Exit status: 0 drawn; 1 failed; 2 wrong command line; 77 the system\n\
        does not allow tracing.",
    args_conflicts_with_subcommands = false,
    subcommand_precedence_over_arg = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The form of what is written.
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub(crate) format: Format,

    /// Writes to this file instead of standard output.
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) output: Option<PathBuf>,

    /// Whether text is coloured; with auto, on a terminal unless NO_COLOR
    /// is set.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_enum, default_value = "auto", global = true)]
    pub(crate) color: Color,

    /// Width of the text in columns [default: the terminal's, up to 200, or
    /// 80 elsewhere].
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "COLUMNS", value_parser = parse_width, global = true)]
    pub(crate) width: Option<usize>,

    /// Shows the time of each row in milliseconds, since the beginning
    /// and since the row before, and how long calls waited.
    #[arg(long, global = true)]
    #[arg(verbatim_doc_comment)]
    pub(crate) time: bool,

    /// Draws only what is about this port; may be given more than once.
    #[arg(long, value_name = "PORT", global = true)]
    pub(crate) port: Vec<u16>,

    /// Draws only the connection with this number, which its arrows show
    /// if there are several; may be given more than once.
    #[arg(long, value_name = "NUMBER", global = true)]
    #[arg(verbatim_doc_comment, value_parser = parse_connection)]
    pub(crate) connection: Vec<usize>,

    /// Draws only calls with this name; may be given more than once.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) call: Vec<String>,

    /// Draws only calls that failed, resets and ICMP errors.
    #[arg(long, global = true)]
    pub(crate) errors: bool,

    /// Draws only what this program does, by its name at the head of a
    /// column or by a process id; may be given more than once.
    #[arg(long, value_name = "NAME|PID", global = true)]
    #[arg(verbatim_doc_comment)]
    pub(crate) process: Vec<String>,

    /// Draws repeated rows once, and says how often they occurred.
    #[arg(long, global = true)]
    pub(crate) fold: bool,

    /// Shows the numbers of each TCP segment below its arrow: sequence
    /// and acknowledgment numbers, counted from the beginning of the
    /// connection, the window in bytes, and SACK blocks.
    #[arg(verbatim_doc_comment)]
    #[arg(long, global = true)]
    pub(crate) detail: bool,

    /// Shows calls as the kernel got them, with all flags and by their
    /// kernel names.
    #[arg(verbatim_doc_comment)]
    #[arg(long, global = true)]
    pub(crate) exact: bool,

    /// The most rows to draw; longer conversations are cut in the middle.
    /// Or the first and the last row of a part, such as 300..340.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "ROWS|A..B", default_value = "2000", global = true)]
    #[arg(value_parser = parse_rows)]
    pub(crate) rows: Rows,

    /// Writes totals instead of the drawing: calls, errors, bytes, round
    /// trips, a line for each connection, and what was never closed. With
    /// --format json, an object.
    #[arg(verbatim_doc_comment)]
    #[arg(long, global = true)]
    #[arg(conflicts_with_all = ["port", "connection", "call", "errors", "process", "fold"])]
    pub(crate) summary: bool,

    /// Writes the packets to this file as well, for Wireshark and
    /// tcpdump.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// Writes the event log to this file as well, for `flow show`.
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Runs the programs in this folder.
    #[arg(short = 'C', long, value_name = "FOLDER")]
    pub(crate) directory: Option<PathBuf>,

    /// Draws each row as it comes, and at the end what looks different
    /// by then. What the programs print goes to standard error.
    #[arg(verbatim_doc_comment)]
    #[arg(long, conflicts_with_all = ["output", "summary"])]
    pub(crate) live: bool,

    /// Throws away what the programs print.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Joins this running process; ^C leaves it again.
    #[arg(long, value_name = "PID")]
    pub(crate) attach: Vec<i32>,

    /// What the joined process is called [default: its program and PID].
    #[arg(long, value_name = "NAME", requires = "attach")]
    pub(crate) name: Option<String>,

    /// Draws the packets of this network too: for a network that only the
    /// joined process uses.
    #[arg(verbatim_doc_comment)]
    #[arg(long, requires = "attach")]
    pub(crate) packets: bool,

    /// The host of a wire that the joined process is on; what the wire sees
    /// comes on standard input, a line each.
    #[arg(long, value_parser = ["a", "b"], requires = "attach", hide = true)]
    #[arg(conflicts_with_all = ["packets", "wire", "rule"])]
    pub(crate) on_host: Option<String>,

    /// Lets all programs run at once; the default is one at a time, in
    /// turn, so that the same drawing comes out each time.
    #[arg(verbatim_doc_comment)]
    #[arg(long)]
    pub(crate) free: bool,

    /// Draws this log instead where the system does not allow tracing.
    #[arg(long, value_name = "LOG.json", hide = true)]
    pub(crate) recording: Option<PathBuf>,

    /// Starts the next program when somebody is at this port: listens
    /// there, or has bound a datagram socket to it. Once for each program
    /// after the first.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "PORT", conflicts_with = "wait_line")]
    pub(crate) wait_port: Vec<u16>,

    /// Starts the next program when the one before has printed this. Once
    /// for each program after the first.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "TEXT")]
    pub(crate) wait_line: Vec<String>,

    /// Ends the run this long after the last program has started: what
    /// still runs gets SIGINT, and a joined process is left. Without it
    /// a run ends when the last program has ended and the others only wait.
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) until: Option<Duration>,

    /// Runs the programs on two hosts, the first on b (10.77.0.2), the
    /// others on a (10.77.0.1), with a wire between them that does what
    /// the rules in this file say.
    #[arg(verbatim_doc_comment)]
    #[arg(long, alias = "rules", value_name = "FILE")]
    pub(crate) wire: Option<PathBuf>,

    /// One rule of the wire: `lose a>b data 2`.
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Vec<OsString>,

    /// Runs on the host's network: only the calls are drawn, without
    /// packets.
    #[arg(verbatim_doc_comment)]
    #[arg(long)]
    pub(crate) host_network: bool,

    /// Bytes kept of what a call sends or receives, at most 1048576.
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = parse_bytes)]
    pub(crate) bytes: usize,

    /// The programs, with a `--` before each.
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) programs: Vec<OsString>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Draws a recorded log, on any system.
    Show {
        /// What `flow --format json` wrote.
        #[arg(value_name = "LOG.json")]
        log: PathBuf,
        /// Fails where a source file that the log names, below this folder,
        /// is not the one that ran.
        #[arg(verbatim_doc_comment)]
        #[arg(long, value_name = "FOLDER")]
        sources: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A drawing in characters.
    Text,
    /// The event log, one JSON object per line.
    Json,
    /// A picture for a page.
    Svg,
    /// A page to step through, one file, for any browser.
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// Which rows to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// At most this many.
    Most(usize),
    /// From the first to the last of these, counted from 1.
    Part(usize, usize),
}

fn parse_rows(text: &str) -> Result<Rows, String> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|it| *it > 0);
    let rows = match text.split_once("..") {
        None => number(text).map(Rows::Most),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(Rows::Part(first, last)),
            _ => None,
        },
    };
    rows.ok_or_else(|| {
        "a number of rows, or the first and the last as 300..340".to_owned()
    })
}

fn parse_connection(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .ok_or_else(|| "a connection's number, from 1, as the drawing has it".to_owned())
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 0..=1_048_576) => Ok(bytes),
        _ => Err("a number from 0 to 1048576".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds".to_owned())
}

fn parse_width(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(width @ 40..=1000) => Ok(width),
        _ => Err("a number from 40 to 1000".to_owned()),
    }
}
