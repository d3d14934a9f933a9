//! The drawing as HTML: a conversation to step through.
//!
//! It is an ordered list on a grid, one item per row, and can be read without JavaScript
//! and by a screen reader. The script (`steps.js`) only moves a cursor over steps that
//! were computed here, and sets text, so nothing that came from a program or from the
//! network is ever parsed as HTML.

mod document;
mod lanes;
mod sha256;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use common::Visible;
use serde_json::{Value, json};

use self::lanes::Lanes;
use super::{Arrow, Diagram, Options, PacketKind, Row, calls};
use crate::bytes::grouped;
use crate::event::{Call, Data, Event, Fate, Log, Observed, Packet, Protocol, Return};

pub use document::{digest, document};

/// The colours, light and dark, that the other style sheets use.
pub const THEME_CSS: &str = include_str!("theme.css");

/// The script that moves the cursor, as a classic script.
pub fn steps_js() -> String {
    lean(include_str!("steps.js"))
}

/// A script or a style sheet without indentation and comment lines. No string in it spans
/// several lines.
pub fn lean(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let is_comment = |line: &str| {
        line.starts_with("// ") || line.starts_with("/* ") && line.ends_with(" */")
    };
    let lines = lines.filter(|line| !line.is_empty() && !is_comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The style sheet of the component; it needs [`THEME_CSS`].
pub fn steps_css() -> String {
    let mut css = include_str!("steps.css").to_owned();
    // Positions are classes, because a strict policy forbids the `style` attribute.
    for n in 1..=lanes::MOST {
        let _ = write!(
            css,
            ".s-n{n}{{grid-template-columns:2rem repeat({n},minmax(0,1fr))}}\
             .s-c{n}{{grid-column-start:{from}}}.s-e{n}{{grid-column-end:{from}}}",
            from = n + 1
        );
    }
    css
}

/// The most bytes shown of what a packet or a call carries.
const BYTES: usize = 128;
/// How many lines are shown above the first call in a source file and below the last.
const AROUND: usize = 12;
/// The most characters shown of the text of a row, or of what was printed at once.
const LETTERS: usize = 2000;

/// A source file to show beside the conversation.
#[derive(Debug, Clone)]
pub struct File {
    /// Its title.
    pub title: String,
    /// Its whole text.
    pub text: String,
    /// The address of its page, to which `#L34` is appended for a line.
    pub page: Option<String>,
}

/// Draws a log as an element for a page. No other element of the page may have this `id`.
/// `file` is called for each source file that the log names.
pub fn steps(
    log: &Log,
    options: &Options,
    id: &str,
    file: &dyn Fn(&str) -> Option<File>,
) -> String {
    Steps::new(log, options, id, file).draw()
}

/// Text for HTML. Escapes what HTML would interpret, as well as what would change the
/// direction of the text or be obeyed by a terminal that it is pasted into.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The text without hidden characters and those that a terminal obeys; line feeds and
/// tabs stay.
fn visible(text: &str) -> String {
    lines(text.as_bytes())
}

/// Bytes as lines, each as a terminal may show it.
fn lines(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.map(|line| Visible(line).to_string()).collect::<Vec<_>>().join("\n")
}

/// Bytes as text: UTF-8 where valid, everything else as `\xff`.
fn printed(data: &Data) -> String {
    let shown = &data.bytes[..data.bytes.len().min(LETTERS)];
    let mut out = lines(shown);
    let left_out = data.length.saturating_sub(shown.len() as u64);
    if left_out > 0 {
        let _ = write!(out, "… {} bytes more", grouped(left_out));
    }
    out
}

/// A text cut to what a row can hold.
fn short(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Bytes in hexadecimal and as text, sixteen per line.
fn dump(data: &Data) -> Option<String> {
    if data.length == 0 {
        return None;
    }
    let shown = &data.bytes[..data.bytes.len().min(BYTES)];
    let mut out = String::new();
    for line in shown.chunks(16) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter = |byte: &u8| {
            if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '·' }
        };
        let text: String = line.iter().map(letter).collect();
        let _ = writeln!(out, "{:47}  {text}", hex.join(" "));
    }
    if (shown.len() as u64) < data.length {
        let _ = write!(out, "the first {} of {} bytes", shown.len(), data.length);
    }
    Some(out.trim_end_matches('\n').to_owned())
}

/// What a side is doing: the line of its latest call, and whether that call has not
/// returned yet.
#[derive(Debug, Clone)]
struct Doing {
    line: String,
    waits: bool,
}

struct Steps<'a> {
    log: &'a Log,
    diagram: Diagram,
    lanes: Lanes,
    id: &'a str,
    /// Each file that the log names with its number, and its text if it can be shown.
    files: Vec<(String, Option<File>)>,
    calls: HashMap<u64, &'a Call>,
    returns: HashMap<u64, &'a Return>,
    /// The first sequence number of each direction.
    first: HashMap<(&'a str, &'a str), u32>,
}

