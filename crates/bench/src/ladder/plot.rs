//! The plots, as self-contained SVG.

use std::fmt::Write;

use super::report::{self, Figures};
use super::{Plan, Results};

/// A line of a plot: its name, and its points.
type Series = (String, Vec<(f64, f64)>);

/// Returns the plots: the name and the content of each file.
pub(super) fn plots(plan: &Plan, results: &Results) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let over_connections = |value: fn(&Figures) -> f64| {
        series(
            plan,
            results,
            |case| case.key.starts_with("connections_"),
            |at, row| (plan.cases[at].clients as f64, value(row)),
        )
    };
    let mut add = |name: &str, svg: Option<String>| {
        files.extend(svg.map(|svg| (name.to_owned(), svg)));
    };
    let x = "connections";
    add(
        "throughput.svg",
        lines("Requests a second", x, &over_connections(|row| row.rate)),
    );
    for (name, title, value) in [
        (
            "p50.svg",
            "Half of the requests take less than (µs)",
            (|row: &Figures| row.p50_us) as fn(&Figures) -> f64,
        ),
        ("p99.svg", "99 of 100 requests take less than (µs)", |row: &Figures| {
            row.p99_us
        }),
        ("p999.svg", "999 of 1,000 requests take less than (µs)", |row: &Figures| {
            row.p999_us
        }),
        (
            "processor.svg",
            "Processor time of the server for each request (µs)",
            |row: &Figures| row.cpu_us,
        ),
    ] {
        add(name, lines(title, x, &over_connections(value)));
    }
    let bulk = |key: &str| key.starts_with("bytes_") || key == "bulk_8";
    let over_bytes = series(
        plan,
        results,
        |case| bulk(case.key),
        |at, row| {
            let bytes = report::bytes(&plan.cases[at]);
            (bytes, row.rate * bytes / 1e6)
        },
    );
    add(
        "bytes.svg",
        lines("Megabytes a second, 8 connections", "bytes of a message", &over_bytes),
    );
    let name = |server: &usize| plan.servers[*server].name.clone();
    let memory: Vec<(String, f64)> =
        results.memory.iter().map(|(one, (bytes, _))| (name(one), *bytes)).collect();
    add("memory.svg", bars("Bytes of memory for an idle connection", &memory));
    let calls: Vec<(String, f64)> =
        results.calls.iter().map(|(one, calls)| (name(one), *calls)).collect();
    add("calls.svg", bars("System calls for each request, 50 connections", &calls));
    files
}

fn series(
    plan: &Plan,
    results: &Results,
    wanted: impl Fn(&super::Case) -> bool,
    point: impl Fn(usize, &Figures) -> (f64, f64),
) -> Vec<Series> {
    let mut all: Vec<Series> =
        plan.servers.iter().map(|server| (server.name.clone(), Vec::new())).collect();
    for (at, _) in plan.cases.iter().enumerate().filter(|(_, case)| wanted(case)) {
        for (server, row) in report::rows(plan, results, at) {
            if !plan.servers[server].control {
                all[server].1.push(point(at, &row));
            }
        }
    }
    for (_, points) in &mut all {
        points.retain(|(x, y)| x.is_finite() && y.is_finite() && *y > 0.0);
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    all.retain(|(_, points)| points.len() > 1);
    all
}

/// Colours that also differ in lightness.
const COLOURS: [&str; 10] = [
    "#4269d0", "#b07a00", "#d0413a", "#2f8f7f", "#3ca951", "#c2478f", "#8a63c9",
    "#7a4a2b", "#5f6b7a", "#111111",
];
const DASHES: [&str; 3] = ["", "6 3", "2 3"];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 220.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 50.0;

fn head(title: &str, height: f64) -> String {
    let title = escaped(title);
    // The page may be dark, so the plot has a light background of its own.
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"15\">{title}</text>\n"
    )
}

