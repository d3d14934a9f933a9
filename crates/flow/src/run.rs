//! Runs or attaches to the programs on the command line, and draws them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flow::draw::summary::Summary;
use flow::event::{Change, Event, Header, Log, Packet};
use flow::keep::Keep;
use flow::trace::{self, Condition, Options, Program, Session, TraceError};
use flow::{json, pcapng, side_name};
use netlab::capture::{CaptureSize, CapturedPacket};
use netlab::wire::{Rules, Sighting, Wire, WireError};

use crate::cli::{Cli, Format};
use crate::drafting::Drafting;
use crate::{ExitError, options, shown, write_log, write_output, write_summary};

/// How many events are kept for a drawing, from the beginning and from the end each.
const KEPT: usize = 20_000;

/// Where events go: into memory for a drawing, into totals, into a file as the log, or to
/// several of these.
struct Sink {
    keep: Option<Keep>,
    summary: Option<Summary>,
    draft: Option<Drafting>,
    log: Option<LogFile>,
    failure: EarlyFailure,
}

/// Finds the program that failed before any program had made a call about sockets: then
/// there was nothing to draw.
#[derive(Default)]
struct EarlyFailure {
    has_calls: bool,
    /// The first process of each side.
    first: HashMap<usize, i32>,
    /// The side that failed, and how.
    failed: Option<(usize, String)>,
}

impl EarlyFailure {
    fn follow(&mut self, event: &Event) {
        match event {
            Event::Call(_) => self.has_calls = true,
            Event::Process(process) => {
                let first = *self.first.entry(process.side).or_insert(process.pid);
                let how = match &process.what {
                    Change::Exited(status) if *status != 0 => {
                        format!("it exited with status {status}")
                    }
                    Change::Killed(signal) => format!("it was killed by {signal}"),
                    _ => return,
                };
                if first == process.pid && self.failed.is_none() {
                    self.failed = Some((process.side, how));
                }
            }
            _ => {}
        }
    }

    /// The error message. `sides` are the programs with their arguments.
    fn message(self, sides: &[&[OsString]]) -> Option<String> {
        let (side, how) = self.failed.filter(|_| !self.has_calls)?;
        let words = sides.get(side)?.iter().map(|word| shown(Path::new(word)));
        Some(format!(
            "run {}: {how} before making a socket call; try it without flow",
            words.collect::<Vec<_>>().join(" ")
        ))
    }
}

/// What there is to write when a run is over.
struct Kept {
    log: Option<Log>,
    summary: Option<Summary>,
    draft: Option<Drafting>,
    failure: EarlyFailure,
}

struct LogFile {
    to: BufWriter<Box<dyn Write + Send>>,
    /// The first failure; after it, nothing more is written.
    result: io::Result<()>,
}

impl Sink {
    fn new(cli: &Cli, header: Header, sides: &[String]) -> Result<Sink, ExitError> {
        let writes_log = cli.format == Format::Json && !cli.summary;
        let to: Option<Box<dyn Write + Send>> = match &cli.log {
            Some(path) => Some(create(path)?),
            None if writes_log => Some(match &cli.output {
                Some(path) => create(path)?,
                None => Box::new(io::stdout()),
            }),
            None => None,
        };
        let log = to.map(|to| {
            let mut to = BufWriter::new(to);
            let result = json::write_header(&mut to, &header);
            LogFile { to, result }
        });
        let summary = cli.summary.then(Summary::default);
        let draft = cli.live.then(|| {
            let is_on_wire = cli.wire.is_some() || !cli.rule.is_empty();
            Drafting::begin(header.clone(), options(cli, false), sides, is_on_wire)
        });
        let draws = !cli.summary && cli.format != Format::Json;
        let keep = draws.then(|| Keep::new(header, KEPT));
        Ok(Sink { keep, summary, draft, log, failure: EarlyFailure::default() })
    }

    fn push(&mut self, event: Event) {
        self.failure.follow(&event);
        if let Some(LogFile { to, result }) = &mut self.log
            && result.is_ok()
        {
            // Whoever reads along at the other end of a pipe sees each event as it comes.
            *result = json::write_event(to, &event).and_then(|()| to.flush());
        }
        if let Some(summary) = &mut self.summary {
            summary.push(&event);
        }
        if let Some(draft) = &self.draft {
            draft.push(event.clone());
        }
        if let Some(keep) = &mut self.keep {
            keep.push(event);
        }
    }

