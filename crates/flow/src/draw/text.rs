//! The drawing as text.

use super::canvas::{Canvas, Ink, cut, cut_start, width, wrap};
use super::{Arrow, Diagram, Options, PacketKind, Row};
use crate::bytes::printable;
use crate::event::{Event, Fate, Log};

/// Draws a log as text of [`Options::width`] columns, in lines that end with a newline.
pub fn text(log: &Log, options: &Options) -> String {
    let diagram = Diagram::new(log, options);
    let mut out = String::new();
    let notes = |out: &mut String| {
        let mut lines: Vec<String> = diagram.notes.clone();
        if options.recording {
            let system = printable(&log.header.system);
            lines.push(format!("A recording, made on {system}"));
        }
        for line in lines {
            for part in wrap(&line, options.width.max(40), 0) {
                out.push_str(&part);
                out.push('\n');
            }
        }
    };
    if !diagram.columns.is_empty() {
        let (head, rows) = TextDrawing::of(&diagram, options, log).rows();
        out.push_str(&head);
        rows.iter().for_each(|(_, lines)| out.push_str(lines));
    }
    notes(&mut out);
    out
}

/// The columns that the times take up, including the blanks after them.
const GUTTER: usize = 22;

/// Writes the time of a row, and the time since the row before, ahead of its first line;
/// both in milliseconds.
fn stamp(out: &mut String, now_ns: u64, before_ns: u64) {
    let milliseconds = |nanoseconds: f64| nanoseconds / 1e6;
    let since = milliseconds(now_ns as f64 - before_ns as f64);
    let text = format!("{:>9.3} {since:>+9.3}", milliseconds(now_ns as f64));
    let room = out.get(..text.len());
    // A row without a line of its own gets no time, nor does one that leaves no room for
    // it.
    if text.len() < GUTTER && room.is_some_and(|it| it.bytes().all(|byte| byte == b' ')) {
        out.replace_range(..text.len(), &text);
    }
}

/// The text on an arrow: its label, followed by the ports if both fit.
pub(super) fn with_ports(label: &str, ports: Option<&str>, room: usize) -> String {
    match ports {
        Some(ports) if width(label) + width(ports) <= room => format!("{label}{ports}"),
        _ => cut_data(label, room),
    }
}

/// Cuts a label to its room, and of that what it quotes: what is said behind the quotation,
/// such as ` again` or ` FIN`, matters more.
fn cut_data(label: &str, room: usize) -> String {
    let (data, said) = label.split_at(label.rfind('"').map_or(0, |at| at + 1));
    let said = said.trim_start_matches('…');
    if width(label) <= room || said.is_empty() || width(said) + LEAST_DATA > room {
        return cut(label, room);
    }
    format!("{}{said}", cut(data, room - width(said)))
}

/// What is left at least of what a label quotes and its length: `1,448 bytes "xx…`.
const LEAST_DATA: usize = 8;

/// The narrowest that a column can be.
const NARROWEST: usize = 12;

pub(super) struct TextDrawing<'a> {
    diagram: &'a Diagram,
    options: &'a Options,
    /// The time of each event.
    times: Vec<u64>,
    /// The position of each lifeline.
    at: Vec<usize>,
    /// Where the text of each column ends.
    end: Vec<usize>,
    life: Vec<LifelineState>,
}

/// The state of a lifeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LifelineState {
    NotYet,
    Running,
    /// This many calls are waiting.
    Waiting(usize),
    Over,
}

