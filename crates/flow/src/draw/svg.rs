//! The drawing as a picture. It has its own background, and follows the reader's choice
//! of light or dark.

use std::fmt::Write as _;

use super::canvas::{cut_start, width, wrap};
use super::text::with_ports;
use super::{Arrow, Diagram, Options, PacketKind, Row, State};
use crate::bytes::printable;
use crate::event::{Fate, Log};

/// The advance of a character, in pixels: 0.6 of the font size, 13.
const LETTER: f64 = 7.83;
const LINE: f64 = 18.0;
const MARGIN: f64 = 24.0;
const HEAD: f64 = 58.0;

const STYLE: &str = "\
.flow{--paper:#fff;--ink:#1f2328;--faint:#6e7781;--line:#afb8c1;--wait:#bf8700;\
--control:#0969da;--data:#1a7f37;--error:#cf222e;--state:#8250df;--badge:#f5f0ff}\
@media(prefers-color-scheme:dark){.flow{--paper:#0d1117;--ink:#e6edf3;--faint:#8b949e;\
--line:#484f58;--wait:#d29922;--control:#58a6ff;--data:#3fb950;--error:#ff7b72;\
--state:#d2a8ff;--badge:#2a1f45}}\
.flow text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',\
monospace;fill:var(--ink);white-space:pre}\
.flow .paper{fill:var(--paper);stroke:var(--line)}\
.flow .head{font-weight:700;font-size:15px}\
.flow .faint{fill:var(--faint)}\
.flow .life{stroke:var(--line);stroke-width:2}\
.flow .wait{stroke:var(--wait);stroke-width:2;stroke-dasharray:2 5;stroke-linecap:round}\
.flow .control{--c:var(--control)}.flow .data{--c:var(--data)}\
.flow .error{--c:var(--error)}.flow .ack{--c:var(--faint)}\
.flow .packet line{stroke:var(--c);stroke-width:1.6}\
.flow .packet path{fill:var(--c)}\
.flow .packet text{fill:var(--c);text-anchor:middle}\
.flow .failed{fill:var(--error)}\
.flow .time{fill:var(--wait)}\
.flow .packet .lost{stroke:var(--error);stroke-width:2;fill:none}\
.flow .packet .held{stroke:var(--wait);fill:var(--paper)}\
.flow .state rect{fill:var(--badge)}\
.flow .state text{fill:var(--state);font-size:11px;text-anchor:middle}";

/// Draws a log as an SVG document.
pub fn svg(log: &Log, options: &Options) -> String {
    let diagram = Diagram::new(log, options);
    let mut notes = diagram.notes.clone();
    if options.recording {
        let system = printable(&log.header.system);
        notes.push(format!("A recording, made on {system}"));
    }
    Picture::new(&diagram).draw(&notes)
}

/// The place of a column, in pixels.
#[derive(Debug, Clone, Copy)]
struct ColumnPlace {
    /// The position of its lifeline.
    at: f64,
    /// How many characters fit into a line of its text.
    letters: usize,
    /// Where its text ends.
    end: f64,
    life: Lifeline,
}

/// A lifeline: from where on it has been drawn as it is now.
#[derive(Debug, Clone, Copy)]
struct Lifeline {
    since: Option<f64>,
    waiting: usize,
}

struct Picture<'a> {
    diagram: &'a Diagram,
    places: Vec<ColumnPlace>,
    y: f64,
    lives: String,
    body: String,
}

impl<'a> Picture<'a> {
    fn new(diagram: &'a Diagram) -> Picture<'a> {
        let mut at = MARGIN + 8.0;
        let mut places = Vec::new();
        for (column, head) in diagram.columns.iter().enumerate() {
            let longest = diagram.rows.iter().filter_map(|row| match row {
                Row::Call { column: it, text, source, .. } if *it == column => {
                    Some(width(text) + source.as_ref().map_or(0, |it| width(it) + 3))
                }
                Row::Return { column: it, text, .. } if *it == column => {
                    Some(width(text))
                }
                _ => None,
            });
            let letters = longest.max().unwrap_or(0).clamp(34, 58);
            let end = at + 14.0 + letters as f64 * LETTER;
            let since = head.is_nobody.then_some(HEAD);
            let life = Lifeline { since, waiting: 0 };
            places.push(ColumnPlace { at, letters, end, life });
            at = end + 26.0;
        }
        Picture { diagram, places, y: HEAD, lives: String::new(), body: String::new() }
    }

    fn draw(mut self, notes: &[String]) -> String {
        for (column, head) in self.diagram.columns.iter().enumerate() {
            let place = self.places[column];
            let (name, file) = (escape(&head.name), head.file.as_deref().unwrap_or(""));
            let _ = write!(
                self.body,
                "<text class='head' x='{:.1}' y='38'>{name}</text>\
                 <text class='faint' x='{:.1}' y='38' text-anchor='end'>{}</text>",
                place.at - 6.0,
                place.end,
                escape(file)
            );
        }
        let diagram = self.diagram;
        for row in &diagram.rows {
            self.row(row);
        }
        self.y += 10.0;
        for column in 0..self.places.len() {
            self.end_segment(column, self.y);
        }
        let right = self.places.last().map_or(400.0, |it| it.end) + MARGIN;
        let letters = ((right - 2.0 * MARGIN) / LETTER) as usize;
        for line in notes.iter().flat_map(|note| wrap(note, letters, 0)) {
            self.y += LINE;
            self.text(MARGIN, self.y, &line, "faint");
        }
        let bottom = self.y + MARGIN;
        let names: Vec<&str> =
            diagram.columns.iter().map(|column| column.name.as_str()).collect();
        let title = escape(&format!("The conversation of {}", names.join(" and ")));
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' class='flow' role='img' \
             aria-label='{title}' viewBox='0 0 {right:.0} {bottom:.0}' width='{right:.0}' \
             height='{bottom:.0}'><title>{title}</title><style>{STYLE}</style>\
             <rect class='paper' x='.5' y='.5' width='{:.0}' height='{:.0}' rx='8'/>\
             {}{}</svg>\n",
            right - 1.0,
            bottom - 1.0,
            self.lives,
            self.body
        )
    }