impl<'a> Steps<'a> {
    fn new(
        log: &'a Log,
        options: &Options,
        id: &'a str,
        file: &dyn Fn(&str) -> Option<File>,
    ) -> Steps<'a> {
        let diagram = Diagram::for_lanes(log, options);
        let lanes = Lanes::new(log, &diagram);
        let mut it = Steps {
            log,
            diagram,
            lanes,
            id,
            files: Vec::new(),
            calls: HashMap::new(),
            returns: HashMap::new(),
            first: HashMap::new(),
        };
        for event in &log.events {
            match event {
                Event::Call(call) => {
                    it.calls.insert(call.id, call);
                    if let Some(source) = &call.source
                        && it.number(&source.file).is_none()
                    {
                        it.files.push((source.file.clone(), file(&source.file)));
                    }
                }
                Event::Return(returned) => {
                    it.returns.insert(returned.id, returned);
                }
                Event::Packet(Packet {
                    from,
                    to,
                    protocol: Protocol::Tcp { seq, .. },
                    ..
                }) => {
                    it.first.entry((from, to)).or_insert(*seq);
                }
                _ => {}
            }
        }
        it
    }

    fn number(&self, file: &str) -> Option<usize> {
        self.files.iter().position(|(name, _)| name == file)
    }

    /// The key of a call's source line: `0:34`.
    fn line(&self, call: &Call) -> Option<String> {
        let source = call.source.as_ref()?;
        Some(format!("{}:{}", self.number(&source.file)?, source.line))
    }

    /// The rows that are shown; a program's start is not among them.
    fn rows(&self) -> impl Iterator<Item = (&Row, usize)> {
        let rows = self.diagram.rows.iter().zip(self.diagram.origins.iter().copied());
        rows.filter(|(row, _)| !matches!(row, Row::Life { text, .. } if text.is_empty()))
    }

    fn draw(&self) -> String {
        let mut out = String::new();
        let id = escape(self.id);
        let names: Vec<String> =
            self.diagram.columns.iter().map(|it| escape(&it.name)).collect();
        let count = self.rows().count();
        let _ = write!(
            out,
            "<figure class=s-steps id=\"{id}\" aria-label=\"Conversation of {names}, {count} \
             steps\"><div class=s-drawing tabindex=0 role=group aria-label=\"The conversation, \
             step by step\"><ol class=\"s-lanes s-n{lanes}\"><li class=s-heads \
             aria-hidden=true>",
            names = names.join(" and "),
            lanes = self.lanes.names.len().max(1),
        );
        for (at, (name, address)) in self.lanes.names.iter().enumerate() {
            let _ = write!(out, "<b class=s-c{}>{}", at + 1, escape(name));
            if let Some(address) = address {
                let _ = write!(out, "<small>{}</small>", escape(address));
            }
            out.push_str("</b>");
        }
        out.push_str("</li>");
        self.draw_rows(&mut out);
        out.push_str("</ol>");
        self.draw_notes(&mut out);
        out.push_str("</div>");
        if count > 0 {
            out.push_str(&self.panel(count));
            let data = self.data().to_string();
            // A data block ends at `</script`, whatever surrounds it.
            let data = data
                .replace('<', "\\u003c")
                .replace('>', "\\u003e")
                .replace('&', "\\u0026");
            let _ = write!(out, "<script type=\"application/json\">{data}</script>");
        }
        out.push_str("</figure>\n");
        out
    }

    fn draw_rows(&self, out: &mut String) {
        let mut life = vec![0_isize; self.lanes.names.len()];
        // Lanes that have begun and not ended.
        let mut alive = vec![self.lanes.by_socket; self.lanes.names.len()];
        for (at, column) in self.diagram.columns.iter().enumerate() {
            if column.is_nobody && !self.lanes.by_socket {
                alive[at] = true;
            }
        }
        let mut number = 0;
        for (row, origin) in self.diagram.rows.iter().zip(&self.diagram.origins) {
            let (from, to) = self.lanes.of(row, &self.log.events[*origin]);
            if !matches!(row, Row::Cut(_)) {
                for lane in [from, to] {
                    alive[lane] = true;
                }
            }
            if matches!(row, Row::Return { .. }) {
                life[from] = (life[from] - 1).max(0);
            }
            if let Row::Life { text, .. } = row
                && text.is_empty()
            {
                continue;
            }
            number += 1;
            let words = self.words(row, from, to);
            let id = escape(self.id);
            let _ = write!(
                out,
                "<li class=s-row id={id}-{number}><a class=s-number href=#{id}-{number} \
                 aria-label=\"Step {number}\">{number}</a><span class=s-said>{}</span>",
                escape(&words)
            );
            for lane in 0..alive.len() {
                if alive[lane] {
                    let class = format!("s-c{}", lane + 1);
                    let _ = if life[lane] > 0 {
                        write!(out, "<i class=\"{class} s-waiting\"></i>")
                    } else {
                        write!(out, "<i class={class}></i>")
                    };
                }
            }
            self.draw_row(out, row, *origin, from, to);
            out.push_str("</li>");
            match row {
                Row::Call { waits: true, .. } => life[from] += 1,
                Row::Life { line: Some(false), .. } if !self.lanes.by_socket => {
                    alive[from] = false;
                }
                _ => {}
            }
        }
    }

    fn draw_row(
        &self,
        out: &mut String,
        row: &Row,
        origin: usize,
        from: usize,
        to: usize,
    ) {
        match row {
            Row::Call { text, source, failed, state, .. } => {
                let failed = if *failed { " class=s-failed" } else { "" };
                let _ = write!(
                    out,
                    "<span class=\"s-call s-c{}\"><code{failed} aria-hidden=true>{}</code>",
                    from + 1,
                    escape(&short(text))
                );
                if let Some(state) = state {
                    let _ = write!(out, "<b class=s-state aria-hidden=true>{state}</b>");
                }
                if let Some(source) = source {
                    self.draw_place(out, source, &self.log.events[origin]);
                }
                out.push_str("</span>");
            }
            Row::Return { text, failed, .. } => {
                let failed = if *failed { " class=s-failed" } else { "" };
                let _ = write!(
                    out,
                    "<span class=\"s-call s-c{}\" aria-hidden=true><code{failed}>{}</code></span>",
                    from + 1,
                    escape(&short(text))
                );
            }
            Row::Packet(arrow) => draw_arrow(out, arrow, from, to),
            Row::Life { text, .. } => {
                let _ = write!(
                    out,
                    "<span class=\"s-call s-dim s-c{}\" aria-hidden=true>{}</span>",
                    from + 1,
                    escape(&short(text))
                );
            }
            Row::Cause { text, .. } => {
                let _ = write!(
                    out,
                    "<span class=\"s-call s-dim s-c{}\" aria-hidden=true>↳ {}</span>",
                    from + 1,
                    escape(text)
                );
            }
            Row::Detail { text, .. } => {
                let _ = write!(
                    out,
                    "<span class=\"s-call s-dim s-c{}\" aria-hidden=true>{}</span>",
                    from + 1,
                    escape(text)
                );
            }
            Row::Time { text, .. } => {
                let _ = write!(
                    out,
                    "<span class=\"s-call s-dim s-c{}\" aria-hidden=true>· {} ·</span>",
                    from + 1,
                    escape(text.trim_start())
                );
            }
            Row::Cut(rows) => {
                let _ = write!(
                    out,
                    "<span class=s-cut aria-hidden=true>⋯ {rows} rows are left out ⋯</span>"
                );
            }
        }
    }

    /// Where a call was made, as a link if the file has a page.
    fn draw_place(&self, out: &mut String, shown: &str, event: &Event) {
        let call = match event {
            Event::Call(call) => Some(call),
            Event::Return(returned) => self.calls.get(&returned.id).copied(),
            _ => None,
        };
        let page = call.and_then(|call| {
            let source = call.source.as_ref()?;
            let (_, file) = &self.files[self.number(&source.file)?];
            Some(format!("{}#L{}", file.as_ref()?.page.as_ref()?, source.line))
        });
        let shown = escape(shown);
        let _ = match page {
            Some(page) => write!(
                out,
                " <a class=s-at aria-label=\"Source line {shown}\" href=\"{}\">{shown}</a>",
                escape(&page)
            ),
            None => write!(out, " <span class=s-at>{shown}</span>"),
        };
    }

    /// What a row says, as a sentence.
    fn words(&self, row: &Row, from: usize, to: usize) -> String {
        let name = |lane: usize| {
            let (name, address) = &self.lanes.names[lane];
            match address {
                Some(address) => format!("{name} at {address}"),
                None => name.clone(),
            }
        };
        match row {
            Row::Call { text, waits: true, .. } => {
                format!("{} calls {}; the kernel has it now.", name(from), short(text))
            }
            Row::Call { text, state: Some(state), .. } => {
                format!(
                    "{} calls {}. Its socket is now {state}.",
                    name(from),
                    short(text)
                )
            }
            Row::Call { text, .. } => format!("{} calls {}.", name(from), short(text)),
            Row::Return { text, .. } => {
                format!("{} goes on: {}.", name(from), short(text))
            }
            Row::Life { text, .. } => format!("{} {}.", name(from), short(text)),
            Row::Cause { text, .. } => format!("Why, at {}: {text}.", name(from)),
            Row::Detail { text, .. } => format!("{text}."),
            Row::Time { text, .. } => format!("Time passes: {}.", text.trim_start()),
            Row::Cut(rows) => format!("{rows} rows are left out here."),
            Row::Packet(arrow) => {
                let mut words = format!(
                    "The kernel of {} sends {} to that of {}.",
                    name(from),
                    short(&arrow.label),
                    name(to)
                );
                words.push_str(match arrow.fate {
                    Fate::Arrived => "",
                    Fate::Lost => " It is lost on the way.",
                    Fate::Held => " It is held back on the way.",
                });
                for (who, state) in
                    [(name(from), arrow.from_state), (name(to), arrow.to_state)]
                {
                    if let Some(state) = state {
                        let _ = write!(words, " {who} is now {state}.");
                    }
                }
                words
            }
        }
    }

    fn draw_notes(&self, out: &mut String) {
        let mut notes = self.diagram.notes.clone();
        if !self.log.header.system.is_empty() {
            notes.push(format!("Recorded on {}.", self.log.header.system));
        }
        for (name, file) in &self.files {
            if file.is_none() {
                notes.push(format!(
                    "{name} is not shown: it is missing, or has changed since the run."
                ));
            }
        }
        for note in notes {
            let _ = write!(out, "<p class=s-notes>{}</p>", escape(&note));
        }
    }

    /// The panel that JavaScript fills; without JavaScript it stays hidden.
    fn panel(&self, count: usize) -> String {
        const FIRST: &str = "M2 2h2v12H2zM14 2v12L5 8z";
        // A step is a chevron, so that nobody mistakes it for Play.
        const BACK: &str = "M11 1l1.5 1.5L7 8l5.5 5.5L11 15 4 8z";
        const NEXT: &str = "M5 1L3.5 2.5 9 8l-5.5 5.5L5 15l7-7z";
        const PLAY: &str = "M3 1v14l11-7z";
        const PAUSE: &str = "M3 2h4v12H3zM9 2h4v12H9z";
        let icon = |class: &str, path: &str| {
            format!(
                "<svg{class} viewBox=\"0 0 16 16\" aria-hidden=true><path d=\"{path}\"/></svg>"
            )
        };
        let button = |go: &str, name: &str, icons: String| {
            let pressed = if go == "play" { " aria-pressed=false" } else { "" };
            format!(
                "<button type=button data-go={go} aria-label=\"{name}\" \
                 title=\"{name}\"{pressed}>{icons}</button>"
            )
        };
        let mut out = String::from("<div class=s-panel hidden><div class=s-bar>");
        out.push_str(&button("first", "To the first step", icon("", FIRST)));
        out.push_str(&button("back", "One step back", icon("", BACK)));
        out.push_str(&button("next", "One step forward", icon("", NEXT)));
        out.push_str(&button(
            "play",
            "Play",
            icon(" class=s-play", PLAY) + &icon(" class=s-pause", PAUSE),
        ));
        let _ = write!(
            out,
            "<input type=range min=0 max={} value=0 aria-label=\"Step of the conversation\"><span \
             class=s-count>1 of {count}</span></div><p class=s-words aria-live=polite></p>",
            count.saturating_sub(1)
        );
        self.draw_sources(&mut out);
        out.push_str(
            "<div class=s-kernel tabindex=0 role=group aria-label=\"What the kernel holds\"><table>\
             <caption></caption><thead><tr><th scope=col>program<th scope=col>state<th \
             scope=col>Recv-Q<th scope=col>Send-Q<th scope=col>local → peer<tbody></table></div>\
             <div class=s-packet></div>",
        );
        out.push_str("<div class=s-terminals>");
        for (side, name) in self.sides() {
            let name = escape(name);
            let _ = write!(
                out,
                "<div class=s-box><p class=s-title>{name} printed</p><pre class=s-terminal \
                 tabindex=0 role=group aria-label=\"What {name} printed\" \
                 data-side={side}></pre></div>"
            );
        }
        out.push_str("</div></div>");
        out
    }

    fn sides(&self) -> impl Iterator<Item = (usize, &str)> {
        let events = self.log.events.iter().filter_map(|event| match event {
            Event::Side(side) => Some((side.side, side.name.as_str())),
            _ => None,
        });
        events.take(lanes::MOST)
    }

    fn draw_sources(&self, out: &mut String) {
        if self.files.iter().all(|(_, file)| file.is_none()) {
            return;
        }
        // The first step of each line that makes a call.
        let mut steps: HashMap<String, usize> = HashMap::new();
        for (number, (row, origin)) in (1..).zip(self.rows()) {
            if let Some(call) = self.call_of(row, origin)
                && let Some(line) = self.line(call)
            {
                steps.entry(line).or_insert(number);
            }
        }
        let id = escape(self.id);
        out.push_str("<div class=s-sources><div class=s-tabs>");
        for (number, (_, file)) in self.files.iter().enumerate() {
            if let Some(file) = file {
                let _ = write!(
                    out,
                    "<button type=button data-file={number} aria-pressed=false>{}</button>",
                    escape(&file.title)
                );
            }
        }
        out.push_str("</div>");
        for (number, (_, file)) in self.files.iter().enumerate() {
            let Some(file) = file else { continue };
            // From a little above the first call to a little below the last.
            let called = self.calls.values().filter_map(|call| call.source.as_ref());
            let called = called.filter(|it| self.number(&it.file) == Some(number));
            let lines: Vec<usize> = called.map(|it| it.line as usize).collect();
            let first =
                lines.iter().min().map_or(1, |it| it.saturating_sub(AROUND).max(1));
            let last = lines.iter().max().map_or(1, |it| it + AROUND);
            let _ = write!(
                out,
                "<div class=s-source data-file={number} tabindex=0 role=group \
                 aria-label=\"Source of {}\"><ol start={first}>",
                escape(&file.title)
            );
            let shown = (1..).zip(file.text.lines()).take(last).skip(first - 1);
            for (line, text) in shown {
                out.push_str("<li>");
                if let Some(step) = steps.get(&format!("{number}:{line}")) {
                    let _ = write!(out, "<a href=#{id}-{step}>{line}</a>");
                }
                out.push_str(&escape(&short(text)));
                out.push_str("</li>");
            }
            out.push_str("</ol></div>");
        }
        out.push_str("</div>");
    }

    fn call_of(&self, row: &Row, origin: usize) -> Option<&'a Call> {
        match (row, &self.log.events[origin]) {
            (Row::Call { .. } | Row::Return { .. }, Event::Call(call)) => Some(call),
            (Row::Call { .. } | Row::Return { .. }, Event::Return(it)) => {
                self.calls.get(&it.id).copied()
            }
            _ => None,
        }
    }
}

