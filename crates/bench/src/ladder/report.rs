//! The tables, and the figures as JSON.

use std::fmt::Write;

use super::{Case, Plan, Results, Sample};

/// The figures of one server in one case, over all rounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) rate: f64,
    pub(super) cpu_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) busy: f64,
    /// The ratio of its rate to that of the best server, or, if the rate is given, of the
    /// best p99 to its own.
    pub(super) ratio: f64,
    /// The ratio of the least processor time per request to its own.
    pub(super) cpu_ratio: f64,
}

/// Returns the median: the lower of the two middle values if their number is even, NaN if
/// there are none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> =
        values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the figure that counts in a case: more is better.
fn merit(case: &Case, sample: &Sample) -> f64 {
    if case.rate { sample.p99_us.recip() } else { sample.rate }
}

/// Returns the inverse of the processor time per request: more is better.
fn thrift(sample: &Sample) -> f64 {
    sample.cpu_us.recip()
}

/// Returns the rows of a case: each server's index, in the plan's order, and its figures.
pub(super) fn rows(plan: &Plan, results: &Results, at: usize) -> Vec<(usize, Figures)> {
    let case = &plan.cases[at];
    let of = |server: usize| results.samples.get(&(at, server));
    let relative = |value: &dyn Fn(&Sample) -> f64| {
        let of_round = |server: usize, round: usize| {
            let sample = of(server).and_then(|samples| samples.get(round)?.as_ref());
            sample.map_or(f64::NAN, value)
        };
        let servers = 0..plan.servers.len();
        let values: Vec<Vec<f64>> = servers
            .map(|server| (0..plan.rounds).map(|round| of_round(server, round)).collect())
            .collect();
        to_best(&values)
    };
    let (merits, thrifts) = (relative(&|one| merit(case, one)), relative(&thrift));
    let row = |server: usize| {
        let samples = of(server)?;
        let done: Vec<&Sample> = samples.iter().flatten().collect();
        let middle =
            |value: fn(&Sample) -> f64| median(done.iter().map(|one| value(one)));
        (!done.is_empty()).then(|| Figures {
            rate: middle(|one| one.rate),
            cpu_us: middle(|one| one.cpu_us),
            p50_us: middle(|one| one.p50_us),
            p99_us: middle(|one| one.p99_us),
            p999_us: middle(|one| one.p999_us),
            busy: middle(|one| one.busy),
            ratio: merits[server],
            cpu_ratio: thrifts[server],
        })
    };
    (0..plan.servers.len()).filter_map(|server| Some((server, row(server)?))).collect()
}

/// Returns a number for each server: its values, one per round, relative to the best
/// server's.
///
/// A round is slow or fast as a whole, so within each round the values are compared with
/// their median, and for each server the median over the rounds counts. Comparing with the
/// best of each round would be unfair to all: among twenty servers there is always one that
/// was lucky.
fn to_best(values: &[Vec<f64>]) -> Vec<f64> {
    let rounds = values.first().map_or(0, Vec::len);
    let middles: Vec<f64> = (0..rounds)
        .map(|round| median(values.iter().map(|server| server[round])))
        .collect();
    let of_rounds = |server: &Vec<f64>| {
        median(server.iter().zip(&middles).map(|(value, middle)| value / middle))
    };
    let medians: Vec<f64> = values.iter().map(of_rounds).collect();
    let best = medians.iter().copied().fold(f64::NAN, f64::max);
    medians.iter().map(|value| value / best).collect()
}

/// Returns how much the server that ran twice differs from itself, at most, in three rounds
/// of four.
///
/// In the fourth something else may have had the processor. The medians forget such a round,
/// so the control must, too. Two or three rounds are too few to forget one.
fn noise(
    plan: &Plan,
    results: &Results,
    at: usize,
    value: impl Fn(&Sample) -> f64,
) -> Option<f64> {
    let udp = plan.cases[at].udp;
    let again =
        plan.servers.iter().position(|server| server.control && server.udp == udp)?;
    let first = plan
        .servers
        .iter()
        .position(|server| plan.servers[again].name.starts_with(&server.name))?;
    let (first, again) =
        (results.samples.get(&(at, first))?, results.samples.get(&(at, again))?);
    let differences = first.iter().zip(again).filter_map(|(first, again)| {
        Some((value(again.as_ref()?) / value(first.as_ref()?) - 1.0).abs())
    });
    three_of_four(differences.filter(|difference| difference.is_finite()).collect())
}