    fn text(&mut self, x: f64, y: f64, text: &str, class: &str) {
        let text = escape(text);
        let _ = write!(
            self.body,
            "<text class='{class}' x='{x:.1}' y='{y:.1}'>{text}</text>"
        );
    }

    fn badge(&mut self, x: f64, y: f64, state: State) {
        let wide = badge_width(state);
        let _ = write!(
            self.body,
            "<g class='state'><rect x='{x:.1}' y='{:.1}' width='{wide:.1}' height='16' \
             rx='8'/><text x='{:.1}' y='{:.1}'>{}</text></g>",
            y - 12.0,
            x + wide / 2.0,
            y,
            state.name()
        );
    }

    /// Begins the lifeline here, unless it has begun already.
    fn begin(&mut self, column: usize) {
        self.places[column].life.since.get_or_insert(self.y + 2.0);
    }

    /// Draws the lifeline up to here.
    fn end_segment(&mut self, column: usize, y: f64) {
        let place = &mut self.places[column];
        let Some(since) = place.life.since.take() else { return };
        let class = if place.life.waiting > 0 { "wait" } else { "life" };
        let x = place.at;
        let _ = write!(
            self.lives,
            "<line class='{class}' x1='{x:.1}' y1='{since:.1}' x2='{x:.1}' y2='{y:.1}'/>"
        );
    }

    fn wait(&mut self, column: usize, more: isize, y: f64) {
        let life = self.places[column].life;
        let waiting = life.waiting.saturating_add_signed(more);
        if (waiting > 0) != (life.waiting > 0) {
            self.end_segment(column, y);
            self.places[column].life.since = Some(y);
        }
        self.places[column].life.waiting = waiting;
    }

    fn row(&mut self, row: &Row) {
        match row {
            Row::Call { column, text, source, waits, failed, state } => {
                self.begin(*column);
                self.in_column(*column, text, *failed, source.as_deref(), *state);
                if *waits {
                    self.wait(*column, 1, self.y + 2.0);
                }
            }
            Row::Return { column, text, failed } => {
                self.wait(*column, -1, self.y + 6.0);
                self.in_column(*column, text, *failed, None, None);
            }
            Row::Packet(arrow) if arrow.from == arrow.to => {
                self.begin(arrow.from);
                let text = format!("↺ {}", arrow.label);
                let state = arrow.to_state.or(arrow.from_state);
                self.in_column(arrow.from, &text, false, None, state);
            }
            Row::Packet(arrow) => {
                self.begin(arrow.from);
                self.begin(arrow.to);
                self.arrow(arrow);
            }
            Row::Life { column, text, line } => {
                self.begin(*column);
                if !text.is_empty() {
                    self.y += LINE;
                    self.text(self.places[*column].at + 14.0, self.y, text, "faint");
                }
                if *line == Some(false) {
                    self.end_segment(*column, self.y - 4.0);
                    self.places[*column].life.waiting = 0;
                }
            }
            Row::Cause { column, text, .. } => {
                let text = format!("↳ {text}");
                let (x, letters) =
                    (self.places[*column].at + 14.0, self.places[*column].letters);
                for line in wrap(&text, letters, 0) {
                    self.y += LINE;
                    self.text(x, self.y, &line, "time");
                }
            }
            Row::Detail { between: [left, right], text } => {
                self.detail(*left, *right, text)
            }
            Row::Time { left, text } => {
                self.y += LINE;
                let x = self.places[*left].at + 60.0;
                let text = format!("· {} ·", text.trim_start());
                self.text(x, self.y, &text, "time");
            }
            Row::Cut(rows) => {
                self.y += 2.0 * LINE;
                let text = format!("⋯ {rows} rows are left out ⋯");
                self.text(MARGIN + 22.0, self.y - 4.0, &text, "faint");
            }
        }
    }