fn draw_arrow(out: &mut String, arrow: &Arrow, from: usize, to: usize) {
    let kind = match arrow.kind {
        PacketKind::Control => "s-control",
        PacketKind::Ack => "s-ack",
        PacketKind::Data => "s-data",
        PacketKind::Error => "s-error",
    };
    let badge = |state: Option<super::State>, class: &str| {
        state.map_or_else(String::new, |state| {
            format!("<b class=\"s-state {class}\">{state}</b>")
        })
    };
    let label = escape(&short(&arrow.label));
    if from == to {
        let states = badge(arrow.from_state, "") + &badge(arrow.to_state, "");
        let _ = write!(
            out,
            "<span class=\"s-call s-c{} {kind}\" aria-hidden=true><code>↺ {label}</code>{states}</span>",
            from + 1
        );
        return;
    }
    let (left, right) = (from.min(to), from.max(to));
    let (way, left_state, right_state) = if from < to {
        ("s-right", arrow.from_state, arrow.to_state)
    } else {
        ("s-left", arrow.to_state, arrow.from_state)
    };
    let fate = match arrow.fate {
        Fate::Arrived => "",
        Fate::Lost => " s-lost",
        Fate::Held => " s-held",
    };
    let _ = write!(
        out,
        "<span class=\"s-arrow {way} {kind}{fate} s-c{} s-e{}\" aria-hidden=true>{}<code>{label}</code>\
         </span>{}",
        left + 1,
        right + 1,
        badge(left_state, ""),
        badge(right_state, &format!("s-c{}", right + 1)),
    );
}