/// Returns the smallest number that at least three quarters of `values` do not exceed.
fn three_of_four(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = (values.len() * 3).div_ceil(4).checked_sub(1)?;
    values.get(last).copied()
}

/// Returns the noise of the figure that counts in the case, and that of the processor time.
fn noises(plan: &Plan, results: &Results, at: usize) -> (Option<f64>, Option<f64>) {
    let case = &plan.cases[at];
    let of_merit = noise(plan, results, at, |one| merit(case, one));
    (of_merit, noise(plan, results, at, thrift))
}

/// Returns the tables and notes for a person.
pub(super) fn tables(plan: &Plan, results: &Results) -> String {
    let mut text = String::new();
    let machine = &plan.machine;
    let cores = machine.cores.len();
    let plural = if cores == 1 { "" } else { "s" };
    let _ = writeln!(text, "{}, {cores} core{plural}", machine.model);
    let _ = writeln!(
        text,
        "{}",
        if machine.apart() {
            "server on one core, load on another"
        } else {
            "server and load are not pinned to cores of their own: read with care"
        }
    );
    for at in 0..plan.cases.len() {
        text.push_str(&case_table(plan, results, at));
    }
    text.push_str(&sections(plan, results));
    text
}

/// Returns the table of one case, or nothing if no server was measured in it.
fn case_table(plan: &Plan, results: &Results, at: usize) -> String {
    let mut text = String::new();
    let case = &plan.cases[at];
    let rows = rows(plan, results, at);
    if rows.is_empty() {
        return text;
    }
    let (noise, cpu_noise) = noises(plan, results, at);
    let unit = if case.bulk { "MB/s" } else { "requests/s" };
    let _ = writeln!(
        text,
        "\n{}\n  {:26} {unit:>10}   to best  µs of CPU   to best      p50      p99    p99.9 µs",
        case.title, ""
    );
    let equal = |ratio: f64, noise: Option<f64>| {
        if noise.is_some_and(|noise| 1.0 - ratio <= noise) { '=' } else { ' ' }
    };
    for (server, row) in &rows {
        let server = &plan.servers[*server];
        let rate = if case.bulk { row.rate * bytes(case) / 1e6 } else { row.rate };
        let cpu = if row.cpu_us.is_nan() {
            format!("{:>10}          ", "–")
        } else {
            let mark = equal(row.cpu_ratio, cpu_noise);
            format!("{:10.2} {mark} {:6.2} ", row.cpu_us, row.cpu_ratio)
        };
        let ratio = if row.ratio.is_nan() {
            // On a machine that is busy with something else nobody may have had an answer.
            format!("  {:>6}", "–")
        } else {
            format!("{} {:6.2}", equal(row.ratio, noise), row.ratio)
        };
        let _ = writeln!(
            text,
            "  {:26} {rate:10.0} {ratio} {cpu} {:8.0} {:8.0} {:8.0}",
            server.name, row.p50_us, row.p99_us, row.p999_us
        );
    }
    match (noise, cpu_noise) {
        (Some(noise), Some(cpu_noise)) => {
            let _ = writeln!(
                text,
                "  = : no further from the best than the control from itself ({:.0} %, {:.0} %)",
                noise * 100.0,
                cpu_noise * 100.0
            );
        }
        _ => text.push_str("  without a control: no difference is known to be one\n"),
    }
    if rows.iter().any(|(_, row)| row.busy > 0.95) {
        text.push_str(
            "  load was busy all the time with the fastest: it is the limit there\n",
        );
    }
    text
}