impl<'a> TextDrawing<'a> {
    pub(super) fn of(
        diagram: &'a Diagram,
        options: &'a Options,
        log: &Log,
    ) -> TextDrawing<'a> {
        let times = log.events.iter().map(Event::time_ns).collect();
        let count = diagram.columns.len();
        let gutter = if options.time { GUTTER } else { 0 };
        let each = (options.width.max(40).saturating_sub(gutter) / count).max(NARROWEST);
        let at: Vec<usize> = (0..count).map(|column| gutter + column * each).collect();
        let last = options.width.max(gutter + each * count);
        let end = (0..count)
            .map(|column| at.get(column + 1).map_or(last, |next| next - 1))
            .collect();
        let life = diagram
            .columns
            .iter()
            .map(|column| {
                if column.is_nobody {
                    LifelineState::Running
                } else {
                    LifelineState::NotYet
                }
            })
            .collect();
        TextDrawing { diagram, options, times, at, end, life }
    }

    /// The head, and the lines of each row with the position in the log that it comes
    /// from.
    pub(super) fn rows(mut self) -> (String, Vec<(usize, String)>) {
        let mut out = String::new();
        let mut head = Canvas::default();
        for (column, it) in self.diagram.columns.iter().enumerate() {
            let room = self.end[column] - self.at[column];
            let file = cut(it.file.as_deref().unwrap_or_default(), room * 2 / 3);
            let name = cut(&it.name, room.saturating_sub(width(&file) + 1));
            head.put(self.at[column], &name, Ink::Head);
            head.put(self.end[column] - width(&file), &file, Ink::Faint);
        }
        head.finish(self.options.color, &mut out);
        let mut before = 0;
        let mut rows = Vec::with_capacity(self.diagram.rows.len());
        for (row, origin) in self.diagram.rows.iter().zip(&self.diagram.origins) {
            let mut lines = String::new();
            self.row(row, &mut lines);
            if self.options.time {
                let now = self.times.get(*origin).copied().unwrap_or(before);
                stamp(&mut lines, now, before);
                before = now;
            }
            rows.push((*origin, lines));
        }
        (out, rows)
    }

    /// An empty line, with the lifelines in it.
    fn blank(&self) -> Canvas {
        let mut canvas = Canvas::default();
        for (at, life) in self.at.iter().zip(&self.life) {
            match life {
                LifelineState::Running => canvas.put(*at, "│", Ink::Line),
                LifelineState::Waiting(_) => canvas.put(*at, "┊", Ink::Wait),
                LifelineState::NotYet | LifelineState::Over => {}
            }
        }
        canvas
    }

    fn begin(&mut self, column: usize) {
        if let Some(life) = self.life.get_mut(column)
            && *life == LifelineState::NotYet
        {
            *life = LifelineState::Running;
        }
    }

    fn row(&mut self, row: &Row, out: &mut String) {
        match row {
            Row::Call { column, text, source, waits, failed, state } => {
                self.begin(*column);
                let ink = if *failed { Ink::Error } else { Ink::Plain };
                let state = state.map(|state| format!("[{state}]"));
                self.in_column(*column, text, ink, source.as_deref(), state, out);
                if *waits {
                    self.wait(*column, 1);
                }
            }
            Row::Return { column, text, failed } => {
                self.wait(*column, -1);
                let ink = if *failed { Ink::Error } else { Ink::Plain };
                self.in_column(*column, text, ink, None, None, out);
            }
            Row::Packet(arrow) => {
                self.begin(arrow.from);
                self.begin(arrow.to);
                if arrow.from == arrow.to {
                    self.own_packet(arrow, out);
                } else {
                    self.arrow(arrow, out);
                }
            }
            Row::Life { column, text, line } => {
                self.begin(*column);
                if !text.is_empty() {
                    let ends = *line == Some(false);
                    if ends {
                        self.life[*column] = LifelineState::Over;
                    }
                    let mut canvas = self.blank();
                    let (at, mark) = (self.at[*column], if ends { "╵" } else { "│" });
                    canvas.put(at, mark, Ink::Line);
                    let room = self.end[*column] - at - 2;
                    canvas.put(at + 2, &cut(text, room), Ink::Faint);
                    canvas.finish(self.options.color, out);
                }
            }
            Row::Cause { column, text, .. } => {
                let text = format!("↳ {text}");
                self.in_column(*column, &text, Ink::Wait, None, None, out);
            }
            Row::Detail { between: [left, right], text } if left == right => {
                self.in_column(*left, text, Ink::Faint, None, None, out);
            }
            Row::Detail { between: [left, right], text } => {
                let (start, end) = (self.at[*left], self.at[*right]);
                for line in wrap(text, (end - start).saturating_sub(4), 0) {
                    let mut canvas = self.blank();
                    let middle = (start + end + 1).saturating_sub(width(&line)) / 2;
                    canvas.put(middle, &line, Ink::Faint);
                    canvas.finish(self.options.color, out);
                }
            }
            Row::Time { left, text } => {
                let mut canvas = self.blank();
                canvas.put(self.at[*left] + 8, &format!("· {text} ·"), Ink::Wait);
                canvas.finish(self.options.color, out);
            }
            Row::Cut(rows) => {
                let mut canvas = self.blank();
                canvas.put(2, &format!("⋯ {rows} rows are left out ⋯"), Ink::Faint);
                canvas.finish(self.options.color, out);
            }
        }
    }

    fn wait(&mut self, column: usize, more: isize) {
        let life = &mut self.life[column];
        let waiting = match *life {
            LifelineState::Waiting(waiting) => waiting,
            LifelineState::Over => return,
            _ => 0,
        };
        *life = match waiting.saturating_add_signed(more) {
            0 => LifelineState::Running,
            waiting => LifelineState::Waiting(waiting),
        };
    }

    /// A call or its return in its column, on as many lines as it takes.
    fn in_column(
        &self,
        column: usize,
        text: &str,
        ink: Ink,
        source: Option<&str>,
        state: Option<String>,
        out: &mut String,
    ) {
        let at = self.at[column] + 2;
        let room = self.end[column] - at;
        // The long name of a file leaves half of the line to the call; its end has the
        // line number.
        let source = source.map(|source| cut_start(source, room / 2));
        let reserve = source.as_ref().map_or(0, |source| width(source) + 1);
        let mut lines = wrap(text, room, reserve);
        // The state goes after the text if there is room, or else below it.
        let last = lines.len() - 1;
        let used = width(&lines[last]) + if last == 0 { reserve } else { 0 };
        let beside = state.as_ref().is_some_and(|it| used + 1 + width(it) <= room);
        if state.is_some() && !beside {
            lines.push(String::new());
        }
        let count = lines.len();
        for (number, line) in lines.iter().enumerate() {
            let mut canvas = self.blank();
            canvas.put(at, line, ink);
            if let (Some(state), true) = (&state, number + 1 == count) {
                let shift = if line.is_empty() { 2 } else { width(line) + 1 };
                canvas.put(at + shift, state, Ink::State);
            }
            if let (Some(source), 0) = (&source, number) {
                canvas.put(self.end[column] - width(source), source, Ink::Faint);
            }
            canvas.finish(self.options.color, out);
        }
    }

    fn arrow(&self, arrow: &Arrow, out: &mut String) {
        let Arrow { from, to, label, ports, kind, from_state, to_state, fate } = arrow;
        let rightwards = from < to;
        let (left, right) = if rightwards { (*from, *to) } else { (*to, *from) };
        let (left_state, right_state) =
            if rightwards { (from_state, to_state) } else { (to_state, from_state) };
        let (start, end) = (self.at[left], self.at[right]);
        let ink = match kind {
            PacketKind::Control => Ink::Control,
            PacketKind::Ack => Ink::Faint,
            PacketKind::Data => Ink::Data,
            PacketKind::Error => Ink::Error,
        };
        let mut canvas = self.blank();
        // The arrow of a packet that does not arrive ends before it gets there.
        let short = if *fate == Fate::Arrived { 0 } else { ((end - start) / 8).max(2) };
        let (shaft_from, shaft_to) =
            if rightwards { (start + 1, end - short) } else { (start + 1 + short, end) };
        let length = shaft_to.saturating_sub(shaft_from);
        let shaft: String = std::iter::repeat_n('─', length).collect();
        canvas.put(shaft_from, &shaft, ink);
        for crossed in left + 1..right {
            if !matches!(self.life[crossed], LifelineState::NotYet | LifelineState::Over)
            {
                canvas.put(self.at[crossed], "┼", ink);
            }
        }
        let (tail, tip, tip_at) = if rightwards {
            ((start, "├"), "▶", shaft_to.saturating_sub(1))
        } else {
            ((end, "┤"), "◀", shaft_from)
        };
        canvas.put(tail.0, tail.1, ink);
        match fate {
            Fate::Arrived => canvas.put(tip_at, tip, ink),
            Fate::Lost => canvas.put(tip_at, "✗", Ink::Error),
            Fate::Held => canvas.put(tip_at, "┄", Ink::Wait),
        }
        // Inside the shaft: the left end's state, then the label in the middle of the
        // rest.
        let mut from_at = if rightwards { start + 2 } else { shaft_from + 1 };
        if let Some(state) = left_state {
            let state = format!("[{state}]");
            if width(&state) + 8 < end - start {
                canvas.put(from_at, &state, Ink::State);
                from_at += width(&state);
            }
        }
        let last_cell = if rightwards { shaft_to } else { end };
        let room = (last_cell - 2).saturating_sub(from_at + 3);
        let label = format!(" {} ", with_ports(label, ports.as_deref(), room));
        // In the middle of the whole arrow if that is free, so that labels line up.
        let middle = (start + end + 1).saturating_sub(width(&label)) / 2;
        let last = (last_cell - 1).saturating_sub(width(&label));
        canvas.put(middle.clamp(from_at.min(last), last), &label, ink);
        if let Some(state) = right_state {
            let room = (self.end[right] + 1).saturating_sub(end + 2);
            canvas.put(end + 2, &cut(&format!("[{state}]"), room), Ink::State);
        }
        canvas.finish(self.options.color, out);
    }

    /// A packet from a side to itself.
    fn own_packet(&self, arrow: &Arrow, out: &mut String) {
        let Arrow { from, label, kind, from_state, to_state, .. } = arrow;
        let ink = if *kind == PacketKind::Data { Ink::Data } else { Ink::Control };
        let mut text = format!("↺ {label}");
        for state in [from_state, to_state].into_iter().flatten() {
            text.push_str(&format!(" [{state}]"));
        }
        self.in_column(*from, &text, ink, None, None, out);
    }
}