/// What has been observed up to a row.
struct SoFar<'a> {
    can_measure: bool,
    /// What the kernel held, each time that it had changed.
    kernels: Vec<Value>,
    printed: Vec<Value>,
    /// What each side is doing.
    doing: HashMap<usize, Doing>,
    /// The latest call, while it has not returned.
    open: Option<&'a Call>,
    measured: Measured,
}

impl<'a> SoFar<'a> {
    fn new(log: &Log) -> SoFar<'a> {
        let can_measure = log.header.measured.iter().any(|it| it == "kernel");
        let when = if can_measure {
            "Nothing was measured yet"
        } else {
            "The kernel was not asked in this run"
        };
        SoFar {
            can_measure,
            kernels: Vec::new(),
            printed: Vec::new(),
            doing: HashMap::new(),
            open: None,
            measured: Measured { kernel: -1, when: when.to_owned(), between: false },
        }
    }

    /// Follows the next event. `drawn` are the calls that have a row.
    fn follow(&mut self, page: &Steps<'a>, event: &'a Event, drawn: &HashSet<u64>) {
        if let Some(observed) = observed(event) {
            if let Some(held) = &observed.kernel {
                self.kernels.push(held.iter().map(|it| page.held(it)).collect());
            }
            if self.can_measure {
                let kernel = self.kernels.len() as i64 - 1;
                self.measured =
                    Measured { kernel, when: page.when(event), between: false };
            }
            let printed = observed
                .printed
                .iter()
                .map(|it| json!([it.side, it.fd, printed(&it.data)]));
            self.printed.extend(printed);
        }
        match event {
            Event::Call(call) if drawn.contains(&call.id) => {
                self.open = Some(call);
                if let Some(line) = page.line(call) {
                    self.doing.insert(call.side, Doing { line, waits: true });
                }
            }
            Event::Return(it) if drawn.contains(&it.id) => {
                self.open = self.open.filter(|call| call.id != it.id);
                if let Some(call) = page.calls.get(&it.id)
                    && let Some(doing) = self.doing.get_mut(&call.side)
                {
                    doing.waits = false;
                }
            }
            Event::Packet(_) => self.measured.between = true,
            _ => {}
        }
    }
}