    /// Finishes the log's file, and returns what was kept for the end.
    fn finish(self) -> Result<Kept, ExitError> {
        if let Some(LogFile { mut to, result }) = self.log {
            result.and_then(|()| to.flush()).map_err(|error| {
                let error = netlab::with_remedy(&error);
                ExitError::new(format!("write the log: {error}"))
            })?;
        }
        let log = self.keep.map(Keep::into_log);
        Ok(Kept { log, summary: self.summary, draft: self.draft, failure: self.failure })
    }
}

/// The capture file. A full disk ends the file, but not the run.
struct PacketFile {
    to: BufWriter<File>,
    path: PathBuf,
    /// The first failure; after it, nothing more is written.
    result: io::Result<()>,
}

impl PacketFile {
    fn new(path: &Path, interfaces: &[&str]) -> Result<PacketFile, ExitError> {
        let failed = |error| {
            let error = netlab::with_remedy(&error);
            ExitError::new(format!("create {}: {error}", shown(path)))
        };
        let mut to = BufWriter::new(File::create(path).map_err(failed)?);
        let result = pcapng::begin(&mut to, interfaces);
        Ok(PacketFile { to, path: path.to_owned(), result })
    }

    fn push(&mut self, interface: u32, packet: &CapturedPacket<'_>, comment: &str) {
        if self.result.is_ok() {
            let CapturedPacket { time_ns, bytes, length } = *packet;
            self.result =
                pcapng::write(&mut self.to, interface, time_ns, bytes, length, comment);
        }
    }

    fn finish(mut self) -> Result<(), ExitError> {
        let written = self.result.and_then(|()| self.to.flush());
        written.map_err(|error| {
            let error = netlab::with_remedy(&error);
            ExitError::new(format!("write {}: {error}", shown(&self.path)))
        })
    }
}