/// Returns what comes after the tables: the figures that are measured once, and what
/// could not be measured.
fn sections(plan: &Plan, results: &Results) -> String {
    let mut text = String::new();
    if !results.memory.is_empty() {
        text.push_str("\nMemory of an idle connection (the kernel's is not in it)\n");
        for (server, (bytes, count)) in &results.memory {
            let name = &plan.servers[*server].name;
            let _ = writeln!(text, "  {name:26} {bytes:10.0} bytes, {count} held");
        }
    }
    if !results.calls.is_empty() {
        text.push_str(
            "\nSystem calls for each request, 50 connections, counted by strace\n",
        );
        for (server, calls) in &results.calls {
            let _ = writeln!(text, "  {:26} {calls:10.2}", plan.servers[*server].name);
        }
    }
    for section in &results.beside {
        text.push('\n');
        text.push_str(section);
    }
    if !plan.absent.is_empty() {
        text.push_str("\nPeers that are not available here\n");
        for line in &plan.absent {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !plan.left_out.is_empty() {
        text.push_str("\nNot measured here\n");
        for line in &plan.left_out {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !results.failures.is_empty() {
        text.push_str("\nWindows that failed\n");
        for line in &results.failures {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// Returns the length of a case's messages, in bytes.
pub(super) fn bytes(case: &Case) -> f64 {
    let at = case.load.iter().position(|word| word == "--bytes");
    let word = at.and_then(|at| case.load.get(at + 1));
    word.and_then(|word| word.parse().ok()).unwrap_or(64.0)
}

/// Returns the figures as JSON, with a line for each server in each case.
pub(super) fn json(plan: &Plan, results: &Results) -> String {
    let mut lines = Vec::new();
    for (at, case) in plan.cases.iter().enumerate() {
        let (noise, cpu_noise) = noises(plan, results, at);
        for (server, row) in rows(plan, results, at) {
            lines.push(format!(
                "{{\"case\": {}, \"server\": {}, \"requests_per_second\": {}, \"ratio\": {}, \
                 \"control\": {}, \"cpu_us\": {}, \"cpu_ratio\": {}, \"cpu_control\": {}, \"p50_us\": {}, \"p99_us\": {}, \
                 \"p999_us\": {}, \"message_bytes\": {}, \"connections\": {}}}",
                string(case.key),
                string(&plan.servers[server].name),
                number(row.rate),
                number(row.ratio),
                number(noise.unwrap_or(f64::NAN)),
                number(row.cpu_us),
                number(row.cpu_ratio),
                number(cpu_noise.unwrap_or(f64::NAN)),
                number(row.p50_us),
                number(row.p99_us),
                number(row.p999_us),
                bytes(case),
                case.clients,
            ));
        }
    }
    for (server, (bytes, count)) in &results.memory {
        lines.push(format!(
            "{{\"case\": \"memory\", \"server\": {}, \"bytes_per_connection\": {}, \
             \"connections\": {count}}}",
            string(&plan.servers[*server].name),
            number(*bytes),
        ));
    }
    for (server, calls) in &results.calls {
        lines.push(format!(
            "{{\"case\": \"system_calls\", \"server\": {}, \"calls_per_request\": {}}}",
            string(&plan.servers[*server].name),
            number(*calls),
        ));
    }
    format!(
        "{{\n\"processor\": {},\n\"cores\": {},\n\"apart\": {},\n\"rounds\": {},\n\
         \"window_ms\": {},\n\"figures\": [\n{}\n]\n}}\n",
        string(&plan.machine.model),
        plan.machine.cores.len(),
        plan.machine.apart(),
        results.rounds,
        plan.window.as_millis(),
        lines.join(",\n")
    )
}

/// Formats a number with three decimals; NaN becomes null.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "null".into() }
}

/// Formats a JSON string. All names are our own, except the processor's.
fn string(text: &str) -> String {
    let escape = |letter: char| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_and_leaves_out_what_is_not_known() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, f64::NAN, 1.0]), 1.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn the_control_forgets_one_round_of_four() {
        assert_eq!(three_of_four(vec![]), None);
        assert_eq!(three_of_four(vec![0.02]), Some(0.02));
        assert_eq!(three_of_four(vec![0.9, 0.02, 0.05]), Some(0.9));
        assert_eq!(three_of_four(vec![0.01, 2.54, 0.02, 0.05]), Some(0.05));
        assert_eq!(three_of_four(vec![0.01, 2.54, 0.02, 0.05, 0.03]), Some(0.05));
    }

    #[test]
    fn nobody_is_compared_with_the_luckiest_of_a_round() {
        // The second round is twice as fast for everyone, and each server but one is lucky
        // once.
        let all = to_best(&[
            vec![11.0, 20.0, 10.0],
            vec![10.0, 22.0, 10.0],
            vec![10.0, 20.0, 11.0],
            vec![5.0, 10.0, 5.0],
        ]);
        assert_eq!(all, [1.0, 1.0, 1.0, 0.5]);
        assert!(to_best(&[vec![1.0], vec![f64::NAN]])[1].is_nan());
    }

    #[test]
    fn json_strings_hold_no_control_character() {
        assert_eq!(string("a\"b\\c\x1b"), "\"a\\\"b\\\\c\\u001b\"");
    }
}