/// The measurement shown at a given moment.
#[derive(Debug, Clone)]
struct Measured {
    /// Its index in the list of measurements; -1 if there is none.
    kernel: i64,
    /// When it was made.
    when: String,
    /// Whether packets have arrived since, so that it does not describe this moment.
    between: bool,
}

impl<'a> Steps<'a> {
    /// All the data that the script needs.
    fn data(&self) -> Value {
        let rows: Vec<(&Row, usize)> = self.rows().collect();
        let until = self.until(&rows);
        // What the C library asks of its own accord is not on a line of the program.
        let drawn: HashSet<u64> = rows
            .iter()
            .filter_map(|(row, origin)| Some(self.call_of(row, *origin)?.id))
            .collect();
        let mut observed = SoFar::new(self.log);
        let mut steps = Vec::new();
        let mut at = 0;
        for ((row, origin), until) in rows.iter().zip(until) {
            let mut cause = None;
            while at < until {
                let event = &self.log.events[at];
                observed.follow(self, event, &drawn);
                if let (Event::Packet(packet), true) = (event, at == *origin) {
                    let owns = |call: &&Call| self.lanes.owns(call.side, &packet.from);
                    cause = observed.open.filter(owns);
                }
                at += 1;
            }
            let call = self.call_of(row, *origin).or(cause);
            steps.push(self.step(row, *origin, call, &observed));
        }
        json!({ "steps": steps, "kernels": observed.kernels, "printed": observed.printed })
    }