/// Runs the programs and draws them.
pub(crate) fn live(cli: &Cli) -> Result<(), ExitError> {
    let sides: Vec<&[OsString]> = cli
        .programs
        .split(|word| word == "--")
        .filter(|words| !words.is_empty())
        .collect();
    check(cli, &sides)?;
    // A single side is in nobody's way, and processes that we attached to are left as
    // they are.
    let in_turn = !cli.free && cli.attach.is_empty();
    let options = Options {
        in_turn,
        data_bytes: cli.bytes,
        until: cli.until,
        ..Options::default()
    };

    // Before the session's first event, while this process has one thread.
    let (private, wire) = enter_network(cli)?;
    let names: Vec<String> = sides.iter().map(|words| name(words)).collect();
    let sink = Sink::new(cli, trace::header(in_turn), &names)?;
    let sink = Arc::new(Mutex::new(sink));
    let into = Arc::clone(&sink);
    let mut session = Session::new(
        options,
        Box::new(move |event| {
            into.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }),
    );
    let packets = capture(cli, &mut session, private, wire)?;

    trace::watch_signals();
    for pid in &cli.attach {
        session.attach(*pid, cli.name.as_deref()).map_err(failure)?;
    }
    // Without it, Python programs still run, but their calls have no lines.
    let lines = trace::PythonLines::new().ok();
    for (words, name) in sides.iter().zip(names) {
        let mut program = program(cli, words)?;
        program.variable = lines.as_ref().map(trace::PythonLines::variable);
        session.add(name, program);
    }
    session.wait_for(conditions(cli));
    let ran = session.run();
    let sightings = match &cli.on_host {
        Some(_) => sightings(&session)?,
        None => Vec::new(),
    };
    drop(session);
    trace::stop_watching_signals();
    let packets = packets.and_then(Arc::into_inner).map_or(Ok(()), |packets| {
        packets.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
    });
    let sink = Arc::into_inner(sink)
        .map(|sink| sink.into_inner().unwrap_or_else(PoisonError::into_inner));
    let drawn = match sink.map(Sink::finish) {
        Some(Ok(mut kept)) => {
            if let (Some(host), Some(log)) = (&cli.on_host, &mut kept.log) {
                add_sightings(log, host, sightings);
            }
            write_kept(kept, cli, ran.is_ok(), &sides)
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    ran.map_err(failure)?;
    drawn.and(packets)
}

/// Reads what the wire of another process saw, to the end of standard input.
fn sightings(session: &Session) -> Result<Vec<Packet>, ExitError> {
    let lines = io::stdin().lines();
    let packets = lines.filter_map(|line| {
        line.map(|line| session.packet(&Sighting::from_line(&line)?)).transpose()
    });
    packets.take(2 * KEPT).collect::<io::Result<_>>().map_err(|error| {
        ExitError::new(format!("read what the wire saw from standard input: {error}"))
    })
}

/// Adds what another process's wire saw to a log, at the time when it was seen: a call that
/// sends begins before its packet leaves, and one that receives ends after it has arrived.
fn add_sightings(log: &mut Log, host: &str, packets: Vec<Packet>) {
    let mut packets = packets.into_iter().peekable();
    let mut events = Vec::with_capacity(log.events.len());
    for mut event in std::mem::take(&mut log.events) {
        while let Some(packet) = packets.next_if(|it| it.time_ns < event.time_ns()) {
            events.push(Event::Packet(packet));
        }
        if let Event::Side(side) = &mut event {
            side.host = Some(host.to_owned());
        }
        events.push(event);
    }
    log.events = events;
    log.events.extend(packets.map(Event::Packet));
}

/// Rejects combinations of options that make no sense.
fn check(cli: &Cli, sides: &[&[OsString]]) -> Result<(), ExitError> {
    let wrong = |message: &str| Err(ExitError { message: message.to_owned(), status: 2 });
    if sides.is_empty() == cli.attach.is_empty() {
        return wrong(
            "flow: no program; try `flow -- python3 server.py -- python3 client.py`, or --help",
        );
    }
    if cli.log.is_some() && cli.format == Format::Json && !cli.summary {
        return wrong(
            "flow: --log and --format json both write the log; give one of them",
        );
    }
    if cli.live && cli.format != Format::Text {
        return wrong(
            "flow: --live is text; --format json writes each event as it comes anyway",
        );
    }
    Ok(())
}

/// Enters the network that the programs run on. Returns whether it is private, or why it
/// is not, and the wire if there is to be one.
fn enter_network(cli: &Cli) -> Result<(Result<(), String>, Option<Wire>), ExitError> {
    if let Some(rules) = rules(cli)? {
        return Ok((Ok(()), Some(open_wire(&rules, cli)?)));
    }
    let private = if cli.packets || cli.on_host.is_some() {
        Ok(())
    } else if cli.host_network || !cli.attach.is_empty() {
        Err("on the host's network".to_owned())
    } else {
        netlab::enter_network_as_oneself()
            .map(drop)
            .map_err(|refusal| refusal.to_string())
    };
    Ok((private, None))
}

/// The name of a side.
fn name(words: &[OsString]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    side_name(&words)
}

/// A side's program, set up as the command line says.
fn program(cli: &Cli, words: &[OsString]) -> Result<Program, ExitError> {
    let mut program = Program::new(words);
    program.directory = cli.directory.clone();
    if cli.quiet {
        program.stdout = nowhere()?;
        program.stderr = nowhere()?;
    } else if cli.output.is_none() && (cli.format != Format::Text || cli.live) {
        // A drawing on standard output must not be mixed with what programs print.
        program.stdout = io::stderr().as_fd().try_clone_to_owned().ok();
    }
    Ok(program)
}

/// Writes the result of a run: its drawing or its totals.
fn write_kept(
    kept: Kept,
    cli: &Cli,
    ran: bool,
    sides: &[&[OsString]],
) -> Result<(), ExitError> {
    let Kept { log, summary, draft, failure } = kept;
    let failed = failure.message(sides).map_or(Ok(()), |it| Err(ExitError::new(it)));
    if let Some(summary) = summary {
        return write_summary(&summary, cli).and(failed);
    }
    // If a side did not start, only what the others did is worth drawing.
    let Some(log) = log.filter(|log| ran || log.events.iter().any(is_call)) else {
        return failed;
    };
    let written = match draft.and_then(Drafting::end) {
        Some(live) => {
            let whole = flow::draw::text(&log, &options(cli, false));
            write_output(live.finish(&whole).as_bytes(), cli)
        }
        None => write_log(&log, cli, false),
    };
    written.and(failed)
}

/// What the second program, the third, … wait for.
fn conditions(cli: &Cli) -> Vec<Condition> {
    let ports = cli.wait_port.iter().map(|port| Condition::Port(*port));
    let lines = cli.wait_line.iter().map(|line| Condition::Line(line.clone()));
    ports.chain(lines).collect()
}

/// The rules of the wire, if there is to be one.
fn rules(cli: &Cli) -> Result<Option<Rules>, ExitError> {
    let wrong = |message: String| ExitError { message, status: 2 };
    let mut text = String::new();
    if let Some(path) = &cli.wire {
        text = rules_file(path).map_err(|error| {
            wrong(format!("read the rules {}: {error}; one rule per line", shown(path)))
        })?;
    } else if cli.rule.is_empty() {
        return Ok(None);
    }
    if !cli.attach.is_empty() || cli.host_network {
        let message = "flow: a wire is a private network; it cannot be combined with --attach or \
                       --host-network";
        return Err(wrong(message.to_owned()));
    }
    let in_file = text.lines().count();
    // What is not UTF-8 is no rule either, and is told like any other word that is none.
    let own: Vec<String> =
        cli.rule.iter().map(|rule| rule.to_string_lossy().into_owned()).collect();
    let lines = text.lines().chain(own.iter().map(String::as_str));
    Rules::parse(lines).map(Some).map_err(|error| match &cli.wire {
        Some(path) if error.line < in_file => {
            wrong(format!("{}:{}: {error}", shown(path), error.line + 1))
        }
        _ => wrong(error.to_string()),
    })
}

/// Reads a file of rules, up to a limit: a device, or a file that was named by mistake, may have
/// no end.
fn rules_file(path: &Path) -> io::Result<String> {
    let text = netlab::files::read_text_up_to(path, 64 << 10)?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn open_wire(rules: &Rules, cli: &Cli) -> Result<Wire, ExitError> {
    let refused = |reason: String| {
        ExitError::refused(format!("make a wire between two private hosts: {reason}"))
    };
    netlab::enter_user_namespace().map_err(|refusal| refused(refusal.to_string()))?;
    let bytes = if cli.pcap.is_some() { 1_500 } else { cli.bytes.saturating_add(100) };
    let options = netlab::wire::Options {
        packet_bytes: Some(bytes),
        ..netlab::wire::Options::default()
    };
    Wire::open(rules, options).map_err(|error| match error {
        WireError::Refused(refusal) => refused(refusal.to_string()),
        WireError::Setting(..) => ExitError { message: error.to_string(), status: 2 },
    })
}

fn is_call(event: &Event) -> bool {
    matches!(event, Event::Call(_))
}

fn nowhere() -> Result<Option<OwnedFd>, ExitError> {
    let opened = File::options().write(true).open("/dev/null");
    opened.map(|file| Some(file.into())).map_err(|error| {
        ExitError::new(format!("open /dev/null: {}", netlab::with_remedy(&error)))
    })
}

fn failure(error: TraceError) -> ExitError {
    if error.is_refusal() {
        ExitError::refused(error.to_string())
    } else {
        ExitError::new(error.to_string())
    }
}

fn create(path: &Path) -> Result<Box<dyn Write + Send>, ExitError> {
    match File::create(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => {
            let error = netlab::with_remedy(&error);
            Err(ExitError::new(format!("create {}: {error}", shown(path))))
        }
    }
}

/// Starts the capture, or says why there are no packets.
fn capture(
    cli: &Cli,
    session: &mut Session,
    private: Result<(), String>,
    wire: Option<Wire>,
) -> Result<Option<Arc<Mutex<PacketFile>>>, ExitError> {
    if let Err(reason) = &private {
        // On the host's network, other people's packets would be in the picture.
        session.note(format!("Only calls, no packets: {reason}"));
        return match &cli.pcap {
            Some(_) => Err(ExitError::refused(format!(
                "capture packets: there is no private network ({reason})"
            ))),
            None => Ok(None),
        };
    }
    let size = match cli.pcap {
        Some(_) => CaptureSize::whole_packets(),
        None => CaptureSize::with_data(cli.bytes),
    };
    let mut interfaces: &[&str] = &["lo"];
    if let Some(wire) = wire {
        interfaces = &["a", "b"];
        session.wire(wire);
    } else if cli.on_host.is_none() {
        session.capture(size);
    }
    if let Some(path) = &cli.pcap {
        let packets = Arc::new(Mutex::new(PacketFile::new(path, interfaces)?));
        let into = Arc::clone(&packets);
        session.on_packet(move |interface, packet, comment| {
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(interface, packet, comment);
        });
        return Ok(Some(packets));
    }
    Ok(None)
}