/// Draws lines, with both axes logarithmic. Returns `None` if there are no points.
fn lines(title: &str, x_label: &str, all: &[Series]) -> Option<String> {
    let points = || all.iter().flat_map(|(_, points)| points);
    let least = |value: fn(&(f64, f64)) -> f64| points().map(value).reduce(f64::min);
    let most = |value: fn(&(f64, f64)) -> f64| points().map(value).reduce(f64::max);
    let (x0, x1) = (least(|point| point.0)?, most(|point| point.0)?);
    let y0 = 10_f64.powf(least(|point| point.1)?.log10().floor());
    let y1 = 10_f64.powf(most(|point| point.1)?.log10().ceil()).max(y0 * 10.0);
    let part = |value: f64, low: f64, high: f64| {
        (value.log10() - low.log10()) / (high.log10() - low.log10()).max(1e-9)
    };
    let x_at = |x: f64| LEFT + part(x, x0, x1) * (WIDTH - LEFT - RIGHT);
    let y_at = |y: f64| HEIGHT - BOTTOM - part(y, y0, y1) * (HEIGHT - TOP - BOTTOM);
    let mut svg = head(title, HEIGHT);
    let xs = points().map(|point| point.0).collect();
    svg.push_str(&axes((y0, y1), &y_at, xs, &x_at, x_label));
    for (at, (name, points)) in all.iter().enumerate() {
        let (colour, dash) =
            (COLOURS[at % COLOURS.len()], DASHES[at / COLOURS.len() % 3]);
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y)))
            .collect();
        let y = TOP + 16.0 * at as f64;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"/>\
             <line x1=\"{:.0}\" x2=\"{:.0}\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"{colour}\" \
             stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
            path.join(" "),
            WIDTH - RIGHT + 12.0,
            WIDTH - RIGHT + 36.0,
            WIDTH - RIGHT + 42.0,
            y + 4.0,
            escaped(name)
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Draws the axes of [`lines`]: a line for each power of ten from the first to the second
/// of `ys`, and a number below each of `xs`.
fn axes(
    ys: (f64, f64),
    y_at: &dyn Fn(f64) -> f64,
    mut xs: Vec<f64>,
    x_at: &dyn Fn(f64) -> f64,
    x_label: &str,
) -> String {
    let mut svg = String::new();
    let mut tick = ys.0;
    while tick <= ys.1 * 1.001 {
        let y = y_at(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            grouped(tick)
        );
        tick *= 10.0;
    }
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    for x in xs {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            x_at(x),
            HEIGHT - BOTTOM + 18.0,
            grouped(x)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
        LEFT.midpoint(WIDTH - RIGHT),
        HEIGHT - 12.0,
        escaped(x_label)
    );
    svg
}

/// Draws one bar for each value, the longest as long as the plot is wide. Returns `None`
/// if there are no values.
fn bars(title: &str, all: &[(String, f64)]) -> Option<String> {
    let most = all.iter().map(|(_, value)| *value).reduce(f64::max)?.max(1e-9);
    let height = TOP + 24.0 * all.len() as f64 + 20.0;
    let left = 210.0;
    let mut svg = head(title, height);
    for (at, (name, value)) in all.iter().enumerate() {
        let y = TOP + 24.0 * at as f64;
        let width = value / most * (WIDTH - left - 110.0);
        let shown = if *value < 100.0 { format!("{value:.2}") } else { grouped(*value) };
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{left}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"16\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.0}\">{shown}</text>",
            left - 8.0,
            y + 13.0,
            escaped(name),
            width.max(1.0),
            COLOURS[0],
            left + width.max(1.0) + 6.0,
            y + 13.0,
        );
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Formats a number with commas, `12,345`, or as it is if it is less than one.
fn grouped(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_plot_are_text() {
        let all = [("<b>\"&\x1b".to_owned(), vec![(1.0, 2.0), (10.0, 30.0)])];
        let svg = lines("t", "x", &all).unwrap();
        assert!(svg.contains("&lt;b&gt;&quot;&amp;</text>"), "{svg}");
        assert!(!svg.contains('\x1b'));
    }

    #[test]
    fn every_point_lies_inside_the_plot() {
        let all = [("a".to_owned(), vec![(1.0, 3.0), (1000.0, 250_000.0)])];
        let svg = lines("t", "x", &all).unwrap();
        let points = svg.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        for point in points.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(100.0), "100");
        assert_eq!(grouped(0.1), "0.1");
    }

    #[test]
    fn a_plot_without_points_is_no_file() {
        assert!(lines("t", "x", &[]).is_none());
        assert!(bars("t", &[]).is_none());
    }
}