    /// What is shown beside a row.
    fn step(
        &self,
        row: &Row,
        origin: usize,
        call: Option<&Call>,
        observed: &SoFar<'_>,
    ) -> Value {
        let mut lines: Vec<(&usize, &Doing)> = observed.doing.iter().collect();
        lines.sort_by_key(|(side, _)| **side);
        let lines: Vec<Value> =
            lines.iter().map(|(_, it)| json!([it.line, it.waits])).collect();
        let measured = &observed.measured;
        let when = if measured.between {
            format!("{}; no program stops between its packets", measured.when)
        } else {
            measured.when.clone()
        };
        let (packet, bytes) = self.carried(row, origin);
        let mut step = json!({
            "line": call.and_then(|call| self.line(call)),
            "lines": lines,
            "kernel": measured.kernel,
            "measured": visible(&when),
            "between": measured.between,
            "printed": observed.printed.len(),
            "packet": packet,
            "bytes": bytes,
        });
        if let Some(step) = step.as_object_mut() {
            // Absent fields are not written, to keep the page small.
            step.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
        }
        step
    }

    /// The event up to which each row shows what was observed, which is where the next
    /// row begins. A call that is drawn at its return began at its entry.
    fn until(&self, rows: &[(&Row, usize)]) -> Vec<usize> {
        let mut entries: HashMap<u64, usize> = HashMap::new();
        for (at, event) in self.log.events.iter().enumerate() {
            if let Event::Call(call) = event {
                entries.insert(call.id, at);
            }
        }
        let mut until = vec![0; rows.len()];
        let mut next = self.log.events.len();
        for (number, (row, origin)) in rows.iter().enumerate().rev() {
            until[number] = next.max(origin + 1);
            let begins = match (row, &self.log.events[*origin]) {
                (Row::Call { .. }, Event::Return(it)) => entries.get(&it.id).copied(),
                _ => None,
            };
            next = next.min(begins.unwrap_or(*origin));
        }
        until
    }