    /// The numbers of a segment, below its arrow.
    fn detail(&mut self, left: usize, right: usize, text: &str) {
        let (start, end) = (self.places[left].at, self.places[right].at);
        let (x, letters) = if left == right {
            (start + 14.0, self.places[left].letters)
        } else {
            (start + 24.0, ((end - start - 48.0) / LETTER) as usize)
        };
        for line in wrap(text, letters, 0) {
            self.y += LINE;
            let rest = letters.saturating_sub(width(&line)) as f64 * LETTER;
            let indent = if left == right { 0.0 } else { rest / 2.0 };
            self.text(x + indent, self.y, &line, "faint");
        }
    }

    fn in_column(
        &mut self,
        column: usize,
        text: &str,
        failed: bool,
        source: Option<&str>,
        state: Option<State>,
    ) {
        let place = self.places[column];
        let source = source.map(|source| cut_start(source, place.letters / 2));
        let reserve = source.as_ref().map_or(0, |source| width(source) + 2);
        let lines = wrap(text, place.letters, reserve);
        let x = place.at + 14.0;
        for (number, line) in lines.iter().enumerate() {
            self.y += LINE;
            self.text(x, self.y, line, if failed { "failed" } else { "call" });
            if let (Some(source), 0) = (&source, number) {
                let _ = write!(
                    self.body,
                    "<text class='faint' x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
                    place.end,
                    self.y,
                    escape(source)
                );
            }
        }
        if let Some(state) = state {
            let used =
                x + lines.last().map_or(0, |line| width(line)) as f64 * LETTER + 8.0;
            let reserved = if lines.len() == 1 { reserve as f64 * LETTER } else { 0.0 };
            if used + badge_width(state) <= place.end - reserved {
                self.badge(used, self.y, state);
            } else {
                self.y += LINE;
                self.badge(x, self.y, state);
            }
        }
        self.y += 2.0;
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let Arrow { from, to, label, ports, kind, from_state, to_state, fate } = arrow;
        self.y += 30.0;
        let y = self.y - 6.0;
        let rightwards = from < to;
        let (left, right) = if rightwards { (*from, *to) } else { (*to, *from) };
        let (left_state, right_state) =
            if rightwards { (from_state, to_state) } else { (to_state, from_state) };
        let (start, end) = (self.places[left].at + 3.0, self.places[right].at - 3.0);
        let class = match kind {
            PacketKind::Control => "control",
            PacketKind::Ack => "ack",
            PacketKind::Data => "data",
            PacketKind::Error => "error",
        };
        // The arrow of a packet that does not arrive ends before it gets there.
        let short = if *fate == Fate::Arrived { 0.0 } else { (end - start) / 8.0 };
        let (start, end) =
            if rightwards { (start, end - short) } else { (start + short, end) };
        let (tip, back) =
            if rightwards { (end, end - 9.0) } else { (start, start + 9.0) };
        let head = match fate {
            Fate::Arrived => {
                format!(
                    "<path d='M{tip:.1} {y:.1}L{back:.1} {:.1}V{:.1}z'/>",
                    y - 4.5,
                    y + 4.5
                )
            }
            Fate::Lost => format!(
                "<path class='lost' d='M{0:.1} {2:.1}L{1:.1} {3:.1}M{0:.1} {3:.1}L{1:.1} {2:.1}'/>",
                tip - 5.0,
                tip + 5.0,
                y - 5.0,
                y + 5.0
            ),
            Fate::Held => {
                format!("<circle class='held' cx='{tip:.1}' cy='{y:.1}' r='4'/>")
            }
        };
        let mut free = start;
        if let Some(state) = left_state {
            self.badge(start + 10.0, y - 6.0, *state);
            free += 14.0 + badge_width(*state);
        }
        let room = ((end - free) / LETTER) as usize;
        let label = with_ports(label, ports.as_deref(), room.saturating_sub(2));
        let half = width(&label) as f64 * LETTER / 2.0;
        let middle = ((start + end) / 2.0).max(free + half + 4.0);
        let _ = write!(
            self.body,
            "<g class='packet {class}'><line x1='{start:.1}' y1='{y:.1}' x2='{end:.1}' \
             y2='{y:.1}'/>{head}<text x='{middle:.1}' y='{:.1}'>{}</text></g>",
            y - 6.0,
            escape(&label)
        );
        if let Some(state) = right_state {
            self.badge(self.places[right].at + 14.0, y + 4.0, *state);
        }
        self.y += 4.0;
    }
}

fn badge_width(state: State) -> f64 {
    state.name().len() as f64 * 6.7 + 14.0
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 does not allow these, not even escaped.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