    /// When a measurement was made, in words.
    fn when(&self, event: &Event) -> String {
        let name = |side: usize| {
            self.sides().find(|(number, _)| *number == side).map_or("?", |(_, name)| name)
        };
        match event {
            Event::Call(call) => {
                let shown = calls::shown_name(call, false);
                format!("Kernel, measured before {shown} of {}", name(call.side))
            }
            Event::Return(it) => match self.calls.get(&it.id) {
                Some(call) => {
                    let shown = calls::shown_name(call, false);
                    format!("Kernel, measured after {shown} of {}", name(call.side))
                }
                None => "Kernel, measured after a call".to_owned(),
            },
            Event::Process(it) => {
                format!("Kernel, measured when {} began or ended", name(it.side))
            }
            _ => String::new(),
        }
    }

    fn held(&self, held: &crate::event::Held) -> Value {
        let owner = held.socket.and_then(|inode| {
            self.log.events.iter().find_map(|event| match event {
                Event::Socket(socket) if socket.inode == inode => Some(socket.side),
                _ => None,
            })
        });
        let name =
            owner.and_then(|side| self.sides().find(|(number, _)| *number == side));
        let name = match (name, held.socket) {
            (Some((_, name)), _) => name,
            (None, Some(_)) => "not accepted yet",
            (None, None) => "no program",
        };
        json!([
            visible(name),
            held.state.as_deref().map_or_else(|| "UDP".to_owned(), visible),
            held.recv_q.to_string(),
            held.send_q.to_string(),
            visible(&format!(
                "{} → {}",
                held.local,
                held.peer.as_deref().unwrap_or("anyone")
            )),
        ])
    }

    /// The fields of a packet, and the bytes that a packet or a call carries.
    fn carried(
        &self,
        row: &Row,
        origin: usize,
    ) -> (Option<Vec<[String; 2]>>, Option<String>) {
        match &self.log.events[origin] {
            Event::Packet(packet) => (Some(self.fields(packet)), dump(&packet.data)),
            Event::Call(call) => {
                let received = self.returns.get(&call.id).and_then(|it| it.data.as_ref());
                let received =
                    received.filter(|_| !matches!(row, Row::Call { waits: true, .. }));
                (None, call.data.as_ref().or(received).and_then(dump))
            }
            Event::Return(it) => (None, it.data.as_ref().and_then(dump)),
            _ => (None, None),
        }
    }

    fn fields(&self, packet: &Packet) -> Vec<[String; 2]> {
        let mut fields = vec![
            ["from".to_owned(), visible(&packet.from)],
            ["to".to_owned(), visible(&packet.to)],
        ];
        let mut add = |name: &str, value: String| fields.push([name.to_owned(), value]);
        match &packet.protocol {
            Protocol::Tcp { flags, seq, ack, window, sack, .. } => {
                let (from, to) = (packet.from.as_str(), packet.to.as_str());
                let relative = |number: u32, first: Option<&u32>| match first {
                    Some(first) => {
                        format!("{} ({number})", number.wrapping_sub(*first))
                    }
                    None => number.to_string(),
                };
                add("flags", flags.to_string());
                add("seq", relative(*seq, self.first.get(&(from, to))));
                if flags.has(crate::event::Flag::Ack) {
                    add("ack", relative(*ack, self.first.get(&(to, from))));
                }
                add("window", format!("{window}, as in the header"));
                if !sack.is_empty() {
                    let first = self.first.get(&(to, from)).copied().unwrap_or_default();
                    let block = |(from, to): &(u32, u32)| {
                        let relative = |number: u32| number.wrapping_sub(first);
                        format!("{} to {}", relative(*from), relative(to.wrapping_sub(1)))
                    };
                    let blocks: Vec<String> = sack.iter().map(block).collect();
                    add("sack", blocks.join(", "));
                }
            }
            Protocol::Udp => add("protocol", "UDP".to_owned()),
            Protocol::Icmp { kind, code } => {
                add("protocol", format!("ICMP type {kind} code {code}"));
            }
            Protocol::Other(number) => add("protocol", format!("IP protocol {number}")),
        }
        let length = packet.data.length;
        let unit = if length == 1 { "byte" } else { "bytes" };
        add("data", format!("{} {unit}", grouped(length)));
        fields
    }
}

/// The measurements made at an event, if it is one that can have any.
fn observed(event: &Event) -> Option<&Observed> {
    match event {
        Event::Call(it) => Some(&it.observed),
        Event::Return(it) => Some(&it.observed),
        Event::Process(it) => Some(&it.observed),
        _ => None,
    }
}
